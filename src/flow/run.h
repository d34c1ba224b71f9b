/*
 * A run of Mode=exec: one process of its own for one attempt. Its standard input is the payload,
 * its exit status the answer. process.h has its life, attempt.h what was before and comes after.
 */
#ifndef FLOW_RUN_H
#define FLOW_RUN_H

#include "flow/attempt.h"

/*
 * Starts a claimed run. on_over comes once, never from within this call, also when nothing could be
 * started (the attempt is then settled as failed). 0 or -ENOMEM (nothing happens).
 */
int run_start(struct flow *flow, const struct hook *hook, const struct store_run *record,
	attempt_on_over *on_over, void *arg, struct attempt **ret) MUST_CHECK;

#endif
