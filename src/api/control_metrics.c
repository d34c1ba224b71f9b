/*
 * GET /metrics in the text form of OpenMetrics 1.0: base units, counters end in _total,
 * one # EOF at the end.
 */
#include "api/call.h"
#include "base/clock.h"
#include "base/text.h"
#include "flow/ask.h"
#include "flow/dispatch.h"
#include "flow/feed.h"
#include "io/log.h"

static void gauge(struct text *t, const char *name, const char *help, uint64_t value)
{
	text_addf(t,
		"# TYPE callbackd_%s gauge\n# HELP callbackd_%s %s\ncallbackd_%s %llu\n",
		name, name, help, name, (unsigned long long)value);
}

static void counter_begin(struct text *t, const char *name, const char *help)
{
	text_addf(t, "# TYPE callbackd_%s counter\n# HELP callbackd_%s %s\n", name, name,
		help);
}

static void counter(struct text *t, const char *name, const char *help, uint64_t value)
{
	counter_begin(t, name, help);
	text_addf(t, "callbackd_%s_total %llu\n", name, (unsigned long long)value);
}

static void sample(struct text *t, const char *name, const char *label, const char *value,
	uint64_t n)
{
	text_addf(t, "callbackd_%s{%s=\"%s\"} %llu\n", name, label, value,
		(unsigned long long)n);
}

static void add_callbacks(struct text *t, const struct flow_counters *k)
{
	const char *const name = "callbacks_total";

	counter_begin(t, "callbacks", "Requests of senders, by what became of them.");
	sample(t, name, "result", "accepted", k->accepted - k->repeated);
	sample(t, name, "result", "repeated", k->repeated);
	sample(t, name, "result", "refused", k->refused);
	sample(t, name, "result", "unverified", k->unverified);
	sample(t, name, "result", "unavailable", k->unavailable);
	counter(t, "callbacks_unreadable",
		"Accepted or repeated ones that no id or status can be read from.",
		k->unreadable);
}

static void add_runs(struct text *t, const struct store_counts *n, const struct flow *f)
{
	const struct flow_counters *k = &f->counters;

	text_adds(t,
		"# TYPE callbackd_runs gauge\n# HELP callbackd_runs Runs of hooks, by "
		"state.\n");
	sample(t, "runs", "state", "waiting", n->waiting);
	sample(t, "runs", "state", "running", n->running);
	sample(t, "runs", "state", "dead", n->dead);
	counter(t, "runs_done", "Runs that succeeded.", n->done);
	counter(t, "attempts_started", "Processes of hooks started.", k->runs_started);
	counter(t, "attempts_failed", "Attempts that failed.", k->runs_failed);
	counter(t, "attempts_timed_out", "Attempts ended by Timeout=.",
		k->runs_timed_out);
	gauge(t, "run_slots", "MaxConcurrent= of the daemon.", f->config->max_concurrent);
	gauge(t, "run_slots_used", "Slots taken now.", dispatch_slots_used(f->dispatch));
}

static void add_store(struct text *t, const struct store_counts *n, const struct flow *f)
{
	gauge(t, "jobs", "Jobs in the store.", n->jobs);
	gauge(t, "jobs_asked_for", "Jobs that their source is to be asked for.",
		n->asking);
	gauge(t, "jobs_pending", "Jobs without a terminal outcome.", n->pending);
	gauge(t, "store_healthy", "1 while the store can commit.",
		store_healthy(f->store));
	gauge(t, "store_queue", "Operations that wait for the writer.", n->queue);
	text_adds(t, "# TYPE callbackd_store_size_bytes gauge\n"
		     "# UNIT callbackd_store_size_bytes bytes\n"
		     "# HELP callbackd_store_size_bytes Size of the store's files.\n");
	text_addf(t, "callbackd_store_size_bytes %llu\n", (unsigned long long)n->bytes);
	counter(t, "store_commits", "Transactions committed.", n->commits);
}

enum asked { ASKED, ASK_FAILED, ASK_OVERDUE };

/* A sample of each source that can be asked. */
static void add_asked(
	struct text *t, const struct flow *f, const char *name, enum asked what)
{
	const struct config *c = f->config;
	int64_t now = clock_steady_usec();

	for (size_t i = 0; i < c->n_sources; i++) {
		const char *source = c->sources[i]->name;
		struct ask_state state;
		if (!source_answers(c->sources[i]))
			continue;
		ask_look(f->ask, source, &state);
		bool overdue = state.next_usec && state.next_usec < now;
		const uint64_t values[] = {
			[ASKED] = state.asked,
			[ASK_FAILED] = state.failed,
			[ASK_OVERDUE] = overdue ? (uint64_t)(now - state.next_usec) /
							  USEC_PER_SEC
						: 0,
		};
		sample(t, name, "source", source, values[what]);
	}
}

static void add_questions(struct text *t, const struct flow *f)
{
	bool any = false;

	for (size_t i = 0; i < f->config->n_sources; i++)
		any = any || source_answers(f->config->sources[i]);
	if (!any) /* a family has samples */
		return;
	counter_begin(t, "questions", "Questions put at StatusURL.");
	add_asked(t, f, "questions_total", ASKED);
	counter_begin(t, "questions_failed", "Those that told nothing of the job.");
	add_asked(t, f, "questions_failed_total", ASK_FAILED);
	text_adds(t, "# TYPE callbackd_questions_overdue_seconds gauge\n"
		     "# UNIT callbackd_questions_overdue_seconds seconds\n"
		     "# HELP callbackd_questions_overdue_seconds For how long the first "
		     "in line has been due.\n");
	add_asked(t, f, "questions_overdue_seconds", ASK_OVERDUE);
}

void control_misc_metrics(struct call *c)
{
	const struct flow *f = c->flow;
	const struct store_counts n = store_counts(f->store);
	struct text t = TEXT_EMPTY;

	text_adds(&t, "# TYPE callbackd_build info\n# HELP callbackd_build The program.\n"
		      "callbackd_build_info{version=\"" VERSION "\"} 1\n");
	text_adds(&t, "# TYPE callbackd_start_time_seconds gauge\n"
		      "# UNIT callbackd_start_time_seconds seconds\n"
		      "# HELP callbackd_start_time_seconds When the daemon started.\n");
	text_addf(&t, "callbackd_start_time_seconds %lld.%06lld\n",
		(long long)f->started_usec / 1000000,
		(long long)f->started_usec % 1000000);
	add_callbacks(&t, &f->counters);
	add_runs(&t, &n, f);
	add_store(&t, &n, f);
	add_questions(&t, f);
	gauge(&t, "control_waits", "Long polls and watchers.", feed_waiting(f->feed));
	counter(&t, "log_dropped", "Log records dropped.", log_dropped());
	text_adds(&t, "# EOF\n");
	if (t.failed)
		call_error(c, 503, "out of memory");
	else
		call_text(c, 200,
			"application/openmetrics-text; version=1.0.0; charset=utf-8",
			text_bytes(&t));
	text_fini(&t);
}
