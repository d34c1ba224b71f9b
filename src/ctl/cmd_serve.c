/*
 * callbackctl serve: the other side of Mode=socket for an ordinary command. It takes the lines
 * of callbackd, runs the command for each, all that come at once, and answers by its status.
 *
 *   callbackd ── connection ──► line ─► process ── exit 0 ──► RUN ok
 *                                              └─ else ────► RUN fail exit status 1
 *
 * The connection is one of a listening socket that systemd hands over, one after another, or
 * standard input and output. When callbackd closes it, whatever still runs is ended: it timed
 * out, or will be given again.
 */
#include "base/clock.h"
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/serve.h"
#include "io/tree.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* Beyond that nothing is read: MaxConcurrent= says how many come. */
#define CHILDREN_MAX   1000
#define LINE_MAX_BYTES (1u << 30)
#define READ_BYTES     (64u * 1024)
#define END_MAX_USEC   (5 * USEC_PER_SEC)

const struct ctl_option cmd_serve_options[] = {
	{"kill-after", "SPAN",
		"from SIGTERM to SIGKILL when the connection is lost (10s)"},
	{0},
};

struct child {
	LIST_ENTRY(child) link;
	pid_t pid;
	char run[SERVE_RUN_SIZE];
};

struct serve {
	char *const *argv;
	uint64_t kill_after_usec;
	int listener, in, out; /* -1: none */
	int signals;
	LIST_HEAD(, child) children;
	size_t n_children;
	struct text line;    /* begun, its newline not yet seen */
	struct text answers; /* not yet written */
	bool at_end;         /* callbackd gives no more, and may still take answers */
	bool lost;           /* it is not there any more */
	bool stopping;       /* SIGTERM: finish, then leave */
};

/* ---- Answers ---- */

static void answer(struct serve *s, const char *run, const char *word)
{
	if (*run && !s->lost)
		text_addf(&s->answers, "%s %s\n", run, word);
}

static void flush(struct serve *s)
{
	struct bytes b = text_bytes(&s->answers);

	if (!b.size || s->lost)
		return;
	ssize_t n = write(s->out, b.data, b.size);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		s->lost = true;
	if (n <= 0)
		return;
	memmove(s->answers.data, s->answers.data + n, s->answers.size - (size_t)n);
	s->answers.size -= (size_t)n;
}

static void answer_status(struct serve *s, const char *run, int status)
{
	char word[64];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		snprintf(word, sizeof(word), "ok");
	else if (WIFEXITED(status))
		snprintf(word, sizeof(word), "fail exit status %d", WEXITSTATUS(status));
	else
		snprintf(
			word, sizeof(word), "fail killed by signal %d", WTERMSIG(status));
	answer(s, run, word);
}

/* ---- Lines ---- */

static void take_line(struct serve *s, struct bytes text)
{
	char run[SERVE_RUN_SIZE];
	json_t *line = NULL;

	if (serve_read_line(text, &line, run) != 0) {
		ctl_complain("a line that is no callback: %s",
			ctl_escape(run[0] ? run : "it names no run"));
		answer(s, run, "fail the line cannot be read");
		return;
	}
	struct child *c = calloc(1, sizeof(*c));
	pid_t pid = c ? serve_start(s->argv, line, s->out == STDOUT_FILENO ? 2 : 1)
		      : -ENOMEM;
	json_decref(line);
	if (pid < 0) {
		char word[128];

		snprintf(word, sizeof(word), "fail could not be started: %s",
			strerrordesc_np(-pid));
		answer(s, run, word);
		free(c);
		return;
	}
	c->pid = pid;
	memcpy(c->run, run, sizeof(run));
	LIST_INSERT_HEAD(&s->children, c, link);
	s->n_children++;
}

static void take(struct serve *s, struct bytes b)
{
	while (b.size) {
		const char *newline = memchr(b.data, '\n', b.size);
		size_t n = newline ? (size_t)(newline - b.data) : b.size;

		text_add(&s->line, (struct bytes){b.data, n});
		if (s->line.failed || s->line.size > LINE_MAX_BYTES) {
			ctl_complain("a line is too long");
			s->lost = true;
			return;
		}
		if (!newline)
			return;
		take_line(s, text_bytes(&s->line));
		text_clear(&s->line);
		b.data += n + 1;
		b.size -= n + 1;
	}
}

static void read_some(struct serve *s)
{
	char buffer[READ_BYTES];
	ssize_t n = read(s->in, buffer, sizeof(buffer));

	if (n > 0)
		take(s, (struct bytes){buffer, (size_t)n});
	else if (n == 0)
		s->at_end = true;
	else if (errno != EAGAIN && errno != EINTR)
		s->lost = true;
}

/* ---- Processes ---- */

