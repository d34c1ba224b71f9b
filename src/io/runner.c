/*
 * The daemon's end of the runner. Requests go out at once or wait in memory for the socket
 * to take them; nothing here blocks but the two ends: runner_close, and the sweep after
 * the runner itself has died, when there is nothing else left to do.
 */
#include "io/runner.h"

#include "io/cgroup.h"
#include "io/runner_process.h"
#include "io/runner_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORTS_PER_TURN 256
#define CLOSE_MSEC       2000
#define GONE_MAX_USEC    (5 * USEC_PER_SEC)

struct waiting { /* a request the socket had no room for */
	STAILQ_ENTRY(waiting) link;
	struct wire_request request;
	int fds[WIRE_FDS]; /* -1: none */
};

struct runner {
	int socket;
	pid_t pid;
	struct cgroup *cgroup; /* NULL: nothing is delegated */
	struct event *on_read, *on_write, *on_retry;
	STAILQ_HEAD(waiting_list, waiting) queue;
	const struct runner_handlers *handlers;
	void *arg;
	char prefix[TREE_RUN_SIZE]; /* of our run ids, as runner_sweep told it */
	bool gone, sweeping, pinging;
	void (*on_pong)(void *arg); /* NULL: nobody waits for it any more */
	void *pong_arg;
	bool handling, closed; /* runner_close within a handler: freed afterwards */
};

static void close_fds(int fds[WIRE_FDS])
{
	for (int i = 0; i < WIRE_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

int runner_start(struct runner **ret, const struct rlimit *nofile)
{
	struct runner *r = calloc(1, sizeof(*r));
	struct rlimit limit = *nofile;
	int sockets[2], error;
	sigset_t all, old;

	if (!r)
		return -ENOMEM;
	STAILQ_INIT(&r->queue);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		    sockets) < 0) {
		error = -errno;
		free(r);
		return error;
	}
	error = cgroup_take(&r->cgroup);
	if (error < 0)
		goto fail;
	/* If the runner dies, what it adopted comes to us, and all of it is found. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		error = -errno;
		goto fail;
	}
	/* A ^C between here and its own settings must not end it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	r->pid = fork();
	if (r->pid == 0) {
		close(sockets[0]);
		runner_process_main(sockets[1], &limit, r->cgroup);
	}
	error = -errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r->pid < 0)
		goto fail;
	close(sockets[1]);
	r->socket = sockets[0];
	*ret = r;
	return 0;
fail:
	close(sockets[0]);
	close(sockets[1]);
	cgroup_free(r->cgroup);
	free(r);
	return error;
}

struct gone_sweep {
	struct runner *runner;
	struct tree tree;
	unsigned n_left;
};

/* Below us is the runner and what it started, nothing else; elsewhere it may be what a
 * former runner left and this one has not ended yet. */
static bool is_of_daemon(void *arg, const struct tree_process *p)
{
	struct gone_sweep *s = arg;
	const char *prefix = s->runner->prefix;
	char run[TREE_RUN_SIZE];

	if (p->pid <= 1 || p->pid == getpid())
		return false;
	if (tree_descends(&s->tree, p, getpid()))
		return true;
	return *prefix && tree_is_ours(p->pid) && tree_run_id(p->pid, run) &&
	       strncmp(run, prefix, strlen(prefix)) == 0;
}

static void on_leaf(void *arg, const char *leaf)
{
	struct gone_sweep *s = arg;
	unsigned n;

	(void)cgroup_signal(s->runner->cgroup, leaf, SIGKILL, &n);
	if (cgroup_remove(s->runner->cgroup, leaf) != 0)
		s->n_left++;
}

/* Everything, by all means we have. Blocks. */
static void sweep_all(struct runner *r)
{
	struct gone_sweep s = {.runner = r, .tree = TREE_EMPTY};
	unsigned n;

	(void)tree_hunt_all(&s.tree, is_of_daemon, &s, GONE_MAX_USEC, &n);
	(void)tree_end_children(GONE_MAX_USEC);
	for (int i = 0; r->cgroup && i < 50; i++) {
		s.n_left = 0;
		if (cgroup_each(r->cgroup, r->prefix, on_leaf, &s) < 0 || !s.n_left)
			break;
		poll(NULL, 0, 10);
	}
	tree_fini(&s.tree);
}

static void drop_queue(struct runner *r)
{
	struct waiting *w;

	while ((w = STAILQ_FIRST(&r->queue))) {
		STAILQ_REMOVE_HEAD(&r->queue, link);
		close_fds(w->fds);
		free(w);
	}
}

static void free_events(struct runner *r)
{
	struct event **events[] = {&r->on_read, &r->on_write, &r->on_retry};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (*events[i])
			event_free(*events[i]);
		*events[i] = NULL;
	}
}

