/* From a request to a committed callback; see intake.h. */
#include "flow/intake.h"

#include "base/clock.h"
#include "flow/ask.h"
#include "flow/keyring.h"
#include "flow/record.h"
#include "flow/subscribe.h"
#include "flow/tally.h"
#include "io/log.h"
#include "rules/answer.h"
#include "rules/route.h"
#include "rules/verify.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

struct intake {
	struct record record;
	const struct message *message;
	char *token; /* of PATH/TOKEN, or NULL; zeroed when freed */
	struct verify_result verified;
	uint64_t began_usec;       /* monotonic */
	uint64_t deadline_usec;    /* monotonic: keys are waited for so long */
	struct keyring_wait *wait; /* for keys, or NULL */
	struct subscribe subscribe;
	void (*on_answer)(void *arg, int status, struct bytes body);
	void *arg;
};

static void intake_free(struct intake *in)
{
	if (in->wait)
		keyring_forget(in->wait);
	subscribe_cancel(&in->subscribe);
	if (in->token)
		explicit_bzero(in->token, strlen(in->token));
	free(in->token);
	record_fini(&in->record);
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
		sent = answer_make(in->record.source, &in->record.payload.document,
			       &body) == 0
			       ? text_bytes(&body)
			       : bytes_of("{}");
	histogram_add(&in->record.flow->tally->answers, &histogram_quick,
		clock_mono_usec() - in->began_usec);
	in->on_answer(in->arg, status, sent);
	intake_free(in);
}

/* ---- The head ---- */

static void count_unverified(struct flow *flow, const char *source)
{
	flow->counters.unverified++;
	tally_source(flow->tally, source)->unverified++;
}

static void log_unverified(struct flow *flow, const struct source *s,
	const struct message *m, const char *reason)
{
	CLEANUP(freep) char *peer = bytes_dup(m->peer);

	count_unverified(flow, s->name);
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
	in->began_usec = clock_mono_usec();
	record_init(&in->record, flow, flow->config, s, RECORD_CALLBACK);
	in->token = bytes_dup(token);
	if (token.data && !in->token) {
		intake_free(in);
		return 503;
	}
	*ret = in;
	return 0;
}

/* ---- After the commit ---- */

static void refuse_token(struct intake *in)
{
	const struct store_put *p = &in->record.put;
	struct flow *flow = in->record.flow;

	if (!p->token_job[0]) {
		log_unverified(flow, in->record.source, in->message,
			"the token in its path is none of ours");
		return;
	}
	count_unverified(flow, p->source);
	CLEANUP(freep) char *peer = bytes_dup(in->message->peer);
	log_event(LOG_TOKEN_MISMATCH,
		&(struct log_fields){
			.source = p->source, .id = p->token_job, .remote = peer},
		"Refused a callback for %s: it names job %s, but its token was made for "
		"another upload",
		p->source, log_escapes(p->id));
}

static void count_stored(const struct record *r)
{
	struct flow_counters *counters = &r->flow->counters;
	struct tally_source *t = tally_source(r->flow->tally, r->put.source);
	bool again = r->put.verdict != STORE_NEW && r->put.verdict != STORE_MOVED;

	counters->accepted++;
	counters->repeated += again;
	counters->unreadable += r->payload.problem != NULL;
	*(again ? &t->repeated : &t->accepted) += 1;
	t->unreadable += r->payload.problem != NULL;
	meter_count(&r->flow->tally->callbacks, clock_mono_usec());
}

static void unavailable(struct intake *in)
{
	in->record.flow->counters.unavailable++;
	tally_source(in->record.flow->tally, in->record.source->name)->unavailable++;
	answer(in, 503);
}

static void on_stored(struct record *r)
{
	struct intake *in = container_of(r, struct intake, record);
	const struct store_put *p = &r->put;

	if (p->op.result < 0) {
		unavailable(in);
		return;
	}
	if (p->verdict == STORE_UNVERIFIED) {
		refuse_token(in);
		answer(in, 401);
		return;
	}
	if (p->verdict != STORE_IGNORED)
		count_stored(r);
	if (p->verdict == STORE_HELD)
		ask_wake(r->flow->ask, p->source, clock_steady_usec());
	else if (outcome_terminal(p->outcome) &&
		 (p->verdict == STORE_NEW || p->verdict == STORE_MOVED))
		ask_settled(r->flow->ask, p->source, p->id);
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
	struct record *r = &in->record;

	r->peer = in->message->peer;
	r->put.received_usec = in->message->received_usec;
	r->put.payload = in->message->body;
	r->put.test = is_test(r->flow, in->message);
	/* The source knows nothing of a job that we made up, nor of one that has no name. */
	bool unreadable = r->payload.outcome == OUTCOME_UNREADABLE;
	r->put.hold = r->source->confirm && !r->put.test && !unreadable;
	r->fires_nothing = r->source->confirm && unreadable;
	if (in->verified.verdict == VERIFY_ASK_STORE)
		r->put.token_hash = in->verified.token_hash;
	return record_put(r, on_stored);
}

