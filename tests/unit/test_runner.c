/*
 * The runner with real processes: what a child is given, how it ends, and that nobody of
 * its tree survives when he must not. Every wait is bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/runner.h"
#include "io/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SEC 20

struct end {
	bool started, exited, swept;
	int error, status, exec_error;
	char step[16];
	unsigned n_ended;
};

struct world {
	struct event_base *base;
	struct runner *runner;
	struct end *ends; /* by tag */
	unsigned n_exited;
	bool gone;
	char prefix[48];
	bool close_within; /* runner_close from on_exit */
};

#define TAGS 4096

static struct rlimit started_with;

static void on_started(void *arg, uint64_t tag, int error)
{
	struct world *w = arg;

	w->ends[tag].started = true;
	w->ends[tag].error = error;
}

static void on_exit_(
	void *arg, uint64_t tag, int status, int exec_error, const char *failed_step)
{
	struct world *w = arg;
	struct end *e = &w->ends[tag];

	assert_true(e->started);
	assert_false(e->exited);
	assert_false(e->swept);
	e->exited = true;
	e->status = status;
	e->exec_error = exec_error;
	snprintf(e->step, sizeof(e->step), "%s", failed_step ? failed_step : "");
	w->n_exited++;
	if (w->close_within) {
		runner_close(w->runner);
		w->runner = NULL;
	}
}

static void on_swept(void *arg, uint64_t tag, unsigned n_ended)
{
	struct world *w = arg;

	w->ends[tag].swept = true;
	w->ends[tag].n_ended = n_ended;
}

static void on_gone(void *arg)
{
	((struct world *)arg)->gone = true;
}

static const struct runner_handlers handlers = {on_started, on_exit_, on_swept, on_gone};

/*
 * Where a delegated group can be had (cgroup2, user.delegate=1), its path in
 * $TEST_CGROUP makes all of this run with groups. The daemon begins in its top each time.
 */
static bool enter_cgroup(void)
{
	const char *top = getenv("TEST_CGROUP");
	char path[256];
	int fd;

	if (!top)
		return false;
	snprintf(path, sizeof(path), "%s/cgroup.procs", top);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0", 1), 1);
	close(fd);
	return true;
}

