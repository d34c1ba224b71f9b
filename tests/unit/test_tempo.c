/* When a hook may start, by a clock that is moved by hand: interval, rate, window, shares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "flow/share.h"
#include "flow/tempo.h"
#include "rules/backoff.h"

#include <stdlib.h>
#include <string.h>

#define SECOND ((int64_t)USEC_PER_SEC)
#define START  (1000000 * SECOND)

static struct hook hook_of(unsigned max)
{
	return (struct hook){.max_concurrent = max,
		.retries = 8,
		.retry_delay_usec = 5 * USEC_PER_SEC,
		.retry_delay_max_usec = 3600 * USEC_PER_SEC};
}

static unsigned allows(struct tempo *p, const struct hook *h, unsigned busy, int64_t now)
{
	int64_t at;

	return tempo_allows(p, h, busy, now, &at);
}

static void test_slots(void **state)
{
	struct hook h = hook_of(4);
	struct tempo p = {0};

	(void)state;
	assert_false(tempo_counts_starts(&h));
	assert_int_equal(allows(&p, &h, 0, START), 4);
	assert_int_equal(allows(&p, &h, 3, START), 1);
	assert_int_equal(allows(&p, &h, 4, START), 0);
	assert_int_equal(allows(&p, &h, 9, START), 0); /* MaxConcurrent= was lowered */
}

static void test_interval(void **state)
{
	struct hook h = hook_of(4);
	struct tempo p = {0};
	int64_t at;

	(void)state;
	h.min_interval_usec = 10 * USEC_PER_SEC;
	assert_true(tempo_counts_starts(&h));
	assert_int_equal(allows(&p, &h, 0, START), 1);
	tempo_take(&p, &h, 1, START);
	/* It counts from when it does start, not from when it was to. */
	tempo_started(&p, START + 1);
	assert_int_equal(tempo_allows(&p, &h, 1, START + 2, &at), 0);
	assert_int_equal(at, START + 1 + 10 * SECOND);
	assert_int_equal(allows(&p, &h, 1, at - 1), 0);
	assert_int_equal(allows(&p, &h, 1, at), 1);
	/* One that was not started after all leaves the interval as it was. */
	tempo_take(&p, &h, 1, at);
	assert_int_equal(allows(&p, &h, 1, at), 0);
	tempo_give(&p, &h, 1);
	assert_int_equal(allows(&p, &h, 1, at), 1);
	/* Where no slot is free the time does not matter. */
	assert_int_equal(tempo_allows(&p, &h, 4, START + 2, &at), 0);
	assert_int_equal(at, 0);
}

static void test_interval_over_a_restart(void **state)
{
	struct hook h = hook_of(4);
	struct tempo p = {0};
	int64_t at;

	(void)state;
	h.min_interval_usec = 10 * USEC_PER_SEC;
	tempo_restore(&p, START - 4 * SECOND, START);
	assert_int_equal(tempo_allows(&p, &h, 0, START, &at), 0);
	assert_int_equal(at, START + 6 * SECOND);
	/* Written by a clock that was a day ahead: once the interval, not a day. */
	p = (struct tempo){0};
	tempo_restore(&p, START + 86400 * SECOND, START);
	assert_int_equal(tempo_allows(&p, &h, 0, START, &at), 0);
	assert_int_equal(at, START + 10 * SECOND);
	p = (struct tempo){0};
	tempo_restore(&p, 0, START);
	assert_int_equal(allows(&p, &h, 0, START), 1);
}

static void test_rate(void **state)
{
	struct hook h = hook_of(100);
	struct tempo p = {0};
	int64_t now = START, at;

	(void)state;
	h.rate = (struct rate){10, 60 * USEC_PER_SEC};
	assert_true(tempo_counts_starts(&h));
	assert_int_equal(allows(&p, &h, 0, now), 10);
	tempo_take(&p, &h, 4, now);
	assert_int_equal(allows(&p, &h, 4, now), 6);
	tempo_take(&p, &h, 6, now);
	assert_int_equal(tempo_allows(&p, &h, 10, now, &at), 0);
	assert_int_equal(at, now + 6 * SECOND);
	assert_int_equal(allows(&p, &h, 0, at - 1), 0);
	assert_int_equal(allows(&p, &h, 0, at), 1);
	tempo_give(&p, &h, 3);
	assert_int_equal(allows(&p, &h, 0, at), 4);
	/* Never more than a bucket. */
	assert_int_equal(allows(&p, &h, 0, now + 86400 * SECOND), 10);
	tempo_give(&p, &h, 10);
	assert_int_equal(allows(&p, &h, 0, now + 86400 * SECOND), 10);
}

