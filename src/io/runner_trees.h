/*
 * The runner's book of what it started: one entry a run, from its fork until all its
 * processes are gone. As the runner is a child subreaper, every process of every run
 * descends from it for ever; the book says which run each one belongs to:
 *
 *   its cgroup, where we have them; else the main process above it, else what an earlier
 *   look said, else CALLBACK_RUN of its environment, else its session or group
 *
 * Only the runner process uses this. Nothing in here waits: work is done in steps.
 */
#ifndef IO_RUNNER_TREES_H
#define IO_RUNNER_TREES_H

#include "base/map.h"
#include "io/cgroup.h"
#include "io/tree.h"

#include <sys/queue.h>

struct tree_entry {
	TAILQ_ENTRY(tree_entry) link;
	struct map_entry by_tag, by_pid; /* by_pid: until its main process is reaped */
	uint64_t tag;
	pid_t pid;
	char run[TREE_RUN_SIZE];
	char leaf[CGROUP_LEAF_SIZE]; /* its cgroup; "" = has none */
	unsigned slot;               /* the runner's: where the child tells its failure */
	bool exited, ending;
	struct tree_hunt hunt;
	unsigned n_ended;   /* by cgroup */
	unsigned unseen;    /* looks that showed nobody of it */
	uint64_t n_orphans; /* the book's number at the last look */
};

struct trees {
	TAILQ_HEAD(tree_list, tree_entry) entries; /* the newest first */
	struct map by_tag, by_pid;
	struct cgroup *cgroup; /* NULL: nothing is delegated */
	struct tree now, before;
	size_t n_ending, n_left; /* n_left: exited, perhaps with processes */
	uint64_t n_orphans;      /* reaped so far */
	bool look_due;           /* a process died: what is left may have become less */
	uint64_t pruned_usec;
	bool sweeping; /* left-overs of former lives */
	char sweep_prefix[TREE_RUN_SIZE];
	uint64_t sweep_until_usec;
	struct tree_hunt sweep;
	unsigned n_swept;
	pid_t runner, daemon;
	void (*on_swept)(void *arg, uint64_t tag, unsigned n_ended);
	void *arg;
};

int trees_init(struct trees *t, struct cgroup *cgroup) MUST_CHECK;
/* An entry with its cgroup made, not yet in the book; NULL when memory is short. */
struct tree_entry *trees_new(struct trees *t, uint64_t tag, const char *run) MUST_CHECK;
void trees_forget(struct trees *t, struct tree_entry *e); /* frees it */
void trees_enter(struct trees *t, struct tree_entry *e, pid_t pid);
struct tree_entry *trees_by_tag(const struct trees *t, uint64_t tag);
struct tree_entry *trees_by_pid(const struct trees *t, pid_t pid);
/* Its main process was reaped. The entry may be gone afterwards. */
void trees_exited(struct trees *t, struct tree_entry *e);
/* One of ours that is no main process was reaped: it had been adopted. */
void trees_orphan_reaped(struct trees *t);
/* No child at all is left: no tree can have members any more. */
void trees_all_gone(struct trees *t);
/* SIGTERM, and SIGCONT so that it is heard, once to all. */
void trees_terminate(struct trees *t, struct tree_entry *e);
/* Ends all of it; on_swept(tag) comes from a later trees_step. Again: nothing. */
void trees_end(struct trees *t, struct tree_entry *e);
/* Ends what runs elsewhere under run ids that begin so; then on_swept(0). */
void trees_sweep(struct trees *t, const char *prefix);
/* Does what is due. Returns msec until it wants to be called again, -1 = on an event. */
int trees_step(struct trees *t) MUST_CHECK;
/* The end: all that was started, blocking. False: something would not die in time. */
bool trees_end_all(struct trees *t, uint64_t max_usec);

#endif