static void on_runner_gone(struct runner *r)
{
	if (r->gone)
		return;
	r->gone = true;
	free_events(r);
	drop_queue(r);
	sweep_all(r);
	if (r->handlers)
		r->handlers->on_gone(r->arg);
}

/* Positive: the socket takes no more now; 0: all is out; negative errno. */
static int flush_queue(struct runner *r)
{
	struct waiting *w;

	while ((w = STAILQ_FIRST(&r->queue))) {
		int e = wire_send_request(
			r->socket, &w->request, w->fds[0] >= 0 ? w->fds : NULL);

		if (e == -EAGAIN || e == -ENOBUFS || e == -ENOMEM || e == -ETOOMANYREFS)
			return -e;
		if (e < 0)
			return e;
		STAILQ_REMOVE_HEAD(&r->queue, link);
		close_fds(w->fds);
		free(w);
	}
	return 0;
}

/*
 * EAGAIN ends when the socket is writable. Too many descriptors on their way (unix(7),
 * ETOOMANYREFS) or no memory does not show there: look again in 10 ms instead of spinning.
 */
static void wait_for_room(struct runner *r, int reason)
{
	const struct timeval soon = {.tv_usec = 10000};

	if (!r->on_read)
		return; /* not attached yet: runner_attach sends */
	if (reason == EAGAIN)
		event_add(r->on_write, NULL);
	else if (reason > 0)
		event_add(r->on_retry, &soon);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct runner *r = arg;

	(void)fd;
	(void)what;
	/* An error shows on the reading side too, where it is dealt with. */
	wait_for_room(r, flush_queue(r));
}

static void pong(struct runner *r)
{
	void (*told)(void *) = r->on_pong;

	r->pinging = false;
	r->on_pong = NULL;
	if (told)
		told(r->pong_arg);
}

