/* The control socket's rest: how the daemon is, reload, the test of a source, uploads. */
#include "api/call.h"
#include "api/captured.h"
#include "api/diagnose.h"
#include "api/json.h"
#include "api/selftest.h"
#include "base/clock.h"
#include "flow/ask.h"
#include "flow/dispatch.h"
#include "flow/feed.h"
#include "flow/keyring.h"
#include "flow/upload.h"
#include "io/log.h"

#include <errno.h>
#include <unistd.h>

/* ---- Status ---- */

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

void control_misc_status(struct call *c)
{
	const struct control_hooks *h = &c->control->hooks;
	struct flow *f = c->flow;
	int64_t now = clock_wall_usec();

	call_json(c, 200,
		json_pack("{s:s, s:i, s:o, s:I, s:b, s:s, s:s?, s:o, s:o, s:o, s:o, s:I, "
			  "s:i, "
			  "s:o, s:o, s:o, s:o}",
			"version", VERSION, "pid", (int)getpid(), "started",
			json_of_time(f->started_usec), "uptime_seconds",
			(json_int_t)((now - f->started_usec) / (int64_t)USEC_PER_SEC),
			"stopping", f->stopping, "config_path", f->config_path,
			"public_url", f->config->public_url, "listeners",
			h->listeners ? h->listeners(h->arg) : json_array(), "store",
			of_store(f->store), "runs", of_runs(f), "callbacks",
			of_callbacks(&f->counters), "log_dropped",
			(json_int_t)log_dropped(), "waiting_clients",
			(int)feed_waiting(f->feed), "last_error", of_last_error(),
			"sources", list_sources(f), "keys", list_keys(f), "hooks",
			control_hooks_list(f)));
}

/* ---- Reload ---- */

static json_t *lines_of(const char *text)
{
	struct bytes rest = bytes_of(text ? text : "");
	json_t *list = json_array();

	while (rest.data) {
		struct bytes line = bytes_split(rest, '\n', &rest);

		if (line.size && json_array_append_new(list, json_of_text(line)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

void control_misc_reload(struct call *c)
{
	const struct control_hooks *h = &c->control->hooks;
	CLEANUP(freep) char *problems = NULL;
	int r = h->reload(h->arg, &problems);

	if (r == 0)
		call_json(c, 200, json_object());
	else if (r > 0)
		call_json(c, 422,
			json_pack("{s:s, s:o}", "error",
				"the configuration is not taken, the old one stays",
				"problems", lines_of(problems)));
	else
		call_error(c, 503, "reload failed: %s", strerror(-r));
}

/* ---- Test ---- */

struct test {
	struct selftest *test;
};

static void on_test_over(struct call *c)
{
	struct test *t = c->data;

	if (t->test)
		selftest_cancel(t->test);
	t->test = NULL;
}

static void on_tested(void *arg, int status, json_t *answer)
{
	struct call *c = arg;
	struct test *t = c->data;

	t->test = NULL;
	call_json(c, status, answer);
}

void control_misc_test(struct call *c)
{
	static const char *const members[] = {
		"status", "id", "body", "body_base64", "tamper", NULL};
	const struct control_hooks *h = &c->control->hooks;
	struct source *s = config_source(c->flow->config, bytes_of(c->names[0]));
	CLEANUP(freep) char *url = NULL;
	char *unix_socket = NULL;
	struct selftest_target target;
	const json_t *body;
	const char *problem = NULL;
	struct test *t;
	int r;

	if (!s) {
		call_error(c, 404, "no such source");
		return;
	}
	if (call_body(c, members, &body) < 0)
		return;
	url = h->own_url ? h->own_url(h->arg, &unix_socket) : NULL;
	if (!url) {
		call_error(c, 409, "there is no public listener to send it to");
		return;
	}
	t = calloc(1, sizeof(*t));
	c->data = t;
	if (t) {
		c->on_over = on_test_over;
		target = (struct selftest_target){.url = url, .unix_socket = unix_socket};
		r = selftest_start(
			c->flow, s, body, &target, on_tested, c, &t->test, &problem);
	} else {
		r = -ENOMEM;
	}
	free(unix_socket);
	if (r > 0)
		call_error(c, 409, "%s", problem);
	else if (r < 0)
		call_error(c, 503, "the test could not begin: %s", strerror(-r));
}

/* ---- Verify ---- */

/* When it is taken to have come: "received" of the request, or now. 0 or answered. */
static int read_received(struct call *c, const json_t *body, int64_t *ret)
{
	const json_t *received = json_object_get(body, "received");
	const char *text = json_string_value(received);

	*ret = clock_wall_usec();
	if (!received || (text && clock_parse(text, ret) == 0))
		return 0;
	call_error(c, 400, "received is not a time of RFC 3339");
	return 1;
}

void control_misc_verify(struct call *c)
{
	const struct config *config = c->flow->config;
	const struct source *s = config_source(config, bytes_of(c->names[0]));
	static const char *const members[] = {
		"headers", "headers_base64", "body", "body_base64", "received", NULL};
	char problem[CAPTURED_PROBLEM_SIZE];
	struct captured *captured = NULL;
	json_t *answer = NULL;
	const json_t *body;
	int64_t received;

	if (!s) {
		call_error(c, 404, "no such source");
		return;
	}
	if (call_body(c, members, &body) != 0 || read_received(c, body, &received) != 0)
		return;
	int r = captured_read(body, s->path, &captured, problem);
	if (r == 0) {
		captured->message.received_usec = received;
		r = diagnose(c->flow, s, &captured->message, &answer);
	}
	if (r == 0)
		call_json(c, 200, answer);
	else if (r > 0)
		call_error(c, 400, "%s", problem);
	else
		call_error(c, 503, "it could not be looked at: %s", strerror(-r));
	captured_free(captured);
}

/* ---- Uploads ---- */

struct asked_upload {
	struct upload *upload;
};

static void on_upload_over(struct call *c)
{
	struct asked_upload *u = c->data;

	if (u->upload)
		upload_forget(u->upload);
	u->upload = NULL;
}

static void on_initiated(void *arg, const struct upload_answer *answer)
{
	struct call *c = arg;
	struct asked_upload *u = c->data;

	u->upload = NULL;
	call_json(c, answer->status, json_incref(answer->json));
}

void control_uploads_post(struct call *c)
{
	/* As upload_start() has them. */
	static const char *const members[] = {"source", "content_type", "file_type",
		"owner", "size_bytes", "audio_duration_seconds", "video_duration_seconds",
		"video_bitrate_kbps", NULL};
	struct asked_upload *u;
	const json_t *body;
	int r = -ENOMEM;

	if (call_body(c, members, &body) < 0)
		return;
	u = calloc(1, sizeof(*u));
	c->data = u;
	if (u) {
		c->on_over = on_upload_over;
		r = upload_start(c->flow, body, on_initiated, c, &u->upload);
	}
	if (r < 0)
		call_error(c, 503, "the upload could not begin: %s", strerror(-r));
}
