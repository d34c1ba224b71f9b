/* The sample on its way: one request to ourselves, by the way any sender takes. */
#include "api/selftest.h"

#include "api/json.h"
#include "api/sample.h"
#include "base/clock.h"

#include <errno.h>

#define HEADERS_MAX 32
#define TEST_HEADER "X-Callbackd-Test" /* intake.c looks for it */

struct selftest {
	struct fetch *fetch;
	char *id;
	char *url;   /* with the token, if any: for the request alone */
	char *shown; /* without */
	bool tampered;
	void (*on_done)(void *arg, int status, json_t *answer);
	void *arg;
};

static void destroy(struct selftest *t)
{
	free(t->id);
	free(t->url);
	free(t->shown);
	free(t);
}

static void on_fetched(void *arg, const struct fetch_answer *answer)
{
	struct selftest *t = arg;
	json_t *json;
	int status = 200;

	if (answer->error) {
		status = 502;
		json = json_pack("{s:o, s:s}", "error",
			json_of_text(
				bytes_of(answer->error_text ? answer->error_text
							    : strerror(-answer->error))),
			"url", t->shown);
	} else {
		json = json_pack("{s:i, s:o, s:s?, s:s, s:b}", "status",
			(int)answer->status, "body",
			json_of_text(answer->body.data ? answer->body : bytes_of("")),
			"id", t->id, "url", t->shown, "tampered", t->tampered);
	}
	t->on_done(t->arg, status, json);
	destroy(t);
}

/* Cuts the lines apart in place. 0 or -ENOBUFS. */
static int split_headers(struct text *lines, const char *list[HEADERS_MAX + 1])
{
	size_t n = 0;

	for (char *at = lines->data; at && *at;) {
		char *end = strstr(at, "\r\n");

		if (!end || n == HEADERS_MAX)
			return -ENOBUFS;
		*end = 0;
		list[n++] = at;
		at = end + 2;
	}
	list[n] = NULL;
	return 0;
}

static int post(struct selftest *t, struct flow *flow, struct sample *m,
	const struct selftest_target *target)
{
	const char *headers[HEADERS_MAX + 1];
	struct fetch_request request = {
		.method = "POST",
		.url = t->url,
		.unix_socket = target->unix_socket,
		.headers = headers,
		.body = text_bytes(&m->body),
		.insecure_own_listener = true,
		.no_proxy = true,
	};
	int r = split_headers(&m->headers, headers);

	return r < 0 ? r : fetch_start(flow->fetch, &request, on_fetched, t, &t->fetch);
}

int selftest_start(struct flow *flow, const struct source *s, const json_t *request,
	const struct selftest_target *target,
	void (*on_done)(void *arg, int status, json_t *answer), void *arg,
	struct selftest **ret, const char **ret_problem)
{
	struct selftest *t = calloc(1, sizeof(*t));
	struct sample m = {0};
	int r = -ENOMEM;

	if (!t)
		return -ENOMEM;
	t->on_done = on_done;
	t->arg = arg;
	r = sample_make(
		s, request, flow->config->public_url, clock_wall_usec(), &m, ret_problem);
	if (r == 0) { /* what tells it from a sender's: CALLBACK_TEST=1 */
		text_addf(&m.headers, TEST_HEADER ": %s\r\n", flow->test_nonce);
		r = m.headers.failed ? -ENOMEM : 0;
	}
	if (r == 0) {
		t->tampered = m.tampered;
		t->id = CONSUME(m.id);
		t->url = text_format("%s%s", target->url, m.target.data);
		t->shown = text_format("%s%s", target->url, s->path);
		r = t->url && t->shown ? post(t, flow, &m, target) : -ENOMEM;
	}
	sample_fini(&m);
	if (r != 0) {
		destroy(t);
		return r;
	}
	*ret = t;
	return 0;
}

void selftest_cancel(struct selftest *t)
{
	fetch_cancel(t->fetch);
	destroy(t);
}
