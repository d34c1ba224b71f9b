/* The sender's side of verification; see sign.h. It shares the content and the HMAC with the
 * verifier, and none of the reading. */
#include "rules/sign.h"

#include "base/codec.h"
#include "rules/content.h"

#include <errno.h>
#include <stdio.h>

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

/* The MAC of the content in the source's encoding. 0, -ENOMEM, -EIO. */
static int make_signature(const struct source *s, const struct content *c, char **ret)
{
	const struct signature_rule *rule = &s->signature;
	struct bytes key = {(const char *)s->secrets[0].data, s->secrets[0].size};
	unsigned char out[MAC_SIZE_MAX];
	struct mac m;

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

static void write_signature(const struct signature_rule *rule, const char *timestamp,
	const char *signature, struct text *headers)
{
	const char *prefix = rule->prefix ? rule->prefix : "";
	const char *field = rule->signature_field ? rule->signature_field : "";
	bool has_time = rule->timestamp_field && *rule->timestamp_field;

	text_addf(headers, "%s: ", rule->place.name);
	switch (rule->style) {
	case STYLE_PLAIN: text_addf(headers, "%s%s", prefix, signature); break;
	case STYLE_PAIRS:
		if (has_time)
			text_addf(headers, "%s=%s,", rule->timestamp_field, timestamp);
		text_addf(headers, "%s=%s%s", field, prefix, signature);
		break;
	case STYLE_LIST:
		if (*prefix || !*field)
			text_addf(headers, "%s%s", prefix, signature);
		else
			text_addf(headers, "%s,%s", field, signature);
	}
	text_adds(headers, "\r\n");
}

static int sign_hmac(const struct source *s, const struct sign_input *in,
	struct text *headers, const struct text *target)
{
	const struct signature_rule *rule = &s->signature;
	unsigned parts = content_parts(rule->content);
	const char *id_header = delivery_header(s);
	char timestamp[TIMESTAMP_SIZE];

	if (s->n_secrets == 0 || s->secrets[0].size == 0 ||
		rule->place.kind != FIELD_HEADER || (parts & CONTENT_FORM) ||
		((parts & CONTENT_ID) && (!id_header || !in->id)) ||
		((parts & CONTENT_URL) && !in->public_url))
		return 1;
	snprintf(timestamp, sizeof(timestamp), "%lld",
		(long long)(in->now_usec / (int64_t)USEC_PER_SEC));
	if ((parts & CONTENT_ID) && add_header(headers, id_header, bytes_of(in->id)) != 0)
		return 1;
	if (rule->timestamp_header && *rule->timestamp_header)
		text_addf(headers, "%s: %s\r\n", rule->timestamp_header, timestamp);

	const struct content content = {.id = bytes_of(in->id),
		.timestamp = bytes_of(timestamp),
		.body = in->body,
		.origin = bytes_of(in->public_url),
		.target = text_bytes(target)};
	char *signature;
	int r = make_signature(s, &content, &signature);
	if (r < 0)
		return r;
	write_signature(rule, timestamp, signature, headers);
	free(signature);
	return 0;
}

int sign_message(const struct source *s, const struct sign_input *in,
	struct text *headers, struct text *target)
{
	int r = 1;

	if (s->verify & VERIFY_NONE)
		return 0;
	if (s->verify & VERIFY_HMAC)
		r = sign_hmac(s, in, headers, target);
	if (r == 1 && (s->verify & VERIFY_HEADER))
		r = sign_header(s, headers);
	if (r == 1 && (s->verify & VERIFY_BASIC))
		r = sign_basic(s, headers);
	if (r == 1 && (s->verify & VERIFY_TOKEN))
		r = sign_token(s, target);
	return r == 0 && (headers->failed || target->failed) ? -ENOMEM : r;
}
