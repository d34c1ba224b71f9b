/* Expectations; see expect.h. */
#include "flow/expect.h"

#include "base/clock.h"

int64_t expect_ask_at_usec(uint64_t within_usec)
{
	int64_t now = clock_steady_usec();

	return within_usec > (uint64_t)(INT64_MAX - now) ? 0 : now + (int64_t)within_usec;
}
