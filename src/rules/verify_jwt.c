/*
 * Verify=jwt: a bearer token (RFC 6750) that is a signed JWT (RFC 7515, 7519), RS256 or ES256
 * and nothing else. The token chooses among what policy allows, and the key must be of that
 * kind: with `none`, or an HMAC under a public key, there is no way in (RFC 8725, 3.1). It
 * proves who calls and not what is said: the body is not covered. Google Pub/Sub calls so.
 *
 *   form ─ alg ─ exp nbf iat ─ iss ─ aud ─ sub ─── by the head alone ─── signature
 */
#include "rules/verify_public.h"

#include "base/codec.h"
#include "rules/document.h"

#include <errno.h>

#define TOKEN_MAX  8192
#define HEADER_MAX 2048 /* decoded */
#define ID_MAX     256

struct token {
	struct bytes signed_part; /* header.payload, as written */
	json_t *header, *claims;
	char *parts[2]; /* decoded; the JSON's strings are copies */
	unsigned char signature[PUBKEY_SIGNATURE_MAX];
	size_t signature_size;
	enum pubkey_algorithm algorithm;
	struct bytes key_id;
};

static void token_fini(struct token *t)
{
	json_decref(t->header);
	json_decref(t->claims);
	free(t->parts[0]);
	free(t->parts[1]);
}

/* ---- Its form ---- */

/* One part, base64url of a JSON object. 0, 1, -ENOMEM. */
static int read_part(struct bytes text, const char *name, size_t max, char **ret_buffer,
	json_t **ret, char reason[static SCHEME_REASON_SIZE])
{
	const char *problem;

	*ret_buffer = malloc(text.size + 1);
	if (!*ret_buffer)
		return -ENOMEM;
	ptrdiff_t n = codec_base64url_decode(
		text, (unsigned char *)*ret_buffer, text.size);
	if (n <= 0 || (size_t)n > max)
		return scheme_refuse(
			reason, "the token's %s is not base64url, or too long", name);
	int r = document_parse((struct bytes){*ret_buffer, (size_t)n}, ret, &problem);
	if (r > 0 || (r == 0 && !json_is_object(*ret)))
		return scheme_refuse(
			reason, "the token's %s is no JSON object that is taken", name);
	return r;
}

/* header.payload.signature; the bytes, not yet their sense. 0, 1, -ENOMEM. */
static int read_token(
	struct bytes text, struct token *t, char reason[static SCHEME_REASON_SIZE])
{
	struct bytes rest, signature;

	if (text.size > TOKEN_MAX)
		return scheme_refuse(reason, "the token is longer than 8 KiB");
	struct bytes header = bytes_split(text, '.', &rest);
	struct bytes payload = bytes_split(rest, '.', &signature);
	if (!signature.data || memchr(signature.data, '.', signature.size))
		return scheme_refuse(reason, "the token is not of three parts");
	t->signed_part = (struct bytes){text.data, header.size + 1 + payload.size};
	ptrdiff_t n = codec_base64url_decode(
		signature, t->signature, sizeof(t->signature));
	if (n <= 0)
		return scheme_refuse(
			reason, "the token's signature is empty, or not base64url");
	t->signature_size = (size_t)n;
	int r = read_part(header, "header", HEADER_MAX, &t->parts[0], &t->header, reason);
	if (r == 0)
		r = read_part(
			payload, "payload", TOKEN_MAX, &t->parts[1], &t->claims, reason);
	return r;
}

static struct bytes text_of(const json_t *value)
{
	if (!json_is_string(value))
		return BYTES_NONE;
	return (struct bytes){json_string_value(value), json_string_length(value)};
}

/* What it is signed with, and by which key. 0 or 1. */
static int read_header(struct token *t, char reason[static SCHEME_REASON_SIZE])
{
	static const struct {
		const char *name;
		enum pubkey_algorithm algorithm;
	} allowed[] = {{"RS256", PUBKEY_RS256}, {"ES256", PUBKEY_ES256}};
	struct bytes algorithm = text_of(json_object_get(t->header, "alg"));
	const json_t *id = json_object_get(t->header, "kid");
	size_t i = 0;

	while (i < ARRAY_SIZE(allowed) &&
		!bytes_equal(algorithm, bytes_of(allowed[i].name)))
		i++;
	if (i == ARRAY_SIZE(allowed))
		return scheme_refuse(
			reason, "the token's algorithm is not RS256 or ES256");
	t->algorithm = allowed[i].algorithm;
	/* RFC 7515, 4.1.11: what is critical must be understood, and we understand none. */
	if (json_object_get(t->header, "crit"))
		return scheme_refuse(reason, "the token wants an extension understood");
	t->key_id = text_of(id);
	if (id && (t->key_id.size == 0 || t->key_id.size > ID_MAX))
		return scheme_refuse(reason, "the token's kid is no text, or too long");
	return 0;
}

