/*
 * The way in: key, path and method are looked at before the body is; then an initiate, or a
 * question for dropin_poll.c. Nobody is served without a key, /healthz apart.
 */
#include "api/dropin.h"

#include "api/dropin_private.h"
#include "api/health.h"
#include "base/codec.h"
#include "base/utf8.h"
#include "flow/upload.h"
#include "io/log.h"
#include "rules/payload.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>

#define UPLOADS   "/api/v1/uploads"
#define GRACE_SEC 5

/* ---- answers ---- */

/* What it waits for or has begun is not its own any more. */
static void let_go(struct visit *v)
{
	poll_leave(v);
	if (v->upload)
		upload_forget(v->upload);
	v->upload = NULL;
}

void visit_reply(struct visit *v, int status, struct bytes body)
{
	char applied[32];

	if (v->answered)
		return;
	v->answered = true;
	if (v->waits) { /* RFC 7240, 3 */
		snprintf(applied, sizeof(applied), "wait=%u", v->wait_sec);
		http_header(v->request, "Preference-Applied", applied);
	}
	let_go(v);
	http_reply(v->request, status, "application/json", body);
}

void visit_error(struct visit *v, int status, const char *error)
{
	CLEANUP(freep) char *text = shape_error(status, error, v->request_id);
	CLEANUP(freep) char *remote = bytes_dup(http_message(v->request)->peer);

	if (v->answered)
		return;
	if (status < 500)
		log_event(LOG_REFUSED,
			&(struct log_fields){.remote = remote, .id = v->id},
			"Answered %d on the status listener: %s, request %s", status,
			log_escapes(error), v->request_id);
	visit_reply(v, status, bytes_of(text ? text : "{\"error\":\"out of memory\"}"));
}

void visit_retry_after(struct visit *v, uint64_t usec)
{
	char seconds[32];

	if (usec == 0 || v->answered)
		return;
	snprintf(seconds, sizeof(seconds), "%llu",
		(unsigned long long)((usec + USEC_PER_SEC - 1) / USEC_PER_SEC));
	http_header(v->request, "Retry-After", seconds);
}

/* At the head, where there is no visit yet. */
static void refuse(struct http_request *r, int status, const char *error)
{
	const struct message *m = http_message(r);
	CLEANUP(freep) char *remote = bytes_dup(m->peer);
	char id[SHAPE_REQUEST_ID_SIZE];

	shape_request_id(id);
	log_event(LOG_REFUSED, &(struct log_fields){.remote = remote},
		"Answered %d to a %s on the status listener: %s, request %s", status,
		log_escape(m->method), error, id);
	if (status == 401)
		http_header(r, "WWW-Authenticate", "APIKey"); /* RFC 9110, 15.5.2 */
	CLEANUP(freep) char *text = shape_error(status, error, id);
	http_reply(r, status, "application/json", bytes_of(text ? text : "{}"));
}

/* ---- at the head: may it, and what does it want? ---- */

static bool is_key(const struct secret *s, struct bytes given)
{
	/* The time depends on the lengths alone; nothing equals an empty key. */
	return s->text_size > 0 && s->text_size == given.size &&
	       CRYPTO_memcmp(s->text, given.data, given.size) == 0;
}

/* NULL: it holds; else why not, in words that tell nothing of a key. */
static const char *check_key(
	const struct config *c, const struct source *s, const struct message *m)
{
	struct bytes given = BYTES_NONE;
	unsigned held = 0;

	switch (message_header(m, s->api_key_header, &given)) {
	case MESSAGE_ABSENT: return "missing API key";
	case MESSAGE_TWICE: return "more than one API key";
	case MESSAGE_ONCE: break;
	}
	for (size_t i = 0; i < c->n_status_keys; i++)
		held |= is_key(&c->status_keys[i], given);
	if (c->n_status_keys == 0 && s->api_key)
		held |= is_key(s->api_key, given);
	return held ? NULL : "invalid API key";
}

