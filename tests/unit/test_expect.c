/* When an expected job is asked for, and when never. */
#include "flow/expect.h"

#include "base/clock.h"
#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1788256800000001

static void spans_end_or_never(void **state)
{
	const uint64_t year = 366ull * 86400 * 1000000;

	(void)state;
	clock_freeze(NOW, 5);
	assert_int_equal(expect_ask_at_usec(0), NOW);
	assert_int_equal(expect_ask_at_usec(600), NOW + 600);
	assert_int_equal(expect_ask_at_usec(3 * year), NOW + 3 * (int64_t)year);
	assert_true(expect_ask_at_usec((uint64_t)(INT64_MAX - NOW)) == INT64_MAX);
	assert_int_equal(expect_ask_at_usec((uint64_t)(INT64_MAX - NOW) + 1), 0);
	assert_int_equal(expect_ask_at_usec(SPAN_FOREVER), 0);
	clock_thaw();
}

static time_t jumped; /* the wall clock, by so many seconds */

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += jumped;
	return r;
}

/* Due times are of the clock that does not jump. */
static void the_clock_is_the_steady_one(void **state)
{
	int64_t before = clock_steady_usec(), at;

	(void)state;
	jumped = 86400;
	at = expect_ask_at_usec(0);
	assert_true(clock_wall_usec() > before + 80000ll * 1000000);
	jumped = 0;
	assert_true(at >= before && at <= clock_steady_usec());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_end_or_never),
		cmocka_unit_test(the_clock_is_the_steady_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
