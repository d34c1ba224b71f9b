/*
 * Waiting for jobs by long polls, any number at a time. A daemon that restarts meanwhile
 * is waited for as well, for a while.
 */
#ifndef CTL_WAITING_H
#define CTL_WAITING_H

#include "ctl/ctl.h"
#include "ctl/name.h"

struct waiting; /* one job */

struct waiting_options {
	bool any;            /* the first to end decides */
	bool with_hooks;     /* until its runs are over, too */
	uint64_t until_usec; /* monotonic; UINT64_MAX: for ever */
	/* A job is over; `exit` is what it makes of the exit status. May be NULL. */
	void (*on_over)(void *arg, const json_t *job, int exit);
	void *arg;
};

/*
 * Returns the exit status, by ctl_worse() of all; with `any` that of the first to end.
 * Takes the names over.
 */
int waiting_for(struct ctl *ctl, struct name *names, size_t n,
	const struct waiting_options *options) MUST_CHECK;

#endif