/* The id in UPLOADS/{id}, decoded; owned. 0; 1: that is no id; -ENOMEM. */
static int read_id(struct bytes segment, char **ret)
{
	CLEANUP(freep) char *id = malloc(segment.size + 1);

	if (!id)
		return -ENOMEM;
	ptrdiff_t n = codec_percent_decode(segment, false, id, segment.size);
	if (n <= 0 || !utf8_valid_id((struct bytes){id, (size_t)n}))
		return 1;
	id[n] = '\0';
	*ret = CONSUME(id);
	return 0;
}

/* What follows UPLOADS/, BYTES_NONE for UPLOADS itself. False: another path. */
static bool read_path(struct bytes path, struct bytes *ret_segment)
{
	const size_t size = strlen(UPLOADS);

	*ret_segment = BYTES_NONE;
	if (bytes_equal(path, bytes_of(UPLOADS)))
		return true;
	if (!bytes_starts(path, bytes_of(UPLOADS "/")))
		return false;
	*ret_segment = (struct bytes){path.data + size + 1, path.size - size - 1};
	return ret_segment->size > 0 &&
	       !memchr(ret_segment->data, '/', ret_segment->size);
}

static void admit(struct dropin *d, struct http_request *r, struct bytes segment)
{
	struct visit *v = calloc(1, sizeof(*v));
	int e = v ? 0 : -ENOMEM;

	if (v && segment.data)
		e = read_id(segment, &v->id);
	if (e) {
		free(v);
		refuse(r, e > 0 ? 400 : 503,
			e > 0 ? "no upload has such an id" : "out of memory");
		return;
	}
	v->dropin = d;
	v->request = r;
	shape_request_id(v->request_id);
	LIST_INSERT_HEAD(&d->visits, v, entry);
	http_set_data(r, v);
}

static void on_head(void *arg, struct http_request *r)
{
	struct dropin *d = arg;
	const struct config *c = d->flow->config;
	const struct message *m = http_message(r);
	struct bytes segment;
	const char *problem;

	if (bytes_equal(m->path, bytes_of(HEALTH_PATH))) {
		health_reply(d->flow, r);
		return;
	}
	if (!c->status_served) { /* a reload took it away */
		refuse(r, 503, "no source is served here");
		return;
	}
	problem = check_key(c, c->status_served, m);
	if (problem) {
		refuse(r, 401, problem);
		return;
	}
	if (!read_path(m->path, &segment)) {
		refuse(r, 404, "no such resource");
		return;
	}
	const char *method = segment.data ? "GET" : "POST";
	if (!bytes_equal(m->method, bytes_of(method))) {
		http_header(r, "Allow", method);
		refuse(r, 405, "that method is not for this resource");
		return;
	}
	admit(d, r, segment);
}

/* ---- POST ---- */

static bool is_object(struct bytes body)
{
	const char *problem;
	json_t *json = payload_parse(body, &problem);
	bool object = json_is_object(json);

	json_decref(json);
	return object;
}

/* The service's own answer where it gave one that can be passed on; else ours. */
static void on_initiated(void *arg, const struct upload_answer *a)
{
	struct visit *v = arg;
	const char *error = json_string_value(json_object_get(a->json, "error"));
	bool refused = a->said_status >= 400 && a->said_status <= 599;

	v->upload = NULL;
	if (!error)
		error = "out of memory";
	if (refused)
		visit_retry_after(v, a->retry_after_usec);
	if (a->status == 200 || (refused && is_object(a->said)))
		visit_reply(v, (int)a->said_status, a->said);
	else if (refused)
		visit_error(v, (int)a->said_status, error);
	else /* 409: the configuration lacks something */
		visit_error(
			v, a->status == 409 || a->status == 404 ? 500 : a->status, error);
}

