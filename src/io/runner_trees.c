/*
 * Book-keeping and the ending of trees. Without control groups one look at /proc serves
 * all that is going on; with them the kernel knows. Processes that clear their environment
 * and leave their session after their parents died belong to nobody we know: they live
 * until the runner ends.
 */
#include "io/runner_trees.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_USEC      USEC_PER_SEC /* at most one look at what is left in this time */
#define WAIT_MSEC      20
#define SWEEP_MAX_USEC (10 * USEC_PER_SEC)
#define UNSEEN_MAX     8
#define CLEAN_LOOKS    16    /* in a row, a millisecond apart, and nobody died in them */
#define PATIENCE       20000 /* looks, until orphans of others count no more */

int trees_init(struct trees *t, struct cgroup *cgroup)
{
	*t = (struct trees){.cgroup = cgroup, .runner = getpid(), .daemon = getppid()};
	TAILQ_INIT(&t->entries);
	if (map_init(&t->by_tag) < 0 || map_init(&t->by_pid) < 0)
		return -ENOMEM;
	return 0;
}

struct tree_entry *trees_new(struct trees *t, uint64_t tag, const char *run)
{
	struct tree_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->tag = tag;
	snprintf(e->run, sizeof(e->run), "%s", run);
	/* A group that cannot be made (a limit on their number) is done without. */
	if (!t->cgroup || cgroup_make(t->cgroup, e->run, e->leaf) < 0)
		e->leaf[0] = 0;
	TAILQ_INSERT_HEAD(&t->entries, e, link);
	map_put(&t->by_tag, &e->by_tag,
		(struct bytes){(const char *)&e->tag, sizeof(e->tag)});
	return e;
}

void trees_enter(struct trees *t, struct tree_entry *e, pid_t pid)
{
	e->pid = pid;
	map_put(&t->by_pid, &e->by_pid,
		(struct bytes){(const char *)&e->pid, sizeof(e->pid)});
}

void trees_forget(struct trees *t, struct tree_entry *e)
{
	if (e->ending)
		t->n_ending--;
	else if (e->exited)
		t->n_left--;
	/* Nothing is inside, or the next life finds it. */
	if (e->leaf[0])
		(void)!cgroup_remove(t->cgroup, e->leaf);
	map_remove(&t->by_pid, &e->by_pid);
	map_remove(&t->by_tag, &e->by_tag);
	TAILQ_REMOVE(&t->entries, e, link);
	tree_hunt_fini(&e->hunt);
	free(e);
}

struct tree_entry *trees_by_tag(const struct trees *t, uint64_t tag)
{
	struct map_entry *m = map_find(
		&t->by_tag, (struct bytes){(const char *)&tag, sizeof(tag)});

	return m ? container_of(m, struct tree_entry, by_tag) : NULL;
}

struct tree_entry *trees_by_pid(const struct trees *t, pid_t pid)
{
	struct map_entry *m = map_find(
		&t->by_pid, (struct bytes){(const char *)&pid, sizeof(pid)});

	return m ? container_of(m, struct tree_entry, by_pid) : NULL;
}

/* Two attempts of one run may both be in the book: then the session decides. */
static struct tree_entry *by_run(struct trees *t, const struct tree_process *p)
{
	struct tree_entry *e, *newest = NULL;
	char run[TREE_RUN_SIZE];

	if (!tree_run_id(p->pid, run))
		return NULL;
	TAILQ_FOREACH (e, &t->entries, link) {
		if (strcmp(e->run, run) != 0)
			continue;
		if (e->pid == p->session || e->pid == p->group)
			return e;
		if (!newest)
			newest = e;
	}
	return newest;
}

/* A child of the runner that is no main process: its parent died and we adopted it. */
static uint64_t owner_of_orphan(struct trees *t, const struct tree_process *p)
{
	const struct tree_process *was = tree_find(&t->before, p->pid);
	struct tree_entry *e;

	if (was && was->start_ticks == p->start_ticks && was->owner &&
		trees_by_tag(t, was->owner))
		return was->owner;
	e = by_run(t, p);
	if (e)
		return e->tag;
	/* A number that stands for a group or a session is given to no new process, and
	 * the newest entry comes first: this is not somebody who came later. */
	TAILQ_FOREACH (e, &t->entries, link)
		if (e->pid == p->session || e->pid == p->group)
			return e->tag;
	return 0;
}

static uint64_t owner_of(struct trees *t, const struct tree_process *p)
{
	const struct tree_process *top = p;

	for (size_t i = 0; top && i <= t->now.size; i++) {
		struct tree_entry *e = trees_by_pid(t, top->pid);
		uint64_t tag = e ? e->tag : top->owner;

		if (tag)
			return tag;
		if (top->parent == t->runner) {
			tag = owner_of_orphan(t, top);
			/* A parent that is just dying has no environment any more. */
			return tag || top == p ? tag : owner_of_orphan(t, p);
		}
		top = top->parent > 1 ? tree_find(&t->now, top->parent) : NULL;
	}
	return 0;
}

