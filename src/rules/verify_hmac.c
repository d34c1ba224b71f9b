/*
 * The one HMAC verifier. Its parameters are a source's signature_rule, or a scheme's own
 * (recipe.h). Cheap refusals come first, then one HMAC for each key, over the body where it
 * lies; each is compared with each signature that is listed.
 */
#include "rules/verify_scheme.h"

#include "base/codec.h"
#include "base/span.h"
#include "rules/content.h"
#include "rules/form.h"
#include "rules/recipe.h"
#include "rules/signature.h"
#include "rules/verify.h"

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

/* For messages: where the signature stands. */
static const char *place_word(const struct signature_rule *rule)
{
	return rule->place.kind == FIELD_HEADER ? "header" : "form field";
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

/* 0; 1 it is not there; 2 it is, and cannot be used. */
static int find_id_header(const struct scheme_input *in, const char *name,
	struct bytes *ret, char reason[static SCHEME_REASON_SIZE])
{
	switch (message_header(in->message, name, ret)) {
	case MESSAGE_ONCE: break;
	case MESSAGE_ABSENT: return scheme_refuse(reason, "header %s is missing", name);
	case MESSAGE_TWICE:
		scheme_refuse(reason, "header %s stands there twice", name);
		return 2;
	}
	if (ret->size > 0)
		return 0;
	scheme_refuse(reason, "header %s is empty", name);
	return 2;
}

/* {id} is the recipe's header, or the one that DeliveryField= names; the first that is there. */
static int find_id(const struct scheme_input *in, const struct recipe *recipe,
	struct bytes *ret, char reason[static SCHEME_REASON_SIZE])
{
	const struct field_list *l = &in->source->delivery;
	int r = scheme_refuse(
		reason, "{id} is signed, and DeliveryField= names no header");

	if (recipe->id_header)
		return find_id_header(in, recipe->id_header, ret, reason) != 0;
	for (size_t i = 0; i < l->size; i++) {
		if (l->fields[i].kind != FIELD_HEADER)
			continue;
		r = find_id_header(in, l->fields[i].name, ret, reason);
		if (r != 1)
			break;
	}
	return r != 0;
}

/* The timestamp as written, where the scheme has one, and whether it is fresh. */
static int find_timestamp(const struct scheme_input *in,
	const struct signature_rule *rule, const struct signatures *given,
	struct bytes *ret, char reason[static SCHEME_REASON_SIZE])
{

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
				"%s %s holds no timestamp %s=", place_word(rule),
				rule->place.name, rule->timestamp_field);
	} else if (content_parts(rule->content) & CONTENT_TIMESTAMP) {
		return scheme_refuse(
			reason, "{timestamp} is signed, and TimestampHeader= is not set");
	} else {
		return 0;
	}
	return check_age(in, *ret, reason);
}

/* What is taken out of a message to be compared, and what of that is owned. */
struct gathered {
	struct signatures given;
	struct content content;
	struct form form;
	char *value;        /* of a signature in a form's field */
	char *field;        /* {form:NAME} */
	struct text sorted; /* {form} */
};

static void gathered_fini(struct gathered *g)
{
	free(g->value);
	free(g->field);
	text_fini(&g->sorted);
}

/* One field of the form, decoded. 0, 1, -ENOMEM. */
static int find_field(const struct gathered *g, struct bytes name, char **ret,
	struct bytes *ret_value, char reason[static SCHEME_REASON_SIZE])
{
	struct bytes raw;
	size_t size;

	if (g->form.problem)
		return scheme_refuse(reason, "%s", g->form.problem);
	switch (form_find(&g->form, name, &raw)) {
	case MESSAGE_ONCE: break;
	case MESSAGE_ABSENT:
		return scheme_refuse(
			reason, "the form has no field %.*s", BYTES_FMT(name));
	case MESSAGE_TWICE:
		return scheme_refuse(reason, "the form's field %.*s stands there twice",
			BYTES_FMT(name));
	}
	int r = form_decode(&g->form, raw, ret, &size);
	if (r > 0)
		return scheme_refuse(reason, "the form's field %.*s has a broken escape",
			BYTES_FMT(name));
	if (r == 0)
		*ret_value = (struct bytes){*ret, size};
	return r;
}

