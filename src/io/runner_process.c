/*
 * The runner's loop. It never blocks on a child, on the daemon or on a file: what cannot
 * be sent waits in memory, a failed execve is told in shared memory and read when the
 * child is reaped. If it cannot keep its promises (no memory for a report), it dies: then
 * its children die with it and the daemon sweeps.
 */
#include "io/runner_process.h"

#include "io/runner_child.h"
#include "io/runner_lean.h"
#include "io/runner_trees.h"
#include "io/runner_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET_FD         3
#define N_SLOTS           16384 /* runs at a time; 8 bytes each, touched when used */
#define REQUESTS_PER_TURN 64
#define END_MAX_USEC      (10 * USEC_PER_SEC)
#define EXIT_LOST         71

struct process {
	int socket, signals;
	const struct rlimit *nofile;
	struct cgroup *cgroup;
	struct trees trees;
	struct child_failure *slots;
	unsigned *free_slots;
	unsigned n_free;
	struct wire_report *reports; /* what the socket had no room for */
	size_t n_reports, first_report, room;
	bool daemon_gone;
};

/* In order: nothing overtakes what waits. */
static void flush_reports(struct process *p)
{
	while (p->first_report < p->n_reports) {
		int r = wire_send_report(p->socket, &p->reports[p->first_report]);

		if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM)
			return;
		if (r < 0) {
			p->daemon_gone = true;
			return;
		}
		p->first_report++;
	}
	p->first_report = p->n_reports = 0;
}

static void report(struct process *p, const struct wire_report *what)
{
	if (p->n_reports == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		struct wire_report *reports = reallocarray(
			p->reports, room, sizeof(*reports));

		if (!reports)
			_exit(EXIT_LOST);
		p->reports = reports;
		p->room = room;
	}
	p->reports[p->n_reports++] = *what;
	flush_reports(p);
}

static void on_swept(void *arg, uint64_t tag, unsigned n_ended)
{
	report(arg, &(struct wire_report){
			    .kind = WIRE_SWEPT, .tag = tag, .value = (int)n_ended});
}

/* 0 or a positive errno. */
static int spawn(struct process *p, const struct wire_request *q, const int *fds)
{
	struct child_setup setup = {
		.fds = fds,
		.runner = p->trees.runner,
		.nofile = p->nofile,
		.cgroup = p->cgroup,
	};
	struct child_failure *failure;
	struct tree_entry *e;
	pid_t pid;

	if (!p->n_free)
		return EAGAIN;
	if (trees_by_tag(&p->trees, q->tag))
		return EEXIST;
	e = trees_new(&p->trees, q->tag, q->run);
	if (!e)
		return ENOMEM;
	e->slot = p->free_slots[p->n_free - 1];
	failure = &p->slots[e->slot];
	*failure = (struct child_failure){0};
	setup.leaf = e->leaf;
	pid = _Fork();
	if (pid == 0)
		child_become(&setup, failure);
	if (pid < 0) {
		int error = errno;

		trees_forget(&p->trees, e);
		return error;
	}
	p->n_free--;
	trees_enter(&p->trees, e, pid);
	return 0;
}

static void on_spawn(struct process *p, const struct wire_request *q, int *fds, int error)
{
	if (!error)
		error = spawn(p, q, fds);
	for (int i = 0; i < WIRE_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	report(p, &(struct wire_report){
			  .kind = WIRE_STARTED, .tag = q->tag, .value = error});
}

static void on_kill(struct process *p, const struct wire_request *q)
{
	struct tree_entry *e = trees_by_tag(&p->trees, q->tag);

	if (e && q->signal == SIGTERM)
		trees_terminate(&p->trees, e);
	else if (e)
		trees_end(&p->trees, e);
	else if (q->signal == SIGKILL)
		on_swept(p, q->tag, 0); /* its last process is gone long since */
}

static void take_requests(struct process *p)
{
	for (int i = 0; i < REQUESTS_PER_TURN && !p->daemon_gone; i++) {
		struct wire_request q = {0};
		int fds[WIRE_FDS];
		int r = wire_receive_request(p->socket, &q, fds);

		if (r == -EAGAIN)
			return;
		if (r == -EBADMSG)
			continue;
		if (r < 0 && r != -EMFILE)
			p->daemon_gone = true;
		else if (q.kind == WIRE_SPAWN)
			on_spawn(p, &q, fds, -r);
		else if (q.kind == WIRE_KILL)
			on_kill(p, &q);
		else if (q.kind == WIRE_SWEEP)
			trees_sweep(&p->trees, q.run);
		else if (q.kind == WIRE_PING)
			report(p, &(struct wire_report){.kind = WIRE_PONG});
	}
}

static void on_main_exit(struct process *p, struct tree_entry *e, int status)
{
	struct wire_report what = {
		.kind = WIRE_EXITED,
		.tag = e->tag,
		.value = status,
		.exec_error = p->slots[e->slot].error,
		.step = (uint32_t)p->slots[e->slot].step,
	};

	p->free_slots[p->n_free++] = e->slot;
	trees_exited(&p->trees, e);
	report(p, &what);
}

static void reap(struct process *p)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		struct tree_entry *e;

		if (pid < 0 && errno == ECHILD)
			trees_all_gone(&p->trees);
		if (pid <= 0)
			return;
		e = trees_by_pid(&p->trees, pid);
		if (e)
			on_main_exit(p, e, status);
		else
			trees_orphan_reaped(&p->trees);
	}
}