/* However often it is asked, and in whatever steps the clock moves: N a span, and a bucket. */
static void test_rate_is_exact(void **state)
{
	struct hook h = hook_of(1000);
	struct tempo p = {0};
	int64_t now = START, end = START + 3600 * SECOND;
	unsigned started = 0;

	(void)state;
	random_seed_for_tests(3);
	h.rate = (struct rate){7, 3 * USEC_PER_SEC};
	while (now < end) {
		unsigned n = allows(&p, &h, 0, now);
		tempo_take(&p, &h, n, now);
		started += n;
		now += 1 + (int64_t)random_below(100 * USEC_PER_MSEC);
	}
	random_seed_for_tests(0);
	assert_in_range(started, 7 + 7 * 1200 - 1, 7 + 7 * 1200);
}

static void test_rate_over_a_restart(void **state)
{
	struct hook h = hook_of(100);
	struct tempo p = {0};

	(void)state;
	h.rate = (struct rate){10, 60 * USEC_PER_SEC};
	tempo_restore(&p, START - 13 * SECOND, START);
	assert_int_equal(allows(&p, &h, 0, START), 2);
	p = (struct tempo){0};
	tempo_restore(&p, START - 600 * SECOND, START);
	assert_int_equal(allows(&p, &h, 0, START), 10);
	/* A reload with another rate brings no second bucket. */
	h.rate.n = 20;
	assert_int_equal(allows(&p, &h, 0, START), 20);
	tempo_take(&p, &h, 20, START);
	h.rate.n = 30;
	assert_int_equal(allows(&p, &h, 0, START), 0);
	assert_int_equal(allows(&p, &h, 0, START + 2 * SECOND), 1);
}

/* ---- the window ---- */

static void test_one_bad_run_slows_nobody(void **state)
{
	struct hook h = hook_of(4);
	struct tempo p = {0};

	(void)state;
	for (unsigned i = 0; i < h.retries + 1; i++)
		assert_int_equal(tempo_end(&p, &h, true, START), TEMPO_SAME);
	assert_int_equal(allows(&p, &h, 0, START), 4);
	assert_int_equal(tempo_end(&p, &h, false, START), TEMPO_SAME);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(tempo_end(&p, &h, true, START), TEMPO_SAME);
	/* Without retries every failure is final: to wait would gain nothing. */
	h.retries = 0;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(tempo_end(&p, &h, true, START), TEMPO_SAME);
	assert_int_equal(allows(&p, &h, 0, START), 4);
}

static void slow_down(struct tempo *p, const struct hook *h, int64_t now)
{
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(tempo_end(p, h, true, now), TEMPO_SAME);
	assert_int_equal(tempo_end(p, h, true, now), TEMPO_SLOWED);
}

