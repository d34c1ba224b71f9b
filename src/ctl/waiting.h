/*
 * Waiting for jobs, any number at a time over few connections. A daemon that restarts
 * meanwhile is waited for as well, for a while.
 */
#ifndef CTL_WAITING_H
#define CTL_WAITING_H

#include "ctl/ctl.h"
#include "ctl/name.h"

struct waiting; /* for all of them */

struct waiting_options {
	bool with_hooks;     /* until their runs are over, too */
	uint64_t until_usec; /* monotonic; UINT64_MAX: for ever */
	/* A job is over, or cannot be waited for: then `job` is NULL, and why was told. `exit`
	 * is what it makes of the exit status. Called from client_loop(). */
	void (*on_over)(void *arg, void *tag, const json_t *job, int exit);
	void *arg;
};

/* 0 or -ENOMEM. */
int waiting_new(struct waiting **ret, struct ctl *ctl,
	const struct waiting_options *options) MUST_CHECK;
/* Takes the name over in any case. 0 or -ENOMEM. */
int waiting_add(struct waiting *w, struct name *name, void *tag) MUST_CHECK;
size_t waiting_left(const struct waiting *w);
/* After client_forget(); those left are let go. NULL is fine. */
void waiting_free(struct waiting *w);

#endif