/*
 * The daemon closed or died. What it asked for and we have not begun stays undone: the
 * next life runs it again.
 */
static _Noreturn void end(struct process *p)
{
	_exit(trees_end_all(&p->trees, END_MAX_USEC) ? 0 : EXIT_LOST);
}

static void run(struct process *p)
{
	for (;;) {
		int wait = trees_step(&p->trees);
		struct pollfd fds[] = {
			{.fd = p->socket, .events = POLLIN | POLLRDHUP},
			{.fd = p->signals, .events = POLLIN},
		};
		struct signalfd_siginfo info;

		if (p->first_report < p->n_reports)
			fds[0].events |= POLLOUT;
		if (poll(fds, ARRAY_SIZE(fds), wait) < 0 && errno != EINTR)
			_exit(EXIT_LOST);
		if (fds[0].revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL))
			p->daemon_gone = true;
		if (p->daemon_gone)
			return;
		if (fds[0].revents & POLLOUT)
			flush_reports(p);
		/* Emptied before waiting: who dies from here on wakes us again. */
		while (read(p->signals, &info, sizeof(info)) > 0)
			;
		reap(p);
		if (fds[0].revents & POLLIN)
			take_requests(p);
	}
}

/* Blocked as well as ignored: a signal sent to a child that has not yet reset its own
 * waits there instead of getting lost. */
static int set_signals(void)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	const struct sigaction ignored = {.sa_handler = SIG_IGN};
	sigset_t set;

	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &by_default, NULL);
	sigaction(SIGINT, &ignored, NULL);
	sigaction(SIGTERM, &ignored, NULL);
	sigaction(SIGHUP, &ignored, NULL);
	sigaction(SIGQUIT, &ignored, NULL);
	sigfillset(&set);
	/* What we do wrong ourselves may end us. */
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGABRT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/*
 * 0, 1: nothing; 2: as it was, for the library's last words; 3: the socket. It is moved out
 * of the way first: whoever closed 0, 1 or 2 before he started us made it one of these.
 */
static int set_descriptors(int socket)
{
	int far = fcntl(socket, F_DUPFD_CLOEXEC, 10);
	int null;

	if (far < 0)
		return -errno;
	close(socket);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		return -errno;
	if (fcntl(2, F_GETFD) < 0 && dup2(null, 2) < 0)
		return -errno;
	if (dup3(far, SOCKET_FD, O_CLOEXEC) < 0)
		return -errno;
	return close_range(SOCKET_FD + 1, ~0u, 0) < 0 ? -errno : 0;
}

_Noreturn void runner_process_main(
	int socket, const struct rlimit *nofile, struct cgroup *cgroup)
{
	static struct process p;

	prctl(PR_SET_NAME, "callbackd-runner");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || set_descriptors(socket) < 0)
		_exit(EXIT_LOST);
	p.socket = SOCKET_FD;
	p.signals = set_signals();
	p.nofile = nofile;
	p.cgroup = cgroup;
	p.slots = mmap(NULL, N_SLOTS * sizeof(*p.slots), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p.free_slots = calloc(N_SLOTS, sizeof(*p.free_slots));
	if (p.signals < 0 || p.slots == MAP_FAILED || !p.free_slots ||
		trees_init(&p.trees, cgroup) < 0)
		_exit(EXIT_LOST);
	p.trees.on_swept = on_swept;
	p.trees.arg = &p;
	while (p.n_free < N_SLOTS) {
		p.free_slots[p.n_free] = N_SLOTS - 1 - p.n_free;
		p.n_free++;
	}
	runner_lean();
	run(&p);
	end(&p);
}
