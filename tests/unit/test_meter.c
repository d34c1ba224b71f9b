/* What is counted: rates by slots, durations by bounds, tallies by name. */
#include "base/clock.h"
#include "base/histogram.h"
#include "base/macros.h"
#include "base/meter.h"
#include "flow/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE (60 * USEC_PER_SEC)

/* One more or less in a slot is no matter. */
static void near(double have, double want)
{
	if (have < want * 0.98 || have > want * 1.02) {
		fprintf(stderr, "%f is not %f\n", have, want);
		fail();
	}
}

static void test_meter(void **state)
{
	const uint64_t start = 1000 * MINUTE + 1234567;
	struct meter m;
	uint64_t now = start;

	(void)state;
	meter_init(&m, now);
	near(meter_rate(&m, MINUTE, now), 0);
	/* Right after the start one callback is one a second, not a million. */
	meter_count(&m, now + 10);
	near(meter_rate(&m, MINUTE, now + 10), 1);
	/* Less than the span has passed: over what has. */
	for (unsigned i = 0; i < 200; i++)
		meter_count(&m, now += 100 * USEC_PER_MSEC);
	near(meter_rate(&m, MINUTE, now), 201 / 20.0);
	near(meter_rate(&m, 15 * MINUTE, now), 201 / 20.0);
	/* Ten a second for a minute and more, then one for five minutes. */
	for (unsigned i = 0; i < 700; i++)
		meter_count(&m, now += 100 * USEC_PER_MSEC);
	for (unsigned i = 0; i < 300; i++)
		meter_count(&m, now += USEC_PER_SEC);
	near(meter_rate(&m, MINUTE, now), 1);
	assert_true(meter_rate(&m, 5 * MINUTE, now) < 1.3);
	near(meter_rate(&m, 15 * MINUTE, now), 1201 / 390.0);
	/* A look alone lets it grow old, by steps and at once. */
	double before = meter_rate(&m, 5 * MINUTE, now);
	assert_true(meter_rate(&m, 5 * MINUTE, now + 2 * MINUTE) < before);
	near(meter_rate(&m, MINUTE, now + 2 * MINUTE), 0);
	assert_true(meter_rate(&m, 15 * MINUTE, now + 14 * MINUTE) > 0);
	near(meter_rate(&m, 15 * MINUTE, now + 16 * MINUTE), 0);
	near(meter_rate(&m, 15 * MINUTE, now + 900 * MINUTE), 0);
	meter_count(&m, now + 900 * MINUTE);
	assert_true(meter_rate(&m, MINUTE, now + 900 * MINUTE) > 0.01);
}

static void test_histogram(void **state)
{
	struct histogram h = {0};
	const struct histogram_scale *const scales[] = {
		&histogram_quick, &histogram_slow};

	(void)state;
	histogram_add(&h, &histogram_quick, 0);
	histogram_add(&h, &histogram_quick, 500); /* equal is within */
	histogram_add(&h, &histogram_quick, 501);
	histogram_add(&h, &histogram_quick, 3600 * USEC_PER_SEC);
	assert_int_equal(histogram_up_to(&h, 0), 2);
	assert_int_equal(histogram_up_to(&h, 1), 3);
	assert_int_equal(histogram_up_to(&h, histogram_quick.n - 1), 3);
	assert_int_equal(histogram_up_to(&h, histogram_quick.n), 4);
	assert_int_equal(h.sum_usec, 3600 * USEC_PER_SEC + 1001);
	for (size_t k = 0; k < ARRAY_SIZE(scales); k++)
		for (size_t i = 1; i < scales[k]->n; i++)
			assert_true(
				scales[k]->upper_usec[i - 1] < scales[k]->upper_usec[i]);
}

static void test_tally(void **state)
{
	char name[66];
	struct tally *t = tally_new();

	(void)state;
	assert_non_null(t);
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "source-%u", i);
		tally_source(t, name)->accepted += i;
		tally_hook(t, name)->done += i + 1;
	}
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "source-%u", i);
		assert_int_equal(tally_source(t, name)->accepted, i);
		assert_int_equal(tally_hook(t, name)->done, i + 1);
	}
	/* What no configuration allows as a name is counted nowhere in particular. */
	memset(name, 'x', 65);
	name[65] = '\0';
	assert_ptr_equal(tally_source(t, name), &t->no_source);
	assert_ptr_equal(tally_hook(t, name), &t->no_hook);
	tally_refused(t, 404);
	tally_refused(t, 404);
	tally_refused(t, 0);
	tally_refused(t, 599);
	for (size_t i = 0; i < TALLY_REFUSALS; i++)
		assert_int_equal(t->refusals[i], tally_refusal_status(i) == 404 ? 2
						 : tally_refusal_status(i) == 0 ? 2
										: 0);
	tally_free(t);
	tally_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meter),
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_tally),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
