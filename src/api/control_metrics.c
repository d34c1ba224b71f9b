/*
 * GET /metrics: what is counted, as OpenMetrics. Only what is in memory: no question to the store,
 * whatever its size, and an answer while its disk hangs. Labels are sources and hooks of the
 * configuration, and words of our own; a family that would have no sample is left out.
 */
#include "api/call.h"
#include "api/openmetrics.h"
#include "base/clock.h"
#include "flow/ask.h"
#include "flow/dispatch.h"
#include "flow/feed.h"
#include "flow/tally.h"
#include "io/log.h"

#include <stdio.h>

/* ---- The daemon ---- */

static void add_daemon(struct metrics *m, const struct flow *f)
{
	const struct log_problem error = log_last_problem();

	metrics_family(m, METRICS_INFO, "build", "The program.");
	metrics_sample(m, 1, "version", VERSION, NULL);
	metrics_family(m, METRICS_GAUGE, "start_time_seconds",
		"When the daemon started, Unix time.");
	metrics_seconds(m, f->started_usec, NULL, NULL);
	metrics_gauge(m, "config_last_reload_successful", !f->reload.refused_usec,
		"0 while the last reload was refused and an older configuration is at "
		"work.");
	metrics_family(m, METRICS_GAUGE, "config_loaded_timestamp_seconds",
		"When the configuration at work was read, Unix time.");
	metrics_seconds(m, f->reload.loaded_usec, NULL, NULL);
	metrics_family(m, METRICS_GAUGE, "last_error_timestamp_seconds",
		"When something was last logged at error or above, Unix time; 0 = "
		"never.");
	metrics_seconds(m, error.time_usec, NULL, NULL);
	metrics_counter(m, "log_dropped", log_dropped(), "Log records dropped.");
	metrics_gauge(m, "control_waits", feed_waiting(f->feed),
		"Long polls and watchers on the control socket.");
}

static void add_doors(struct metrics *m, const struct control_doors *doors)
{
	metrics_gauge(m, "connections", doors->connections,
		"Connections open at the public listeners.");
	if (!doors->certificate_expires_usec)
		return;
	metrics_family(m, METRICS_GAUGE, "certificate_expiry_timestamp_seconds",
		"When the certificate of ListenTLS= ends, Unix time.");
	metrics_seconds(m, doors->certificate_expires_usec, NULL, NULL);
}

/* ---- Callbacks ---- */

static void add_refusals(struct metrics *m, const struct tally *t)
{
	metrics_family(m, METRICS_COUNTER, "requests_refused",
		"Requests that were no callback of any source, by answer; closed: "
		"without one.");
	for (size_t i = 0; i < TALLY_REFUSALS; i++) {
		char code[12];
		snprintf(code, sizeof(code), "%d", tally_refusal_status(i));
		metrics_sample(m, t->refusals[i], "code",
			tally_refusal_status(i) ? code : "closed", NULL);
	}
}

static void add_callbacks(struct metrics *m, const struct flow *f)
{
	const struct config *c = f->config;

	add_refusals(m, f->tally);
	metrics_family(m, METRICS_HISTOGRAM, "answer_duration_seconds",
		"From a callback's whole head to its answer.");
	metrics_histogram(m, &f->tally->answers, &histogram_quick, NULL, NULL);
	if (!c->n_sources)
		return;
	metrics_family(m, METRICS_COUNTER, "callbacks",
		"Callbacks of a source, by what became of them.");
	for (size_t i = 0; i < c->n_sources; i++) {
		const char *name = c->sources[i]->name;
		const struct tally_source *s = tally_source(f->tally, name);
		metrics_sample(
			m, s->accepted, "source", name, "result", "accepted", NULL);
		metrics_sample(
			m, s->repeated, "source", name, "result", "repeated", NULL);
		metrics_sample(
			m, s->unverified, "source", name, "result", "unverified", NULL);
		metrics_sample(
			m, s->unavailable, "source", name, "result", "unavailable", NULL);
	}
	metrics_family(m, METRICS_COUNTER, "callbacks_unreadable",
		"Accepted or repeated ones that no id or status can be read from.");
	for (size_t i = 0; i < c->n_sources; i++)
		metrics_sample(m, tally_source(f->tally, c->sources[i]->name)->unreadable,
			"source", c->sources[i]->name, NULL);
	metrics_family(m, METRICS_COUNTER, "jobs_moved",
		"Jobs that came to an outcome, by what a callback or the source said.");
	for (size_t i = 0; i < c->n_sources; i++)
		for (int o = OUTCOME_PENDING; o < OUTCOME_MAX; o++)
			metrics_sample(m,
				tally_source(f->tally, c->sources[i]->name)->outcomes[o],
				"source", c->sources[i]->name, "outcome",
				outcome_name((enum outcome)o), NULL);
}

