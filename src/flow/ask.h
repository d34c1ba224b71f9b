/*
 * The sources are asked: for jobs that are expected and not heard of, and for those that a
 * callback of a source with Confirm=yes spoke of. The store is the queue, as it is for dispatch;
 * what the source answers takes the same road as a callback (record.h), so the two meet in one
 * place and cannot both fire.
 *
 *   due ─► pace, slots ─► GET StatusURL ─┬─► terminal ─► recorded, hooks fire
 *    ▲                                   ├─► pending ─► recorded ──────────┐
 *    │                                   └─► 404, unreadable, no answer ───┤
 *    └──────────────── later each time, until GiveUpAfter= ◄───────────────┘─► lost
 *
 * A source that fails as a whole is left alone for growing pauses and then tried with one question
 * at a time: an outage costs a question a minute, however many jobs wait for its end.
 */
#ifndef FLOW_ASK_H
#define FLOW_ASK_H

#include "flow/flow.h"

struct ask;

int ask_new(struct ask **ret, struct flow *flow) MUST_CHECK;
/* After fetch_pool_free() and store_close(): forgets what is under way. NULL is fine. */
void ask_free(struct ask *a);
/* The start, or a new configuration: look at what is due, and try again those that failed. */
void ask_refresh(struct ask *a);
/* A job of this source is to be asked for at this time of the steady clock; 0: never. */
void ask_wake(struct ask *a, const char *source, int64_t at_usec);
/* A callback has settled this job: a question that is under way need not be answered. */
void ask_settled(struct ask *a, const char *source, const char *id);

struct ask_state {              /* of one source */
	uint64_t asked, failed; /* questions put; those that told nothing; since start */
	unsigned under_way;
	int64_t next_usec; /* steady clock: when the next is put; 0 = none waits */
	int64_t oldest_usec; /* since when the oldest is waited for; 0 = none; as last seen */
	const char *trouble; /* why it cannot be asked, in words; NULL = it is well */
};
void ask_look(const struct ask *a, const char *source, struct ask_state *ret);

#endif
