/* The life of one process tree; see process.h. */
#include "flow/process.h"

#include "base/map.h"
#include "base/span.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a background child may hold the pipes after the main process is gone. */
#define DRAIN_GRACE_USEC (500 * USEC_PER_MSEC)

/* A daemon that stops does not wait longer than this for hooks that were told to end. */
#define STOP_KILL_AFTER_USEC (10 * USEC_PER_SEC)

enum phase { UNSTARTED, SPAWNED, RUNNING, ENDING, KILLING, DRAINING, OVER };

struct process_table {
	struct map by_tag;
	uint64_t last_tag;
};

struct process {
	struct flow *flow;
	uint64_t tag;
	struct map_entry by_tag;
	enum phase phase;
	unsigned n_pipes; /* not yet at their end */
	struct process_end end;
	struct event *timer;
	const struct process_owner *owner;
	void *arg;
};

/* What we or the machine lack for the moment: no fault of the hook's, and it will pass. */
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN ||
	       error == ENOBUFS;
}

static void set_timer(struct process *p, uint64_t usec)
{
	struct timeval tv = {
		(time_t)(usec / USEC_PER_SEC), (suseconds_t)(usec % USEC_PER_SEC)};

	if (usec == SPAN_FOREVER)
		evtimer_del(p->timer);
	else
		evtimer_add(p->timer, &tv);
}

/* The owner frees it from within. */
static void be_over(struct process *p)
{
	p->phase = OVER;
	evtimer_del(p->timer);
	p->owner->on_over(p->arg, &p->end);
}

static void kill_tree(struct process *p, int signal, enum phase phase)
{
	p->phase = phase;
	if (runner_kill(p->flow->runner, p->tag, signal) == 0)
		return;
	/* No runner, no tree: it ended everything, or the daemon is about to exit for it. */
	if (phase == KILLING)
		be_over(p);
}

static void end_tree(struct process *p)
{
	evtimer_del(p->timer);
	kill_tree(p, SIGKILL, KILLING);
}

static void look(struct process *p)
{
	if (p->phase == OVER || !p->end.exited)
		return;
	if (p->phase == KILLING)
		return; /* on_swept ends it: none of the tree may outlive its run */
	if (p->phase == ENDING) {
		/* Whoever was to end on SIGTERM and kept the pipes has until KillAfter=. */
		if (p->n_pipes == 0)
			end_tree(p);
		return;
	}
	if (p->n_pipes == 0) {
		be_over(p);
	} else if (p->phase != DRAINING) {
		p->phase = DRAINING;
		set_timer(p, DRAIN_GRACE_USEC);
	}
}

void process_pipe_closed(struct process *p)
{
	p->n_pipes -= p->n_pipes > 0;
	look(p);
}

bool process_end(struct process *p, uint64_t kill_after_usec)
{
	if (p->phase == DRAINING) {
		be_over(p); /* its main process came to an end by itself: that counts */
		return false;
	}
	if (p->phase != SPAWNED && p->phase != RUNNING)
		return false;
	if (p->flow->stopping && kill_after_usec > STOP_KILL_AFTER_USEC)
		kill_after_usec = STOP_KILL_AFTER_USEC;
	set_timer(p, kill_after_usec);
	kill_tree(p, SIGTERM, ENDING);
	return true;
}

void process_describe(int wait_status, char ret[static PROCESS_WORDS_SIZE])
{
	const char *name;

	if (!WIFSIGNALED(wait_status))
		snprintf(ret, PROCESS_WORDS_SIZE, "exit status %d",
			WEXITSTATUS(wait_status));
	else if ((name = sigabbrev_np(WTERMSIG(wait_status))))
		snprintf(ret, PROCESS_WORDS_SIZE, "killed by signal %s", name);
	else /* a real-time signal has no name */
		snprintf(ret, PROCESS_WORDS_SIZE, "killed by signal %d",
			WTERMSIG(wait_status));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;

	(void)fd;
	(void)what;
	switch (p->phase) {
	case UNSTARTED:
	case DRAINING: be_over(p); break;
	case SPAWNED:
	case RUNNING:
		if (p->owner->on_timeout)
			p->owner->on_timeout(p->arg);
		break;
	case ENDING: end_tree(p); break;
	case KILLING:
	case OVER: break;
	}
}

