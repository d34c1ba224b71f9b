/* Full jitter: the bounds, and that the whole of them is used evenly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/random.h"
#include "base/span.h"
#include "rules/backoff.h"

#define SECOND  USEC_PER_SEC
#define DRAWS   20000
#define BUCKETS 20

/* Uniform in [1 ms, cap]: chi-square over 20 buckets, the ends, and the mean. */
static void expect_uniform(uint64_t base, uint64_t max, unsigned failures, uint64_t cap)
{
	unsigned bucket[BUCKETS] = {0};
	uint64_t least = UINT64_MAX, most = 0;
	double sum = 0, chi = 0, expected = (double)DRAWS / BUCKETS;

	for (int i = 0; i < DRAWS; i++) {
		uint64_t delay = backoff_usec(base, max, failures);
		assert_true(delay >= USEC_PER_MSEC && delay <= cap);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
		sum += (double)delay;
		bucket[(delay - USEC_PER_MSEC) * BUCKETS / (cap - USEC_PER_MSEC + 1)]++;
	}
	for (int i = 0; i < BUCKETS; i++)
		chi += (bucket[i] - expected) * (bucket[i] - expected) / expected;
	/* 19 degrees of freedom: above 43.8 once in a thousand; the seed is fixed. */
	if (chi > 43.8)
		fail_msg("chi-square %.1f for %u failures", chi, failures);
	assert_true(least < cap / 1000 + USEC_PER_MSEC);
	assert_true(most > cap - cap / 1000);
	assert_true(sum / DRAWS > 0.49 * (double)cap && sum / DRAWS < 0.51 * (double)cap);
}

static void test_uniform(void **state)
{
	(void)state;
	random_seed_for_tests(1);
	expect_uniform(5 * SECOND, 3600 * SECOND, 1, 5 * SECOND);
	expect_uniform(5 * SECOND, 3600 * SECOND, 2, 10 * SECOND);
	expect_uniform(5 * SECOND, 3600 * SECOND, 3, 20 * SECOND);
	expect_uniform(5 * SECOND, 3600 * SECOND, 10, 2560 * SECOND);
	expect_uniform(5 * SECOND, 3600 * SECOND, 11, 3600 * SECOND);
	expect_uniform(5 * SECOND, 3600 * SECOND, 4000000000u, 3600 * SECOND);
	expect_uniform(5 * SECOND, 2 * SECOND, 1, 2 * SECOND);
	random_seed_for_tests(0);
}

static void test_edges(void **state)
{
	(void)state;
	random_seed_for_tests(2);
	for (unsigned failures = 0; failures < 200; failures++) {
		assert_int_equal(backoff_usec(0, 0, failures), USEC_PER_MSEC);
		assert_int_equal(backoff_usec(0, SPAN_FOREVER, failures), USEC_PER_MSEC);
		assert_int_equal(backoff_usec(SPAN_FOREVER, 0, failures), USEC_PER_MSEC);
		assert_int_equal(backoff_usec(7, 999, failures), USEC_PER_MSEC);
		/* now + delay must fit an int64_t. */
		assert_true(
			backoff_usec(SECOND, SPAN_FOREVER, failures) <= INT64_MAX / 2);
		assert_true(backoff_usec(SPAN_FOREVER, SPAN_FOREVER, failures) <=
			    INT64_MAX / 2);
	}
	random_seed_for_tests(0);
}

/* From half of the limit to all of it. */
static void test_half(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	random_seed_for_tests(3);
	for (int i = 0; i < DRAWS; i++) {
		uint64_t delay = backoff_half_usec(2 * SECOND, 600 * SECOND, 3);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	assert_true(least >= 4 * SECOND && least < 4 * SECOND + SECOND / 100);
	assert_true(most <= 8 * SECOND && most > 8 * SECOND - SECOND / 100);
	for (unsigned failures = 0; failures < 200; failures++) {
		uint64_t delay = backoff_half_usec(2 * SECOND, 600 * SECOND, failures);
		assert_true(delay >= SECOND && delay <= 600 * SECOND);
		assert_true(failures < 10 || delay >= 300 * SECOND);
		assert_int_equal(backoff_half_usec(0, 0, failures), USEC_PER_MSEC);
		assert_int_equal(backoff_half_usec(1500, 1500, 1) >= 1000, 1);
		assert_true(backoff_half_usec(SPAN_FOREVER, SPAN_FOREVER, failures) <=
			    INT64_MAX / 2);
	}
	random_seed_for_tests(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uniform),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
