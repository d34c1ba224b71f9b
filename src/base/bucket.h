/*
 * So many in a time and no more: a bucket that fills at a steady pace, as one number (GCRA). Holds
 * no time of its own: the caller brings it. Begins full, zeroed.
 */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stdint.h>

struct bucket {
	uint64_t full_usec; /* when the bucket is full again */
};

/* One each `interval_usec`, `burst` of them at once after a rest. How many may go now. */
uint64_t bucket_level(const struct bucket *p, uint64_t interval_usec, uint64_t burst,
	uint64_t now_usec);
void bucket_take(struct bucket *p, uint64_t interval_usec, uint64_t n, uint64_t now_usec);
/* When the next one may go, if none may now. */
uint64_t bucket_next_usec(const struct bucket *p, uint64_t interval_usec, uint64_t burst);

#endif
