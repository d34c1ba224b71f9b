/*
 * The verdict first, at the time that was asked for; then, where it is no, the guesses:
 * each is the same question about a request that differs in one thing.
 */
#include "api/diagnose.h"

#include "api/json.h"
#include "base/clock.h"
#include "flow/keyring.h"
#include "rules/content.h"
#include "rules/payload.h"
#include "rules/route.h"
#include "rules/trace.h"
#include "rules/verify.h"

#include <errno.h>
#include <stdio.h>

#define SIGNING                                                                    \
	(VERIFY_HMAC | VERIFY_STANDARD_WEBHOOKS | VERIFY_TWILIO | VERIFY_ED25519 | \
		VERIFY_HTTP_SIGNATURE)

struct diagnosis {
	const struct flow *flow;
	const struct config *config;
	const struct source *source;
	const struct message *message;
	struct bytes token;
	struct trace trace;
	struct verify_result result;
};

/* 0 or negative errno. `trace` may be NULL. */
static int ask(const struct diagnosis *d, const struct message *m, const char *origin,
	struct trace *trace, struct verify_result *ret)
{
	const struct verify_keys keys = {keyring_peek, d->flow->keyring};
	const struct verify_input input = {.source = d->source,
		.message = m,
		.token = d->token,
		.public_url = origin,
		.keys = &keys,
		.trace = trace};

	return verify_ask(&input, ret);
}

/* 1 it would verify like this, 0 not, negative errno. */
static int would_hold(
	const struct diagnosis *d, const struct message *m, const char *origin)
{
	struct verify_result result;
	int r = ask(d, m, origin, NULL, &result);

	return r < 0 ? r : result.verdict == VERIFY_OK;
}

static void find_route(struct diagnosis *d)
{
	const struct source *found = route_find(d->config, d->message->path, &d->token);

	if (found != d->source)
		trace_say(&d->trace, TRACE_BAD,
			"the request's path leads %s%s; Path=%s is the one of this "
			"source",
			found ? "to source " : "nowhere", found ? found->name : "",
			d->source->path);
	if (d->source->allow.size)
		trace_say(&d->trace, TRACE_NOTE,
			"AllowFrom= is not looked at: no address was kept");
}

static bool ends_with(struct bytes b, const char *end)
{
	size_t n = strlen(end);

	return b.size >= n && memcmp(b.data + b.size - n, end, n) == 0;
}

/* A body that an editor, a shell or a log has touched. 1: found and said. */
static int guess_newline(struct diagnosis *d, const struct message *m)
{
	struct message other = *m;
	const char *end = ends_with(m->body, "\r\n") ? "\r\n" : "\n";

	if (ends_with(m->body, end)) {
		other.body.size -= strlen(end);
		int r = would_hold(d, &other, d->config->public_url);
		if (r <= 0)
			return r;
		trace_say(&d->trace, TRACE_BAD,
			"without the newline at its end the body would verify: it was "
			"added after the sender signed");
		return 1;
	}
	CLEANUP(freep) char *longer = malloc(m->body.size + 1);
	if (!longer)
		return -ENOMEM;
	if (m->body.size)
		memcpy(longer, m->body.data, m->body.size);
	longer[m->body.size] = '\n';
	other.body = (struct bytes){longer, m->body.size + 1};
	int r = would_hold(d, &other, d->config->public_url);
	if (r > 0)
		trace_say(&d->trace, TRACE_BAD,
			"with a newline at its end the body would verify: it was lost "
			"after the sender signed");
	return r;
}

static bool signs_url(const struct source *s)
{
	return (s->verify & (VERIFY_TWILIO | VERIFY_HTTP_SIGNATURE)) ||
	       ((s->verify & (VERIFY_HMAC | VERIFY_ED25519)) && s->signature.content &&
		       (content_parts(s->signature.content) & CONTENT_URL));
}

/* The sender signed the URL it was given; behind a proxy that is easily not ours. */
static int guess_origin(struct diagnosis *d, const struct message *m)
{
	static const char *const schemes[] = {"https", "http"};
	struct bytes host;

	if (!signs_url(d->source) || message_header(m, "Host", &host) != MESSAGE_ONCE)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		CLEANUP(freep)
		char *origin = text_format("%s://%.*s", schemes[i], BYTES_FMT(host));
		if (!origin)
			return -ENOMEM;
		int r = would_hold(d, m, origin);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		struct text shown = TEXT_EMPTY;
		text_add_escaped(&shown, bytes_of(origin), 256);
		trace_say(&d->trace, TRACE_BAD,
			"it would verify with PublicURL=%s: that is where the sender "
			"called",
			shown.data ? shown.data : "");
		text_fini(&shown);
		return 1;
	}
	return 0;
}

/* At the time it names itself nothing is stale, and the rest can be judged. */
static int judge_as_sent(struct diagnosis *d, struct message *m)
{
	char when[CLOCK_TEXT_SIZE];
	struct verify_result result;

	m->received_usec = d->trace.timestamp_usec;
	trace_scheme(&d->trace, NULL);
	trace_say(&d->trace, TRACE_NOTE, "had it come when it says it was sent, at %s:",
		clock_format(m->received_usec, when));
	int r = ask(d, m, d->config->public_url, &d->trace, &result);
	trace_scheme(&d->trace, NULL);
	if (r < 0)
		return r;
	if (result.verdict == VERIFY_OK)
		trace_say(&d->trace, TRACE_NOTE,
			"then it would have verified: only its age is wrong");
	return result.verdict == VERIFY_OK;
}

