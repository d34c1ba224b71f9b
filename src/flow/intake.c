/* From a request to a committed callback; see intake.h. */
#include "flow/intake.h"

#include "flow/dispatch.h"
#include "flow/launch.h"
#include "flow/once.h"
#include "io/log.h"
#include "rules/answer.h"
#include "rules/payload.h"
#include "rules/route.h"
#include "rules/verify.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

struct intake {
	struct flow *flow;
	struct config *config; /* holds `source` and the names in `wishes` */
	const struct source *source;
	const struct message *message;
	char *token; /* of PATH/TOKEN, or NULL; zeroed when freed */
	struct verify_result verified;
	struct payload payload;
	bool has_payload;
	char *fields;
	struct store_put put;
	struct store_wish *wishes;
	void (*on_answer)(void *arg, int status, struct bytes body);
	void *arg;
};

static void intake_free(struct intake *in)
{
	if (in->has_payload)
		payload_fini(&in->payload);
	store_op_fini(&in->put.op);
	if (in->token)
		explicit_bzero(in->token, strlen(in->token));
	free(in->token);
	free(in->fields);
	free(in->wishes);
	config_unref(in->config);
	free(in);
}

void intake_abandon(struct intake *in)
{
	if (in)
		intake_free(in);
}

/* A 200 comes only to who is verified, be it by the store: it may repeat what was sent. */
static void answer(struct intake *in, int status)
{
	CLEANUP(text_fini) struct text body = TEXT_EMPTY;
	struct bytes sent = BYTES_NONE;

	/* Short memory shall not turn what is stored into a failure: the plain answer then. */
	if (status == 200)
		sent = answer_make(in->source, &in->payload.document, &body) == 0
			       ? text_bytes(&body)
			       : bytes_of("{}");
	in->on_answer(in->arg, status, sent);
	intake_free(in);
}

/* ---- The head ---- */

static void log_unverified(struct flow *flow, const struct source *s,
	const struct message *m, const char *reason)
{
	CLEANUP(freep) char *peer = bytes_dup(m->peer);

	flow->counters.unverified++;
	log_event(LOG_UNVERIFIED, &(struct log_fields){.source = s->name, .remote = peer},
		"Refused a callback for %s: %s", s->name, reason);
}

int intake_begin(struct flow *flow, const struct message *m, struct intake **ret)
{
	struct bytes token = BYTES_NONE;
	struct verify_result verified;

	const struct source *s = route_find(flow->config, m->path, &token);
	if (!s)
		return 404;
	if (!bytes_equal(m->method, bytes_of("POST")))
		return 405;
	if (s->allow.size && !cidr_list_contains(&s->allow, m->peer)) {
		log_unverified(flow, s, m, "its address is not in AllowFrom=");
		return 401;
	}
	if (verify_head(s, m, token, &verified) != 0) {
		log_unverified(flow, s, m, verified.reason);
		return 401;
	}
	struct intake *in = calloc(1, sizeof(*in));
	if (!in)
		return 503;
	in->flow = flow;
	in->config = config_ref(flow->config);
	in->source = s;
	in->token = bytes_dup(token);
	if (token.data && !in->token) {
		intake_free(in);
		return 503;
	}
	*ret = in;
	return 0;
}

/* ---- What it says, and who wants it ---- */

/* 1, 0, or -ENOMEM: the body may be looked into for the first time here. */
static int hook_takes(struct intake *in, const struct hook *h)
{
	struct payload *p = &in->payload;

	if (!hook_wants(h, in->source->name, p->outcome, p->status))
		return 0;
	return condition_list_holds(&h->where, &p->document);
}

