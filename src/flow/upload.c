/*
 * One upload's initiate, step by step (the picture is in the header). Its invariant: the
 * hash of the token is committed before the service can know the token, and the answer
 * follows the commit that expects the job. A step that fails ends in finish(), which
 * answers once and frees. The token is wiped from everything it was written to; what the
 * service says is cleaned of it, and of our key, before anybody reads or logs it.
 */
#include "flow/upload.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "flow/ask.h"
#include "flow/expect.h"
#include "flow/initiate.h"
#include "io/log.h"
#include "rules/verify.h"

#include <errno.h>

#define ANSWER_MAX_BYTES (256u * 1024)

struct upload {
	struct upload *next, **back; /* in flow->uploads */
	struct flow *flow;
	struct config *config; /* of the moment it began: `source` is inside */
	const struct source *source;
	void (*on_done)(void *arg, const struct upload_answer *answer);
	void *arg;
	struct event *later; /* answers that are known at once wait for the loop */
	char token[RANDOM_TOKEN_SIZE];
	unsigned char token_hash[VERIFY_TOKEN_HASH_SIZE];
	char *body; /* of the initiate request */
	int64_t size_bytes;
	struct store_mint mint;
	struct store_bind bind;
	struct initiate_answer initiated;
	bool as_is; /* the request is passed on */
	int status; /* of the answer, with `json` */
	json_t *json;
	long said_status; /* the service's own answer */
	char *said;
	size_t said_size;
	uint64_t retry_after_usec;
};

static void upload_free(struct upload *u)
{
	if (u->back) {
		*u->back = u->next;
		if (u->next)
			u->next->back = u->back;
	}
	if (u->later)
		event_free(u->later);
	if (u->body)
		explicit_bzero(u->body, strlen(u->body));
	free(u->body);
	explicit_bzero(u->token, sizeof(u->token));
	initiate_answer_fini(&u->initiated);
	json_decref(u->json);
	free(u->said);
	config_unref(u->config);
	free(u);
}

/* The one way out. */
static void finish(struct upload *u)
{
	struct upload_answer answer = {u->status, u->json, u->said_status,
		{u->said, u->said_size}, u->retry_after_usec};

	if (u->on_done)
		u->on_done(u->arg, &answer);
	upload_free(u);
}

/* Notes the answer down; a NULL `json` is memory that was short. */
static void set_answer(struct upload *u, int status, json_t *json)
{
	json_decref(u->json);
	u->status = json ? status : 503;
	u->json = json;
}

static void set_error(struct upload *u, int status, const char *error)
{
	set_answer(u, status, json_pack("{s:s}", "error", error));
}

static void log_refused(const struct upload *u, const char *why)
{
	struct log_fields fields = {.source = u->source->name, .id = u->initiated.id};
	const char *request_id = json_string_value(
		json_object_get(u->json, "request_id"));

	log_event(LOG_UPLOAD_REFUSED, &fields, "Upload not initiated at %s: %s%s%s",
		u->source->name, log_escapes(why), request_id ? ", request " : "",
		request_id ? log_escapes(request_id) : "");
}

/* Logged once, with the words the asker gets. */
static void refuse(struct upload *u, int status, json_t *json)
{
	const char *why;

	set_answer(u, status, json);
	why = json_string_value(json_object_get(u->json, "error"));
	log_refused(u, why ? why : "out of memory");
}

static void refuse_for_store(struct upload *u, int result)
{
	refuse(u, 503,
		json_pack("{s:s}", "error",
			result == -ENOSPC ? "the store cannot commit: the disk is full"
					  : "the store cannot commit"));
}

/* ---- the last step: the token is bound, or taken back ---- */

static void on_taken_back(struct store_op *op)
{
	struct upload *u = op->arg;

	/* If it failed, the token stays good for one job of a service that was told of it
	 * and refused: nobody but the service knows it. */
	store_op_fini(op);
	finish(u);
}

/* The service will not use the token: nobody shall. The answer is set already. */
static void take_back(struct upload *u)
{
	u->bind = (struct store_bind){
		.op = {.kind = STORE_BIND, .on_done = on_taken_back, .arg = u},
		.token_hash = u->token_hash,
		.source = u->source->name,
		.size_bytes = -1,
		.now_usec = clock_wall_usec(),
	};
	if (store_submit(u->flow->store, &u->bind.op))
		finish(u);
}