/* ---- Hooks ---- */

enum hook_value {
	STARTED,
	FAILED,
	TIMED_OUT,
	DONE,
	DIED,
	RUNNING,
	PAUSED,
	SLOWED,
};

static uint64_t value_of(const struct flow *f, const char *hook, enum hook_value what)
{
	const struct tally_hook *t = tally_hook(f->tally, hook);
	struct dispatch_look look = dispatch_look(f->dispatch, hook);

	switch (what) {
	case STARTED: return t->started;
	case FAILED: return t->failed;
	case TIMED_OUT: return t->timed_out;
	case DONE: return t->done;
	case DIED: return t->died;
	case RUNNING: return look.running;
	case PAUSED: return look.paused;
	case SLOWED: return look.window != 0;
	}
	return 0;
}

static void add_each_hook(struct metrics *m, const struct flow *f)
{
	static const struct {
		enum hook_value value;
		enum metrics_kind kind;
		const char *name, *help;
	} families[] = {
		{STARTED, METRICS_COUNTER, "attempts_started", "Attempts begun."},
		{FAILED, METRICS_COUNTER, "attempts_failed", "Attempts that failed."},
		{TIMED_OUT, METRICS_COUNTER, "attempts_timed_out",
			"Attempts ended by Timeout=."},
		{DONE, METRICS_COUNTER, "runs_done", "Runs that succeeded."},
		{DIED, METRICS_COUNTER, "runs_died",
			"Runs that failed for good. How many are dead now is "
			"callbackd_runs."},
		{RUNNING, METRICS_GAUGE, "hook_running", "Runs at work now."},
		{PAUSED, METRICS_GAUGE, "hook_paused", "1 while the hook is paused."},
		{SLOWED, METRICS_GAUGE, "hook_slowed",
			"1 while the hook is slowed because it fails."},
	};

	for (size_t k = 0; k < ARRAY_SIZE(families); k++) {
		metrics_family(m, families[k].kind, families[k].name, families[k].help);
		for (size_t i = 0; i < f->config->n_hooks; i++) {
			const char *name = f->config->hooks[i]->name;
			metrics_sample(m, value_of(f, name, families[k].value), "hook",
				name, NULL);
		}
	}
}

static void add_hooks(struct metrics *m, const struct flow *f)
{
	const struct config *c = f->config;
	int64_t now = clock_steady_usec();

	metrics_family(m, METRICS_HISTOGRAM, "hook_start_delay_seconds",
		"From a callback to the first start of its hook.");
	metrics_histogram(m, &f->tally->delays, &histogram_slow, NULL, NULL);
	if (!c->n_hooks)
		return;
	add_each_hook(m, f);
	metrics_family(m, METRICS_GAUGE, "hook_overdue_seconds",
		"For how long the oldest waiting run of the hook has been due.");
	for (size_t i = 0; i < c->n_hooks; i++) {
		const char *name = c->hooks[i]->name;
		int64_t due = dispatch_look(f->dispatch, name).oldest_due_usec;
		metrics_seconds(m, due ? now - due : 0, "hook", name);
	}
	metrics_family(m, METRICS_HISTOGRAM, "hook_duration_seconds",
		"From an attempt's start to its end.");
	for (size_t i = 0; i < c->n_hooks; i++)
		metrics_histogram(m, &tally_hook(f->tally, c->hooks[i]->name)->duration,
			&histogram_slow, "hook", c->hooks[i]->name);
}

