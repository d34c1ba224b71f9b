/*
 * The delegated part of the control group tree (version 2; systemd's Delegate=yes), where
 * each run gets a leaf of its own:
 *
 *   callbackd.service/         what the unit was given: `user.delegate` or
 *     daemon/                  `trusted.delegate` says so, else we touch nothing
 *     run-RUN/  run-RUN.2/     one a run; .2 and on while an older attempt's processes live
 *
 * Left-overs of a former life lie under the same parent. Taken by runner_start; used by
 * the runner, its children before they execute, and the daemon once the runner is gone.
 */
#ifndef IO_CGROUP_H
#define IO_CGROUP_H

#include "base/macros.h"

#include <stdbool.h>

struct cgroup;

#define CGROUP_LEAF_SIZE 88 /* "run-", a run id, ".999", NUL */

/* Moves this process into the leaf `daemon`. 0; 1: nothing is delegated to us, and nothing
 * was changed; or -ENOMEM. */
int cgroup_take(struct cgroup **ret) MUST_CHECK;
void cgroup_free(struct cgroup *c);
/* Makes an empty leaf for the run. 0 or negative errno. */
int cgroup_make(struct cgroup *c, const char *run,
	char ret_leaf[static CGROUP_LEAF_SIZE]) MUST_CHECK;
/* This process moves in. Async-signal-safe enough for a child of a single thread. */
int cgroup_join(struct cgroup *c, const char *leaf) MUST_CHECK;
/* To all inside; *ret_n is how many there were. Below SIGKILL one look, no promise. */
int cgroup_signal(struct cgroup *c, const char *leaf, int signal, unsigned *ret_n);
/* 0: it was empty and is gone (or was never there); -EBUSY: somebody is inside. */
int cgroup_remove(struct cgroup *c, const char *leaf) MUST_CHECK;
/* Leaves of runs whose id begins with `prefix`. `on_leaf` may remove what it gets. 0 or
 * negative errno. */
int cgroup_each(struct cgroup *c, const char *prefix,
	void (*on_leaf)(void *arg, const char *leaf), void *arg) MUST_CHECK;

#endif