/* ---- What it claims ---- */

/* NumericDate (RFC 7519, 2). 0 and usec, 1 not there, 2 not a time. */
static int time_of(const json_t *claims, const char *name, int64_t *ret_usec)
{
	const json_t *value = json_object_get(claims, name);
	double seconds = json_number_value(value);

	if (!value)
		return 1;
	/* Written so that what is not a number is none. */
	if (!json_is_number(value) || !(seconds >= 0 && seconds <= 1e11))
		return 2;
	*ret_usec = (int64_t)(seconds * (double)USEC_PER_SEC);
	return 0;
}

/* exp is wanted, nbf and iat are looked at where they are there; Tolerance= for each. */
static int check_times(const struct scheme_input *in, const struct token *t,
	char reason[static SCHEME_REASON_SIZE])
{
	static const char *const names[] = {"exp", "nbf", "iat"};
	int64_t tolerance = (int64_t)in->source->signature.tolerance_usec;
	int64_t now = in->message->received_usec, then;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int r = time_of(t->claims, names[i], &then);
		if (r == 2 || (r == 1 && i == 0))
			return scheme_refuse(reason, "the token's %s is %s", names[i],
				r == 1 ? "missing" : "not a time");
		if (r == 1)
			continue;
		bool good = i == 0 ? now - tolerance < then : now + tolerance >= then;
		if (i == 0)
			trace_timestamp(in->trace, then - 1, good);
		if (!good)
			return scheme_refuse(reason,
				i == 0   ? "the token has expired (exp)"
				: i == 1 ? "the token does not hold yet (nbf)"
					 : "the token was issued in the future (iat)");
	}
	return 0;
}

static bool is_listed(const struct words *words, struct bytes text)
{
	for (size_t i = 0; text.data && i < words->size; i++)
		if (bytes_equal(bytes_of(words->list[i]), text))
			return true;
	return false;
}

/* aud is one text or a list of them (RFC 7519, 4.1.3). */
static bool has_audience(const struct words *words, const json_t *claims)
{
	const json_t *audience = json_object_get(claims, "aud"), *one;
	size_t i;

	if (is_listed(words, text_of(audience)))
		return true;
	json_array_foreach(
		audience, i, one) if (is_listed(words, text_of(one))) return true;
	return false;
}

/* Of Subject=: sub, or an address that the issuer has verified. */
static bool has_subject(const struct words *words, const json_t *claims)
{
	return is_listed(words, text_of(json_object_get(claims, "sub"))) ||
	       (json_is_true(json_object_get(claims, "email_verified")) &&
		       is_listed(words, text_of(json_object_get(claims, "email"))));
}

static int check_claims(const struct scheme_input *in, const struct token *t,
	char reason[static SCHEME_REASON_SIZE])
{
	const struct source *s = in->source;

	if (check_times(in, t, reason) != 0)
		return 1;
	if (s->issuers.size &&
		!is_listed(&s->issuers, text_of(json_object_get(t->claims, "iss"))))
		return scheme_refuse(reason, "the token's issuer (iss) is not Issuer=");
	if (s->audience.size && !has_audience(&s->audience, t->claims))
		return scheme_refuse(
			reason, "the token's audience (aud) is not Audience=");
	if (s->subject.size && !has_subject(&s->subject, t->claims))
		return scheme_refuse(reason,
			"neither the token's sub nor its verified email is Subject=");
	trace_say(in->trace, TRACE_GOOD,
		"the token holds at this time, for this issuer and audience");
	return 0;
}

/* ---- The scheme ---- */

static int check_signature(const struct scheme_input *in, const struct token *t,
	char reason[static SCHEME_REASON_SIZE])
{
	struct bytes signature = {(const char *)t->signature, t->signature_size};

	return scheme_try_public(in,
		&(struct attempt){.algorithms = &t->algorithm,
			.n_algorithms = 1,
			.id = t->key_id,
			.signatures = &signature,
			.n_signatures = 1,
			.data = t->signed_part},
		reason);
}

int scheme_jwt(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	struct token t = {.key_id = BYTES_NONE};
	struct bytes value, text;

	if (scheme_header_once(in->message, "Authorization", &value, reason) != 0)
		return 1;
	struct bytes scheme = bytes_split(value, ' ', &text);
	if (!bytes_equal_nocase(scheme, bytes_of("Bearer")) || !text.data)
		return scheme_refuse(
			reason, "header Authorization is not of type Bearer");
	int r = read_token(bytes_trim(text), &t, reason);
	if (r == 0)
		r = read_header(&t, reason);
	if (r == 0)
		r = check_claims(in, &t, reason);
	if (r == 0 && !in->head_only)
		r = check_signature(in, &t, reason);
	token_fini(&t);
	return r;
}
