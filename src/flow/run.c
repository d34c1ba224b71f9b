/* One attempt of one run; see run.h. */
#include "flow/run.h"

#include "base/clock.h"
#include "base/span.h"
#include "flow/launch.h"
#include "flow/output.h"
#include "rules/backoff.h"

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
/*
 * A run that ended with the daemon is started again at most this often beyond 1 + Retries=: a
 * hook that kills its daemon ends as dead all the same.
 */
#define EXTRA_STARTS 2

enum phase { UNSTARTED, SPAWNED, RUNNING, ENDING, KILLING, DRAINING, SETTLING };

/* Why our hand ended it, if it did. */
enum ended_by { ITSELF, THE_TIMEOUT, THE_STOP };

struct run {
	struct flow *flow;
	struct config *config; /* holds `hook` */
	const struct hook *hook;
	uint64_t tag, number;
	unsigned attempt;
	char *source, *job, *status;
	char id[RUN_ID_SIZE];
	enum outcome outcome;
	enum phase phase;
	enum ended_by ended_by;
	bool exited;
	bool shortage; /* ours: nothing that the hook could answer for */
	bool hopeless; /* the next attempt would fail in the same way */
	int wait_status;
	char reason[256];
	int64_t started_usec;       /* wall clock, for the record */
	uint64_t started_mono_usec; /* for the duration */
	struct event *timer;
	struct output out, err;
	struct log_fields fields;
	struct store_settle settle;
	struct store_wish *dead_wishes;
	struct config *dead_config; /* holds the names in dead_wishes */
	void (*on_over)(void *arg, struct run *run, const struct run_end *end);
	void (*on_ended)(void *arg); /* or NULL */
	void *arg;
};

static void settle(struct run *r);

/* What we or the machine lack for the moment: no fault of the hook's, and it will pass. */
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN ||
	       error == ENOBUFS;
}

void run_tell_end(struct run *r, void (*on_ended)(void *arg))
{
	r->on_ended = on_ended;
}

uint64_t run_tag(const struct run *r)
{
	return r->tag;
}

void run_free(struct run *r)
{
	if (!r)
		return;
	output_fini(&r->out);
	output_fini(&r->err);
	if (r->timer)
		event_free(r->timer);
	store_op_fini(&r->settle.op);
	free(r->dead_wishes);
	free(r->source);
	free(r->job);
	free(r->status);
	config_unref(r->dead_config);
	config_unref(r->config);
	free(r);
}

static void set_timer(struct run *r, uint64_t usec)
{
	struct timeval tv = {
		(time_t)(usec / USEC_PER_SEC), (suseconds_t)(usec % USEC_PER_SEC)};

	if (usec == SPAN_FOREVER)
		evtimer_del(r->timer);
	else
		evtimer_add(r->timer, &tv);
}

/* ---- The end: what it came to, told to the store ---- */

static bool is_success(const struct run *r)
{
	return r->ended_by == ITSELF && !r->reason[0] && WIFEXITED(r->wait_status) &&
	       hook_status_in(r->hook->success_status, WEXITSTATUS(r->wait_status));
}

static void describe_failure(struct run *r)
{
	const char *name;

	if (r->reason[0])
		return;
	if (r->ended_by == THE_STOP)
		snprintf(
			r->reason, sizeof(r->reason), "ended because the daemon stopped");
	else if (r->ended_by == THE_TIMEOUT)
		snprintf(r->reason, sizeof(r->reason), "Timeout= passed");
	else if (WIFSIGNALED(r->wait_status) &&
		 (name = sigabbrev_np(WTERMSIG(r->wait_status))))
		snprintf(r->reason, sizeof(r->reason), "killed by signal %s", name);
	else if (WIFSIGNALED(r->wait_status)) /* a real-time signal has no name */
		snprintf(r->reason, sizeof(r->reason), "killed by signal %d",
			WTERMSIG(r->wait_status));
	else
		snprintf(r->reason, sizeof(r->reason), "exit status %d",
			WEXITSTATUS(r->wait_status));
}

/* The hook did not fail: it never ran, or the daemon's own stop ended it. */
static bool is_uncounted(const struct run *r)
{
	return r->ended_by == THE_STOP || r->shortage;
}

