/*
 * From a hook and one run of it to what a process is started with: arguments, environment, the
 * payload on standard input. The environment is built from nothing: what is not written here, in
 * the contract's list, or in the hook's own Environment= and Export=, a hook does not see.
 */
#ifndef FLOW_LAUNCH_H
#define FLOW_LAUNCH_H

#include "io/store_op.h"
#include "rules/hook.h"

struct launch {
	struct words argv, envp; /* both end in a NULL that .size does not count */
	const char *directory;   /* borrowed from the hook or `state_directory` */
	int stdin_fd; /* an anonymous file with the payload, at its start; -1 = none */
};

/*
 * 0, or negative errno. launch_fini() in both cases; it closes stdin_fd, so set that to -1 when it
 * is given away.
 */
int launch_prepare(struct launch *ret, const struct hook *hook,
	const struct store_run *run, const char *state_directory) MUST_CHECK;
/*
 * The same for a worker, which is started for no run in particular: CALLBACK_HOOK, and as
 * CALLBACK_RUN the id `worker`, by which what it leaves is found. stdin_fd is for the caller.
 */
int launch_prepare_worker(struct launch *ret, const struct hook *hook, const char *worker,
	const char *state_directory) MUST_CHECK;
void launch_fini(struct launch *l);

/*
 * What the hook's Export= finds for this run: `add` is called with each value that is there, the
 * bytes borrowed for the call. 0, -ENOMEM, or what `add` returned if not 0.
 */
int launch_exports(const struct hook *hook, const struct store_run *run,
	int (*add)(void *arg, const char *variable, struct bytes value),
	void *arg) MUST_CHECK;

/*
 * The values of header:, query: and form: fields that this hook's Export= names, as a JSON object
 * text to be stored with the callback: the run may start long after the request is gone. *ret is
 * NULL when it names none. 0 or -ENOMEM.
 */
int launch_keep_fields(const struct hook *const *hooks, size_t n_hooks,
	struct document *d, char **ret) MUST_CHECK;

#endif