static void on_mismatch(struct upload *u)
{
	struct log_fields fields = {.source = u->source->name, .id = u->initiated.id};

	log_event(LOG_TOKEN_MISMATCH, &fields,
		"The service named its upload %s, but a callback with this upload's own "
		"token came for %s before: one of the two is wrong",
		log_escapes(u->initiated.id), log_escapes(u->bind.bound));
	set_error(u, 502,
		"a callback with this upload's token came for another id before the "
		"service answered");
	if (u->json)
		json_object_set_new(u->json, "bound",
			json_string(u->bind.bound)); /* told if it can be */
}

static void on_bound(struct store_op *op)
{
	struct upload *u = op->arg;
	struct log_fields fields = {.source = u->source->name, .id = u->initiated.id};
	int result = op->result;

	if (result == -EEXIST) {
		on_mismatch(u);
	} else if (result) {
		refuse_for_store(u, result);
	} else {
		log_event(LOG_UPLOAD_INITIATED, &fields,
			"Upload %s initiated at %s, its callback is expected",
			log_escapes(u->initiated.id), u->source->name);
		ask_wake(u->flow->ask, u->source->name, u->bind.ask_at_usec);
		set_answer(u, 200, json_incref(u->initiated.json));
	}
	store_op_fini(op);
	finish(u);
}

static void bind_job(struct upload *u)
{
	int r;

	u->bind = (struct store_bind){
		.op = {.kind = STORE_BIND, .on_done = on_bound, .arg = u},
		.token_hash = u->token_hash,
		.source = u->source->name,
		.id = u->initiated.id,
		.public_url = u->initiated.public_url,
		.size_bytes = u->size_bytes,
		.now_usec = clock_wall_usec(),
		.ask_at_usec = expect_ask_at_usec(u->source->expect_within_usec),
	};
	r = store_submit(u->flow->store, &u->bind.op);
	if (r) {
		refuse_for_store(u, r);
		finish(u);
	}
}

/* ---- the middle step: the service is asked ---- */

/* A service may repeat our callback URL or our key, in its answer or in an error's text. */
static char *without_secrets(const struct upload *u, struct bytes body)
{
	char *copy = bytes_dup(body), *at = copy;
	size_t size = strlen(u->token);

	while (at && (at = memmem(at, body.size - (size_t)(at - copy), u->token, size)))
		memset(at, '*', size);
	if (copy)
		source_hide_key(u->source, copy, body.size);
	return copy;
}

static void on_2xx(struct upload *u, struct bytes body)
{
	const char *problem = NULL;
	int r = initiate_read(u->source, body, &u->initiated, &problem);

	if (r == 0 && json_object_set_new(
			      u->initiated.json, "source", json_string(u->source->name)))
		r = -ENOMEM;
	if (r == 0) {
		bind_job(u);
		return;
	}
	if (r < 0)
		refuse(u, 503, NULL);
	else
		refuse(u, 502,
			json_pack("{s:o}", "error",
				json_sprintf(
					"the answer of the service cannot be used: %s",
					problem)));
	take_back(u);
}

static void on_no_answer(struct upload *u, const struct fetch_answer *answer)
{
	refuse(u, answer->error == -EMSGSIZE ? 502 : 504,
		json_pack("{s:o}", "error",
			json_sprintf(
				"no answer from the service: %s", answer->error_text)));
	/* Did the request arrive all the same, a callback may come: it verifies. */
	if (answer->sent)
		finish(u);
	else
		take_back(u);
}

static void on_answer(void *arg, const struct fetch_answer *answer)
{
	struct upload *u = arg;
	struct bytes body;

	if (answer->error) {
		on_no_answer(u, answer);
		return;
	}
	u->said = without_secrets(u, answer->body);
	u->said_size = answer->body.size;
	if (!u->said) {
		refuse(u, 503, NULL);
		finish(u);
		return;
	}
	u->said_status = answer->status;
	u->retry_after_usec = answer->retry_after_usec;
	body = (struct bytes){u->said, u->said_size};
	if (answer->status >= 200 && answer->status <= 299) {
		on_2xx(u, body);
	} else {
		refuse(u, 502, initiate_refusal(answer->status, body));
		take_back(u);
	}
}

static int ask_service(struct upload *u)
{
	const struct source *s = u->source;
	char *key = NULL;
	int r = source_key_header(s, &key);
	const char *const headers[] = {
		"Content-Type: application/json", "Accept: application/json", key, NULL};
	const struct fetch_request request = {
		.method = "POST",
		.url = s->upload_url,
		.headers = headers,
		.body = bytes_of(u->body),
		.ca_file = s->ca_file,
		.max_bytes = ANSWER_MAX_BYTES,
	};
	struct fetch *f;

	if (!r)
		r = fetch_start(u->flow->fetch, &request, on_answer, u, &f);
	bytes_wipe(key, key ? strlen(key) : 0);
	return r;
}

