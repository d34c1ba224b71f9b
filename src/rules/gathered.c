/* Reads a message by the rule of its signature; see gathered.h. */
#include "rules/gathered.h"

#include "base/codec.h"

#include <errno.h>

#include <openssl/crypto.h>

/* For messages: where the signature stands. */
static const char *place_word(const struct signature_rule *rule)
{
	return rule->place.kind == FIELD_HEADER ? "header" : "form field";
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
	return scheme_age_text(in, *ret, reason);
}

void gathered_fini(struct gathered *g)
{
	free(g->value);
	free(g->field);
	text_fini(&g->sorted);
	free(g->body_hash);
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
	const struct signature_rule *rule, size_t size, struct gathered *g,
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
	if (signatures_parse(rule, size, value, &g->given, &problem) != 0)
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

/* Each header that is signed, once. 0 or 1. */
static int check_headers(const struct scheme_input *in, const char *template,
	char reason[static SCHEME_REASON_SIZE])
{
	char name[CONTENT_HEADER_MAX + 1];
	struct bytes value;
	int r = 0;

	for (size_t i = 0; r == 0 && content_header(template, i, name); i++)
		r = scheme_header_once(in->message, name, &value, reason);
	return r;
}

/* 0 or negative errno. */
static int hash_body(const struct scheme_input *in, struct gathered *g)
{
	unsigned char hash[VERIFY_TOKEN_HASH_SIZE];
	int r = verify_hash(in->message->body, hash);

	if (r < 0)
		return r;
	g->body_hash = codec_hex_encode(hash, sizeof(hash));
	g->content.body_hash = bytes_of(g->body_hash);
	return g->body_hash ? 0 : -ENOMEM;
}

int gather(const struct scheme_input *in, const struct recipe *recipe, size_t size,
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
	r = find_signature(in, rule, size, g, reason);
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
	if (r == 0 && (parts & CONTENT_HEADER))
		r = check_headers(in, rule->content, reason);
	if (r == 0 && (parts & CONTENT_BODY_HASH) && !in->head_only)
		r = hash_body(in, g);
	g->content.message = in->message;
	g->content.body = in->message->body;
	g->content.origin = in->origin;
	g->content.target = in->message->target;
	return r;
}
