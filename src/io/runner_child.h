/*
 * Between fork and execve: makes the child what a hook is promised to be: descriptors 0, 1
 * and 2 only, default signals, nothing blocked, a session and a process group of its own,
 * its cgroup, the descriptor limit and the umask the daemon was started with. Dies with
 * the runner.
 */
#ifndef IO_RUNNER_CHILD_H
#define IO_RUNNER_CHILD_H

#include "io/cgroup.h"
#include "io/runner_wire.h"

#include <sys/resource.h>

/* Lies in memory shared with the runner, which reads it after the child's death: so nobody
 * waits for an execve. */
struct child_failure {
	int error, step; /* errno, enum wire_step; 0, 0: it became the command */
};

struct child_setup {
	const int *fds; /* WIRE_FDS of them, none below 3 */
	pid_t runner;
	const struct rlimit *nofile;
	struct cgroup *cgroup; /* may be NULL */
	const char *leaf;      /* "" = none */
};

/* In the child of a single-threaded process with all signals blocked. */
_Noreturn void child_become(
	const struct child_setup *setup, volatile struct child_failure *failure);

#endif
