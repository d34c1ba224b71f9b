/*
 * The road from "read" on: one and the same for a sender's callback, for what its source answers
 * when it is asked, and for the word that a job is lost. Embedded in its owner, who fills in what
 * only the owner knows of `put`; whatever fires a hook for a job's sake passes here.
 *
 *   payload ─► which hooks want it ─► slots kept ─► store: commit ─► log line ─► runs started
 */
#ifndef FLOW_RECORD_H
#define FLOW_RECORD_H

#include "flow/flow.h"
#include "rules/payload.h"

enum record_origin {
	RECORD_CALLBACK,
	RECORD_ANSWER, /* of the source, to a question of ours */
	RECORD_LOST,   /* nobody's word: the time is up */
};

struct record {
	struct flow *flow;
	struct config *config; /* holds `source` and the names in `wishes` */
	const struct source *source;
	enum record_origin origin;
	struct payload payload; /* the owner reads it; given back by record_fini() */
	struct bytes peer;      /* who sent it, or BYTES_NONE; borrowed */
	const char *why;        /* of a loss: what went wrong, or NULL; borrowed */
	bool fires_nothing;     /* whatever On= says */
	/*
	 * The owner's: received_usec, payload, and whatever else of the inputs is not
	 * empty. The rest is filled in from `payload` above.
	 */
	struct store_put put;
	char *fields;
	struct store_wish *wishes;
	void (*on_stored)(struct record *r);
};

void record_init(struct record *r, struct flow *flow, struct config *config,
	const struct source *source, enum record_origin origin);
void record_fini(struct record *r);
/*
 * on_stored comes once, from the loop, when put.op.result stands; what was recorded is told and
 * its runs are started by then. 0; or negative errno (-EAGAIN: the store's queue is full, -ENOMEM),
 * then it does not come.
 */
int record_put(struct record *r, void (*on_stored)(struct record *r)) MUST_CHECK;

#endif