/* True: there is no child at all, adopted ones included. */
static bool reap(struct serve *s)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		struct child *c;

		if (pid <= 0)
			return pid < 0 && errno == ECHILD;
		LIST_FOREACH (c, &s->children, link)
			if (c->pid == pid)
				break;
		if (!c)
			continue; /* left in the background by one that is over */
		answer_status(s, c->run, status);
		LIST_REMOVE(c, link);
		s->n_children--;
		free(c);
	}
}

static void terminate_all(void)
{
	struct tree tree = TREE_EMPTY;

	if (tree_scan(&tree) == 0) {
		for (size_t i = 0; i < tree.size; i++)
			if (tree_descends(&tree, &tree.list[i], getpid()))
				(void)tree_signal(&tree.list[i], SIGTERM);
	}
	tree_fini(&tree);
}

static void take_signals(struct serve *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) > 0) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (s->stopping)
			_exit(128 + (int)info.ssi_signo);
		s->stopping = true;
	}
}

/* Nobody waits for what still runs: SIGTERM, and SIGKILL to what is left after a while. */
static void end_all(struct serve *s)
{
	uint64_t until = clock_mono_usec() + s->kill_after_usec, now;

	if (reap(s))
		return;
	terminate_all();
	while (!reap(s) && (now = clock_mono_usec()) < until) {
		struct pollfd p = {.fd = s->signals, .events = POLLIN};

		(void)poll(&p, 1, (int)((until - now) / USEC_PER_MSEC) + 1);
		take_signals(s);
	}
	if (!reap(s))
		(void)tree_end_children(END_MAX_USEC);
	reap(s);
}

/* ---- The connection ---- */

static void hang_up(struct serve *s)
{
	if (s->lost)
		end_all(s);
	if (s->listener >= 0)
		close(s->in);
	s->in = s->out = -1;
	s->at_end = s->lost = false;
	text_clear(&s->line);
	text_clear(&s->answers);
}

static bool is_served(const struct serve *s)
{
	bool quiet = s->n_children == 0 && s->answers.size == 0;

	return s->lost || ((s->at_end || s->stopping) && quiet);
}

static void serve_connection(struct serve *s)
{
	while (!is_served(s)) {
		bool reads = !s->at_end && !s->stopping && s->n_children < CHILDREN_MAX;
		struct pollfd p[] = {
			{.fd = s->signals, .events = POLLIN},
			{.fd = reads ? s->in : -1, .events = POLLIN},
			{.fd = s->out, .events = s->answers.size ? POLLOUT : 0},
		};

		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			break;
		take_signals(s);
		/* Half closed, it still takes answers; this is all of it closed. */
		if (p[2].revents & (POLLHUP | POLLERR | POLLNVAL))
			s->lost = true;
		else if (p[1].revents)
			read_some(s);
		reap(s);
		flush(s);
	}
	hang_up(s);
}

static void serve_listener(struct serve *s)
{
	while (!s->stopping) {
		struct pollfd p[] = {{.fd = s->signals, .events = POLLIN},
			{.fd = s->listener, .events = POLLIN}};

		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return;
		take_signals(s);
		reap(s);
		if (s->stopping || !p[1].revents)
			continue;
		s->in = s->out = accept4(
			s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (s->in >= 0)
			serve_connection(s);
	}
}

/* ---- The command ---- */

static int watch_signals(struct serve *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? -errno : 0;
}

/* What systemd handed over, else standard input and output. */
static int find_connection(struct serve *s)
{
	int n = sd_listen_fds(1);

	if (n > 1) {
		ctl_complain("one socket is wanted, and %d were handed over", n);
		return CTL_USAGE;
	}
	s->in = STDIN_FILENO;
	s->out = STDOUT_FILENO;
	if (n == 1)
		s->in = s->out = SD_LISTEN_FDS_START;
	if (n == 1 && sd_is_socket(SD_LISTEN_FDS_START, AF_UNSPEC, SOCK_STREAM, 1) > 0) {
		s->listener = SD_LISTEN_FDS_START;
		s->in = s->out = -1;
	}
	return 0;
}

int cmd_serve(struct ctl *ctl, const struct ctl_args *args)
{
	struct serve s = {.argv = args->operands,
		.kill_after_usec = 10 * USEC_PER_SEC,
		.listener = -1};
	int r = args->option[0]
			? ctl_span(args->option[0], "--kill-after", &s.kill_after_usec)
			: 0;

	(void)ctl;
	if (r == 0)
		r = find_connection(&s);
	if (r != 0)
		return r;
	/* Whatever a command leaves behind comes to us, so that all of it can be ended. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || watch_signals(&s) < 0) {
		ctl_complain("cannot watch over processes: %s", strerrordesc_np(errno));
		return CTL_FAILED;
	}
	if (s.listener >= 0)
		serve_listener(&s);
	else
		serve_connection(&s);
	text_fini(&s.line);
	text_fini(&s.answers);
	return CTL_DONE;
}
