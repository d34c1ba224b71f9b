/* The bucket; see bucket.h. What is taken puts off the moment at which it is full again. */
#include "base/bucket.h"

uint64_t bucket_level(
	const struct bucket *p, uint64_t interval_usec, uint64_t burst, uint64_t now_usec)
{
	uint64_t debt = p->full_usec > now_usec ? p->full_usec - now_usec : 0;
	uint64_t taken = (debt + interval_usec - 1) / interval_usec;

	return taken < burst ? burst - taken : 0;
}

void bucket_take(struct bucket *p, uint64_t interval_usec, uint64_t n, uint64_t now_usec)
{
	if (p->full_usec < now_usec)
		p->full_usec = now_usec;
	p->full_usec += n * interval_usec;
}

uint64_t bucket_next_usec(const struct bucket *p, uint64_t interval_usec, uint64_t burst)
{
	uint64_t ahead = (burst - 1) * interval_usec;

	return p->full_usec > ahead ? p->full_usec - ahead : 0;
}
