/*
 * Processes as /proc shows them: who descends from whom, which run one belongs to, and how
 * a whole tree is ended although its members fork, change their session and ignore
 * signals.
 *
 *   hunt:  SIGSTOP what is found ─► look until nothing new runs, twice ─► SIGKILL ─► look
 *          until none is left, twice
 *
 * Nobody is signalled by his number alone: a pidfd is opened and the start time compared,
 * so a number that was given to somebody else meanwhile does no harm.
 */
#ifndef IO_TREE_H
#define IO_TREE_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Run ids are [0-9A-Za-z-]{1,64}. */
#define TREE_RUN_SIZE 72

struct tree_process {
	pid_t pid, parent, group, session;
	uint64_t start_ticks; /* since boot; with the pid: who it is */
	uint64_t owner;       /* for the caller's use; 0 after a scan */
	bool dead;            /* a zombie: waits for its parent, runs no more */
	bool halted;          /* stopped or traced: forks nothing now */
};

/* One look at all processes, sorted by pid. Start with TREE_EMPTY, scan again at will. */
struct tree {
	struct tree_process *list;
	size_t size, room;
};

#define TREE_EMPTY ((struct tree){0})

/* 0 or negative errno; then the old content is gone. */
int tree_scan(struct tree *t) MUST_CHECK;
void tree_fini(struct tree *t);
struct tree_process *tree_find(const struct tree *t, pid_t pid);
/* Is `ancestor` above p? Nobody is above himself. */
bool tree_descends(const struct tree *t, const struct tree_process *p, pid_t ancestor);
/* CALLBACK_RUN of its environment. False: none, not readable, or longer than a run id. */
bool tree_run_id(pid_t pid, char ret[static TREE_RUN_SIZE]);
/* Does it run under this process's effective user? */
bool tree_is_ours(pid_t pid);
/* Exactly this process, nobody who got its number later. 0 or negative errno; -ESRCH:
 * gone. */
int tree_signal(const struct tree_process *p, int signal);

/* One hunt: what is to be ended is told by a predicate at each look. */
struct tree_hunt {
	struct tree_mark *marks; /* who was found so far */
	size_t n_marks, room;
	unsigned rounds, quiet, clean;
	bool killing;
};

typedef bool tree_is_prey(void *arg, const struct tree_process *p);

/*
 * One step on a fresh scan. 0: none is left. Positive: do the next step in so many msec.
 * -ENOMEM is passed on, the hunt can go on nevertheless.
 */
int tree_hunt_step(struct tree_hunt *h, const struct tree *t, tree_is_prey *is_prey,
	void *arg) MUST_CHECK;
void tree_hunt_fini(struct tree_hunt *h);
/*
 * A whole hunt; blocks, at most for max_usec. 0, -ETIME or another errno; *ret_n is the
 * number of processes that were ended. `scan` is what is_prey may look things up in.
 */
int tree_hunt_all(struct tree *scan, tree_is_prey *is_prey, void *arg, uint64_t max_usec,
	unsigned *ret_n);
/*
 * SIGKILL to all children, and to those they leave us as we are a subreaper, until there is
 * none; waits for each. Blocks, at most for max_usec. This is exact where a look at /proc
 * is not: a process that forks and dies all the time cannot hide from its reaper. False:
 * the time was up.
 */
bool tree_end_children(uint64_t max_usec);

#endif