/* ---- The start ---- */

int process_new(struct process **ret, struct flow *flow,
	const struct process_owner *owner, void *arg)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct process){.flow = flow,
		.tag = ++flow->processes->last_tag,
		.owner = owner,
		.arg = arg};
	p->timer = evtimer_new(flow->base, on_timer, p);
	if (!p->timer) {
		free(p);
		return -ENOMEM;
	}
	map_put(&flow->processes->by_tag, &p->by_tag,
		(struct bytes){(const char *)&p->tag, sizeof(p->tag)});
	*ret = p;
	return 0;
}

void process_free(struct process *p)
{
	if (!p)
		return;
	map_remove(&p->flow->processes->by_tag, &p->by_tag);
	event_free(p->timer);
	free(p);
}

void process_fail(struct process *p, const char *what, int error)
{
	snprintf(p->end.reason, sizeof(p->end.reason), "%s%s%s", what, error ? ": " : "",
		error ? strerrordesc_np(error) : "");
	p->end.shortage = is_shortage(error);
	p->phase = UNSTARTED;
	set_timer(p, 0);
}

void process_start(struct process *p, const struct process_start *start)
{
	struct runner_command command = {.tag = p->tag,
		.run = start->run,
		.argv = start->launch->argv.list,
		.envp = start->launch->envp.list,
		.directory = start->launch->directory,
		.stdin_fd = take_fd(&start->launch->stdin_fd),
		.stdout_fd = start->stdout_fd,
		.stderr_fd = start->stderr_fd};

	p->n_pipes = start->n_pipes;
	p->phase = SPAWNED;
	int r = runner_spawn(p->flow->runner, &command);
	if (r < 0)
		process_fail(p, "could not be started", -r);
	else
		set_timer(p, start->timeout_usec);
}

/* ---- The reports of the runner ---- */

int process_table_new(struct process_table **ret)
{
	struct process_table *t = calloc(1, sizeof(*t));

	if (!t || map_init(&t->by_tag) < 0) {
		free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void process_table_free(struct process_table *t)
{
	if (!t)
		return;
	map_fini(&t->by_tag);
	free(t);
}

static struct process *find(struct process_table *t, uint64_t tag)
{
	struct map_entry *e = map_find(
		&t->by_tag, (struct bytes){(const char *)&tag, sizeof(tag)});
	return e ? container_of(e, struct process, by_tag) : NULL;
}

void process_on_started(struct process_table *t, uint64_t tag, int error)
{
	struct process *p = find(t, tag);

	if (!p || p->phase != SPAWNED)
		return;
	p->phase = RUNNING;
	if (!error)
		return;
	snprintf(p->end.reason, sizeof(p->end.reason), "no process could be made: %s",
		strerrordesc_np(error));
	p->end.shortage = is_shortage(error);
	be_over(p);
}

void process_on_exit(struct process_table *t, uint64_t tag, int status, int exec_error,
	const char *failed_step)
{
	struct process *p = find(t, tag);

	if (!p || p->phase == OVER)
		return;
	if (exec_error) {
		/* The status is the runner's, not the command's. */
		snprintf(p->end.reason, sizeof(p->end.reason), "%s: %s",
			failed_step ? failed_step : "exec", strerrordesc_np(exec_error));
		p->end.hopeless = exec_error == E2BIG; /* an Export= over 128 KiB */
		be_over(p);
		return;
	}
	p->end.exited = true;
	p->end.wait_status = status;
	look(p);
}

void process_on_swept(struct process_table *t, uint64_t tag)
{
	struct process *p = find(t, tag);

	if (p && p->phase == KILLING)
		be_over(p);
}