/* ---- The store ---- */

static void add_store(struct metrics *m, const struct flow *f)
{
	const struct store_counts n = store_counts(f->store);
	const struct histogram commits = store_commit_times(f->store);

	metrics_family(m, METRICS_GAUGE, "runs", "Runs of hooks, by state.");
	metrics_sample(m, n.waiting, "state", "waiting", NULL);
	metrics_sample(m, n.running, "state", "running", NULL);
	metrics_sample(m, n.dead, "state", "dead", NULL);
	metrics_gauge(m, "run_slots", f->config->max_concurrent,
		"MaxConcurrent= of the daemon.");
	metrics_gauge(m, "run_slots_used", dispatch_slots_used(f->dispatch),
		"Slots taken now.");
	metrics_gauge(m, "jobs", n.jobs, "Jobs in the store.");
	metrics_gauge(m, "jobs_pending", n.pending, "Jobs without a terminal outcome.");
	metrics_gauge(m, "jobs_asked_for", n.asking,
		"Jobs that their source is to be asked for.");
	metrics_gauge(m, "store_healthy", store_healthy(f->store),
		"1 while the store can commit.");
	metrics_gauge(m, "store_queue", n.queue,
		"Operations that wait for the store's writer.");
	metrics_family(
		m, METRICS_GAUGE, "store_size_bytes", "Size of the store's files.");
	metrics_sample(m, n.bytes, NULL);
	metrics_family(m, METRICS_HISTOGRAM, "store_commit_duration_seconds",
		"Commits that wrote something, until they were on disk.");
	metrics_histogram(m, &commits, &histogram_quick, NULL, NULL);
}

/* ---- Questions to sources ---- */

enum asked { ASKED, ASK_FAILED, ASK_OVERDUE };

/* A sample of each source that can be asked. */
static void add_asked(struct metrics *m, const struct flow *f, enum asked what)
{
	const struct config *c = f->config;
	int64_t now = clock_steady_usec();

	for (size_t i = 0; i < c->n_sources; i++) {
		const char *source = c->sources[i]->name;
		struct ask_state state;
		if (!source_answers(c->sources[i]))
			continue;
		ask_look(f->ask, source, &state);
		if (what == ASK_OVERDUE)
			metrics_seconds(m, state.next_usec ? now - state.next_usec : 0,
				"source", source);
		else
			metrics_sample(m, what == ASKED ? state.asked : state.failed,
				"source", source, NULL);
	}
}

static void add_questions(struct metrics *m, const struct flow *f)
{
	bool any = false;

	for (size_t i = 0; i < f->config->n_sources; i++)
		any = any || source_answers(f->config->sources[i]);
	if (!any)
		return;
	metrics_family(m, METRICS_COUNTER, "questions", "Questions put at StatusURL.");
	add_asked(m, f, ASKED);
	metrics_family(m, METRICS_COUNTER, "questions_failed",
		"Those that told nothing of the job.");
	add_asked(m, f, ASK_FAILED);
	metrics_family(m, METRICS_GAUGE, "questions_overdue_seconds",
		"For how long the first in line has been due.");
	add_asked(m, f, ASK_OVERDUE);
}

void control_misc_metrics(struct call *c)
{
	const struct flow *f = c->flow;
	struct control_doors doors = control_doors(&c->control->hooks);
	struct metrics m = {.text = TEXT_EMPTY};

	add_daemon(&m, f);
	add_doors(&m, &doors);
	add_callbacks(&m, f);
	add_hooks(&m, f);
	add_store(&m, f);
	add_questions(&m, f);
	metrics_end(&m);
	if (m.text.failed)
		call_error(c, 503, "out of memory");
	else
		call_text(c, 200,
			"application/openmetrics-text; version=1.0.0; charset=utf-8",
			text_bytes(&m.text));
	text_fini(&m.text);
}
