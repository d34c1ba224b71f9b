/* The sender's side of verification; see sign.h. It shares the content and the HMAC with the
 * verifier, and none of the reading. */
#include "rules/sign.h"

#include "base/codec.h"
#include "rules/content.h"
#include "rules/form.h"
#include "rules/recipe.h"
#include "rules/sign_http.h"
#include "rules/verify.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include <openssl/crypto.h>

#define TIMESTAMP_SIZE 24

/* May it stand in a header as it is? A line break would make two headers of one. */
static bool fits_header(struct bytes b)
{
	for (size_t i = 0; i < b.size; i++)
		if ((unsigned char)b.data[i] < 0x20 || b.data[i] == 0x7f)
			return false;
	return b.size > 0 && bytes_trim(b).size == b.size;
}

static int add_header(struct text *headers, const char *name, struct bytes value)
{
	if (!fits_header(value))
		return 1;
	text_addf(headers, "%s: ", name);
	text_add(headers, value);
	text_adds(headers, "\r\n");
	return 0;
}

static struct bytes secret_text(const struct source *s)
{
	if (s->n_secrets == 0 || s->secrets[0].text_size == 0)
		return BYTES_NONE;
	return (struct bytes){(const char *)s->secrets[0].text, s->secrets[0].text_size};
}

static int sign_token(const struct source *s, struct text *target)
{
	struct bytes secret = secret_text(s);
	if (!secret.data)
		return 1;
	char *encoded = codec_percent_encode(secret);
	if (!encoded)
		return -ENOMEM;
	text_addf(target, "/%s", encoded);
	OPENSSL_cleanse(encoded, strlen(encoded));
	free(encoded);
	return 0;
}

static int sign_header(const struct source *s, struct text *headers)
{
	struct bytes secret = secret_text(s);

	if (!secret.data || !s->token_header || !*s->token_header)
		return 1;
	return add_header(headers, s->token_header, secret);
}

static int sign_basic(const struct source *s, struct text *headers)
{
	struct bytes secret = secret_text(s);
	if (!secret.data)
		return 1;
	char *encoded = codec_base64_encode(secret.data, secret.size);
	if (!encoded)
		return -ENOMEM;
	text_addf(headers, "Authorization: Basic %s\r\n", encoded);
	OPENSSL_cleanse(encoded, strlen(encoded));
	free(encoded);
	return 0;
}

static const char *delivery_header(const struct source *s)
{
	for (size_t i = 0; i < s->delivery.size; i++)
		if (s->delivery.fields[i].kind == FIELD_HEADER)
			return s->delivery.fields[i].name;
	return NULL;
}

/* The MAC of the content in the rule's encoding. 0, 1: the secret is no key, -ENOMEM, -EIO. */
static int make_signature(const struct source *s, const struct recipe *recipe,
	const struct content *c, char **ret)
{
	const struct signature_rule *rule = recipe->rule;
	struct bytes key = s->n_secrets ? recipe->key(&s->secrets[0]) : BYTES_NONE;
	unsigned char out[MAC_SIZE_MAX];
	struct mac m;

	if (key.size == 0)
		return 1;
	int r = mac_begin(&m, rule->algorithm, key);
	if (r < 0)
		return r;
	content_add(rule->content, c, &m);
	r = mac_end(&m, out);
	if (r < 0)
		return r;
	size_t size = mac_size(rule->algorithm);
	*ret = rule->encoding == ENCODING_BASE64 ? codec_base64_encode(out, size)
						 : codec_hex_encode(out, size);
	return *ret ? 0 : -ENOMEM;
}

/* As it stands in the header or the form's field. */
static void write_signature(const struct signature_rule *rule, const char *timestamp,
	const char *signature, struct text *out)
{
	const char *prefix = rule->prefix ? rule->prefix : "";
	const char *field = rule->signature_field ? rule->signature_field : "";
	bool has_time = rule->timestamp_field && *rule->timestamp_field;

	switch (rule->style) {
	case STYLE_PLAIN: text_addf(out, "%s%s", prefix, signature); break;
	case STYLE_PAIRS:
		if (has_time)
			text_addf(out, "%s=%s,", rule->timestamp_field, timestamp);
		text_addf(out, "%s=%s%s", field, prefix, signature);
		break;
	case STYLE_LIST:
		if (*prefix || !*field)
			text_addf(out, "%s%s", prefix, signature);
		else
			text_addf(out, "%s,%s", field, signature);
	}
}

static int place_signature(const struct signature_rule *rule, struct bytes value,
	const struct sign_input *in, struct text *headers)
{
	if (rule->place.kind == FIELD_HEADER)
		return add_header(headers, rule->place.name, value);
	CLEANUP(freep) char *name = codec_percent_encode(bytes_of(rule->place.name));
	CLEANUP(freep) char *encoded = codec_percent_encode(value);
	if (!name || !encoded)
		return -ENOMEM;
	text_addf(in->more_body, "%s%s=%s", in->body.size ? "&" : "", name, encoded);
	return in->more_body->failed ? -ENOMEM : 0;
}

/* The form's part of what is signed into *owned. 0, 1: it cannot be, negative errno. */
static int sign_form(const struct signature_rule *rule, const struct sign_input *in,
	struct text *target, struct text *owned)
{
	const struct form form = {.kind = FORM_URLENCODED, .body = in->body};
	unsigned parts = content_parts(rule->content);
	CLEANUP(freep) char *value = NULL;
	unsigned char hash[VERIFY_TOKEN_HASH_SIZE];
	const char *problem;
	struct bytes raw;
	size_t size;
	int r;