/* The signature as it was sent; nothing while the body is not there. 0, 1, -ENOMEM. */
static int find_signature(const struct scheme_input *in,
	const struct signature_rule *rule, struct gathered *g,
	char reason[static SCHEME_REASON_SIZE])
{
	const char *problem;
	struct bytes value = BYTES_NONE;
	int r;

	if (rule->place.kind == FIELD_HEADER)
		r = scheme_header_once(in->message, rule->place.name, &value, reason);
	else if (in->head_only)
		return g->form.problem ? scheme_refuse(reason, "%s", g->form.problem) : 0;
	else
		r = find_field(g, bytes_of(rule->place.name), &g->value, &value, reason);
	if (r != 0)
		return r;
	if (signatures_parse(rule, value, &g->given, &problem) != 0)
		return scheme_refuse(
			reason, "%s %s %s", place_word(rule), rule->place.name, problem);
	trace_say(in->trace, TRACE_GOOD,
		"%s %s is there once and lists %zu signature%s%s", place_word(rule),
		rule->place.name, g->given.size, g->given.size == 1 ? "" : "s",
		g->given.n_unfit ? ", and some that are not of that length and encoding"
				 : "");
	return 0;
}

static enum message_found body_hash(const struct scheme_input *in, struct bytes *ret)
{
	return message_parameter(in->message->query, bytes_of("bodySHA256"), ret);
}

/*
 * Does the body stand behind {form} by its hash in the signed URL (Twilio, "Webhooks
 * Security")? The URL says so, which is signed, and Content-Type, which is not, only where
 * there can be no form: else a form that adds nothing, such as "=", would replace any body.
 */
static bool is_hashed(
	const struct scheme_input *in, const struct form *form, unsigned parts)
{
	struct bytes text;

	return (parts & CONTENT_FORM) && (parts & CONTENT_URL) &&
	       (form->kind == FORM_NONE || body_hash(in, &text) != MESSAGE_ABSENT);
}

/* 0, 1, -EIO. */
static int check_body_hash(const struct scheme_input *in, const char *problem,
	char reason[static SCHEME_REASON_SIZE])
{
	unsigned char hash[VERIFY_TOKEN_HASH_SIZE], given[VERIFY_TOKEN_HASH_SIZE];
	struct bytes text;

	if (body_hash(in, &text) != MESSAGE_ONCE)
		return scheme_refuse(reason, "%s%sthe URL does not hold bodySHA256 once",
			problem ? problem : "", problem ? ", and " : "");
	if (codec_hex_decode(text, given, sizeof(given)) != sizeof(given))
		return scheme_refuse(reason, "bodySHA256 in the URL is no SHA-256");
	if (in->head_only)
		return 0;
	int r = verify_hash(in->message->body, hash);
	if (r < 0)
		return r;
	if (CRYPTO_memcmp(hash, given, sizeof(hash)) == 0)
		return 0;
	return scheme_refuse(reason, "bodySHA256 in the URL is not the body's");
}

/* What the template wants of the form. 0, 1, negative errno. */
static int find_form(const struct scheme_input *in, const char *template, unsigned parts,
	struct gathered *g, char reason[static SCHEME_REASON_SIZE])
{
	const char *problem;

	if (is_hashed(in, &g->form, parts))
		return check_body_hash(in, g->form.problem, reason);
	if (g->form.problem)
		return scheme_refuse(reason, "%s", g->form.problem);
	if (in->head_only)
		return 0;
	if (parts & CONTENT_FORM_FIELD)
		return find_field(g, content_form_field(template), &g->field,
			&g->content.form, reason);
	int r = form_add_sorted(&g->form, &g->sorted, &problem);
	if (r > 0)
		return scheme_refuse(reason, "%s", problem);
	g->content.form = text_bytes(&g->sorted);
	return r;
}

/* All that is compared and all that is signed. 0, 1, negative errno. */
static int gather(const struct scheme_input *in, const struct recipe *recipe,
	struct gathered *g, char reason[static SCHEME_REASON_SIZE])
{
	const struct signature_rule *rule = recipe->rule;
	unsigned parts = content_parts(rule->content);
	unsigned in_form = parts & (CONTENT_FORM | CONTENT_FORM_FIELD);
	int r;