/* Slots are kept for those that may start at once; on_stored gives them back or uses them. */
static int wish(struct intake *in)
{
	const struct config *c = in->config;
	struct store_put *put = &in->put;
	CLEANUP(freep) const struct hook **wanting = NULL;
	size_t n = 0;

	if (c->n_hooks == 0)
		return 0;
	wanting = calloc(c->n_hooks, sizeof(struct hook *));
	in->wishes = calloc(c->n_hooks, sizeof(*in->wishes));
	if (!wanting || !in->wishes)
		return -ENOMEM;
	put->wishes = in->wishes;
	int r = 0;
	for (size_t i = 0; r >= 0 && i < c->n_hooks; i++) {
		r = hook_takes(in, c->hooks[i]);
		if (r > 0)
			wanting[n++] = c->hooks[i];
	}
	if (r >= 0)
		r = launch_keep_fields(wanting, n, &in->payload.document, &in->fields);
	if (r < 0)
		return r;
	put->n_wishes = n;
	for (size_t i = 0; i < n; i++)
		put->wishes[i] = (struct store_wish){.hook = wanting[i]->name,
			.start_now = dispatch_reserve(in->flow->dispatch, wanting[i])};
	return 0;
}

static void release_wishes(struct intake *in)
{
	for (size_t i = 0; i < in->put.n_wishes; i++)
		if (in->put.wishes[i].start_now)
			dispatch_release(in->flow->dispatch, in->put.wishes[i].hook);
}

/* ---- After the commit ---- */

static void log_stored(const struct intake *in)
{
	const struct store_put *p = &in->put;
	CLEANUP(freep) char *peer = bytes_dup(in->message->peer);
	const struct log_fields fields = {.source = p->source,
		.id = p->id,
		.status = p->status,
		.outcome = outcome_name(p->outcome),
		.remote = peer};
	const char *id = log_escapes(p->id),
		   *status = p->status ? log_escapes(p->status) : "";
	static const struct {
		enum log_kind kind;
		const char *text;
	} told[] = {
		[STORE_NEW] = {LOG_CALLBACK, "recorded"},
		[STORE_MOVED] = {LOG_CALLBACK, "recorded"},
		[STORE_REPEAT] = {LOG_CALLBACK_REPEATED, "said again, nothing to do"},
		[STORE_CHANGED] = {LOG_CALLBACK_CHANGED,
			"the same outcome with another body: recorded, fires nothing"},
		[STORE_CONTRADICTION] = {LOG_CALLBACK_CONTRADICTS,
			"another outcome than the job already has: recorded, fires "
			"nothing"},
		[STORE_LATE] = {LOG_CALLBACK_LATE,
			"after the job had ended: recorded, fires nothing"},
		[STORE_HELD] = {LOG_CALLBACK_HELD, "recorded, to be confirmed"},
	};

	if (in->payload.problem && p->verdict == STORE_NEW)
		log_event(LOG_CALLBACK_UNREADABLE, &fields,
			"Callback of %s recorded, but it cannot be read: %s", p->source,
			in->payload.problem);
	else
		log_event(told[p->verdict].kind, &fields, "Callback %s/%s %s: %s",
			p->source, id, status, told[p->verdict].text);
	if (in->payload.unknown_word &&
		once_first(in->flow->warned, p->source, p->status))
		log_event(LOG_UNKNOWN_STATUS, &fields,
			"Status %s of %s stands in no list (SuccessValues= and so on) "
			"and counts "
			"as pending; this is said once",
			status, p->source);
}

static void start_runs(struct intake *in)
{
	const struct store_put *p = &in->put;

	for (size_t i = 0; i < p->n_wishes; i++) {
		const struct store_wish *w = &p->wishes[i];
		if (!w->run) {
			if (w->start_now)
				dispatch_release(in->flow->dispatch, w->hook);
			continue;
		}
		if (!w->start_now) {
			dispatch_wake(in->flow->dispatch, w->hook);
			continue;
		}
		/* Borrowed strings: dispatch_start() copies what it needs. */
		struct store_run run = {.number = w->run,
			.hook = (char *)w->hook,
			.source = (char *)p->source,
			.job = (char *)p->id,
			.status = (char *)p->status,
			.outcome = p->outcome,
			.state = RUN_RUNNING,
			.attempt = 1,
			.received_usec = p->received_usec,
			.payload = p->payload,
			.fields = in->fields,
			.test = p->test};
		snprintf(run.id, sizeof(run.id), "%s-%llu", store_name(in->flow->store),
			(unsigned long long)w->run);
		dispatch_start(in->flow->dispatch, &run);
	}
}