static void test_window(void **state)
{
	struct hook h = hook_of(4);
	struct tempo p = {0};
	int64_t now = START, at, pause = 0, before = 0;

	(void)state;
	slow_down(&p, &h, now);
	assert_int_equal(allows(&p, &h, 0, now), 3);
	assert_int_equal(tempo_end(&p, &h, true, now), TEMPO_SAME);
	assert_int_equal(tempo_end(&p, &h, true, now), TEMPO_SAME);
	assert_int_equal(allows(&p, &h, 0, now), 1);
	assert_int_equal(allows(&p, &h, 1, now), 0);
	/* One at a time, and a pause that doubles up to RetryDelay=. */
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(tempo_end(&p, &h, true, now), TEMPO_SAME);
		assert_int_equal(tempo_allows(&p, &h, 0, now, &at), 0);
		pause = at - now;
		assert_true(pause == 5 * SECOND || pause == before * 2 || !before);
		before = pause;
		now = at;
		assert_int_equal(allows(&p, &h, 0, now - 1), 0);
		assert_int_equal(allows(&p, &h, 0, now), 1);
	}
	assert_int_equal(pause, 5 * SECOND);
	/* A success: no pause any more, and one more for each window's worth of them. */
	assert_int_equal(tempo_end(&p, &h, false, now), TEMPO_SAME);
	assert_int_equal(allows(&p, &h, 0, now), 2);
	assert_int_equal(tempo_end(&p, &h, false, now), TEMPO_SAME);
	assert_int_equal(allows(&p, &h, 0, now), 2);
	assert_int_equal(tempo_end(&p, &h, false, now), TEMPO_SAME);
	assert_int_equal(allows(&p, &h, 0, now), 3);
	/* It may fail now and then on its way. */
	assert_int_equal(tempo_end(&p, &h, true, now), TEMPO_SAME);
	assert_int_equal(tempo_end(&p, &h, true, now), TEMPO_SAME);
	assert_int_equal(allows(&p, &h, 0, now), 3);
	assert_int_equal(tempo_end(&p, &h, true, now), TEMPO_SAME);
	assert_int_equal(allows(&p, &h, 0, now), 2);
	enum tempo_news news = TEMPO_SAME;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(news, TEMPO_SAME);
		news = tempo_end(&p, &h, false, now);
	}
	assert_int_equal(news, TEMPO_WELL);
	assert_int_equal(allows(&p, &h, 0, now), 4);
	assert_int_equal(tempo_end(&p, &h, false, now), TEMPO_SAME);
	slow_down(&p, &h, now);
}

