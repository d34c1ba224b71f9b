/*
 * When a run starts: slots in all and per hook, the store as the queue. A hook with a
 * free slot claims what is due (committed before a process exists); a hook whose runs are
 * all in the future sleeps until the first is due.
 *
 *        reserve ── put committed ──┐
 *                                   ├─► start ─► run.c ─► settle ─► slot free ─► wake
 *        wake ── claim committed ───┘
 */
#ifndef FLOW_DISPATCH_H
#define FLOW_DISPATCH_H

#include "flow/flow.h"

struct dispatch;

int dispatch_new(struct dispatch **ret, struct flow *flow) MUST_CHECK;
void dispatch_free(struct dispatch *d);
/* Left-overs are swept: look at what waits and begin. Again after a reload. */
int dispatch_refresh(struct dispatch *d) MUST_CHECK;
/*
 * A slot for a run that the caller's put may insert as running. true: it is kept until
 * dispatch_start() or dispatch_release(). false: none is free, or older runs of the hook
 * wait.
 */
bool dispatch_reserve(struct dispatch *d, const struct hook *h);
void dispatch_release(struct dispatch *d, const char *hook);
/* The put with a reserved slot is committed: start it. Takes the strings of `run` over.
 */
void dispatch_start(struct dispatch *d, struct store_run *run);
/* A run of this hook was made waiting (put without a slot, replay, dead letter). */
void dispatch_wake(struct dispatch *d, const char *hook);
/* Nothing new starts; running ones get StopTimeout, then their trees are ended and put
 * back to waiting. on_stopped comes when no run is left. */
void dispatch_stop(struct dispatch *d, void (*on_stopped)(void *arg), void *arg);
unsigned dispatch_running(const struct dispatch *d);

#endif