/* ---- the first step: the token ---- */

static void on_minted(struct store_op *op)
{
	struct upload *u = op->arg;
	int r = op->result;

	store_op_fini(op);
	if (u->flow->stopping) { /* what carries requests may be gone */
		refuse(u, 503, json_pack("{s:s}", "error", "the daemon is stopping"));
		finish(u);
		return;
	}
	if (r) {
		refuse_for_store(u, r);
		finish(u);
		return;
	}
	r = ask_service(u);
	if (r == 0)
		return;
	if (r == -EINVAL)
		refuse(u, 409,
			json_pack("{s:s}", "error",
				"the key in APIKeyFile= holds bytes that no header can "
				"carry"));
	else
		refuse(u, 503, NULL);
	take_back(u);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish(arg);
}

/* 0 and u->source and u->body, or an initiate_verdict with *ret_reason, or -ENOMEM. */
static int write_request(struct upload *u, const json_t *request, char **ret_reason)
{
	const struct config *c = u->config;
	int r;

	random_token(u->token);
	if (!u->as_is) {
		r = initiate_source(c, request, &u->source, ret_reason);
		return r ? r
			 : initiate_body(u->source, c->public_url, request, u->token,
				   &u->body, ret_reason);
	}
	u->source = c->status_served;
	if (!u->source) { /* StatusListen= outlives a reload that takes its source away */
		*ret_reason = text_format("no source is served here");
		return *ret_reason ? INITIATE_NOT_CONFIGURED : -ENOMEM;
	}
	r = initiate_possible(c, u->source, ret_reason);
	return r ? r
		 : initiate_pass_on(u->source, c->public_url, request, u->token, &u->body,
			   ret_reason);
}

/* 0: the mint is on its way; else `status` and `json` hold the answer. -ENOMEM. */
static int begin(struct upload *u, const json_t *request)
{
	CLEANUP(freep) char *reason = NULL;
	json_t *size = json_object_get(request, "size_bytes");
	int r;

	if (u->flow->stopping) {
		set_error(u, 503, "the daemon is stopping");
		return 1;
	}
	r = write_request(u, request, &reason);
	if (r > 0)
		set_error(u, r, reason);
	if (r)
		return r;
	u->size_bytes = json_is_integer(size) && json_integer_value(size) >= 0
				? json_integer_value(size)
				: -1;
	if (verify_hash(bytes_of(u->token), u->token_hash))
		return -ENOMEM;
	u->mint = (struct store_mint){
		.op = {.kind = STORE_MINT, .on_done = on_minted, .arg = u},
		.token_hash = u->token_hash,
		.source = u->source->name,
		.now_usec = clock_wall_usec(),
	};
	r = store_submit(u->flow->store, &u->mint.op);
	if (r)
		refuse_for_store(u, r);
	return r ? 1 : 0;
}

/* ---- outward ---- */

static int start(struct flow *flow, const json_t *request, bool as_is,
	void (*on_done)(void *arg, const struct upload_answer *answer), void *arg,
	struct upload **ret)
{
	struct upload *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	u->flow = flow;
	u->as_is = as_is;
	u->config = config_ref(flow->config);
	u->on_done = on_done;
	u->arg = arg;
	u->later = event_new(flow->base, -1, 0, on_later, u);
	r = u->later ? begin(u, request) : -ENOMEM;
	if (r < 0) {
		upload_free(u);
		return r;
	}
	if (r > 0)
		event_active(u->later, EV_TIMEOUT, 1);
	u->next = flow->uploads;
	u->back = &flow->uploads;
	if (u->next)
		u->next->back = &u->next;
	flow->uploads = u;
	*ret = u;
	return 0;
}

int upload_start(struct flow *flow, const json_t *request,
	void (*on_done)(void *arg, const struct upload_answer *answer), void *arg,
	struct upload **ret)
{
	return start(flow, request, false, on_done, arg, ret);
}

int upload_pass_on(struct flow *flow, const json_t *request,
	void (*on_done)(void *arg, const struct upload_answer *answer), void *arg,
	struct upload **ret)
{
	return start(flow, request, true, on_done, arg, ret);
}

void upload_forget(struct upload *u)
{
	u->on_done = NULL;
}

void upload_end(struct flow *flow)
{
	while (flow->uploads)
		upload_free(flow->uploads);
}