	if (!in->form && !((parts & CONTENT_FORM) && (parts & CONTENT_URL)))
		return 1;
	if (!in->form) {
		r = verify_hash(in->body, hash);
		value = r == 0 ? codec_hex_encode(hash, sizeof(hash)) : NULL;
		if (!value)
			return r < 0 ? r : -ENOMEM;
		bool more = target->data && strchr(target->data, '?');
		text_addf(target, "%cbodySHA256=%s", more ? '&' : '?', value);
		return 0;
	}
	if (parts & CONTENT_FORM)
		return form_add_sorted(&form, owned, &problem);
	if (form_find(&form, content_form_field(rule->content), &raw) != MESSAGE_ONCE)
		return 1;
	r = form_decode(&form, raw, &value, &size);
	if (r == 0)
		text_add(owned, (struct bytes){value, size});
	return r;
}

/* Is all there that the rule needs? */
static bool can_sign(
	const struct source *s, const struct recipe *recipe, const struct sign_input *in)
{
	const struct signature_rule *rule = recipe->rule;
	unsigned parts = content_parts(rule->content);

	if (rule->place.kind == FIELD_FORM && !(in->form && in->more_body))
		return false;
	if (parts & CONTENT_HEADER)
		return false; /* what would stand in it? */
	if ((parts & CONTENT_ID) &&
		(!in->id || (!recipe->id_header && !delivery_header(s))))
		return false;
	return !(parts & CONTENT_URL) || in->public_url;
}

static int hash_body(struct bytes body, char **ret)
{
	unsigned char hash[VERIFY_TOKEN_HASH_SIZE];
	int r = verify_hash(body, hash);

	if (r < 0)
		return r;
	*ret = codec_hex_encode(hash, sizeof(hash));
	return *ret ? 0 : -ENOMEM;
}

static int sign_hmac(const struct source *s, const struct recipe *recipe,
	const struct sign_input *in, struct text *headers, struct text *target)
{
	const struct signature_rule *rule = recipe->rule;
	unsigned parts = content_parts(rule->content);
	CLEANUP(text_fini) struct text form = TEXT_EMPTY;
	CLEANUP(text_fini) struct text value = TEXT_EMPTY;
	CLEANUP(freep) char *signature = NULL;
	CLEANUP(freep) char *body_hash = NULL;
	char timestamp[TIMESTAMP_SIZE];
	int r = 0;

	if (!can_sign(s, recipe, in))
		return 1;
	if (parts & (CONTENT_FORM | CONTENT_FORM_FIELD))
		r = sign_form(rule, in, target, &form);
	if (r == 0 && (parts & CONTENT_BODY_HASH))
		r = hash_body(in->body, &body_hash);
	snprintf(timestamp, sizeof(timestamp), "%lld",
		(long long)(in->now_usec / (int64_t)USEC_PER_SEC));
	const struct content content = {.id = bytes_of(in->id),
		.timestamp = bytes_of(timestamp),
		.body = in->body,
		.origin = bytes_of(in->public_url),
		.target = text_bytes(target),
		.form = text_bytes(&form),
		.body_hash = bytes_of(body_hash)};
	if (r == 0)
		r = make_signature(s, recipe, &content, &signature);
	if (r == 0 && (parts & CONTENT_ID))
		r = add_header(headers,
			recipe->id_header ? recipe->id_header : delivery_header(s),
			bytes_of(in->id));
	if (r != 0)
		return r;
	if (rule->timestamp_header && *rule->timestamp_header)
		text_addf(headers, "%s: %s\r\n", rule->timestamp_header, timestamp);
	write_signature(rule, timestamp, signature, &value);
	if (value.failed || form.failed)
		return -ENOMEM;
	return place_signature(rule, text_bytes(&value), in, headers);
}

/* The spelling that DeliveryField= names, where it names one. */
static int sign_standard(const struct source *s, const struct sign_input *in,
	struct text *headers, struct text *target)
{
	const char *header = delivery_header(s);
	struct recipe recipe, chosen = {0};

	for (size_t i = 0; recipe_of(VERIFY_STANDARD_WEBHOOKS, i, &recipe); i++)
		if (i == 0 || (header && strcasecmp(recipe.id_header, header) == 0))
			chosen = recipe;
	return chosen.rule ? sign_hmac(s, &chosen, in, headers, target) : 1;
}

static int sign_own(const struct source *s, const struct sign_input *in,
	struct text *headers, struct text *target)
{
	const struct recipe own = recipe_own(s);

	return sign_hmac(s, &own, in, headers, target);
}

static int sign_twilio(const struct source *s, const struct sign_input *in,
	struct text *headers, struct text *target)
{
	struct recipe recipe;

	return recipe_of(VERIFY_TWILIO, 0, &recipe)
		       ? sign_hmac(s, &recipe, in, headers, target)
		       : 1;
}

int sign_message(const struct source *s, const struct sign_input *in,
	struct text *headers, struct text *target)
{
	int r = 1;

	if (s->verify & VERIFY_NONE)
		return 0;
	if (s->verify & VERIFY_HMAC)
		r = sign_own(s, in, headers, target);
	if (r == 1 && (s->verify & VERIFY_STANDARD_WEBHOOKS))
		r = sign_standard(s, in, headers, target);
	if (r == 1 && (s->verify & VERIFY_TWILIO))
		r = sign_twilio(s, in, headers, target);
	if (r == 1 && (s->verify & VERIFY_HTTP_SIGNATURE))
		r = sign_http(s, in, headers, target);
	if (r == 1 && (s->verify & VERIFY_HEADER))
		r = sign_header(s, headers);
	if (r == 1 && (s->verify & VERIFY_BASIC))
		r = sign_basic(s, headers);
	if (r == 1 && (s->verify & VERIFY_TOKEN))
		r = sign_token(s, target);
	return r == 0 && (headers->failed || target->failed) ? -ENOMEM : r;
}