static void initiate(struct visit *v)
{
	const struct message *m = http_message(v->request);
	CLEANUP(freep) char *remote = bytes_dup(m->peer);
	const char *problem = NULL;
	json_t *request = payload_parse(m->body, &problem);

	if (!request) {
		visit_error(v, 400, problem);
		return;
	}
	if (json_object_get(request, "callback_url"))
		log_event(LOG_CALLBACK_URL_REPLACED,
			&(struct log_fields){.remote = remote},
			"An upload's own callback_url is replaced by ours; a hook can "
			"call it instead");
	if (upload_pass_on(v->dropin->flow, request, on_initiated, v, &v->upload) < 0)
		visit_error(v, 503, "out of memory");
	json_decref(request);
}

/* ---- the handler ---- */

static void on_request(void *arg, struct http_request *r)
{
	struct visit *v = http_data(r);

	(void)arg;
	if (v->dropin->stopping) {
		visit_retry_after(v, 5 * USEC_PER_SEC);
		visit_error(v, 503, "the daemon is stopping");
	} else if (v->id) {
		poll_begin(v);
	} else {
		initiate(v);
	}
}

static void on_gone(void *arg, struct http_request *r)
{
	(void)arg;
	visit_error(http_data(r), 503, "nobody is there");
}

static void on_refused(void *arg, struct bytes peer, int status, const char *reason)
{
	CLEANUP(freep) char *remote = bytes_dup(peer);

	(void)arg;
	if (peer.size == 0) /* nobody's: accept() failed */
		log_event(LOG_OUT_OF_DESCRIPTORS, NULL, "Connections wait: %s", reason);
	else if (status)
		log_event(LOG_REFUSED, &(struct log_fields){.remote = remote},
			"Answered %d on the status listener: %s", status, reason);
	else
		log_event(LOG_REFUSED, &(struct log_fields){.remote = remote},
			"Closed a connection of the status listener: %s", reason);
}

static void visit_free(struct visit *v)
{
	if (v->dropin) {
		let_go(v);
		LIST_REMOVE(v, entry);
	}
	free(v->id);
	free(v);
}

static void on_end(void *arg, struct http_request *r)
{
	(void)arg;
	if (http_data(r))
		visit_free(http_data(r));
}

const struct http_handler dropin_handler = {
	.on_head = on_head,
	.on_request = on_request,
	.on_gone = on_gone,
	.on_refused = on_refused,
	.on_end = on_end,
};

/* ---- its life ---- */

/* Nothing here waits longer; the service may still be thinking about an initiate. */
static void on_grace(evutil_socket_t fd, short what, void *arg)
{
	struct dropin *d = arg;
	struct visit *v;

	(void)fd;
	(void)what;
	LIST_FOREACH (v, &d->visits, entry) {
		if (!v->subject && !v->upload)
			continue; /* its body is on its way: on_request, or the drain */
		visit_retry_after(v, 5 * USEC_PER_SEC);
		visit_error(v, 503, "the daemon is stopping");
	}
}

int dropin_new(struct dropin **ret, struct flow *flow)
{
	struct dropin *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->flow = flow;
	LIST_INIT(&d->visits);
	TAILQ_INIT(&d->line);
	if (map_init(&d->subjects) < 0) {
		free(d);
		return -ENOMEM;
	}
	d->grace = evtimer_new(flow->base, on_grace, d);
	if (!d->grace || inquiries_new(&d->inquiries, flow) < 0) {
		dropin_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void dropin_stop(struct dropin *d)
{
	static const struct timeval grace = {.tv_sec = GRACE_SEC};
	struct visit *v;

	d->stopping = true;
	LIST_FOREACH (v, &d->visits, entry)
		poll_last(v);
	evtimer_add(d->grace, &grace);
}

void dropin_free(struct dropin *d)
{
	struct visit *v;

	if (!d)
		return;
	while ((v = LIST_FIRST(&d->visits))) {
		let_go(v);
		LIST_REMOVE(v, entry);
		v->dropin = NULL;
	}
	poll_fini(d);
	inquiries_free(d->inquiries);
	if (d->grace)
		event_free(d->grace);
	free(d);
}
