/* GET /v1/status: how the daemon is, and first what is wrong with it (troubles.h). Nothing here asks
 * the store: it answers while the disk hangs. */
#include "api/call.h"
#include "api/json.h"
#include "api/troubles.h"
#include "base/clock.h"
#include "flow/ask.h"
#include "flow/dispatch.h"
#include "flow/feed.h"
#include "flow/keyring.h"
#include "flow/tally.h"
#include "io/log.h"

#include <unistd.h>

/* What is asked of a source; null where it cannot be asked. */
static json_t *of_asking(const struct flow *f, const struct source *s)
{
	struct ask_state state;

	if (!source_answers(s))
		return json_null();
	ask_look(f->ask, s->name, &state);
	return json_pack("{s:I, s:I, s:i, s:o, s:o, s:o}", "asked",
		(json_int_t)state.asked, "failed", (json_int_t)state.failed, "under_way",
		(int)state.under_way, "next", json_of_time(state.next_usec),
		"waiting_since", json_of_time(state.oldest_usec), "trouble",
		json_of_text(bytes_of(state.trouble)));
}

static json_t *list_sources(const struct flow *f)
{
	const struct config *config = f->config;
	json_t *list = json_array();

	for (size_t i = 0; i < config->n_sources; i++) {
		const struct source *s = config->sources[i];
		json_t *o = json_pack("{s:s, s:s, s:s?, s:b, s:b, s:o}", "name", s->name,
			"path", s->path, "preset", s->preset, "uploads",
			s->upload_url != NULL, "confirm", s->confirm, "asking",
			of_asking(f, s));

		if (json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *of_keys(const char *source, const struct keyring_state *k)
{
	return json_pack("{s:s?, s:s, s:o, s:I, s:o, s:o, s:I, s:i, s:o}", "source",
		source, "kind", k->kind == VERIFY_KEYS_SET ? "keys" : "certificate",
		"url", json_of_text(bytes_of(k->url)), "keys", (json_int_t)k->n_keys,
		"fetched", json_of_time(k->fetched_usec), "tried",
		json_of_time(k->tried_usec), "asked", (json_int_t)k->asked, "waiting",
		(int)k->waiting, "trouble", json_of_text(bytes_of(k->trouble)));
}

static void add_certificate(void *arg, const struct keyring_state *k)
{
	json_t **list = arg;

	if (k->kind == VERIFY_KEYS_CERTIFICATE && *list &&
		json_array_append_new(*list, of_keys(NULL, k)) < 0)
		json_decref(CONSUME(*list));
}

/* A line for each KeysURL=, and for each certificate that was wanted. */
static json_t *list_keys(const struct flow *f)
{
	const struct config *config = f->config;
	json_t *list = json_array();
	struct keyring_state k;

	for (size_t i = 0; list && i < config->n_sources; i++) {
		const struct source *s = config->sources[i];
		if (!s->keys_url)
			continue;
		keyring_look(f->keyring, s, VERIFY_KEYS_SET, s->keys_url, &k);
		if (json_array_append_new(list, of_keys(s->name, &k)) < 0)
			json_decref(CONSUME(list));
	}
	keyring_each(f->keyring, add_certificate, &list);
	return list;
}

static json_t *of_store(struct store *s)
{
	const struct store_counts n = store_counts(s);

	return json_pack("{s:s, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"name", store_name(s), "seq", (json_int_t)n.seq, "healthy",
		store_healthy(s), "jobs", (json_int_t)n.jobs, "jobs_pending",
		(json_int_t)n.pending, "jobs_asked_for", (json_int_t)n.asking,
		"callbacks", (json_int_t)n.callbacks, "commits", (json_int_t)n.commits,
		"size_bytes", (json_int_t)n.bytes, "queue", (json_int_t)n.queue,
		"recovered_runs", (json_int_t)store_recovered(s));
}

static json_t *of_runs(const struct flow *f)
{
	const struct store_counts n = store_counts(f->store);
	const struct flow_counters *k = &f->counters;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i}", "waiting",
		(json_int_t)n.waiting, "running", (json_int_t)n.running, "dead",
		(json_int_t)n.dead, "done", (json_int_t)n.done, "started",
		(json_int_t)k->runs_started, "failed", (json_int_t)k->runs_failed,
		"timed_out", (json_int_t)k->runs_timed_out, "slots_used",
		(int)dispatch_slots_used(f->dispatch), "slots",
		(int)f->config->max_concurrent);
}

static json_t *of_callbacks(const struct flow_counters *k)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "accepted",
		(json_int_t)k->accepted, "repeated", (json_int_t)k->repeated, "refused",
		(json_int_t)k->refused, "unverified", (json_int_t)k->unverified,
		"unavailable", (json_int_t)k->unavailable, "unreadable",
		(json_int_t)k->unreadable);
}

