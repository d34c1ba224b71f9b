/*
 * The way in: a callback from its head to its answer.
 *
 *   head: route, method, AllowFrom=, what the head shows of the signature ─► 404 405 401, or go on
 *   body: verify ─► read id and status ─► which hooks want it ─► store: commit ─► 200 | 401 | 503
 *          │  ▲
 *          ▼  └─ keys fetched, KEYRING_WAIT_USEC at most; else 503
 *          └─► SNS asks for a subscription: confirmed, nothing is recorded ─► 200 | 503
 *
 * The answer never says why; the journal does.
 */
#ifndef FLOW_INTAKE_H
#define FLOW_INTAKE_H

#include "flow/flow.h"
#include "rules/message.h"

struct intake;

/* 0 and *ret (the body is wanted), or the status to refuse with: 401, 404, 405 (with Allow), 503. */
int intake_begin(
	struct flow *flow, const struct message *m, struct intake **ret) MUST_CHECK;
/*
 * The whole message. on_answer comes once, perhaps from within this call, and the intake is gone with
 * it: status 200 with `body`, 401, or 503. `m` must live until then.
 */
void intake_take(struct intake *in, const struct message *m,
	void (*on_answer)(void *arg, int status, struct bytes body), void *arg);
/* The message never became whole, or the server ends while the intake waits for keys; not while
 * the store works on it. NULL is fine. */
void intake_abandon(struct intake *in);

#endif
