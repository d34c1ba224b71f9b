/*
 * The daemon's end of the runner: one small single-threaded process that forks, executes,
 * kills and waits, so that nothing of that happens on the loop or beside our secrets. It
 * is a child subreaper and the only waiter. When the daemon's end of the socket closes it
 * ends everything it started; when the runner ends, the daemon must sweep and exit
 * (on_gone).
 */
#ifndef IO_RUNNER_H
#define IO_RUNNER_H

#include "base/macros.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct runner;

struct runner_handlers {
	/* The process exists. `error` != 0: it could not be made (errno; no on_exit will
	 * come). */
	void (*on_started)(void *arg, uint64_t tag, int error);
	/* The main process ended. status as of waitpid(2). exec_error != 0: it never was
	 * the command, execve or chdir failed with this errno (`failed_step` says which).
	 */
	void (*on_exit)(void *arg, uint64_t tag, int status, int exec_error,
		const char *failed_step);
	/* All processes of a run are gone, or a sweep is finished (tag 0). After on_exit;
	 * once for each SIGKILL, or once for several that came while it was at work. */
	void (*on_swept)(void *arg, uint64_t tag, unsigned n_ended);
	/* The runner is gone: what it started was swept (that blocked, some 10 ms, at
	 * worst seconds); nothing else will be told; exit 71. */
	void (*on_gone)(void *arg);
};

/* What to run. Everything is copied before runner_spawn returns. */
struct runner_command {
	uint64_t tag;    /* never 0, unique while it lives; comes back in the handlers */
	const char *run; /* run id: CALLBACK_RUN of the tree, name of its cgroup */
	char *const *argv; /* argv[0] absolute, or searched in PATH of envp */
	char *const *envp;
	const char *directory;
	int stdin_fd, stdout_fd, stderr_fd; /* above 2; closed by runner_spawn, always */
};

/*
 * Forks the runner. Before any thread, secret, socket or store: it inherits what is
 * there. `nofile` is the descriptor limit the daemon was started with; children get it
 * back, and the umask of this moment. The daemon becomes a subreaper, and nothing but the
 * runner may ever be its child. Where the unit delegates, both move into the leaf `daemon`
 * of its cgroup. 0 or negative errno.
 */
int runner_start(struct runner **ret, const struct rlimit *nofile) MUST_CHECK;
/* Joins it to the loop. Handlers are called from the loop only. */
int runner_attach(struct runner *r, struct event_base *base,
	const struct runner_handlers *handlers, void *arg) MUST_CHECK;
/* Ends left-overs of former lives: all processes whose CALLBACK_RUN begins with
 * `run_prefix` (or in cgroups named so). on_swept(tag 0) comes when none is left, or after
 * ten seconds (who hangs in the kernel runs no instruction any more). -EBUSY: one is under
 * way. */
int runner_sweep(struct runner *r, const char *run_prefix) MUST_CHECK;
/* 0, or negative errno: nothing was started and no handler will be called for the tag. */
int runner_spawn(struct runner *r, const struct runner_command *command) MUST_CHECK;
/* To the whole tree of the run: SIGTERM, or SIGKILL until none is left (then
 * on_swept(tag)). Also after on_exit: what was left in the background is remembered until
 * it is gone. */
int runner_kill(struct runner *r, uint64_t tag, int signal) MUST_CHECK;
/*
 * Does it still move? on_pong comes from the loop when it has come so far in its work, and never
 * if it hangs, is stopped, or ended. One at a time: -EBUSY while the last one is not answered.
 */
int runner_ping(struct runner *r, void (*on_pong)(void *arg), void *arg) MUST_CHECK;
/* Who asked is gone: the answer is told to nobody. */
void runner_forget_ping(struct runner *r);
bool runner_has_cgroups(const struct runner *r); /* the unit delegates */
pid_t runner_pid(const struct runner *r);
/* Ends all that still runs, waits for the runner (at most two seconds), frees. */
void runner_close(struct runner *r);

#endif