static void on_report(struct runner *r, const struct wire_report *p)
{
	const char *step = p->exec_error ? wire_step_word(p->step) : NULL;

	switch (p->kind) {
	case WIRE_STARTED: r->handlers->on_started(r->arg, p->tag, p->value); break;
	case WIRE_EXITED:
		r->handlers->on_exit(r->arg, p->tag, p->value, p->exec_error, step);
		break;
	case WIRE_SWEPT:
		if (p->tag == 0)
			r->sweeping = false;
		r->handlers->on_swept(r->arg, p->tag, (unsigned)p->value);
		break;
	case WIRE_PONG: pong(r); break;
	default: break;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct runner *r = arg;

	(void)what;
	r->handling = true;
	for (int i = 0; i < REPORTS_PER_TURN && !r->closed; i++) {
		struct wire_report p;
		int e = wire_receive_report((int)fd, &p);

		if (e == -EAGAIN)
			break;
		if (e < 0) {
			on_runner_gone(r);
			break;
		}
		on_report(r, &p);
	}
	r->handling = false;
	if (r->closed)
		free(r);
}

int runner_attach(struct runner *r, struct event_base *base,
	const struct runner_handlers *handlers, void *arg)
{
	r->handlers = handlers;
	r->arg = arg;
	r->on_read = event_new(base, r->socket, EV_READ | EV_PERSIST, on_readable, r);
	r->on_write = event_new(base, r->socket, EV_WRITE, on_writable, r);
	r->on_retry = event_new(base, -1, 0, on_writable, r);
	if (!r->on_read || !r->on_write || !r->on_retry ||
		event_add(r->on_read, NULL) < 0) {
		free_events(r);
		return -ENOMEM;
	}
	wait_for_room(r, flush_queue(r));
	return 0;
}

/* Takes the descriptors in any case. */
static int submit(struct runner *r, const struct wire_request *request, int fds[WIRE_FDS])
{
	struct waiting *w = r->gone ? NULL : calloc(1, sizeof(*w));
	int e;

	if (!w) {
		close_fds(fds);
		return r->gone ? -EPIPE : -ENOMEM;
	}
	w->request = *request;
	memcpy(w->fds, fds, sizeof(w->fds));
	STAILQ_INSERT_TAIL(&r->queue, w, link);
	e = flush_queue(r);
	if (e < 0)
		return 0; /* it is gone: on_gone tells, and ends all runs at once */
	wait_for_room(r, e);
	return 0;
}

static int submit_plain(struct runner *r, const struct wire_request *request)
{
	int none[WIRE_FDS] = {-1, -1, -1, -1};

	return submit(r, request, none);
}

int runner_sweep(struct runner *r, const char *run_prefix)
{
	struct wire_request q = {.kind = WIRE_SWEEP};
	int e;

	if (strlen(run_prefix) >= sizeof(q.run) || !*run_prefix)
		return -EINVAL;
	if (r->sweeping)
		return -EBUSY;
	snprintf(q.run, sizeof(q.run), "%s", run_prefix);
	memcpy(r->prefix, q.run, sizeof(r->prefix));
	e = submit_plain(r, &q);
	r->sweeping = e == 0;
	return e;
}

int runner_spawn(struct runner *r, const struct runner_command *c)
{
	struct wire_request q = {.kind = WIRE_SPAWN, .tag = c->tag};
	int fds[WIRE_FDS] = {-1, c->stdin_fd, c->stdout_fd, c->stderr_fd};
	int fd = -EINVAL;

	/* Below 3 a descriptor is the daemon's own. */
	if (c->tag != 0 && c->argv[0] && *c->run && strlen(c->run) < sizeof(q.run) &&
		fds[1] > 2 && fds[2] > 2 && fds[3] > 2)
		fd = wire_pack(c->argv, c->envp, c->directory);
	if (fd < 0) {
		close_fds(fds);
		return fd;
	}
	fds[WIRE_FD_COMMAND] = fd;
	snprintf(q.run, sizeof(q.run), "%s", c->run);
	return submit(r, &q, fds);
}

int runner_kill(struct runner *r, uint64_t tag, int signal)
{
	const struct wire_request q = {.kind = WIRE_KILL, .tag = tag, .signal = signal};

	if (tag == 0 || (signal != SIGTERM && signal != SIGKILL))
		return -EINVAL;
	return submit_plain(r, &q);
}

int runner_ping(struct runner *r, void (*on_pong)(void *arg), void *arg)
{
	const struct wire_request q = {.kind = WIRE_PING};
	int e;

	if (r->pinging)
		return -EBUSY;
	e = submit_plain(r, &q);
	if (e < 0)
		return e;
	r->pinging = true;
	r->on_pong = on_pong;
	r->pong_arg = arg;
	return 0;
}

void runner_forget_ping(struct runner *r)
{
	r->on_pong = NULL;
}

bool runner_has_cgroups(const struct runner *r)
{
	return r->cgroup != NULL;
}

pid_t runner_pid(const struct runner *r)
{
	return r->pid;
}

/* True: it is gone and reaped. */
static bool wait_for_end(const struct runner *r)
{
	struct pollfd p = {.fd = pidfd_open(r->pid, 0), .events = POLLIN};

	if (p.fd < 0)
		return waitpid(r->pid, NULL, WNOHANG) != 0;
	while (poll(&p, 1, CLOSE_MSEC) < 0 && errno == EINTR)
		;
	close(p.fd);
	return waitpid(r->pid, NULL, WNOHANG) != 0;
}

void runner_close(struct runner *r)
{
	if (!r)
		return;
	free_events(r);
	drop_queue(r);
	close(r->socket);
	if (!r->gone && !wait_for_end(r)) {
		kill(r->pid, SIGKILL);
		sweep_all(r);
	}
	cgroup_free(r->cgroup);
	r->cgroup = NULL;
	r->closed = true;
	if (!r->handling)
		free(r);
}