/* It said that this callback is hopeless, which a hook that is ill could not. */
static bool is_permanent(const struct run *r)
{
	return r->exited && r->ended_by == ITSELF && WIFEXITED(r->wait_status) &&
	       hook_status_in(r->hook->permanent_status, WEXITSTATUS(r->wait_status));
}

/* done, waiting or dead; and of waiting: when. */
static void judge(const struct run *r, enum runstate *state, int64_t *due_usec)
{
	const struct hook *h = r->hook;

	*due_usec = 0;
	if (is_success(r)) {
		*state = RUN_DONE;
		return;
	}
	if (is_uncounted(r)) {
		*state = RUN_WAITING;
		*due_usec = clock_steady_usec() +
			    (r->shortage ? (int64_t)SHORTAGE_USEC : 0);
		return;
	}
	if (is_permanent(r) || r->hopeless || r->attempt > h->retries) {
		*state = RUN_DEAD;
		return;
	}
	*state = RUN_WAITING;
	*due_usec = clock_steady_usec() + (int64_t)backoff_usec(h->retry_delay_usec,
						  h->retry_delay_max_usec, r->attempt);
}

static void log_end(const struct run *r)
{
	const struct store_settle *s = &r->settle;
	double seconds = (double)r->fields.duration_usec / (double)USEC_PER_SEC;

	if (s->state == RUN_DONE)
		log_event(LOG_RUN_DONE, &r->fields,
			"Hook %s is done (attempt %u, %.3f s)", r->hook->name, r->attempt,
			seconds);
	else if (s->state == RUN_DEAD)
		log_event(LOG_RUN_DEAD, &r->fields,
			"Hook %s is dead after attempt %u: %s; replay it with: "
			"callbackctl replay %s",
			r->hook->name, r->attempt, r->reason, r->id);
	else if (r->ended_by == THE_STOP)
		log_event(LOG_RUN_INTERRUPTED, &r->fields,
			"Hook %s was ended with the daemon; it starts again with it",
			r->hook->name);
	else if (r->shortage)
		log_event(LOG_RUN_FAILED, &r->fields,
			"Hook %s %s; that is no fault of its own and not counted, again "
			"in %.1f s",
			r->hook->name, r->reason,
			(double)SHORTAGE_USEC / (double)USEC_PER_SEC);
	else
		log_event(r->exited && WIFEXITED(r->wait_status) &&
					  WEXITSTATUS(r->wait_status) == 75
				  ? LOG_RUN_RETRY_ASKED
				  : LOG_RUN_FAILED,
			&r->fields,
			"Hook %s failed (attempt %u of %u): %s; again in %.1f s",
			r->hook->name, r->attempt, r->hook->retries + 1, r->reason,
			(double)(s->due_usec - clock_steady_usec()) /
				(double)USEC_PER_SEC);
}

static void on_settled(struct store_op *op)
{
	struct run *r = op->arg;
	struct run_end end = {r->hook->name, r->settle.state, r->settle.due_usec,
		r->settle.state != RUN_DONE && !r->settle.uncounted && !is_permanent(r)};

	/* -ENOENT: the store has it settled otherwise (forgotten by a person); nothing to mend. */
	if (op->result == 0)
		log_end(r);
	r->on_over(r->arg, r, &end);
}

/* Hooks that want to be told of this death. Without memory nobody is told; the run is still dead. */
static void wish_for_the_dead(struct run *r)
{
	const struct config *c = r->dead_config = config_ref(r->flow->config);

	r->dead_wishes = calloc(c->n_hooks ? c->n_hooks : 1, sizeof(*r->dead_wishes));
	if (!r->dead_wishes)
		return;
	r->settle.dead_wishes = r->dead_wishes;
	for (size_t i = 0; i < c->n_hooks; i++) {
		const struct hook *h = c->hooks[i];
		if (!h->on_dead || strcmp(h->name, r->hook->name) == 0)
			continue;
		if (!hook_takes_source(h, r->source))
			continue;
		r->dead_wishes[r->settle.n_dead_wishes++] = (struct store_wish){
			.hook = h->name};
	}
}

