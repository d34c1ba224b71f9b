/* Chance: for jitter and for secrets, both from the kernel's generator (arc4random(3)).
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

uint64_t random_below(uint64_t bound); /* uniform in [0, bound); 0 for bound 0 */
void random_bytes(void *out, size_t size);

#define RANDOM_TOKEN_SIZE 44 /* 32 bytes as 43 base64url characters, and NUL */
void random_token(char out[static RANDOM_TOKEN_SIZE]);

/* Replaces the generator by a repeatable one; 0 gives the kernel's back. For tests alone.
 */
void random_seed_for_tests(uint64_t seed);

#endif
