/* The control socket's rest: reload, the test of a source, uploads. */
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