static void settle(struct run *r)
{
	struct store_settle *s = &r->settle;

	r->phase = SETTLING;
	evtimer_del(r->timer);
	output_close(&r->out);
	output_close(&r->err);
	if (!is_success(r))
		describe_failure(r);
	judge(r, &s->state, &s->due_usec);
	s->op = (struct store_op){.kind = STORE_SETTLE, .on_done = on_settled, .arg = r};
	s->run = r->number;
	s->uncounted = is_uncounted(r);
	s->attempt = r->attempt;
	s->started_usec = r->started_usec;
	s->finished_usec = clock_wall_usec();
	s->exit_status = r->exited && WIFEXITED(r->wait_status)
				 ? WEXITSTATUS(r->wait_status)
				 : -1;
	s->signal = r->exited && WIFSIGNALED(r->wait_status) ? WTERMSIG(r->wait_status)
							     : -1;
	s->reason = r->reason[0] ? r->reason : NULL;
	s->stdout_tail = tail_bytes(&r->out.tail);
	s->stderr_tail = tail_bytes(&r->err.tail);
	s->truncated = r->out.tail.truncated || r->err.tail.truncated;
	if (s->state == RUN_DEAD)
		wish_for_the_dead(r);
	r->fields.duration_usec = clock_mono_usec() - r->started_mono_usec;
	r->fields.has_exit_status = s->exit_status >= 0;
	r->fields.exit_status = s->exit_status;
	if (s->state != RUN_DONE)
		r->flow->counters.runs_failed++;
	/* Settles are never refused for a full queue. */
	int ignored = store_submit(r->flow->store, &s->op);
	(void)ignored;
	if (r->on_ended)
		r->on_ended(r->arg);
}

/* ---- The two facts ---- */

static void kill_tree(struct run *r, int signal, enum phase phase)
{
	r->phase = phase;
	if (runner_kill(r->flow->runner, r->tag, signal) == 0)
		return;
	/* No runner, no tree: it ended everything, or the daemon is about to exit for it. */
	if (phase == KILLING)
		settle(r);
}

static void end_tree(struct run *r)
{
	evtimer_del(r->timer);
	kill_tree(r, SIGKILL, KILLING);
}

static void maybe_settle(struct run *r)
{
	if (r->phase == SETTLING || !r->exited)
		return;
	if (r->phase == KILLING)
		return; /* on_swept settles: none of the tree may outlive its run */
	bool drained = r->out.fd < 0 && r->err.fd < 0;
	if (r->phase == ENDING) {
		/* Whoever was to end on SIGTERM and kept the pipes has until KillAfter=. */
		if (drained)
			end_tree(r);
		return;
	}
	if (drained) {
		settle(r);
	} else if (r->phase != DRAINING) {
		r->phase = DRAINING;
		set_timer(r, DRAIN_GRACE_USEC);
	}
}

static void on_output_closed(void *arg)
{
	maybe_settle(arg);
}

void run_on_started(struct run *r, int error)
{
	if (r->phase != SPAWNED)
		return;
	if (error) {
		snprintf(r->reason, sizeof(r->reason), "no process could be made: %s",
			strerrordesc_np(error));
		r->shortage = is_shortage(error);
		settle(r);
		return;
	}
	r->phase = RUNNING;
}

void run_on_exit(struct run *r, int status, int exec_error, const char *failed_step)
{
	if (r->phase == SETTLING)
		return;
	r->exited = true;
	r->wait_status = status;
	if (exec_error) {
		snprintf(r->reason, sizeof(r->reason), "%s: %s",
			failed_step ? failed_step : "exec", strerrordesc_np(exec_error));
		r->exited = false; /* the status is the runner's, not the command's */
		r->hopeless = exec_error == E2BIG; /* an Export= over 128 KiB */
		settle(r);
		return;
	}
	maybe_settle(r);
}

void run_on_swept(struct run *r)
{
	if (r->phase == KILLING)
		settle(r);
}

