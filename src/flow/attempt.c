/* From a claim to a settle; see attempt.h. */
#include "flow/attempt.h"

#include "base/clock.h"
#include "flow/tally.h"
#include "rules/backoff.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * A run that ended with the daemon is started again at most this often beyond 1 + Retries=: a
 * hook that kills its daemon ends as dead all the same.
 */
#define EXTRA_STARTS 2
#define EX_TEMPFAIL  75 /* sysexits.h: the hook itself asks for another try */

static bool copy_strings(struct attempt *a, const struct store_run *record)
{
	a->source = bytes_dup(bytes_of(record->source));
	a->job = bytes_dup(bytes_of(record->job));
	a->status = bytes_dup(bytes_of(record->status));
	memcpy(a->id, record->id, sizeof(a->id));
	a->fields = (struct log_fields){.source = a->source,
		.id = a->job,
		.status = a->status,
		.outcome = outcome_name(a->outcome),
		.hook = a->hook->name,
		.run = a->id,
		.attempt = a->attempt};
	return a->source && a->job && (a->status || !record->status);
}

int attempt_init(struct attempt *a, const struct attempt_kind *kind, struct flow *flow,
	const struct hook *hook, const struct store_run *record, attempt_on_over *on_over,
	void *arg)
{
	*a = (struct attempt){.kind = kind,
		.flow = flow,
		.config = config_ref(flow->config),
		.hook = hook,
		.number = record->number,
		.attempt = record->attempt,
		.outcome = record->outcome,
		.received_usec = record->received_usec,
		.is_first = !record->replay_of && !record->dead_of,
		.started_usec = clock_wall_usec(),
		.started_mono_usec = clock_mono_usec(),
		.on_over = on_over,
		.arg = arg};
	return copy_strings(a, record) ? 0 : -ENOMEM;
}

void attempt_fini(struct attempt *a)
{
	store_op_fini(&a->settle.op);
	free(a->dead_wishes);
	free(a->source);
	free(a->job);
	free(a->status);
	config_unref(a->dead_config);
	config_unref(a->config);
}

void attempt_tell_end(struct attempt *a, void (*on_ended)(void *arg))
{
	a->on_ended = on_ended;
}

void attempt_blame(struct attempt *a, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(a->reason, sizeof(a->reason), format, ap);
	va_end(ap);
}

bool attempt_is_spent(struct attempt *a)
{
	if (a->attempt <= a->hook->retries + 1 + EXTRA_STARTS)
		return false;
	attempt_blame(a, "each of its last processes ended with the daemon");
	return true;
}

void attempt_started(struct attempt *a)
{
	a->flow->counters.runs_started++;
	a->started_usec = clock_wall_usec();
	a->started_mono_usec = clock_mono_usec();
	tally_hook(a->flow->tally, a->hook->name)->started++;
	/* A replay and a death are about a callback of long ago. */
	if (a->attempt == 1 && a->is_first && a->started_usec >= a->received_usec)
		histogram_add(&a->flow->tally->delays, &histogram_slow,
			(uint64_t)(a->started_usec - a->received_usec));
	log_event(LOG_RUN_STARTED, &a->fields, "Hook %s starts for %s/%s (attempt %u)",
		a->hook->name, a->source, log_escapes(a->job), a->attempt);
}

static bool is_uncounted(enum attempt_result result)
{
	return result == ATTEMPT_SHORT || result == ATTEMPT_STOPPED ||
	       result == ATTEMPT_SET_BACK;
}

/* done, waiting or dead; and of waiting: when. */
static void judge(const struct attempt *a, const struct attempt_end *end,
	enum runstate *state, int64_t *due_usec)
{
	const struct hook *h = a->hook;
	int64_t now = clock_steady_usec();

	*state = RUN_WAITING;
	*due_usec = now;
	switch (end->result) {
	case ATTEMPT_SUCCEEDED: *state = RUN_DONE; break;
	case ATTEMPT_HOPELESS: *state = RUN_DEAD; break;
	case ATTEMPT_FAILED:
		if (a->attempt > h->retries)
			*state = RUN_DEAD;
		else
			*due_usec += (int64_t)backoff_usec(
				h->retry_delay_usec, h->retry_delay_max_usec, a->attempt);
		break;
	case ATTEMPT_SHORT: *due_usec += (int64_t)SHORTAGE_USEC; break;
	case ATTEMPT_STOPPED:
	case ATTEMPT_NONE: break;
	case ATTEMPT_SET_BACK:
		if (end->due_usec > now)
			*due_usec = end->due_usec;
		break;
	}
	if (*state != RUN_WAITING)
		*due_usec = 0;
}

static double seconds_until(int64_t due_usec)
{
	int64_t left = due_usec - clock_steady_usec();
	return left > 0 ? (double)left / (double)USEC_PER_SEC : 0;
}

