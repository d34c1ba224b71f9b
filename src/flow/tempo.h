/*
 * When a hook may start its next runs, as far as that is the hook's own affair: MinInterval=,
 * RateLimit=, and the window of one that fails. Pure decisions, the clock is passed in
 * (clock_steady_usec()). dispatch.c asks before each claim and tells of each end.
 *
 *	open ── n failures in a row ──► slowed: the window shrinks by one a failure
 *	  ▲                                │ at 1 it probes: one run, a pause, one run; the
 *	  │                                ▼ pause doubles up to a cap
 *	  └── window is MaxConcurrent= ── opening: a window's worth of successes adds one
 *
 * As in Postfix's qmgr(8), which has a window for each destination; its feedback for a success
 * is one over the window, too (default_destination_concurrency_positive_feedback).
 */
#ifndef FLOW_TEMPO_H
#define FLOW_TEMPO_H

#include "rules/hook.h"

struct tempo {
	int64_t started_usec,
		started_before_usec; /* the last start, and the one before */
	/* RateLimit=: the bucket holds `credit`, as of credit_at; a start costs the rate's
	 * span, a microsecond brings its n. So nothing is ever rounded. */
	uint64_t credit;
	int64_t credit_at_usec;
	struct rate rate;             /* that the credit was counted in */
	unsigned window;              /* 0: open */
	unsigned failures, successes; /* in a row; since the window last grew */
	uint64_t pause_usec;          /* between probes; 0: none yet */
	int64_t probe_at_usec;
};

enum tempo_news { TEMPO_SAME, TEMPO_SLOWED, TEMPO_WELL };

/* The last start of a former life (0: none): its interval goes on. */
void tempo_restore(struct tempo *p, int64_t started_usec, int64_t now_usec);
/*
 * How many runs may start now, beside `busy` that are started or about to be. 0: *ret_at_usec is
 * when to ask again, 0 = when one of those has ended.
 */
unsigned tempo_allows(struct tempo *p, const struct hook *h, unsigned busy,
	int64_t now_usec, int64_t *ret_at_usec);
/* They are about to be started: it counts from here on. */
void tempo_take(struct tempo *p, const struct hook *h, unsigned n, int64_t now_usec);
/* Of those taken, so many were not started after all. */
void tempo_give(struct tempo *p, const struct hook *h, unsigned n);
/* One that was taken starts at last. */
void tempo_started(struct tempo *p, int64_t now_usec);
/* A run ended, well or not. */
enum tempo_news tempo_end(
	struct tempo *p, const struct hook *h, bool failed, int64_t now_usec);
/* Does its pace depend on past starts? Then the store keeps the last one. */
bool tempo_counts_starts(const struct hook *h);

#endif