static void fail_for(struct intake *in, const char *reason)
{
	const struct source *s = in->record.source;
	CLEANUP(freep) char *peer = bytes_dup(in->message->peer);

	log_event(LOG_UNAVAILABLE,
		&(struct log_fields){.source = s->name, .remote = peer},
		"Answered 503 to a callback of %s: %s", s->name, reason);
	unavailable(in);
}

static void fail(struct intake *in, int error)
{
	fail_for(in, error == -EAGAIN ? "more waits for the store than it can take"
				      : strerrordesc_np(-error));
}

/* Why they are not, the keyring told once; here is who was sent away for it. */
static void fail_for_keys(struct intake *in)
{
	fail_for(in, in->record.flow->stopping
			     ? "the daemon is stopping"
			     : "the public keys that it is signed with are not at hand");
}

static void refuse(struct intake *in)
{
	log_unverified(
		in->record.flow, in->record.source, in->message, in->verified.reason);
	answer(in, 401);
}

static void store_it(struct intake *in)
{
	struct record *record = &in->record;
	const struct source *s = record->source;

	int r = payload_read(s, in->message, &record->payload);
	if (r == 0 && s->where.size) {
		r = condition_list_holds(&s->where, &record->payload.document);
		if (r == 0 && in->verified.verdict == VERIFY_OK) {
			answer(in, 200);
			return;
		}
		record->put.ignore = r == 0; /* but its token is still to be verified */
	}
	if (r >= 0)
		r = put(in);
	if (r < 0)
		fail(in, r);
}

/* ---- What is no callback ---- */

static void on_subscribed(struct subscribe *s, bool confirmed)
{
	struct intake *in = container_of(s, struct intake, subscribe);

	if (confirmed)
		answer(in, 200);
	else
		unavailable(in); /* SNS asks again */
}

static void settle_subscription(struct intake *in)
{
	in->subscribe.flow = in->record.flow;
	in->subscribe.source = in->record.source;
	in->subscribe.body = in->message->body;
	if (in->verified.matter == VERIFY_UNSUBSCRIBED) {
		subscribe_ended(&in->subscribe);
		answer(in, 200);
		return;
	}
	int r = subscribe_start(&in->subscribe, in->verified.url, on_subscribed);
	if (r < 0)
		fail(in, r);
}

/* ---- The verdict ---- */

static void judge(struct intake *in);

static void on_keys(void *arg, enum keyring_verdict verdict)
{
	struct intake *in = arg;

	in->wait = NULL;
	if (verdict == KEYRING_CAME)
		judge(in);
	else
		fail_for_keys(in);
}

static void wait_for_keys(struct intake *in)
{
	struct flow *flow = in->record.flow;
	int r = flow->stopping
			? (int)KEYRING_ABSENT
			: keyring_await(flow->keyring, in->record.source, &in->verified,
				  in->deadline_usec, on_keys, in, &in->wait);

	if (r < 0)
		fail(in, r);
	else if (r == KEYRING_NEWEST)
		refuse(in);
	else if (r == KEYRING_ABSENT)
		fail_for_keys(in);
}

/* Two verdicts alone lead into the store, and of those only what is a callback. */
static void judge(struct intake *in)
{
	const struct record *record = &in->record;
	const struct verify_result *v = &in->verified;
	const struct verify_keys keys = {keyring_find, record->flow->keyring};
	const struct verify_input input = {.source = record->source,
		.message = in->message,
		.token = bytes_of(in->token),
		.public_url = record->config->public_url,
		.keys = &keys};

	int r = verify_ask(&input, &in->verified);
	if (r < 0)
		fail(in, r);
	else if (v->verdict == VERIFY_NEEDS_KEYS)
		wait_for_keys(in);
	else if (v->verdict == VERIFY_OK && v->matter != VERIFY_CALLBACK)
		settle_subscription(in);
	else if (v->verdict == VERIFY_OK || v->verdict == VERIFY_ASK_STORE)
		store_it(in);
	else
		refuse(in);
}

void intake_take(struct intake *in, const struct message *m,
	void (*on_answer)(void *arg, int status, struct bytes body), void *arg)
{
	in->message = m;
	in->on_answer = on_answer;
	in->arg = arg;
	in->deadline_usec = clock_mono_usec() + KEYRING_WAIT_USEC;
	judge(in);
}
