/*
 * The child's own steps, in an order that matters: the group before anything that could
 * fork, the signals last, so that a SIGTERM sent to a child that is not yet its command
 * waits and then ends it instead of getting lost.
 */
#include "io/runner_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXIT_NOT_EXECUTED 127

/* Nobody has heard of: no shell for a text without #!, as systemd has it too. */
static int execute_in_path(const struct wire_command *c)
{
	CLEANUP(freep) char *full = NULL;
	const char *path = "", *name = c->argv[0];
	bool refused = false;

	for (char **e = c->envp; *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			path = *e + 5;
	full = malloc(strlen(path) + strlen(name) + 2);
	if (!full)
		return -ENOMEM;
	while (*path) {
		size_t n = strcspn(path, ":");

		/* Absolute ones only: the working directory holds no commands. */
		if (*path == '/') {
			memcpy(full, path, n);
			full[n] = '/';
			strcpy(full + n + 1, name);
			execve(full, c->argv, c->envp);
			if (errno == EACCES)
				refused = true;
			else if (errno != ENOENT && errno != ENOTDIR)
				return -errno;
		}
		path += n + (path[n] == ':');
	}
	return refused ? -EACCES : -ENOENT;
}

static int execute(const struct wire_command *c)
{
	if (strchr(c->argv[0], '/')) {
		execve(c->argv[0], c->argv, c->envp);
		return -errno;
	}
	return execute_in_path(c);
}

/*
 * By the system call itself: the C library keeps 32 and 33 to itself and would leave them ignored
 * where whoever started the daemon ignores them. The kernel's structure, all zero, is SIG_DFL.
 */
static void reset_signals(void)
{
	static const struct {
		unsigned long handler, flags, restorer, mask;
	} by_default;
	sigset_t none;

	for (int s = 1; s < _NSIG; s++)
		(void)syscall(
			SYS_rt_sigaction, s, &by_default, NULL, sizeof(by_default.mask));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_descriptors(const int *fds)
{
	for (int i = 0; i < 3; i++)
		if (dup2(fds[WIRE_FD_STDIN + i], i) < 0)
			return -errno;
	return close_range(3, ~0u, 0) < 0 ? -errno : 0;
}

static int die_with(pid_t runner)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return getppid() == runner ? 0 : -ESRCH; /* it died before we asked */
}

_Noreturn void child_become(
	const struct child_setup *setup, volatile struct child_failure *failure)
{
	struct wire_command command = {0};
	int step = STEP_DEATH;
	int r = die_with(setup->runner);

	if (r == 0 && setup->leaf[0]) {
		step = STEP_CGROUP;
		r = cgroup_join(setup->cgroup, setup->leaf);
	}
	if (r == 0) {
		/* A session, not only a group: no terminal to ask a person at. */
		step = STEP_SESSION;
		r = setsid() < 0 ? -errno : 0;
	}
	if (r == 0) {
		step = STEP_COMMAND;
		r = wire_unpack(setup->fds[WIRE_FD_COMMAND], &command);
	}
	if (r == 0) {
		step = STEP_DESCRIPTORS;
		r = set_descriptors(setup->fds);
	}
	if (r == 0) {
		step = STEP_LIMIT;
		r = setrlimit(RLIMIT_NOFILE, setup->nofile) < 0 ? -errno : 0;
	}
	if (r == 0) {
		step = STEP_DIRECTORY;
		r = chdir(command.directory) < 0 ? -errno : 0;
	}
	if (r == 0) {
		step = STEP_EXEC;
		reset_signals();
		r = execute(&command);
	}
	failure->step = step;
	failure->error = -r;
	_exit(EXIT_NOT_EXECUTED);
}