/* A fresh look, every process with the tag of its run. 0 or negative errno. */
static int look(struct trees *t)
{
	struct tree fresh = t->before;
	int r = tree_scan(&fresh);

	t->before = fresh;
	if (r < 0) {
		t->before.size = 0;
		return r;
	}
	t->before = t->now;
	t->now = fresh;
	for (size_t i = 0; i < t->now.size; i++)
		t->now.list[i].owner = owner_of(t, &t->now.list[i]);
	return 0;
}

void trees_exited(struct trees *t, struct tree_entry *e)
{
	map_remove(&t->by_pid, &e->by_pid);
	e->exited = true;
	if (e->ending)
		return;
	t->n_left++;
	t->look_due = true;
	if (e->leaf[0] && cgroup_remove(t->cgroup, e->leaf) == 0)
		trees_forget(t, e);
}

void trees_orphan_reaped(struct trees *t)
{
	t->n_orphans++;
	t->look_due = true;
}

void trees_all_gone(struct trees *t)
{
	struct tree_entry *e, *next;

	for (e = TAILQ_FIRST(&t->entries); e; e = next) {
		next = TAILQ_NEXT(e, link);
		if (e->exited && !e->ending)
			trees_forget(t, e);
	}
}

static bool is_of_tag(void *arg, const struct tree_process *p)
{
	return p->owner == *(uint64_t *)arg;
}

void trees_terminate(struct trees *t, struct tree_entry *e)
{
	unsigned n = 0;

	if (e->leaf[0]) {
		(void)cgroup_signal(t->cgroup, e->leaf, SIGTERM, &n);
		if (n) {
			(void)cgroup_signal(t->cgroup, e->leaf, SIGCONT, &n);
			return;
		}
	} else if (look(t) == 0) {
		for (size_t i = 0; i < t->now.size; i++) {
			const struct tree_process *p = &t->now.list[i];

			if (p->dead || p->owner != e->tag)
				continue;
			(void)tree_signal(p, SIGTERM);
			(void)tree_signal(p, SIGCONT);
			n++;
		}
		if (n)
			return;
	}
	/* It has not come to its group yet, or we could not look. Not reaped, so the
	 * number is still its own; signals are blocked in the child, none is lost. */
	if (!e->exited)
		kill(e->pid, SIGTERM);
}

void trees_end(struct trees *t, struct tree_entry *e)
{
	if (e->ending)
		return;
	if (e->exited)
		t->n_left--;
	e->ending = true;
	t->n_ending++;
	if (e->leaf[0])
		(void)cgroup_signal(t->cgroup, e->leaf, SIGKILL, &e->n_ended);
}

void trees_sweep(struct trees *t, const char *prefix)
{
	t->sweeping = true;
	t->n_swept = 0;
	t->sweep_until_usec = clock_kernel_usec() + SWEEP_MAX_USEC;
	snprintf(t->sweep_prefix, sizeof(t->sweep_prefix), "%s", prefix);
}

static void swept(struct trees *t, struct tree_entry *e)
{
	unsigned n = e->n_ended + (unsigned)e->hunt.n_marks;
	uint64_t tag = e->tag;

	trees_forget(t, e);
	t->on_swept(t->arg, tag, n);
}

/* One step of ending one run; msec until the next, 0 = it is gone, and so is `e`. */
static int step_end(struct trees *t, struct tree_entry *e)
{
	unsigned n = 0;
	int wait;

	if (e->leaf[0]) {
		/* Again and again: the child may join only now. */
		(void)cgroup_signal(t->cgroup, e->leaf, SIGKILL, &n);
		if (n > e->n_ended)
			e->n_ended = n;
		if (!e->exited || cgroup_remove(t->cgroup, e->leaf) != 0)
			return WAIT_MSEC;
	} else {
		/* Somebody died in our arms since the last look; a look that showed none
		 * proves nothing while one may be forking and dying all the time. */
		if (e->n_orphans != t->n_orphans && e->hunt.rounds < PATIENCE)
			e->hunt.clean = 0;
		e->n_orphans = t->n_orphans;
		wait = tree_hunt_step(&e->hunt, &t->now, is_of_tag, &e->tag);
		if (wait < 0)
			return WAIT_MSEC;
		if (wait > 0)
			return wait;
		/* Who forks and dies may be between two lives for a look or two, and his
		 * last body not yet ours to bury. */
		if (e->hunt.clean < CLEAN_LOOKS)
			return 1;
		if (!e->exited)
			return WAIT_MSEC; /* to be reaped: that wakes us */
	}
	swept(t, e);
	return 0;
}

static bool is_left_over(void *arg, const struct tree_process *p)
{
	struct trees *t = arg;
	char run[TREE_RUN_SIZE];

	return p->pid > 1 && p->pid != t->runner && p->pid != t->daemon &&
	       !tree_descends(&t->now, p, t->runner) && tree_is_ours(p->pid) &&
	       tree_run_id(p->pid, run) &&
	       strncmp(run, t->sweep_prefix, strlen(t->sweep_prefix)) == 0;
}

