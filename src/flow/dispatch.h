/*
 * When a run starts: slots in all and per hook, the store as the queue. A hook with a free slot
 * claims what is due (committed before a process exists); a hook whose runs are all in the future
 * sleeps until the first is due. Nothing is remembered here that the store does not know better.
 *
 *        reserve ── put committed ──┐
 *                                   ├─► start ─► run.c, worker.c ─► settle ─► slot free ─► wake
 *        wake ── claim committed ───┘
 */
#ifndef FLOW_DISPATCH_H
#define FLOW_DISPATCH_H

#include "flow/flow.h"

struct dispatch;

int dispatch_new(struct dispatch **ret, struct flow *flow) MUST_CHECK;
/* Forgets what runs without settling it: for the end of the program alone. */
void dispatch_free(struct dispatch *d);
/* The left-overs of a former life are gone, or the configuration is new: look at what waits. */
void dispatch_refresh(struct dispatch *d);
/*
 * A slot for a run that the caller's put may insert as running. true: it is kept until
 * dispatch_start() or dispatch_release(). false: none is free, or older runs of the hook wait.
 */
bool dispatch_reserve(struct dispatch *d, const struct hook *h);
void dispatch_release(struct dispatch *d, const char *hook);
/* The put with a reserved slot is committed: start it. Copies what it needs of `record`. */
void dispatch_start(struct dispatch *d, const struct store_run *record);
/* A run of this hook was made waiting (put without a slot, replay, dead letter), due now. */
void dispatch_wake(struct dispatch *d, const char *hook);
/*
 * Nothing new starts; running ones get `timeout_usec`, then their trees are ended and they go back
 * to waiting. on_stopped comes when no run is left, perhaps at once.
 */
void dispatch_stop(struct dispatch *d, uint64_t timeout_usec,
	void (*on_stopped)(void *arg), void *arg);
unsigned dispatch_running(const struct dispatch *d);
/* Of MaxConcurrent= of [Daemon]: a worker is one, however many runs it has in hand. */
unsigned dispatch_slots_used(const struct dispatch *d);
/* The store has it that this hook is paused, or not any more. Nothing of a paused one starts. */
void dispatch_pause(struct dispatch *d, const char *hook, bool paused);

struct dispatch_look { /* at one hook, for people */
	unsigned running;
	unsigned window; /* it is slowed down to so many at a time; 0: it is not */
	bool paused;
	int64_t oldest_due_usec; /* steady clock; 0 = nothing waits */
};
struct dispatch_look dispatch_look(struct dispatch *d, const char *hook);

/* The left-overs of a former life were ended: what waits may start. */
void dispatch_on_swept(struct dispatch *d, unsigned n_ended);

#endif
