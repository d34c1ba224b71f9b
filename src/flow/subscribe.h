/*
 * SNS asks whether a subscription is wanted, and yes is said by a GET of the URL that it names.
 * Only for a message that is verified, about a topic in AllowTopic=, and a URL that rules/sns.h
 * lets pass; only to public addresses. Embedded in its owner.
 */
#ifndef FLOW_SUBSCRIBE_H
#define FLOW_SUBSCRIBE_H

#include "flow/flow.h"

struct source;

struct subscribe {
	struct flow *flow;
	const struct source *source; /* the owner's, as is `body` */
	struct bytes body;
	struct fetch *fetch; /* NULL: it is not under way */
	void (*on_done)(struct subscribe *s, bool confirmed);
};

/* on_done comes once, from the loop, when it is told in the journal. 0 or negative errno, then it
 * does not come. `url` is copied. */
int subscribe_start(struct subscribe *s, const char *url,
	void (*on_done)(struct subscribe *s, bool confirmed)) MUST_CHECK;
/* on_done will not come. Nothing when it is not under way. */
void subscribe_cancel(struct subscribe *s);
/* The topic sends no more: tells the journal. Of `s` only source and body are looked at. */
void subscribe_ended(const struct subscribe *s);

#endif
