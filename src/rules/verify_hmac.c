/*
 * The one HMAC verifier. Its parameters are a source's signature_rule; senders.md's table of
 * schemes is what it must express. Cheap refusals come first, then one HMAC for each key, over
 * the body where it lies; each is compared with each signature that is listed.
 */
#include "rules/verify_scheme.h"

#include "base/span.h"
#include "rules/content.h"
#include "rules/signature.h"

#include <stdio.h>

#include <openssl/crypto.h>

#define SECONDS_DIGITS_MAX 11 /* beyond year 5000 it is milliseconds */
#define MILLIS_DIGITS_MAX  14
#define AGE_SIZE           32

/* Decimal seconds or milliseconds since the Unix epoch; false when it is neither. */
static bool parse_timestamp(struct bytes text, int64_t *ret_usec)
{
	int64_t value = 0;

	if (text.size == 0 || text.size > MILLIS_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (text.data[i] - '0');
	}
	int64_t unit = text.size > SECONDS_DIGITS_MAX ? USEC_PER_MSEC : USEC_PER_SEC;
	*ret_usec = value * unit; /* 10^14 ms and 10^11 s are both 10^17 usec */
	return true;
}

static const char *format_age(uint64_t usec, char buffer[static AGE_SIZE])
{
	static const struct {
		uint64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	uint64_t seconds = usec / USEC_PER_SEC;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (seconds >= 2 * units[i].seconds || units[i].seconds == 1) {
			snprintf(buffer, AGE_SIZE, "%llu %s",
				(unsigned long long)(seconds / units[i].seconds),
				units[i].unit);
			break;
		}
	return buffer;
}

static int check_age(const struct scheme_input *in, struct bytes text,
	char reason[static SCHEME_REASON_SIZE])
{
	uint64_t tolerance = in->source->signature.tolerance_usec;
	int64_t then, now = in->message->received_usec;
	char age[AGE_SIZE];

	if (!parse_timestamp(text, &then))
		return scheme_refuse(reason, "timestamp is not a number of seconds");
	bool past = then <= now;
	uint64_t apart = past ? (uint64_t)(now - then) : (uint64_t)(then - now);
	bool fresh = tolerance == SPAN_FOREVER || apart <= tolerance;
	trace_timestamp(in->trace, then, fresh);
	if (fresh && !in->trace)
		return 0;
	CLEANUP(freep) char *allowed = span_format_usec(tolerance);
	if (fresh) {
		trace_say(in->trace, TRACE_GOOD,
			"timestamp is %s %s, within Tolerance=%s", format_age(apart, age),
			past ? "old" : "ahead", allowed ? allowed : "");
		return 0;
	}
	return scheme_refuse(reason, "timestamp is %s %s, Tolerance=%s",
		format_age(apart, age), past ? "old" : "ahead", allowed ? allowed : "");
}

/* {id} is the header that DeliveryField= names; the first that is there. */
static int find_id(const struct scheme_input *in, struct bytes *ret,
	char reason[static SCHEME_REASON_SIZE])
{
	const struct field_list *l = &in->source->delivery;
	int r = scheme_refuse(
		reason, "{id} is signed, and DeliveryField= names no header");

	for (size_t i = 0; i < l->size; i++) {
		const char *name = l->fields[i].name;
		if (l->fields[i].kind != FIELD_HEADER)
			continue;
		switch (message_header(in->message, name, ret)) {
		case MESSAGE_ONCE:
			if (ret->size > 0)
				return 0;
			return scheme_refuse(reason, "header %s is empty", name);
		case MESSAGE_TWICE:
			return scheme_refuse(
				reason, "header %s stands there twice", name);
		case MESSAGE_ABSENT:
			r = scheme_refuse(reason, "header %s is missing", name);
		}
	}
	return r;
}

/* The timestamp as written, where the scheme has one, and whether it is fresh. */
static int find_timestamp(const struct scheme_input *in, const struct signatures *given,
	unsigned parts, struct bytes *ret, char reason[static SCHEME_REASON_SIZE])
{
	const struct signature_rule *rule = &in->source->signature;

	*ret = BYTES_NONE;
	if (rule->timestamp_header && *rule->timestamp_header) {
		if (scheme_header_once(
			    in->message, rule->timestamp_header, ret, reason) != 0)
			return 1;
	} else if (rule->style == STYLE_PAIRS && rule->timestamp_field &&
		   *rule->timestamp_field) {
		*ret = given->timestamp;
		if (!ret->data)
			return scheme_refuse(reason,
				"header %s holds no timestamp %s=", rule->place.name,
				rule->timestamp_field);
	} else if (parts & CONTENT_TIMESTAMP) {
		return scheme_refuse(
			reason, "{timestamp} is signed, and TimestampHeader= is not set");
	} else {
		return 0;
	}
	return check_age(in, *ret, reason);
}

static int gather(const struct scheme_input *in, struct signatures *given,
	struct content *content, char reason[static SCHEME_REASON_SIZE])
{
	const struct signature_rule *rule = &in->source->signature;
	unsigned parts = content_parts(rule->content);
	const char *problem;
	struct bytes value;

	if (rule->place.kind != FIELD_HEADER || (parts & CONTENT_FORM))
		return scheme_refuse(reason, "signatures of forms are not supported yet");
	if (scheme_header_once(in->message, rule->place.name, &value, reason) != 0)
		return 1;
	if (signatures_parse(rule, value, given, &problem) != 0)
		return scheme_refuse(reason, "header %s %s", rule->place.name, problem);
	trace_say(in->trace, TRACE_GOOD,
		"header %s is there once and lists %zu signature%s%s", rule->place.name,
		given->size, given->size == 1 ? "" : "s",
		given->n_unfit ? ", and some that are not of that length and encoding"
			       : "");
	if (find_timestamp(in, given, parts, &content->timestamp, reason) != 0)
		return 1;
	if ((parts & CONTENT_ID) && find_id(in, &content->id, reason) != 0)
		return 1;
	if ((parts & CONTENT_URL) && !in->origin.data && !in->head_only)
		return scheme_refuse(
			reason, "{url} is signed, and PublicURL= is not set");
	content->body = in->message->body;
	content->origin = in->origin;
	content->target = in->message->target;
	return 0;
}

int scheme_hmac(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	const struct source *s = in->source;
	struct signatures given;
	struct content content = {0};
	unsigned char mac[MAC_SIZE_MAX];
	int held = 0;

	if (gather(in, &given, &content, reason) != 0)
		return 1;
	if (in->head_only)
		return 0;
	/* All keys, even after one that fits: time shall not tell which. */
	for (size_t i = 0; i < s->n_secrets; i++) {
		struct bytes key = {(const char *)s->secrets[i].data, s->secrets[i].size};
		struct mac m;
		if (key.size == 0)
			continue;
		int r = mac_begin(&m, s->signature.algorithm, key);
		if (r < 0)
			return r;
		content_add(s->signature.content, &content, &m);
		r = mac_end(&m, mac);
		if (r < 0)
			return r;
		held |= signatures_hold(&given, mac, mac_size(s->signature.algorithm));
	}
	OPENSSL_cleanse(mac, sizeof(mac));
	trace_say(in->trace, TRACE_NOTE, "%zu key%s tried, each against %zu signature%s",
		s->n_secrets, s->n_secrets == 1 ? "" : "s", given.size,
		given.size == 1 ? "" : "s");
	if (held)
		return 0;
	return scheme_refuse(reason, "the signature matches none of %zu key%s",
		s->n_secrets, s->n_secrets == 1 ? "" : "s");
}