	if ((in_form || rule->place.kind == FIELD_FORM) && in->head_only)
		form_of_head(&g->form, in->message);
	else if (in_form || rule->place.kind == FIELD_FORM)
		form_of(&g->form, in->message);
	r = find_signature(in, rule, g, reason);
	if (r != 0)
		return r;
	/* Pairs in a form's field: their timestamp comes with the body. */
	if (!in->head_only || rule->place.kind == FIELD_HEADER)
		r = find_timestamp(in, rule, &g->given, &g->content.timestamp, reason);
	if (r == 0 && (parts & CONTENT_ID))
		r = find_id(in, recipe, &g->content.id, reason);
	if (r == 0 && (parts & CONTENT_URL) && !in->origin.data && !in->head_only)
		r = scheme_refuse(reason, "{url} is signed, and PublicURL= is not set");
	if (r == 0 && in_form)
		r = find_form(in, rule->content, parts, g, reason);
	g->content.body = in->message->body;
	g->content.origin = in->origin;
	g->content.target = in->message->target;
	return r;
}

/* 1 and the number of keys tried, or negative errno; *ret_held tells. */
static int try_keys(const struct scheme_input *in, const struct recipe *recipe,
	const struct gathered *g, size_t *ret_tried, bool *ret_held)
{
	const struct source *s = in->source;
	const struct signature_rule *rule = recipe->rule;
	unsigned char mac[MAC_SIZE_MAX];
	int r = 0, held = 0;

	*ret_tried = 0;
	/* All keys, even after one that fits: time shall not tell which. */
	for (size_t i = 0; r == 0 && i < s->n_secrets; i++) {
		struct bytes key = recipe->key(&s->secrets[i]);
		struct mac m;
		if (key.size == 0)
			continue;
		++*ret_tried;
		r = mac_begin(&m, rule->algorithm, key);
		if (r < 0)
			break;
		content_add(rule->content, &g->content, &m);
		r = mac_end(&m, mac);
		if (r == 0)
			held |= signatures_hold(
				&g->given, mac, mac_size(rule->algorithm));
	}
	OPENSSL_cleanse(mac, sizeof(mac));
	*ret_held = held != 0;
	return r;
}

static int compare(const struct scheme_input *in, const struct recipe *recipe,
	const struct gathered *g, char reason[static SCHEME_REASON_SIZE])
{
	size_t tried, listed = g->given.size;
	bool held;

	int r = try_keys(in, recipe, g, &tried, &held);
	if (r < 0)
		return r;
	trace_say(in->trace, TRACE_NOTE, "%zu key%s tried, each against %zu signature%s",
		tried, tried == 1 ? "" : "s", listed, listed == 1 ? "" : "s");
	if (held)
		return 0;
	if (listed > 1)
		return scheme_refuse(reason,
			"none of %zu signatures matches any of %zu key%s", listed, tried,
			tried == 1 ? "" : "s");
	return scheme_refuse(reason, "the signature matches none of %zu key%s", tried,
		tried == 1 ? "" : "s");
}

static int check(const struct scheme_input *in, const struct recipe *recipe,
	char reason[static SCHEME_REASON_SIZE])
{
	struct gathered g = {0};
	int r = gather(in, recipe, &g, reason);

	if (r == 0 && !in->head_only)
		r = compare(in, recipe, &g, reason);
	gathered_fini(&g);
	return r;
}

int scheme_hmac(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	const struct recipe own = recipe_own(in->source);

	return check(in, &own, reason);
}

/* Of the two spellings those that are there; one that holds suffices. */
int scheme_standard(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	int r = scheme_refuse(reason,
		"neither header webhook-signature nor header svix-signature is there");
	struct recipe recipe;
	struct bytes value;

	for (size_t i = 0; recipe_of(VERIFY_STANDARD_WEBHOOKS, i, &recipe); i++) {
		if (message_header(in->message, recipe.rule->place.name, &value) ==
			MESSAGE_ABSENT)
			continue;
		r = check(in, &recipe, reason);
		if (r <= 0)
			return r;
	}
	return r;
}

int scheme_twilio(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	struct recipe recipe;

	return recipe_of(VERIFY_TWILIO, 0, &recipe) ? check(in, &recipe, reason) : 1;
}