static int set_up(void **state)
{
	bool groups = enter_cgroup();
	static unsigned n;
	struct world *w = calloc(1, sizeof(*w));

	w->ends = calloc(TAGS, sizeof(*w->ends));
	snprintf(w->prefix, sizeof(w->prefix), "t%d-%u-", (int)getpid(), n++);
	w->base = event_base_new();
	assert_int_equal(runner_start(&w->runner, &started_with), 0);
	assert_int_equal(runner_has_cgroups(w->runner), groups);
	assert_int_equal(runner_attach(w->runner, w->base, &handlers, w), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	runner_close(w->runner);
	event_base_free(w->base);
	free(w->ends);
	free(w);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void turn(struct world *w, int msec)
{
	const struct timeval tv = {msec / 1000, msec % 1000 * 1000};

	event_base_loopexit(w->base, &tv);
	event_base_dispatch(w->base);
}

#define WAIT_FOR(w, condition)                                  \
	do {                                                    \
		double end_ = now() + WAIT_SEC;                 \
		while (!(condition) && now() < end_)            \
			turn(w, 5);                             \
		if (!(condition))                               \
			fail_msg("never came: %s", #condition); \
	} while (0)

/* stdout goes to `out`, which stays the caller's. */
static void spawn(struct world *w, uint64_t tag, char *const *argv, char *const *envp,
	const char *directory, int out)
{
	char run[80];
	struct runner_command c = {
		.tag = tag,
		.run = run,
		.argv = argv,
		.envp = envp,
		.directory = directory,
		.stdin_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
		.stdout_fd = fcntl(out, F_DUPFD_CLOEXEC, 3),
		.stderr_fd = fcntl(2, F_DUPFD_CLOEXEC, 3),
	};

	snprintf(run, sizeof(run), "%s%llu", w->prefix, (unsigned long long)tag);
	for (char *const *e = envp; *e; e++)
		if (strncmp(*e, "CALLBACK_RUN=", 13) == 0)
			snprintf(run, sizeof(run), "%s", *e + 13);
	assert_int_equal(runner_spawn(w->runner, &c), 0);
}

/* A shell with the environment a hook has. Its run id is prefix + tag. */
static void shell(struct world *w, uint64_t tag, const char *script, int out)
{
	char run[80];
	char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};
	char *envp[] = {"PATH=/usr/bin:/bin", run, NULL};

	snprintf(run, sizeof(run), "CALLBACK_RUN=%s%llu", w->prefix,
		(unsigned long long)tag);
	spawn(w, tag, argv, envp, "/", out);
}

static int file(void)
{
	return memfd_create("test", MFD_CLOEXEC);
}

/* All of it, NUL-terminated, in a buffer of this function's. */
static const char *content(int fd, size_t *ret_size)
{
	static char buffer[1 << 17];
	ssize_t n = pread(fd, buffer, sizeof(buffer) - 1, 0);

	assert_true(n >= 0);
	buffer[n] = 0;
	if (ret_size)
		*ret_size = (size_t)n;
	return buffer;
}

/* Living processes whose CALLBACK_RUN begins so. */
static unsigned count_runs(const char *prefix)
{
	struct tree t = TREE_EMPTY;
	char run[TREE_RUN_SIZE];
	unsigned n = 0;

	assert_int_equal(tree_scan(&t), 0);
	for (size_t i = 0; i < t.size; i++)
		n += !t.list[i].dead && tree_run_id(t.list[i].pid, run) &&
		     strncmp(run, prefix, strlen(prefix)) == 0;
	tree_fini(&t);
	return n;
}

static bool lives(pid_t pid)
{
	struct tree t = TREE_EMPTY;
	struct tree_process *p;
	bool alive;

	assert_int_equal(tree_scan(&t), 0);
	p = tree_find(&t, pid);
	alive = p && !p->dead;
	tree_fini(&t);
	return alive;
}

static unsigned count_fds(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_environment_exact(void **state)
{
	char *argv[] = {"env", "-0", NULL};
	char *envp[] = {
		"PATH=/nowhere:/usr/bin", "CALLBACK_ID=a\nb=c", "EMPTY=", "LANG=C", NULL};
	const char expected[] = "PATH=/nowhere:/usr/bin\0CALLBACK_ID=a\nb=c\0EMPTY=\0"
				"LANG=C";
	struct world *w = *state;
	int out = file();
	size_t size;

	spawn(w, 1, argv, envp, "/", out);
	WAIT_FOR(w, w->ends[1].exited);
	assert_int_equal(w->ends[1].status, 0);
	assert_memory_equal(content(out, &size), expected, sizeof(expected));
	assert_int_equal(size, sizeof(expected));
	close(out);
}

static void test_descriptors(void **state)
{
	struct world *w = *state;
	int out = file();
	/* What the daemon has open, close-on-exec or not, is nobody's business. */
	int stray = open("/dev/zero", O_RDONLY);

	shell(w, 1, "ls /proc/$$/fd; echo hello", out);
	WAIT_FOR(w, w->ends[1].exited);
	assert_string_equal(content(out, NULL), "0\n1\n2\nhello\n");
	close(stray);
	close(out);
}

static void test_signals(void **state)
{
	char *argv[] = {"/bin/cat", "/proc/self/status", NULL};
	char *envp[] = {NULL};
	struct world *w = *state;
	int out = file();

	spawn(w, 1, argv, envp, "/", out);
	WAIT_FOR(w, w->ends[1].exited);
	assert_non_null(strstr(content(out, NULL), "SigBlk:\t0000000000000000\n"));
	assert_non_null(strstr(content(out, NULL), "SigIgn:\t0000000000000000\n"));
	assert_non_null(strstr(content(out, NULL), "SigCgt:\t0000000000000000\n"));
	assert_non_null(strstr(content(out, NULL), "SigPnd:\t0000000000000000\n"));
	close(out);
}

static void test_surroundings(void **state)
{
	struct world *w = *state;
	int pid, group, session, out = file();
	unsigned long nofile;
	char mask[8], directory[64];

	shell(w, 1,
		"cut -d' ' -f1,5,6 /proc/$$/stat; ulimit -n; umask; pwd;"
		"cat /proc/$PPID/comm",
		out);
	WAIT_FOR(w, w->ends[1].exited);
	assert_int_equal(sscanf(content(out, NULL), "%d %d %d %lu %7s %63s", &pid, &group,
				 &session, &nofile, mask, directory),
		6);
	assert_int_equal(group, pid);
	assert_int_equal(session, pid);
	assert_int_equal(nofile, 512); /* what main() says the daemon was started with */
	assert_string_equal(mask, "0027");
	assert_string_equal(directory, "/");
	assert_non_null(strstr(content(out, NULL), "\ncallbackd-runne"));
	close(out);
}

static void test_exec_failures(void **state)
{
	static const struct {
		const char *command, *directory, *path, *step;
		int error;
	} cases[] = {
		{"/nowhere/at-all", "/", "PATH=/bin", "execve", ENOENT},
		{"/etc/passwd", "/", "PATH=/bin", "execve", EACCES},
		{"/", "/", "PATH=/bin", "execve", EACCES},
		{"no-such-command", "/", "PATH=/bin:/usr/bin", "execve", ENOENT},
		{"passwd", "/", "PATH=/etc", "execve", EACCES},
		{"sh", "/", "LANG=C", "execve", ENOENT},      /* no PATH, no guess */
		{"sh", "/bin", "PATH=:.:", "execve", ENOENT}, /* never from where it is */
		{"/bin/sh", "/nowhere", "PATH=/bin", "chdir", ENOENT},
		{"/bin/sh", "/etc/passwd", "PATH=/bin", "chdir", ENOTDIR},
	};
	struct world *w = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		char *argv[] = {(char *)cases[i].command, NULL};
		char *envp[] = {(char *)cases[i].path, NULL};
		struct end *e = &w->ends[i + 1];

		spawn(w, i + 1, argv, envp, cases[i].directory, 2);
		WAIT_FOR(w, e->exited);
		assert_int_equal(e->error, 0);
		assert_int_equal(e->exec_error, cases[i].error);
		assert_string_equal(e->step, cases[i].step);
	}
	/* A slot that told a failure tells none of the next one. */
	shell(w, 100, "exit 0", 2);
	WAIT_FOR(w, w->ends[100].exited);
	assert_int_equal(w->ends[100].exec_error, 0);
	assert_string_equal(w->ends[100].step, "");
}

static void test_statuses(void **state)
{
	struct world *w = *state;

	shell(w, 1, "exit 0", 2);
	shell(w, 2, "exit 7", 2);
	shell(w, 3, "exit 127", 2);
	shell(w, 4, "kill -9 $$", 2);
	shell(w, 5, "kill -USR1 $$", 2);
	shell(w, 6, "kill -PIPE $$", 2);
	WAIT_FOR(w, w->n_exited == 6);
	assert_int_equal(w->ends[1].status, 0);
	assert_int_equal(WEXITSTATUS(w->ends[2].status), 7);
	assert_int_equal(WEXITSTATUS(w->ends[3].status), 127);
	assert_int_equal(w->ends[3].exec_error, 0);
	assert_int_equal(WTERMSIG(w->ends[4].status), SIGKILL);
	assert_int_equal(WTERMSIG(w->ends[5].status), SIGUSR1);
	assert_int_equal(WTERMSIG(w->ends[6].status), SIGPIPE);
}

static void test_sizes(void **state)
{
	static char big[100 * 1024], huge[200 * 1024];
	char *few[] = {"/bin/echo", "-n", big, NULL};
	char *more[] = {"/bin/echo", "-n", huge, NULL};
	char *none[] = {NULL};
	char *envp[] = {big, big, big, big, "LAST=x", NULL};
	char *printenv[] = {"/usr/bin/printenv", "LAST", NULL};
	struct world *w = *state;
	int out = file(), out2 = file();
	size_t size;

	memset(big, 'x', sizeof(big) - 1);
	memset(huge, 'x', sizeof(huge) - 1);
	spawn(w, 1, few, none, "/", out);
	spawn(w, 2, more, none, "/", 2);
	WAIT_FOR(w, w->n_exited == 2);
	assert_string_equal(content(out, &size), big);
	assert_int_equal(w->ends[2].exec_error, E2BIG);
	memcpy(big, "BIG=", 4);
	spawn(w, 3, printenv, envp, "/", out2);
	WAIT_FOR(w, w->ends[3].exited);
	assert_string_equal(content(out2, NULL), "x\n");
	close(out);
	close(out2);
}

static void test_bad_commands(void **state)
{
	char *argv[] = {"/bin/true", NULL}, *empty[] = {NULL};
	struct world *w = *state;
	struct runner_command c = {.tag = 0,
		.run = "r",
		.argv = argv,
		.envp = empty,
		.directory = "/",
		.stdin_fd = dup(2),
		.stdout_fd = dup(2),
		.stderr_fd = dup(2)};

	assert_true(runner_spawn(w->runner, &c) < 0);
	assert_true(fcntl(c.stdin_fd, F_GETFD) < 0); /* closed, always */
	c.tag = 1;
	c.argv = empty;
	c.stdin_fd = dup(2);
	c.stdout_fd = dup(2);
	c.stderr_fd = dup(2);
	assert_true(runner_spawn(w->runner, &c) < 0);
	assert_true(fcntl(c.stderr_fd, F_GETFD) < 0);
	assert_true(runner_kill(w->runner, 1, SIGHUP) < 0);
	assert_true(runner_kill(w->runner, 0, SIGKILL) < 0);
}

/*
 * Everything a tree can do to get away: sessions of its own, SIGTERM ignored, no
 * environment, a parent that is gone.
 */
#define FUGITIVES                                                                    \
	"trap '' TERM;"                                                              \
	"(setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1001 & wait' &) ;"        \
	"env -i /usr/bin/setsid /bin/sh -c '/bin/sleep 1002 & /bin/sleep 1003; :' &" \
	"(env -i /bin/sleep 1004 &);"                                                \
	"sh -c 'exec setsid sleep 1005' & "

static void test_tree_ended(void **state)
{
	struct world *w = *state;
	int out = file();
	char run[80];
	int pids[2] = {0, 0};

	snprintf(run, sizeof(run), "%s1", w->prefix);
	shell(w, 1, FUGITIVES "echo $$ $!; sleep 1006 & wait; wait", out);
	WAIT_FOR(w, sscanf(content(out, NULL), "%d %d", &pids[0], &pids[1]) == 2);
	WAIT_FOR(w, count_runs(run) >= 5);
	assert_int_equal(runner_kill(w->runner, 1, SIGTERM), 0);
	turn(w, 100);
	assert_true(count_runs(run) >= 3); /* they do not care */
	assert_false(w->ends[1].swept);
	assert_int_equal(runner_kill(w->runner, 1, SIGKILL), 0);
	WAIT_FOR(w, w->ends[1].swept);
	assert_int_equal(count_runs(run), 0);
	assert_false(lives(pids[0]));
	assert_false(lives(pids[1]));
	assert_true(w->ends[1].exited);
	assert_int_equal(WTERMSIG(w->ends[1].status), SIGKILL);
	assert_true(w->ends[1].n_ended >= 5);
	/* Those without the environment too: the runner has nobody left. */
	struct tree t = TREE_EMPTY;
	assert_int_equal(tree_scan(&t), 0);
	for (size_t i = 0; i < t.size; i++)
		assert_false(!t.list[i].dead &&
			     tree_descends(&t, &t.list[i], runner_pid(w->runner)));
	tree_fini(&t);
	close(out);
}

/* Who forks and dies all the time, so that no look ever finds him where he is; for longer
 * than we wait. */
static void hop(void)
{
	double end = now() + WAIT_SEC + 5;

	for (unsigned i = 0; now() < end; i++) {
		pid_t pid = fork();

		if (pid < 0 || pid > 0)
			_exit(0);
		if (i % 64 == 0)
			setsid();
	}
}

static void test_hopper_ended(void **state)
{
	struct world *w = *state;
	char run[80], self[] = "/proc/self/exe";
	char *argv[] = {self, "hop", NULL};
	char *envp[] = {run, NULL};

	for (unsigned tag = 1; tag <= 3; tag++) {
		snprintf(run, sizeof(run), "CALLBACK_RUN=%s%u", w->prefix, tag);
		spawn(w, tag, argv, envp, "/", 2);
		WAIT_FOR(w, w->ends[tag].exited);
		assert_int_equal(w->ends[tag].exec_error, 0);
		turn(w, 20);
		assert_int_equal(runner_kill(w->runner, tag, SIGKILL), 0);
		WAIT_FOR(w, w->ends[tag].swept);
		assert_int_equal(count_runs(run + 13), 0);
		assert_true(w->ends[tag].n_ended >= 1);
	}
}

static void test_term_before_exec(void **state)
{
	struct world *w = *state;

	for (unsigned tag = 1; tag <= 50; tag++) {
		shell(w, tag, "sleep 1000", 2);
		assert_int_equal(runner_kill(w->runner, tag, SIGTERM), 0);
	}
	WAIT_FOR(w, w->n_exited == 50);
	for (unsigned tag = 1; tag <= 50; tag++)
		assert_int_equal(WTERMSIG(w->ends[tag].status), SIGTERM);
}

static void test_background_child(void **state)
{
	struct world *w = *state;
	int out = file(), pid = 0, pid2 = 0;

	shell(w, 1, "sleep 1000 & echo $!", out);
	WAIT_FOR(w, w->ends[1].exited);
	assert_int_equal(sscanf(content(out, NULL), "%d", &pid), 1);
	/* Other runs come and go, the book is pruned, it is still known. */
	shell(w, 2, "exit 0", 2);
	turn(w, 1200);
	shell(w, 3, "exit 0", 2);
	turn(w, 1200);
	assert_true(lives(pid));
	assert_int_equal(runner_kill(w->runner, 1, SIGKILL), 0);
	WAIT_FOR(w, w->ends[1].swept);
	assert_false(lives(pid));
	assert_int_equal(w->ends[1].n_ended, 1);
	/* Nothing is left of tag 2: that is told as well. */
	assert_int_equal(runner_kill(w->runner, 2, SIGKILL), 0);
	WAIT_FOR(w, w->ends[2].swept);
	assert_int_equal(w->ends[2].n_ended, 0);

	close(out);
	out = file();
	shell(w, 4, "setsid sleep 1000 & echo $!", out);
	WAIT_FOR(w, w->ends[4].exited);
	assert_int_equal(sscanf(content(out, NULL), "%d", &pid2), 1);
	assert_true(lives(pid2));
	runner_close(w->runner);
	w->runner = NULL;
	assert_false(lives(pid2));
	close(out);
}

/* Two attempts of one run: what is left of the first is ended without the second. */
static void test_same_run_twice(void **state)
{
	struct world *w = *state;
	char run[80];
	char *first[] = {"/bin/sh", "-c", "sleep 1000 & echo $!; sleep 0.3", NULL};
	char *second[] = {"/bin/sh", "-c", "echo $$; sleep 1000 & wait", NULL};
	char *envp[] = {"PATH=/usr/bin:/bin", run, NULL};
	int out = file(), out2 = file(), left = 0, main_pid = 0;

	snprintf(run, sizeof(run), "CALLBACK_RUN=%sx", w->prefix);
	spawn(w, 1, first, envp, "/", out);
	spawn(w, 2, second, envp, "/", out2);
	WAIT_FOR(w, w->ends[1].exited);
	WAIT_FOR(w, sscanf(content(out2, NULL), "%d", &main_pid) == 1);
	assert_int_equal(sscanf(content(out, NULL), "%d", &left), 1);
	turn(w, 50);
	assert_int_equal(runner_kill(w->runner, 1, SIGKILL), 0);
	WAIT_FOR(w, w->ends[1].swept);
	assert_false(lives(left));
	assert_true(lives(main_pid));
	assert_int_equal(count_runs(run + 13), 2);
	assert_false(w->ends[2].exited);
	close(out);
	close(out2);
}

static void test_sweep_prefix(void **state)
{
	struct world *w = *state;
	char ours[96], others[96];
	pid_t pids[2];

	snprintf(ours, sizeof(ours), "CALLBACK_RUN=%sold-17", w->prefix);
	snprintf(others, sizeof(others), "CALLBACK_RUN=x%sold-17", w->prefix);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char *envp[] = {"A=CALLBACK_RUN=", i ? others : ours, NULL};

			signal(SIGTERM, SIG_IGN);
			execle("/bin/sleep", "sleep", "1000", NULL, envp);
			_exit(1);
		}
	}
	/* A run of ours that begins the same is no left-over. */
	shell(w, 1, "exec sleep 1000", 2);
	WAIT_FOR(w, count_runs(w->prefix) == 2);
	assert_int_equal(runner_sweep(w->runner, w->prefix), 0);
	WAIT_FOR(w, w->ends[0].swept);
	assert_int_equal(w->ends[0].n_ended, 1);
	assert_int_equal(waitpid(pids[0], NULL, WNOHANG), pids[0]);
	assert_int_equal(waitpid(pids[1], NULL, WNOHANG), 0);
	assert_int_equal(count_runs(w->prefix), 1);
	assert_false(w->ends[1].exited);
	w->ends[0].swept = false;
	assert_int_equal(runner_sweep(w->runner, w->prefix), 0); /* a second time */
	WAIT_FOR(w, w->ends[0].swept);
	assert_int_equal(w->ends[0].n_ended, 0);
	kill(pids[1], SIGKILL);
	waitpid(pids[1], NULL, 0);
}