static void refuse_token(struct intake *in)
{
	const struct store_put *p = &in->put;
	char reason[512];

	if (!p->token_job[0]) {
		log_unverified(in->flow, in->source, in->message,
			"the token in its path is none of ours");
		return;
	}
	snprintf(reason, sizeof(reason),
		"it names job %s, but its token was made for another upload",
		log_escapes(p->id));
	in->flow->counters.unverified++;
	log_event(LOG_TOKEN_MISMATCH,
		&(struct log_fields){.source = p->source, .id = p->token_job},
		"Refused a callback for %s: %s", p->source, reason);
}

static void on_stored(struct store_op *op)
{
	struct intake *in = op->arg;

	flow_moved(in->flow);
	if (op->result < 0) {
		in->flow->counters.unavailable++;
		release_wishes(in);
		answer(in, 503);
		return;
	}
	if (in->put.verdict == STORE_UNVERIFIED) {
		release_wishes(in);
		refuse_token(in);
		answer(in, 401);
		return;
	}
	if (in->put.verdict == STORE_IGNORED) {
		answer(in, 200);
		return;
	}
	in->flow->counters.accepted++;
	if (in->put.verdict != STORE_NEW && in->put.verdict != STORE_MOVED)
		in->flow->counters.repeated++;
	if (in->payload.problem)
		in->flow->counters.unreadable++;
	log_stored(in);
	start_runs(in);
	answer(in, 200);
}

/* ---- The whole message ---- */

/* Made by `callbackctl test`: nobody else knows the nonce. */
static bool is_test(const struct flow *flow, const struct message *m)
{
	struct bytes nonce;

	return message_header(m, "X-Callbackd-Test", &nonce) == MESSAGE_ONCE &&
	       nonce.size == RANDOM_TOKEN_SIZE - 1 &&
	       CRYPTO_memcmp(nonce.data, flow->test_nonce, nonce.size) == 0;
}

static int put(struct intake *in)
{
	struct store_put *p = &in->put;

	p->op = (struct store_op){.kind = STORE_PUT, .on_done = on_stored, .arg = in};
	p->source = in->source->name;
	p->id = in->payload.id;
	p->status = in->payload.status;
	p->outcome = in->payload.outcome;
	p->delivery = in->payload.delivery;
	p->received_usec = in->message->received_usec;
	p->payload = in->message->body;
	p->test = is_test(in->flow, in->message);
	p->reopen = in->source->reopen;
	p->hold = in->source->confirm;
	if (in->verified.verdict == VERIFY_ASK_STORE)
		p->token_hash = in->verified.token_hash;
	int r = p->ignore ? 0 : wish(in);
	p->fields = in->fields;
	if (r == 0)
		r = store_submit(in->flow->store, &p->op);
	if (r < 0)
		release_wishes(in);
	return r;
}

void intake_take(struct intake *in, const struct message *m,
	void (*on_answer)(void *arg, int status, struct bytes body), void *arg)
{
	in->message = m;
	in->on_answer = on_answer;
	in->arg = arg;
	int r = verify_message(in->source, m, bytes_of(in->token), in->config->public_url,
		&in->verified);
	if (r == 0 && in->verified.verdict == VERIFY_REFUSED) {
		log_unverified(in->flow, in->source, m, in->verified.reason);
		answer(in, 401);
		return;
	}
	if (r == 0) {
		r = payload_read(in->source, m, &in->payload);
		in->has_payload = true;
	}
	if (r == 0 && in->source->where.size) {
		r = condition_list_holds(&in->source->where, &in->payload.document);
		if (r == 0 && in->verified.verdict == VERIFY_OK) {
			answer(in, 200);
			return;
		}
		in->put.ignore = r == 0; /* but its token is still to be verified */
	}
	if (r >= 0)
		r = put(in);
	if (r < 0) {
		in->flow->counters.unavailable++;
		log_event(LOG_UNAVAILABLE,
			&(struct log_fields){.source = in->source->name},
			"Answered 503 to a callback of %s: %s", in->source->name,
			r == -EAGAIN ? "the store's queue is full" : strerrordesc_np(-r));
		answer(in, 503);
	}
}
