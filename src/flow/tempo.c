/* The tempo of one hook; see tempo.h. */
#include "flow/tempo.h"

/* One run that fails again and again, up to its last retry, must not slow the others down. */
#define FAILURES_MIN 10u
#define FAILURES_MAX 100u
/* While it opens again: one that fails now and then, as it always did, gets there. */
#define FAILURES_AGAIN 3u
/* Between probes: what is well again is found out by then, however long its RetryDelay=. */
#define PAUSE_MAX_USEC (30 * USEC_PER_SEC)
#define PAUSE_SHARE    16 /* of the longest pause, the first one is this part */

bool tempo_counts_starts(const struct hook *h)
{
	return h->min_interval_usec || h->rate.n;
}

static uint64_t credit_max(const struct rate *rate)
{
	return rate->n * rate->span_usec; /* rate_parse() sees to it that this fits */
}

/* Brings the bucket up to date. Of a rate that is new, after a start or a reload, the last start
 * is known at most: it can have emptied the bucket, and what came since is in it. */
static void fill(struct tempo *p, const struct hook *h, int64_t now_usec)
{
	uint64_t max = credit_max(&h->rate);
	uint64_t passed;

	if (p->rate.n != h->rate.n || p->rate.span_usec != h->rate.span_usec) {
		p->rate = h->rate;
		p->credit = p->started_usec ? 0 : max;
		p->credit_at_usec = p->started_usec ? p->started_usec : now_usec;
	}
	if (now_usec <= p->credit_at_usec)
		return;
	passed = (uint64_t)(now_usec - p->credit_at_usec);
	p->credit_at_usec = now_usec;
	if (passed >= h->rate.span_usec || p->credit + passed * h->rate.n > max)
		p->credit = max;
	else
		p->credit += passed * h->rate.n;
}

void tempo_restore(struct tempo *p, int64_t started_usec, int64_t now_usec)
{
	/* It was written under a clock that was ahead: nobody waits for longer than once. */
	p->started_usec = started_usec < now_usec ? started_usec : now_usec;
}

static void later(int64_t *at_usec, int64_t usec)
{
	if (usec > *at_usec)
		*at_usec = usec;
}

/* A batch is one process after another; none is added to. */
static unsigned room(const struct hook *h, unsigned busy)
{
	if (h->mode == HOOK_BATCH)
		return busy ? 0 : h->batch_max;
	return h->max_concurrent > busy ? h->max_concurrent - busy : 0;
}

unsigned tempo_allows(struct tempo *p, const struct hook *h, unsigned busy,
	int64_t now_usec, int64_t *ret_at_usec)
{
	unsigned n = room(h, busy);
	int64_t at = 0;

	*ret_at_usec = 0;
	if (h->min_interval_usec) {
		int64_t next = p->started_usec + (int64_t)h->min_interval_usec;
		/* The clock of a former life may have been ahead. */
		if (p->started_usec > now_usec)
			next = now_usec;
		if (n > 1)
			n = 1;
		if (p->started_usec && next > now_usec)
			later(&at, next);
	}
	if (h->rate.n) {
		fill(p, h, now_usec);
		uint64_t starts = p->credit / h->rate.span_usec;
		if (starts < n)
			n = starts ? (unsigned)starts : n;
		if (!starts) {
			uint64_t lacks = h->rate.span_usec - p->credit;
			later(&at, now_usec + (int64_t)((lacks + h->rate.n - 1) /
							h->rate.n));
		}
	}
	if (p->window) {
		unsigned left = p->window > busy ? p->window - busy : 0;
		if (left < n)
			n = left;
		if (p->pause_usec && p->probe_at_usec > now_usec)
			later(&at, p->probe_at_usec);
	}
	if (n && at) {
		*ret_at_usec = at;
		return 0;
	}
	return n;
}

void tempo_take(struct tempo *p, const struct hook *h, unsigned n, int64_t now_usec)
{
	if (h->rate.n) {
		uint64_t cost = n * h->rate.span_usec;
		fill(p, h, now_usec);
		p->credit -= cost < p->credit ? cost : p->credit;
	}
	p->started_before_usec = p->started_usec;
	p->started_usec = now_usec;
}

void tempo_give(struct tempo *p, const struct hook *h, unsigned n)
{
	/* With MinInterval= there is but one at a time: none was started. */
	if (n && h->min_interval_usec)
		p->started_usec = p->started_before_usec;
	if (h->rate.n && p->rate.n == h->rate.n &&
		p->rate.span_usec == h->rate.span_usec) {
		uint64_t max = credit_max(&h->rate), cost = n * h->rate.span_usec;
		p->credit = cost < max - p->credit ? p->credit + cost : max;
	}
}

void tempo_started(struct tempo *p, int64_t now_usec)
{
	p->started_usec = now_usec;
}

/* ---- The window of a hook that fails ---- */

static unsigned patience(const struct hook *h)
{
	unsigned n = h->retries + 2;

	if (n < FAILURES_MIN)
		return FAILURES_MIN;
	return n < FAILURES_MAX ? n : FAILURES_MAX;
}

static uint64_t longest_pause(const struct hook *h)
{
	uint64_t pause = h->retry_delay_usec;

	if (pause > h->retry_delay_max_usec)
		pause = h->retry_delay_max_usec;
	return pause < PAUSE_MAX_USEC ? pause : PAUSE_MAX_USEC;
}

static void lengthen_pause(struct tempo *p, const struct hook *h, int64_t now_usec)
{
	uint64_t longest = longest_pause(h);

	p->pause_usec = p->pause_usec ? p->pause_usec * 2 : longest / PAUSE_SHARE;
	if (p->pause_usec > longest)
		p->pause_usec = longest;
	p->probe_at_usec = now_usec + (int64_t)p->pause_usec;
}

/* Without retries a failure is the end of its run, and none is gained by waiting: a person has
 * asked for one attempt, not for one at the right time. */
static enum tempo_news fail(struct tempo *p, const struct hook *h, int64_t now_usec)
{
	bool was_open = p->window == 0;

	p->successes = 0;
	if (p->failures < FAILURES_MAX)
		p->failures++;
	if (h->retries == 0)
		return TEMPO_SAME;
	if (was_open) {
		if (p->failures < patience(h))
			return TEMPO_SAME;
		p->window = h->max_concurrent;
	}
	if (p->window > h->max_concurrent)
		p->window = h->max_concurrent;
	if (p->window == 1)
		lengthen_pause(p, h, now_usec);
	else if (p->failures >= FAILURES_AGAIN)
		p->window--;
	return was_open ? TEMPO_SLOWED : TEMPO_SAME;
}

static enum tempo_news succeed(struct tempo *p, const struct hook *h)
{
	p->failures = 0;
	p->pause_usec = 0;
	if (!p->window)
		return TEMPO_SAME;
	if (++p->successes >= p->window) {
		p->successes = 0;
		p->window++;
	}
	if (p->window < h->max_concurrent)
		return TEMPO_SAME;
	p->window = 0;
	return TEMPO_WELL;
}

enum tempo_news tempo_end(
	struct tempo *p, const struct hook *h, bool failed, int64_t now_usec)
{
	return failed ? fail(p, h, now_usec) : succeed(p, h);
}
