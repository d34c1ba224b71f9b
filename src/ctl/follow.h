/*
 * Everything that happens, from a number on, across restarts of the daemon: one connection,
 * which comes back by itself and goes on behind the last number it had.
 */
#ifndef CTL_FOLLOW_H
#define CTL_FOLLOW_H

#include "ctl/ctl.h"

#define FOLLOW_STORE_SIZE 65

struct follow;

struct follow_options {
	bool from_number; /* behind `after`; else from now */
	uint64_t after;
	const char *store; /* whose number that is; NULL: not known */
	/* All that happens behind `after` will be told: what is asked from now on cannot fall
	 * between. Comes again after each interruption. `store` may be "". May be NULL. */
	void (*on_up)(void *arg, uint64_t after, const char *store);
	/* A line of GET /v1/watch; also one that tells of a gap. */
	void (*on_change)(void *arg, const json_t *change, uint64_t seq);
	/* Given up: refused, never reached, or away for too long. */
	void (*on_down)(void *arg, const struct client_answer *a);
	void *arg;
};

/* Nothing is called from within. `options` and its store are copied. 0 or -ENOMEM. */
int follow_new(struct follow **ret, struct ctl *ctl,
	const struct follow_options *options) MUST_CHECK;
/* After client_forget(). NULL is fine. */
void follow_free(struct follow *f);
/* Between on_up and the end of that connection. */
bool follow_is_up(const struct follow *f);

#endif
