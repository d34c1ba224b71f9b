/*
 * The JSON shapes of jobs, runs and changes. Times are RFC 3339 in UTC or null. A builder
 * is checked once, at its end: `bad` remembers an allocation that failed.
 */
#include "api/json.h"

#include "api/explain.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/text.h"
#include "base/utf8.h"

struct object {
	json_t *json;
	bool bad;
};

static struct object object_new(void)
{
	json_t *o = json_object();

	return (struct object){o, !o};
}

static void put(struct object *o, const char *key, json_t *value)
{
	if (json_object_set_new(o->json, key, value) < 0)
		o->bad = true;
}

static json_t *object_take(struct object *o)
{
	if (o->bad) {
		json_decref(o->json);
		return NULL;
	}
	return o->json;
}

json_t *json_of_time(int64_t wall_usec)
{
	char buffer[CLOCK_TEXT_SIZE];

	return wall_usec ? json_string(clock_format(wall_usec, buffer)) : json_null();
}

json_t *json_of_text(struct bytes b)
{
	struct text t = TEXT_EMPTY;
	json_t *json = NULL;

	if (!b.data)
		return json_null();
	if (utf8_valid(b))
		return json_stringn(b.data, b.size);
	while (b.size > 0) {
		uint32_t c;
		size_t n = utf8_char(b, &c);

		if (n > 0)
			text_add(&t, (struct bytes){b.data, n});
		else
			text_adds(&t, "\xef\xbf\xbd");
		b.data += n ? n : 1;
		b.size -= n ? n : 1;
	}
	if (!t.failed)
		json = json_stringn(t.data, t.size);
	text_fini(&t);
	return json;
}

static json_t *of_string(const char *s)
{
	return json_of_text(bytes_of(s));
}

static json_t *of_base64(struct bytes b)
{
	CLEANUP(freep) char *s = codec_base64_encode(b.data, b.size);

	return s ? json_string(s) : NULL;
}

static json_t *of_count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *of_int_or_null(int64_t n)
{
	return n < 0 ? json_null() : json_integer((json_int_t)n);
}

/* The output of a hook: always readable under its own name, and exact where that would
 * lose bytes. */
static void put_output(
	struct object *o, const char *key, const char *key_base64, struct bytes b)
{
	if (!b.data)
		b = bytes_of("");
	put(o, key, json_of_text(b));
	if (!utf8_valid(b))
		put(o, key_base64, of_base64(b));
}

static void put_run_id(
	struct object *o, const char *key, const char *store_name, uint64_t number)
{
	CLEANUP(freep) char *id = NULL;

	if (number)
		id = text_format("%s-%llu", store_name, (unsigned long long)number);
	put(o, key, !number ? json_null() : id ? of_string(id) : NULL);
}

json_t *json_of_run(const struct store_run *r, const char *store_name, bool with_output)
{
	struct object o = object_new();

	put(&o, "run", of_string(r->id));
	put(&o, "hook", of_string(r->hook));
	put(&o, "source", of_string(r->source));
	put(&o, "id", of_string(r->job));
	put(&o, "status", of_string(r->status));
	put(&o, "outcome", of_string(outcome_name(r->outcome)));
	put(&o, "state", of_string(runstate_name(r->state)));
	put(&o, "attempt", of_count(r->attempt));
	put(&o, "due", json_of_time(r->due_usec));
	put(&o, "started", json_of_time(r->started_usec));
	put(&o, "finished", json_of_time(r->finished_usec));
	put(&o, "exit_status", of_int_or_null(r->exit_status));
	put(&o, "signal", r->signal > 0 ? json_integer(r->signal) : json_null());
	put(&o, "reason", of_string(r->reason));
	if (with_output) {
		put_output(&o, "stdout", "stdout_base64", r->stdout_tail);
		put_output(&o, "stderr", "stderr_base64", r->stderr_tail);
	}
	put(&o, "truncated", json_boolean(r->truncated));
	put(&o, "test", json_boolean(r->test));
	put_run_id(&o, "replay_of", store_name, r->replay_of);
	put_run_id(&o, "replayed_by", store_name, r->replayed_by);
	put_run_id(&o, "dead_of", store_name, r->dead_of);
	return object_take(&o);
}

static void put_job(struct object *o, const struct store_job *j)
{
	enum outcome outcome = j->outcome == OUTCOME_NONE ? OUTCOME_PENDING : j->outcome;

	put(o, "source", of_string(j->source));
	put(o, "id", of_string(j->id));
	put(o, "status", of_string(j->status));
	put(o, "outcome", of_string(outcome_name(outcome)));
	put(o, "received", json_of_time(j->received_usec));
	put(o, "updated", json_of_time(j->updated_usec));
	put(o, "expected", json_of_time(j->expected_usec));
	put(o, "confirmed", json_of_time(j->confirmed_usec));
	put(o, "next_ask", json_of_time(j->ask_at_usec));
	put(o, "asked", of_count(j->asked));
	put(o, "ask_error", of_string(j->ask_error));
	put(o, "deliveries", of_count(j->deliveries));
	put(o, "public_url", of_string(j->public_url));
	put(o, "size_bytes", of_int_or_null(j->size_bytes));
}

json_t *json_of_job(const struct store_job *j)
{
	struct object o = object_new();

	put_job(&o, j);
	return object_take(&o);
}

static void put_payload(struct object *o, const struct store_job *j)
{
	if (!j->has_payload)
		put(o, "payload", json_null());
	else if (j->payload.size == 0)
		put(o, "payload", json_string(""));
	else if (utf8_valid(j->payload))
		put(o, "payload", json_stringn(j->payload.data, j->payload.size));
	else
		put(o, "payload_base64", of_base64(j->payload));
}

json_t *json_of_job_in_full(
	const struct store_job *j, const struct config *config, const char *store_name)
{
	struct object o = object_new();
	json_t *runs = json_array();

	put_job(&o, j);
	put_payload(&o, j);
	for (size_t i = 0; i < j->n_runs; i++)
		if (json_array_append_new(
			    runs, json_of_run(&j->runs[i], store_name, true)))
			o.bad = true;
	put(&o, "runs", runs);
	put(&o, "hooks", explain_hooks(config, j));
	return object_take(&o);
}

json_t *json_of_change(const struct store_change *c, const char *store_name)
{
	struct object o = object_new();

	put(&o, "seq", of_count(c->seq));
	put(&o, "time", json_of_time(c->time_usec));
	if (c->is_run)
		put(&o, "run", json_of_run(&c->run, store_name, false));
	else
		put(&o, "job", json_of_job(&c->job));
	return object_take(&o);
}

json_t *json_of_gap(uint64_t after, uint64_t next)
{
	struct object o = object_new();

	put(&o, "seq", of_count(next - 1));
	put(&o, "time", json_of_time(clock_wall_usec()));
	put(&o, "gap",
		json_pack("{s:I, s:I}", "after", (json_int_t)after, "next",
			(json_int_t)next));
	return object_take(&o);
}