static void log_retry(const struct attempt *a, enum attempt_result result)
{
	const char *hook = a->hook->name;
	double seconds = seconds_until(a->settle.due_usec);

	if (result == ATTEMPT_STOPPED)
		log_event(LOG_RUN_INTERRUPTED, &a->fields,
			"Hook %s was ended with the daemon; it starts again with it",
			hook);
	else if (result == ATTEMPT_SET_BACK)
		log_event(LOG_RUN_SET_BACK, &a->fields,
			"Hook %s: %s; that is not counted, again in %.1f s", hook,
			a->reason, seconds);
	else if (result == ATTEMPT_SHORT)
		log_event(LOG_RUN_FAILED, &a->fields,
			"Hook %s %s; that is no fault of its own and not counted, again "
			"in %.1f s",
			hook, a->reason, seconds);
	else
		log_event(a->settle.exit_status == EX_TEMPFAIL ? LOG_RUN_RETRY_ASKED
							       : LOG_RUN_FAILED,
			&a->fields,
			"Hook %s failed (attempt %u of %u): %s; again in %.1f s", hook,
			a->attempt, a->hook->retries + 1, a->reason, seconds);
}

static void log_end(const struct attempt *a, enum attempt_result result)
{
	double seconds = (double)a->fields.duration_usec / (double)USEC_PER_SEC;

	if (a->settle.state == RUN_DONE)
		log_event(LOG_RUN_DONE, &a->fields,
			"Hook %s is done (attempt %u, %.3f s)", a->hook->name, a->attempt,
			seconds);
	else if (a->settle.state == RUN_DEAD)
		log_event(LOG_RUN_DEAD, &a->fields,
			"Hook %s is dead after attempt %u: %s; replay it with: "
			"callbackctl replay %s",
			a->hook->name, a->attempt, a->reason, a->id);
	else
		log_retry(a, result);
}

static void count_end(const struct attempt *a)
{
	struct tally_hook *t = tally_hook(a->flow->tally, a->hook->name);

	t->done += a->settle.state == RUN_DONE;
	t->died += a->settle.state == RUN_DEAD;
	t->failed += a->settle.state != RUN_DONE && !a->settle.uncounted;
	if (!a->settle.uncounted)
		histogram_add(&t->duration, &histogram_slow, a->fields.duration_usec);
}

static void on_settled(struct store_op *op)
{
	struct attempt *a = op->arg;
	struct run_end end = {a->hook->name, a->settle.state, a->settle.due_usec,
		a->result == ATTEMPT_FAILED};

	/* -ENOENT: the store has it settled otherwise (forgotten by a person); nothing to mend. */
	if (op->result == 0) {
		count_end(a);
		log_end(a, a->result);
	}
	a->on_over(a->arg, a, &end);
}

/* Hooks that want to be told of this death. Without memory nobody is told; the run is still dead. */
static void wish_for_the_dead(struct attempt *a)
{
	const struct config *c = a->dead_config = config_ref(a->flow->config);

	a->dead_wishes = calloc(c->n_hooks ? c->n_hooks : 1, sizeof(*a->dead_wishes));
	if (!a->dead_wishes)
		return;
	a->settle.dead_wishes = a->dead_wishes;
	for (size_t i = 0; i < c->n_hooks; i++) {
		const struct hook *h = c->hooks[i];
		if (!h->on_dead || strcmp(h->name, a->hook->name) == 0)
			continue;
		if (!hook_takes_source(h, a->source))
			continue;
		a->dead_wishes[a->settle.n_dead_wishes++] = (struct store_wish){
			.hook = h->name};
	}
}

void attempt_settle(struct attempt *a, const struct attempt_end *end)
{
	struct store_settle *s = &a->settle;

	if (a->result != ATTEMPT_NONE)
		return;
	a->result = end->result;
	judge(a, end, &s->state, &s->due_usec);
	s->op = (struct store_op){.kind = STORE_SETTLE, .on_done = on_settled, .arg = a};
	s->run = a->number;
	s->uncounted = is_uncounted(end->result);
	s->attempt = a->attempt;
	s->started_usec = a->started_usec;
	s->finished_usec = clock_wall_usec();
	s->exit_status = end->exit_status;
	s->signal = end->signal;
	s->reason = a->reason[0] ? a->reason : NULL;
	s->stdout_tail = end->out;
	s->stderr_tail = end->err;
	s->truncated = end->truncated;
	if (s->state == RUN_DEAD)
		wish_for_the_dead(a);
	a->fields.duration_usec = clock_mono_usec() - a->started_mono_usec;
	a->fields.has_exit_status = s->exit_status >= 0;
	a->fields.exit_status = s->exit_status;
	if (s->state != RUN_DONE && !s->uncounted)
		a->flow->counters.runs_failed++;
	/* Settles are never refused for a full queue. */
	int ignored = store_submit(a->flow->store, &s->op);
	(void)ignored;
	if (a->on_ended)
		a->on_ended(a->arg);
}
