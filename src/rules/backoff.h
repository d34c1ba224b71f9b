/* When to try again: full jitter, a uniform delay up to min(max, base * 2^failures). */
#ifndef RULES_BACKOFF_H
#define RULES_BACKOFF_H

#include <stdint.h>

/* `failures` so far, 1 or more. Never 0: at least a millisecond, so that nothing spins.
 */
uint64_t backoff_usec(uint64_t base_usec, uint64_t max_usec, unsigned failures);

#endif