/* ---- Deadlines ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)what;
	switch (r->phase) {
	case UNSTARTED: settle(r); break;
	case SPAWNED:
	case RUNNING:
		r->ended_by = THE_TIMEOUT;
		r->flow->counters.runs_timed_out++;
		log_event(LOG_RUN_TIMEOUT, &r->fields,
			"Hook %s ran into Timeout=; SIGTERM to its processes",
			r->hook->name);
		set_timer(r, r->hook->kill_after_usec);
		kill_tree(r, SIGTERM, ENDING);
		break;
	case ENDING: end_tree(r); break;
	case DRAINING: settle(r); break;
	case KILLING:
	case SETTLING: break;
	}
}

void run_interrupt(struct run *r)
{
	uint64_t kill_after = r->hook->kill_after_usec;

	if (kill_after > STOP_KILL_AFTER_USEC)
		kill_after = STOP_KILL_AFTER_USEC;
	if (r->phase == DRAINING)
		settle(r); /* its main process came to an end by itself: that counts */
	if (r->phase != SPAWNED && r->phase != RUNNING)
		return;
	r->ended_by = THE_STOP;
	set_timer(r, kill_after);
	kill_tree(r, SIGTERM, ENDING);
}

/* ---- The start ---- */

static int spawn(struct run *r, const struct store_run *record)
{
	struct launch launch;
	int out = -1, err = -1;

	int e = launch_prepare(&launch, r->hook, record, r->flow->state_directory);
	if (e == 0)
		e = output_open(&r->out, r->flow->base, false, &r->fields,
			on_output_closed, r, &out);
	if (e == 0)
		e = output_open(&r->err, r->flow->base, true, &r->fields,
			on_output_closed, r, &err);
	if (e == 0) {
		struct runner_command command = {.tag = r->tag,
			.run = r->id,
			.argv = launch.argv.list,
			.envp = launch.envp.list,
			.directory = launch.directory,
			.stdin_fd = launch.stdin_fd,
			.stdout_fd = out,
			.stderr_fd = err};
		launch.stdin_fd = out = err = -1;
		e = runner_spawn(r->flow->runner, &command);
	}
	if (out >= 0)
		close(out);
	if (err >= 0)
		close(err);
	launch_fini(&launch);
	return e;
}

/* A start that failed is an attempt that failed; told on the loop's next turn, not from within. */
static void fail_soon(struct run *r)
{
	r->phase = UNSTARTED;
	set_timer(r, 0);
}

static bool copy_strings(struct run *r, const struct store_run *record)
{
	r->source = bytes_dup(bytes_of(record->source));
	r->job = bytes_dup(bytes_of(record->job));
	r->status = bytes_dup(bytes_of(record->status));
	memcpy(r->id, record->id, sizeof(r->id));
	r->fields = (struct log_fields){.source = r->source,
		.id = r->job,
		.status = r->status,
		.outcome = outcome_name(r->outcome),
		.hook = r->hook->name,
		.run = r->id,
		.attempt = r->attempt};
	return r->source && r->job && (r->status || !record->status);
}

int run_start(struct flow *flow, const struct hook *hook, const struct store_run *record,
	void (*on_over)(void *arg, struct run *run, const struct run_end *end), void *arg,
	struct run **ret)
{
	static uint64_t last_tag;
	struct run *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*r = (struct run){.flow = flow,
		.config = config_ref(flow->config),
		.hook = hook,
		.phase = SPAWNED,
		.tag = ++last_tag,
		.number = record->number,
		.attempt = record->attempt,
		.outcome = record->outcome,
		.started_usec = clock_wall_usec(),
		.started_mono_usec = clock_mono_usec(),
		.out.fd = -1,
		.err.fd = -1,
		.on_over = on_over,
		.arg = arg};
	r->timer = evtimer_new(flow->base, on_timer, r);
	if (!r->timer || !copy_strings(r, record)) {
		run_free(r);
		return -ENOMEM;
	}
	flow->counters.runs_started++;
	set_timer(r, hook->timeout_usec);
	if (r->attempt > hook->retries + 1 + EXTRA_STARTS) {
		snprintf(r->reason, sizeof(r->reason),
			"each of its last processes ended with the daemon");
		fail_soon(r);
		*ret = r;
		return 0;
	}
	int e = spawn(r, record);
	if (e < 0) {
		snprintf(r->reason, sizeof(r->reason), "could not be started: %s",
			strerrordesc_np(-e));
		r->shortage = is_shortage(-e);
		fail_soon(r);
	} else
		log_event(LOG_RUN_STARTED, &r->fields,
			"Hook %s starts for %s/%s (attempt %u)", hook->name, r->source,
			log_escapes(r->job), r->attempt);
	*ret = r;
	return 0;
}
