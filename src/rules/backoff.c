/* Jitter, full and half; see backoff.h. */
#include "rules/backoff.h"

#include "base/macros.h"
#include "base/random.h"

#define DELAY_MIN_USEC USEC_PER_MSEC
#define DELAY_MAX_USEC ((uint64_t)INT64_MAX / 2) /* now + delay still fits an int64_t */

static uint64_t limit_usec(uint64_t base_usec, uint64_t max_usec, unsigned failures)
{
	uint64_t cap = base_usec;

	if (max_usec > DELAY_MAX_USEC)
		max_usec = DELAY_MAX_USEC;
	for (unsigned n = 1; n < failures && cap && cap < max_usec; n++)
		cap *= 2; /* below max, hence below 2^62: cannot overflow */
	if (cap > max_usec)
		cap = max_usec;
	return cap > DELAY_MIN_USEC ? cap : DELAY_MIN_USEC;
}

uint64_t backoff_usec(uint64_t base_usec, uint64_t max_usec, unsigned failures)
{
	uint64_t cap = limit_usec(base_usec, max_usec, failures);

	return DELAY_MIN_USEC + random_below(cap - DELAY_MIN_USEC + 1);
}

uint64_t backoff_half_usec(uint64_t base_usec, uint64_t max_usec, unsigned failures)
{
	uint64_t cap = limit_usec(base_usec, max_usec, failures);
	uint64_t least = cap / 2 > DELAY_MIN_USEC ? cap / 2 : DELAY_MIN_USEC;

	return least + random_below(cap - least + 1);
}
