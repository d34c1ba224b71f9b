/*
 * Mode=stream, batch and socket: a worker that is given many runs, one JSON line each, and
 * answers each by a line (rules/workline.h). One worker a hook.
 *
 *   claimed run ─► queue ─► in flight ─ RUN ok, RUN fail ─► settled
 *                    │          ├ its Timeout=: the worker is ended, this one has failed,
 *                    │          │ the others go back to waiting, not counted
 *                    │          └ the worker ends by itself: all that it had have failed
 *                    └ no worker to be had now: back to waiting, not counted; no
 *                      more of them come before the next try
 *
 * stream: a process that is started when there is a run, and again after it ended, with a
 * backoff. batch: a process for what is queued at the time, no line is added; its exit status
 * answers for what it left unanswered. socket: a connection to somebody else's process.
 *
 * How much is in flight is dispatch's business: it gives no more than it has slots for.
 */
#ifndef FLOW_WORKER_H
#define FLOW_WORKER_H

#include "flow/attempt.h"

struct workers;

/* on_gone: during a stop, the last process or connection is gone. 0 or -ENOMEM. */
int workers_new(struct workers **ret, struct flow *flow, void (*on_gone)(void *arg),
	void *arg) MUST_CHECK;
/* Settles nothing, ends no process: for the end of the program, after its attempts. */
void workers_free(struct workers *all);
/* Gives a claimed run to its hook's worker; as run_start() in all else. */
int workers_start(struct workers *all, const struct hook *hook,
	const struct store_run *record, attempt_on_over *on_over, void *arg,
	struct attempt **ret) MUST_CHECK;
/* Its worker is down and is not tried again before then, clock_steady_usec(); 0: give it runs. */
int64_t workers_not_before(const struct workers *all, const char *hook);
/* The configuration may be another: workers whose hook is gone, or has another command or
 * socket, are given nothing more and end with what they have in flight. */
void workers_refresh(struct workers *all);
/* The daemon stops: what is not in flight goes back, inputs are closed. */
void workers_stop(struct workers *all);
/* StopTimeout= has passed: whatever is in flight goes back, its worker ends now. */
void workers_end(struct workers *all);
/* Is there none with a process or a connection? */
bool workers_gone(const struct workers *all);

#endif