static json_t *of_last_error(void)
{
	const struct log_problem p = log_last_problem();

	if (!p.time_usec)
		return json_null();
	return json_pack("{s:o, s:o}", "time", json_of_time(p.time_usec), "error",
		json_of_text(bytes_of(p.text)));
}

/* Callbacks a second, over the last minutes or since the start. */
static json_t *of_rates(struct tally *t)
{
	const uint64_t minute = 60 * USEC_PER_SEC, now = clock_mono_usec();

	return json_pack("{s:f, s:f, s:f}", "1min",
		meter_rate(&t->callbacks, minute, now), "5min",
		meter_rate(&t->callbacks, 5 * minute, now), "15min",
		meter_rate(&t->callbacks, 15 * minute, now));
}

static json_t *of_oldest(const struct flow *f)
{
	struct troubles_oldest oldest = troubles_oldest(f);

	if (!oldest.hook)
		return json_null();
	return json_pack(
		"{s:s, s:o}", "hook", oldest.hook, "due", json_of_time(oldest.due_usec));
}

static json_t *list_words(const struct words *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->size; i++)
		if (json_array_append_new(list, json_of_text(bytes_of(w->list[i]))) < 0)
			json_decref(CONSUME(list));
	return list;
}

static json_t *of_configuration(const struct flow *f)
{
	const struct flow_reload *r = &f->reload;

	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "path", f->config_path, "loaded",
		json_of_time(r->loaded_usec), "refused", json_of_time(r->refused_usec),
		"problem", r->problem ? json_of_text(bytes_of(r->problem)) : json_null(),
		"fixed_files", list_words(&f->config->credentials));
}

void control_misc_status(struct call *c)
{
	const struct control_hooks *h = &c->control->hooks;
	struct flow *f = c->flow;
	int64_t now = clock_wall_usec();
	struct control_doors doors = control_doors(h);
	json_t *status = json_pack(
		"{s:s, s:i, s:o, s:I, s:b, s:s, s:s?, s:o, s:o, s:o, s:o, s:I, s:i, "
		"s:o, s:o, s:o, s:o}",
		"version", VERSION, "pid", (int)getpid(), "started",
		json_of_time(f->started_usec), "uptime_seconds",
		(json_int_t)((now - f->started_usec) / (int64_t)USEC_PER_SEC), "stopping",
		f->stopping, "config_path", f->config_path, "public_url",
		f->config->public_url, "listeners",
		h->listeners ? h->listeners(h->arg) : json_array(), "store",
		of_store(f->store), "runs", of_runs(f), "callbacks",
		of_callbacks(&f->counters), "log_dropped", (json_int_t)log_dropped(),
		"waiting_clients", (int)feed_waiting(f->feed), "last_error",
		of_last_error(), "sources", list_sources(f), "keys", list_keys(f),
		"hooks", control_hooks_list(f));
	json_t *more = json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "problems",
		troubles_list(f, &doors), "configuration", of_configuration(f), "rates",
		of_rates(f->tally), "oldest_waiting", of_oldest(f), "connections",
		(json_int_t)doors.connections, "certificate_expires",
		json_of_time(doors.certificate_expires_usec));

	if (!more || json_object_update(status, more) < 0)
		json_decref(CONSUME(status));
	json_decref(more);
	call_json(c, 200, status);
}
