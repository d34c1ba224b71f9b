/* One process for one attempt; see run.h. */
#include "flow/run.h"

#include "flow/output.h"
#include "flow/process.h"
#include "flow/tally.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
	struct attempt attempt;
	struct process *process;
	struct output out, err;
	bool timed_out, stopped; /* why our hand ended it, if it did */
};

static void run_free(struct attempt *a)
{
	struct run *r = container_of(a, struct run, attempt);

	process_free(r->process);
	output_fini(&r->out);
	output_fini(&r->err);
	attempt_fini(a);
	free(r);
}

/* What it came to; sets the reason where there is one. */
static enum attempt_result judge(struct run *r, const struct process_end *end)
{
	struct attempt *a = &r->attempt;
	const struct hook *h = a->hook;
	bool normal = end->exited && WIFEXITED(end->wait_status);
	char words[PROCESS_WORDS_SIZE];

	if (end->reason[0]) {
		attempt_blame(a, "%s", end->reason);
		return end->shortage   ? ATTEMPT_SHORT
		       : end->hopeless ? ATTEMPT_HOPELESS
				       : ATTEMPT_FAILED;
	}
	if (r->stopped) {
		attempt_blame(a, "ended because the daemon stopped");
		return ATTEMPT_STOPPED;
	}
	if (r->timed_out) {
		attempt_blame(a, "Timeout= passed");
		return ATTEMPT_FAILED;
	}
	if (normal && hook_status_in(h->success_status, WEXITSTATUS(end->wait_status)))
		return ATTEMPT_SUCCEEDED;
	process_describe(end->wait_status, words);
	attempt_blame(a, "%s", words);
	if (normal && hook_status_in(h->permanent_status, WEXITSTATUS(end->wait_status)))
		return ATTEMPT_HOPELESS;
	return ATTEMPT_FAILED;
}

static void on_over(void *arg, const struct process_end *end)
{
	struct run *r = arg;
	int status = end->wait_status;

	output_close(&r->out);
	output_close(&r->err);
	attempt_settle(&r->attempt,
		&(struct attempt_end){.result = judge(r, end),
			.exit_status = end->exited && WIFEXITED(status)
					       ? WEXITSTATUS(status)
					       : -1,
			.signal = end->exited && WIFSIGNALED(status) ? WTERMSIG(status)
								     : -1,
			.out = tail_bytes(&r->out.tail),
			.err = tail_bytes(&r->err.tail),
			.truncated = r->out.tail.truncated || r->err.tail.truncated});
}

static void on_timeout(void *arg)
{
	struct run *r = arg;
	struct attempt *a = &r->attempt;

	r->timed_out = true;
	a->flow->counters.runs_timed_out++;
	tally_hook(a->flow->tally, a->hook->name)->timed_out++;
	log_event(LOG_RUN_TIMEOUT, &a->fields,
		"Hook %s ran into Timeout=; SIGTERM to its processes", a->hook->name);
	process_end(r->process, a->hook->kill_after_usec);
}

static void on_output_closed(void *arg)
{
	struct run *r = arg;

	process_pipe_closed(r->process);
}

static void run_interrupt(struct attempt *a)
{
	struct run *r = container_of(a, struct run, attempt);

	if (process_end(r->process, a->hook->kill_after_usec))
		r->stopped = true;
}

/* ---- The start ---- */

static void start(struct run *r, const struct store_run *record)
{
	struct attempt *a = &r->attempt;
	struct flow *flow = a->flow;
	struct launch launch;
	int out = -1, err = -1;

	int e = launch_prepare(&launch, a->hook, record, flow->state_directory);
	if (e == 0)
		e = output_open(&r->out, flow->base, false, &a->fields, on_output_closed,
			r, &out);
	if (e == 0)
		e = output_open(
			&r->err, flow->base, true, &a->fields, on_output_closed, r, &err);
	if (e == 0) {
		attempt_started(a);
		process_start(r->process, &(struct process_start){.run = a->id,
						  .launch = &launch,
						  .stdout_fd = take_fd(&out),
						  .stderr_fd = take_fd(&err),
						  .n_pipes = 2,
						  .timeout_usec = a->hook->timeout_usec});
	} else {
		process_fail(r->process, "could not be started", -e);
	}
	if (out >= 0)
		close(out);
	if (err >= 0)
		close(err);
	launch_fini(&launch);
}

int run_start(struct flow *flow, const struct hook *hook, const struct store_run *record,
	attempt_on_over *on_done, void *arg, struct attempt **ret)
{
	static const struct attempt_kind kind = {
		.interrupt = run_interrupt, .free = run_free};
	static const struct process_owner owner = {
		.on_over = on_over, .on_timeout = on_timeout};
	struct run *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->out.fd = r->err.fd = -1;
	if (attempt_init(&r->attempt, &kind, flow, hook, record, on_done, arg) < 0 ||
		process_new(&r->process, flow, &owner, r) < 0) {
		run_free(&r->attempt);
		return -ENOMEM;
	}
	if (attempt_is_spent(&r->attempt))
		process_fail(r->process, r->attempt.reason, 0);
	else
		start(r, record);
	*ret = &r->attempt;
	return 0;
}
