/*
 * So many in a time and no more: a bucket that fills at a steady pace, as one number (GCRA). Holds
 * no time of its own: the caller brings it. Begins full, zeroed.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdint.h>

struct pace {
	uint64_t full_usec; /* when the bucket is full again */
};

/* One each `interval_usec`, `burst` of them at once after a rest. How many may go now. */
uint64_t pace_free(
	const struct pace *p, uint64_t interval_usec, uint64_t burst, uint64_t now_usec);
void pace_take(struct pace *p, uint64_t interval_usec, uint64_t n, uint64_t now_usec);
/* When the next one may go, if none may now. */
uint64_t pace_next_usec(const struct pace *p, uint64_t interval_usec, uint64_t burst);

#endif
