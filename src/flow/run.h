/*
 * One attempt of one run, from a committed claim to a committed end. The runner has the process,
 * the store has the truth; here are the pipes, the deadlines, and the two facts that end it.
 *
 *   spawned ──► running ──exit──► draining ──both pipes at their end, or a grace──► settling ──► over
 *                  │ Timeout=: SIGTERM to the tree                 ▲
 *                  └► ending ── KillAfter=, or main process gone: SIGKILL to the tree ── swept
 *
 * Only dispatch makes these; it hears of the end through on_over, after the commit.
 */
#ifndef FLOW_RUN_H
#define FLOW_RUN_H

#include "flow/flow.h"

struct run;

struct run_end {
	const char *hook;
	enum runstate state; /* what was committed: done, waiting (retry) or dead */
	int64_t due_usec;    /* of waiting */
	bool failed; /* the hook did: not a stop, not a shortage, not PermanentExitStatus= */
};

/*
 * Starts a claimed run. What it needs of `record` is copied, so is the hook's definition held by a
 * reference to the current configuration. on_over comes once, never from within this call, also when
 * nothing could be started (the attempt is then settled as failed). 0 or -ENOMEM (nothing happens).
 */
int run_start(struct flow *flow, const struct hook *hook, const struct store_run *record,
	void (*on_over)(void *arg, struct run *run, const struct run_end *end), void *arg,
	struct run **ret) MUST_CHECK;
/* on_ended comes once before on_over, with its `arg`, when nothing of it runs any more and its end
 * is on the way to the store: what is claimed now is claimed in the same commit. Set it right
 * behind run_start(). */
void run_tell_end(struct run *r, void (*on_ended)(void *arg));
/* SIGTERM to its whole tree, SIGKILL after KillAfter=; the run goes back to waiting, the attempt not
 * counted. For a daemon that stops. */
void run_interrupt(struct run *r);
/* The reports of the runner; `runs` finds by tag. */
uint64_t run_tag(const struct run *r);
void run_on_started(struct run *r, int error);
void run_on_exit(struct run *r, int status, int exec_error, const char *failed_step);
void run_on_swept(struct run *r);
/* Forgets it without settling; for the end of the program alone. */
void run_free(struct run *r);

#endif