static void test_runner_killed(void **state)
{
	struct world *w = *state;
	int out = file(), pids[2] = {0, 0};

	shell(w, 1, FUGITIVES "echo $$ $!; wait; wait", out);
	WAIT_FOR(w, sscanf(content(out, NULL), "%d %d", &pids[0], &pids[1]) == 2);
	WAIT_FOR(w, count_runs(w->prefix) >= 4);
	kill(runner_pid(w->runner), SIGKILL);
	WAIT_FOR(w, w->gone);
	assert_int_equal(count_runs(w->prefix), 0);
	assert_false(lives(pids[0]));
	assert_false(lives(pids[1]));
	assert_int_equal(runner_kill(w->runner, 1, SIGKILL), -EPIPE);
	close(out);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* The daemon is killed: nobody closes anything in an orderly way. */
static void test_daemon_killed(void **state)
{
	struct world *outer = *state;
	int out = file(), pids[2] = {0, 0}, runner = 0;
	pid_t daemon = fork();

	if (daemon == 0) {
		struct world *w;
		void *p;

		set_up(&p);
		w = p;
		snprintf(w->prefix, sizeof(w->prefix), "d%.40s", outer->prefix);
		dprintf(out, "%d ", (int)runner_pid(w->runner));
		shell(w, 1, FUGITIVES "echo $$ $!; wait; wait", out);
		for (;;)
			turn(w, 100);
	}
	WAIT_FOR(outer,
		sscanf(content(out, NULL), "%d %d %d", &runner, &pids[0], &pids[1]) == 3);
	char run[80];
	snprintf(run, sizeof(run), "d%s", outer->prefix);
	WAIT_FOR(outer, count_runs(run) >= 4);
	kill(daemon, SIGKILL);
	waitpid(daemon, NULL, 0);
	WAIT_FOR(outer, count_runs(run) == 0);
	WAIT_FOR(outer, !lives(runner));
	assert_false(lives(pids[0]));
	assert_false(lives(pids[1]));
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	close(out);
}

/* ^C and a manager's SIGTERM to all: the daemon decides, not the runner. */
static void test_runner_ignores(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		kill(runner_pid(w->runner), signals[i]);
	shell(w, 1, "exit 3", 2);
	WAIT_FOR(w, w->ends[1].exited);
	assert_int_equal(WEXITSTATUS(w->ends[1].status), 3);
}

static void test_thousand(void **state)
{
	char *argv[] = {"/bin/true", NULL}, *envp[] = {NULL};
	struct world *w = *state;
	unsigned before, before_runner, tag = 0;

	spawn(w, 3000, argv, envp, "/", 2);
	WAIT_FOR(w, w->n_exited == 1);
	before = count_fds(getpid());
	before_runner = count_fds(runner_pid(w->runner));
	while (tag < 1000) {
		spawn(w, ++tag, argv, envp, "/", 2);
		WAIT_FOR(w, w->n_exited + 8 > tag);
	}
	WAIT_FOR(w, w->n_exited == 1001);
	turn(w, 50);
	assert_int_equal(count_fds(getpid()), before);
	assert_int_equal(count_fds(runner_pid(w->runner)), before_runner);
	struct tree t = TREE_EMPTY;
	assert_int_equal(tree_scan(&t), 0);
	for (size_t i = 0; i < t.size; i++)
		assert_false(tree_descends(&t, &t.list[i], runner_pid(w->runner)));
	tree_fini(&t);
}

/* The runner stands still: requests wait in memory, nobody blocks, none is lost. */
static void test_full_socket(void **state)
{
	char *argv[] = {"/bin/true", NULL}, *envp[] = {NULL};
	struct world *w = *state;
	double start = now();

	kill(runner_pid(w->runner), SIGSTOP);
	for (unsigned tag = 1; tag <= 600; tag++)
		spawn(w, tag, argv, envp, "/", 2);
	turn(w, 50);
	assert_true(now() - start < 10);
	assert_int_equal(w->n_exited, 0);
	kill(runner_pid(w->runner), SIGCONT);
	WAIT_FOR(w, w->n_exited == 600);
}

/* Does it sleep when there is nothing to do? In ticks of the clock, from its stat. */
static unsigned long cpu_ticks(pid_t pid)
{
	unsigned long user, system;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f,
				 "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
				 "%*u %lu %lu",
				 &user, &system),
		2);
	fclose(f);
	return user + system;
}