struct leaf_sweep {
	struct trees *trees;
	unsigned n, n_left;
};

static void on_left_leaf(void *arg, const char *leaf)
{
	struct leaf_sweep *s = arg;
	struct tree_entry *e;
	unsigned n = 0;

	TAILQ_FOREACH (e, &s->trees->entries, link)
		if (strcmp(e->leaf, leaf) == 0)
			return;
	(void)cgroup_signal(s->trees->cgroup, leaf, SIGKILL, &n);
	if (cgroup_remove(s->trees->cgroup, leaf) != 0)
		s->n_left++;
	s->n += n;
}

/* msec until the next step, 0 = none is left and that was told. */
static int step_sweep(struct trees *t)
{
	struct leaf_sweep s = {.trees = t};
	int wait;

	wait = tree_hunt_step(&t->sweep, &t->now, is_left_over, t);
	if (t->cgroup)
		(void)!cgroup_each(t->cgroup, t->sweep_prefix, on_left_leaf, &s);
	if (s.n > t->n_swept)
		t->n_swept = s.n;
	/* Who survives SIGKILL hangs in the kernel and will run no instruction again. */
	if ((wait != 0 || s.n_left) && t->sweep_until_usec > clock_kernel_usec())
		return wait > 0 ? wait : WAIT_MSEC;
	if (t->sweep.n_marks > t->n_swept)
		t->n_swept = (unsigned)t->sweep.n_marks;
	tree_hunt_fini(&t->sweep);
	t->sweeping = false;
	t->on_swept(t->arg, 0, t->n_swept);
	return 0;
}

/* Forgets the runs of which nobody is left. */
static void prune(struct trees *t)
{
	struct tree_entry *e, *next;

	t->look_due = false;
	for (e = TAILQ_FIRST(&t->entries); e; e = next) {
		bool lives = false;

		next = TAILQ_NEXT(e, link);
		if (!e->exited || e->ending)
			continue;
		if (e->leaf[0])
			lives = cgroup_remove(t->cgroup, e->leaf) != 0;
		else
			for (size_t i = 0; i < t->now.size && !lives; i++)
				lives = t->now.list[i].owner == e->tag &&
					!t->now.list[i].dead;
		if (lives) {
			e->unseen = 0;
			continue;
		}
		/* Without a group to ask, two looks and nobody reaped between them, see
		 * step_end(); or many looks, for there may be orphans of others. */
		if (e->leaf[0] || (e->unseen && e->n_orphans == t->n_orphans) ||
			e->unseen >= UNSEEN_MAX) {
			trees_forget(t, e);
			continue;
		}
		e->unseen++;
		e->n_orphans = t->n_orphans;
		t->look_due = true;
	}
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static bool needs_look(const struct trees *t, bool prune_due)
{
	const struct tree_entry *e;

	if (t->sweeping)
		return true;
	TAILQ_FOREACH (e, &t->entries, link)
		if (!e->leaf[0] && (e->ending || (e->exited && prune_due)))
			return true;
	return false;
}

int trees_step(struct trees *t)
{
	struct tree_entry *e, *next;
	bool prune_due = false;
	int wait = -1;

	if (t->look_due && t->n_left) {
		uint64_t now = clock_kernel_usec(), due = t->pruned_usec + LOOK_USEC;

		prune_due = now >= due;
		if (!prune_due)
			wait = (int)((due - now) / USEC_PER_MSEC) + 1;
	}
	if (!t->n_ending && !t->sweeping && !prune_due)
		return wait;
	if (needs_look(t, prune_due) && look(t) < 0)
		return WAIT_MSEC;
	for (e = TAILQ_FIRST(&t->entries); e; e = next) {
		next = TAILQ_NEXT(e, link);
		if (e->ending) {
			int w = step_end(t, e);

			wait = sooner(wait, w ? w : -1);
		}
	}
	if (t->sweeping) {
		int w = step_sweep(t);

		wait = sooner(wait, w ? w : -1);
	}
	if (prune_due) {
		prune(t);
		t->pruned_usec = clock_kernel_usec();
	}
	return wait;
}

static bool is_of_runner(void *arg, const struct tree_process *p)
{
	struct trees *t = arg;

	return tree_descends(&t->now, p, t->runner);
}

bool trees_end_all(struct trees *t, uint64_t max_usec)
{
	struct tree_entry *e;
	bool ended;
	unsigned n;

	TAILQ_FOREACH (e, &t->entries, link)
		if (e->leaf[0])
			(void)cgroup_signal(t->cgroup, e->leaf, SIGKILL, &n);
	(void)tree_hunt_all(&t->now, is_of_runner, t, max_usec, &n);
	ended = tree_end_children(max_usec);
	TAILQ_FOREACH (e, &t->entries, link)
		for (int i = 0; e->leaf[0] && i < 20; i++) {
			if (cgroup_remove(t->cgroup, e->leaf) == 0)
				break;
			poll(NULL, 0, 5);
		}
	return ended;
}