static int explain_refusal(struct diagnosis *d)
{
	struct message m = *d->message;
	int r = d->trace.stale ? judge_as_sent(d, &m) : 0;

	if (r == 0 && d->source->verify & SIGNING)
		r = guess_newline(d, &m);
	if (r == 0)
		r = guess_origin(d, &m);
	return r < 0 ? r : 0;
}

/* Of a URL: what is at hand, since when, and what is wrong. */
static void tell_keys(struct diagnosis *d, enum verify_keys_kind kind, const char *url)
{
	const char *what = kind == VERIFY_KEYS_SET ? "the keys of KeysURL="
						   : "the certificate of SigningCertURL";
	char when[CLOCK_TEXT_SIZE];
	struct keyring_state k;

	keyring_look(d->flow->keyring, d->source, kind, url, &k);
	if (k.n_keys)
		trace_say(&d->trace, TRACE_NOTE, "%s: %zu at hand, fetched at %s", what,
			k.n_keys, clock_format(k.fetched_usec, when));
	else if (!k.tried_usec)
		trace_say(&d->trace, TRACE_NOTE,
			"%s: not fetched yet, no callback has needed them", what);
	if (k.trouble) {
		struct text shown = TEXT_EMPTY;
		text_add_escaped(&shown, bytes_of(k.trouble), 256);
		trace_say(&d->trace, TRACE_BAD, "%s: the last attempt, at %s, failed: %s",
			what, clock_format(k.tried_usec, when),
			shown.data ? shown.data : "");
		text_fini(&shown);
	}
}

static int judge(struct diagnosis *d)
{
	int r = ask(d, d->message, d->config->public_url, &d->trace, &d->result);

	trace_scheme(&d->trace, NULL);
	if (r < 0)
		return r;
	if (d->result.verdict == VERIFY_ASK_STORE)
		trace_say(&d->trace, TRACE_NOTE,
			"the token has the form of an upload's own; whether it is one "
			"only the store knows, and it is not asked here");
	if (d->source->keys_url)
		tell_keys(d, VERIFY_KEYS_SET, d->source->keys_url);
	else if (d->result.verdict == VERIFY_NEEDS_KEYS)
		tell_keys(d, d->result.keys_kind, d->result.url);
	if (d->result.verdict == VERIFY_NEEDS_KEYS)
		trace_say(&d->trace, TRACE_NOTE,
			"a callback would have them fetched%s; for this question they "
			"are not",
			d->result.stale ? " anew" : "");
	return d->result.verdict == VERIFY_REFUSED ? explain_refusal(d) : 0;
}

static json_t *steps_of(const struct trace *t)
{
	static const char *const words[] = {
		[TRACE_NOTE] = "note", [TRACE_GOOD] = "good", [TRACE_BAD] = "bad"};
	json_t *list = json_array();

	for (size_t i = 0; i < t->size; i++) {
		const struct trace_step *s = &t->steps[i];
		if (json_array_append_new(
			    list, json_pack("{s:s, s:s?, s:o}", "result", words[s->kind],
					  "scheme", s->scheme, "text",
					  json_of_text(bytes_of(s->text)))) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* Which hooks would get a run. */
static json_t *hooks_of(const struct diagnosis *d, struct payload *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->config->n_hooks; i++) {
		const struct hook *h = d->config->hooks[i];
		if (hook_wants(h, d->source->name, p->outcome, p->status) &&
			condition_list_holds(&h->where, &p->document) == 1 &&
			json_array_append_new(list, json_string(h->name)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The conditions of Where= that do not hold, as they were written. */
static json_t *unmet_of(const struct diagnosis *d, struct payload *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->source->where.size; i++) {
		struct condition *c = &d->source->where.conditions[i];
		const struct condition_list one = {c, 1};
		if (condition_list_holds(&one, &p->document) == 1)
			continue;
		if (json_array_append_new(
			    list, json_sprintf("%s%s%s", c->field.text,
					  c->negated ? "!=" : "=", c->value)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int reading_of(const struct diagnosis *d, json_t **ret)
{
	struct payload p;
	int r = payload_read(d->source, d->message, &p);

	if (r == 0) {
		json_t *unmet = unmet_of(d, &p);
		bool taken = json_array_size(unmet) == 0;
		*ret = json_pack("{s:o, s:o, s:s, s:b, s:o, s:s?, s:b, s:o, s:o}", "id",
			json_of_text(bytes_of(p.id)), "status",
			json_of_text(bytes_of(p.status)), "outcome",
			outcome_name(p.outcome), "unknown_word", p.unknown_word,
			"delivery", json_of_text(bytes_of(p.delivery)), "problem",
			p.problem, "where", taken, "unmet", unmet, "hooks",
			taken ? hooks_of(d, &p) : json_array());
		r = *ret ? 0 : -ENOMEM;
	}
	payload_fini(&p);
	return r;
}

int diagnose(const struct flow *flow, const struct source *s, const struct message *m,
	json_t **ret)
{
	struct diagnosis d = {
		.flow = flow, .config = flow->config, .source = s, .message = m};
	json_t *reading = NULL;

	find_route(&d);
	int r = judge(&d);
	if (r == 0)
		r = reading_of(&d, &reading);
	if (r == 0 && d.trace.failed)
		r = -ENOMEM;
	if (r == 0) {
		bool verified = d.result.verdict == VERIFY_OK;
		*ret = json_pack("{s:s, s:b, s:s?, s:o, s:O}", "source", s->name,
			"verified", verified, "scheme",
			verified ? verify_scheme_name(d.result.scheme) : NULL, "steps",
			steps_of(&d.trace), "reading", reading);
		r = *ret ? 0 : -ENOMEM;
	}
	json_decref(reading);
	trace_fini(&d.trace);
	return r;
}