static void test_no_busy_wait(void **state)
{
	struct world *w = *state;
	unsigned long before;

	shell(w, 1, "sleep 1000 & exit 0", 2); /* something left, too */
	shell(w, 2, "sleep 1000", 2);
	WAIT_FOR(w, w->ends[1].exited);
	turn(w, 1500);
	before = cpu_ticks(runner_pid(w->runner));
	turn(w, 1000);
	assert_true(cpu_ticks(runner_pid(w->runner)) - before <= 2);
}

static void test_close_within_handler(void **state)
{
	struct world *w = *state;

	w->close_within = true;
	shell(w, 1, "exit 0", 2);
	shell(w, 2, "exit 0", 2);
	WAIT_FOR(w, w->runner == NULL);
	turn(w, 50);
	assert_int_equal(w->n_exited, 1);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_environment_exact),
		TEST(test_descriptors),
		TEST(test_signals),
		TEST(test_surroundings),
		TEST(test_exec_failures),
		TEST(test_statuses),
		TEST(test_sizes),
		TEST(test_bad_commands),
		TEST(test_tree_ended),
		TEST(test_hopper_ended),
		TEST(test_term_before_exec),
		TEST(test_background_child),
		TEST(test_same_run_twice),
		TEST(test_sweep_prefix),
		TEST(test_runner_killed),
		TEST(test_daemon_killed),
		TEST(test_runner_ignores),
		TEST(test_thousand),
		TEST(test_full_socket),
		TEST(test_no_busy_wait),
		TEST(test_close_within_handler),
	};
	struct rlimit limit;
	sigset_t set;

	if (argc > 1 && strcmp(argv[1], "hop") == 0) {
		hop();
		_exit(0);
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	/* As systemd and a careless parent start a service. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	umask(027);
	getrlimit(RLIMIT_NOFILE, &limit);
	started_with = (struct rlimit){512, limit.rlim_max};
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