static void test_window_of_one(void **state)
{
	struct hook h = hook_of(1);
	struct tempo p = {0};
	int64_t at;

	(void)state;
	h.retry_delay_usec = 7200 * USEC_PER_SEC;
	slow_down(&p, &h, START);
	assert_int_equal(tempo_allows(&p, &h, 0, START, &at), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(tempo_end(&p, &h, true, START), TEMPO_SAME);
	assert_int_equal(tempo_allows(&p, &h, 0, START, &at), 0);
	assert_int_equal(at, START + 30 * SECOND);
	assert_int_equal(tempo_end(&p, &h, false, START), TEMPO_WELL);
	assert_int_equal(allows(&p, &h, 0, START), 1);
}

/* ---- an hour of outage ---- */

/* The window and the jitter together: each run takes a second, and for an hour none succeeds. */
struct sim {
	struct hook hook;
	struct tempo tempo;
	int64_t *due; /* of each run; 0: it is over */
	unsigned *attempts;
	unsigned n, busy;
	int64_t ends[64];
	unsigned who[64];
	unsigned *starts; /* by minute */
};

static void sim_end(struct sim *s, unsigned i, int64_t now, bool down)
{
	unsigned who = s->who[i];

	s->busy--;
	s->ends[i] = s->ends[s->busy];
	s->who[i] = s->who[s->busy];
	tempo_end(&s->tempo, &s->hook, down, now);
	if (!down)
		s->due[who] = 0;
	else
		s->due[who] = now + (int64_t)backoff_usec(s->hook.retry_delay_usec,
					    s->hook.retry_delay_max_usec,
					    s->attempts[who]);
}

static void sim_start(struct sim *s, int64_t now, unsigned minute)
{
	unsigned next = 0;

	for (unsigned n = allows(&s->tempo, &s->hook, s->busy, now); n; n--) {
		while (next < s->n && (!s->due[next] || s->due[next] > now))
			next++;
		if (next == s->n)
			return;
		s->due[next] = INT64_MAX; /* it runs */
		s->attempts[next]++;
		s->ends[s->busy] = now + SECOND;
		s->who[s->busy++] = next;
		s->starts[minute]++;
	}
}

/* Nothing of what an outage left starts at more than twice the rate at which it is worked off. */
static void test_no_burst_after_an_outage(void **state)
{
	enum { RUNS = 10000, OUTAGE = 60, MINUTES = 240 };
	unsigned starts[MINUTES] = {0}, most = 0, total = 0, minutes = 0;
	struct sim s = {.hook = hook_of(4), .n = RUNS, .starts = starts};

	(void)state;
	random_seed_for_tests(4);
	s.hook.retries = 1000;
	s.due = calloc(RUNS, sizeof(*s.due));
	s.attempts = calloc(RUNS, sizeof(*s.attempts));
	assert_true(s.due && s.attempts);
	for (unsigned i = 0; i < RUNS; i++)
		s.due[i] = START + (int64_t)random_below(OUTAGE * 60 * USEC_PER_SEC);
	for (unsigned second = 0; second < MINUTES * 60; second++) {
		int64_t now = START + second * SECOND;
		bool down = second < OUTAGE * 60;
		for (unsigned i = s.busy; i-- > 0;)
			if (s.ends[i] <= now)
				sim_end(&s, i, now, down);
		sim_start(&s, now, second / 60);
	}
	random_seed_for_tests(0);
	for (unsigned i = 0; i < RUNS; i++)
		assert_int_equal(s.due[i], 0); /* all were worked off */
	/* While it was down it was asked now and then, not hammered. */
	for (unsigned m = 2; m < OUTAGE; m++)
		assert_in_range(starts[m], 5, 60);
	for (unsigned m = OUTAGE; m < MINUTES && starts[m]; m++) {
		most = starts[m] > most ? starts[m] : most;
		total += starts[m];
		minutes++;
	}
	if (most * minutes > 2 * total)
		fail_msg("%u a minute, of %u in %u minutes", most, total, minutes);
	free(s.due);
	free(s.attempts);
}

/* ---- shares ---- */

static void test_alone_takes_all(void **state)
{
	struct share s = {.slots = 32, .hooks = 1};

	(void)state;
	assert_int_equal(share_allows(&s, 0), 32);
	share_take(&s, 0, 32);
	assert_int_equal(share_allows(&s, 32), 0);
	share_give(&s, 32, 32);
	assert_int_equal(s.used + s.filled, 0);
	assert_int_equal(share_allows(&s, 0), 32);
}

static void test_greedy_ones_leave_a_share(void **state)
{
	struct share s = {.slots = 32, .hooks = 3};
	unsigned a, b;

	(void)state;
	assert_int_equal(share_each(&s), 5);
	a = share_allows(&s, 0);
	assert_int_equal(a, 22); /* five for each of the others */
	share_take(&s, 0, a);
	assert_int_equal(share_allows(&s, a), 0);
	b = share_allows(&s, 0);
	assert_int_equal(b, 5); /* and the third one's are left */
	share_take(&s, 0, b);
	assert_int_equal(share_allows(&s, a), 0);
	assert_int_equal(share_allows(&s, b), 0);
	assert_int_equal(share_allows(&s, 0), 5);
	share_take(&s, 0, 5);
	assert_int_equal(s.used, 32);
	/* What a greedy one gives back goes to whoever comes, once all have their share. */
	share_give(&s, a, 1);
	assert_int_equal(share_allows(&s, b), 1);
	assert_int_equal(share_allows(&s, a - 1), 1);
	share_give(&s, 5, 5);
	assert_int_equal(share_allows(&s, a - 1), 1);
}

static void test_more_hooks_than_shares(void **state)
{
	struct share s = {.slots = 8, .hooks = 100};

	(void)state;
	assert_int_equal(share_each(&s), 1);
	share_take(&s, 0, 1);
	assert_int_equal(share_allows(&s, 1), 3); /* half is kept for the others */
	share_take(&s, 1, 3);
	assert_int_equal(share_allows(&s, 4), 0);
	assert_int_equal(share_allows(&s, 0), 1);
}

static void test_few_slots_are_not_shared(void **state)
{
	struct share s = {.slots = 3, .hooks = 5};

	(void)state;
	assert_int_equal(share_allows(&s, 0), 3);
	share_take(&s, 0, 3);
	assert_int_equal(share_allows(&s, 0), 0);
	s.slots = 1; /* a reload */
	assert_int_equal(share_allows(&s, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_interval_over_a_restart),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_rate_is_exact),
		cmocka_unit_test(test_rate_over_a_restart),
		cmocka_unit_test(test_one_bad_run_slows_nobody),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_window_of_one),
		cmocka_unit_test(test_no_burst_after_an_outage),
		cmocka_unit_test(test_alone_takes_all),
		cmocka_unit_test(test_greedy_ones_leave_a_share),
		cmocka_unit_test(test_more_hooks_than_shares),
		cmocka_unit_test(test_few_slots_are_not_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
