/*
 * Verify=http-signature: HTTP Message Signatures (RFC 9421). A request may bear several; one
 * that meets the policy suffices, and what the others say is of no account. The policy is ours
 * (3.2): the components of CoveredComponents= are covered, the time of creation is named and
 * near, the algorithm is one of the key's, and where Content-Digest is covered it is the
 * body's.
 */
#include "rules/verify_public.h"

#include "base/codec.h"
#include "rules/content_digest.h"
#include "rules/mac.h"
#include "rules/signature_base.h"

#include <errno.h>

#include <openssl/crypto.h>

#define ID_MAX         256
#define COMPONENTS_MAX 32
#define SECONDS_MAX    100000000000 /* that usec of it fit */

/* hmac-sha256 is the one with a shared secret (3.3.3). */
static const struct {
	const char *name;
	enum pubkey_algorithm algorithm;
} algorithms[] = {
	{"ed25519", PUBKEY_ED25519},
	{"ecdsa-p256-sha256", PUBKEY_ES256},
	{"rsa-pss-sha512", PUBKEY_RSA_PSS_SHA512},
};

struct signing {
	struct structured *input, *given; /* Signature-Input, Signature */
	const struct structured_item *m;  /* of input: the one that is looked at */
	unsigned char raw[PUBKEY_SIGNATURE_MAX];
	struct bytes signature;
	struct bytes key_id;
	bool shared; /* may it be an HMAC? */
	enum pubkey_algorithm algorithms[ARRAY_SIZE(algorithms)];
	size_t n_algorithms; /* 0: it is an HMAC */
};

/* ---- What it says of itself ---- */

/* 0 it is there, 1 it is not, 2 it is of another type. */
static int find(const struct signing *s, const char *name, enum structured_type type,
	const struct structured_value **ret)
{
	*ret = structured_parameter(s->input, s->m, name);
	return !*ret ? 1 : (*ret)->type == type ? 0 : 2;
}

static int read_algorithm(struct signing *s, char reason[static SCHEME_REASON_SIZE])
{
	const struct structured_value *name;
	int r = find(s, "alg", STRUCTURED_STRING, &name);

	s->n_algorithms = 0;
	s->shared = r == 1 ||
		    (r == 0 && bytes_equal(name->text, bytes_of("hmac-sha256")));
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
		if (r == 1 ||
			(r == 0 && bytes_equal(name->text, bytes_of(algorithms[i].name))))
			s->algorithms[s->n_algorithms++] = algorithms[i].algorithm;
	if (s->shared || s->n_algorithms > 0)
		return 0;
	return scheme_refuse(reason, "its algorithm (alg) is not one of ours");
}

static int read_key_id(struct signing *s, char reason[static SCHEME_REASON_SIZE])
{
	const struct structured_value *id;
	int r = find(s, "keyid", STRUCTURED_STRING, &id);

	s->key_id = r == 0 ? id->text : BYTES_NONE;
	if (r == 2 || s->key_id.size > ID_MAX)
		return scheme_refuse(reason, "its keyid is no text, or too long");
	return 0;
}

/* created is wanted; expires is looked at where it is there. */
static int check_times(const struct scheme_input *in, const struct signing *s,
	char reason[static SCHEME_REASON_SIZE])
{
	const struct structured_value *created, *expires;
	int64_t now = in->message->received_usec;

	if (find(s, "created", STRUCTURED_INTEGER, &created) != 0 ||
		created->integer < 0 || created->integer > SECONDS_MAX)
		return scheme_refuse(reason, "it does not say when it was created");
	int r = find(s, "expires", STRUCTURED_INTEGER, &expires);
	if (r == 2 ||
		(r == 0 && (expires->integer < 0 || expires->integer > SECONDS_MAX)))
		return scheme_refuse(reason, "its expires is not a time");
	if (r == 0 && expires->integer * (int64_t)USEC_PER_SEC < now)
		return scheme_refuse(reason, "it has expired");
	return scheme_age(in, created->integer * (int64_t)USEC_PER_SEC, reason);
}

static int check_coverage(const struct scheme_input *in, const struct signing *s,
	char reason[static SCHEME_REASON_SIZE])
{
	const struct words *wanted = &in->source->components;

	if (s->m->value.n > COMPONENTS_MAX)
		return scheme_refuse(reason, "it covers more than 32 components");
	for (size_t i = 0; i < wanted->size; i++)
		if (!signature_base_covers(s->input, s->m, wanted->list[i]))
			return scheme_refuse(reason,
				"it does not cover %s, which is in "
				"CoveredComponents=",
				wanted->list[i]);
	return 0;
}

static int read_signature(struct signing *s, char reason[static SCHEME_REASON_SIZE])
{
	const struct structured_item *given = structured_member(s->given, s->m->key);

	if (s->m->value.type != STRUCTURED_INNER_LIST)
		return scheme_refuse(reason, "it lists no components");
	if (!given || given->value.type != STRUCTURED_BYTES)
		return scheme_refuse(reason, "header Signature holds none of that name");
	ptrdiff_t n = codec_base64_decode(given->value.text, s->raw, sizeof(s->raw));
	if (n <= 0)
		return scheme_refuse(reason, "the signature is not base64, or too long");
	s->signature = (struct bytes){(const char *)s->raw, (size_t)n};
	return 0;
}

/* ---- Does it hold? ---- */

/* 0, 1, negative errno; *ret_tried counts the secrets. */
static int try_shared(const struct scheme_input *in, const struct signing *s,
	struct bytes base, size_t *ret_tried)
{
	unsigned char own[MAC_SIZE_MAX];
	size_t size = mac_size(HASH_SHA256);
	int r = 0, held = 0;

	*ret_tried = 0;
	for (size_t i = 0; r == 0 && i < in->source->n_secrets; i++) {
		const struct secret *secret = &in->source->secrets[i];
		struct mac m;
		/* What may be known to all is no secret. */
		if (secret->keys || secret->size == 0)
			continue;
		++*ret_tried;
		r = mac_begin(&m, HASH_SHA256,
			(struct bytes){(const char *)secret->data, secret->size});
		if (r < 0)
			break;
		mac_add(&m, base);
		r = mac_end(&m, own);
		if (r == 0 && s->signature.size == size)
			held |= CRYPTO_memcmp(own, s->signature.data, size) == 0;
	}
	OPENSSL_cleanse(own, sizeof(own));
	return r < 0 ? r : !held;
}

static bool has_public(const struct source *source)
{
	for (size_t i = 0; i < source->n_secrets; i++)
		if (source->secrets[i].keys)
			return true;
	return source->keys_url != NULL;
}

static int try_keys(const struct scheme_input *in, const struct signing *s,
	struct bytes base, char reason[static SCHEME_REASON_SIZE])
{
	size_t shared = 0;
	int r = s->shared ? try_shared(in, s, base, &shared) : 1;

	if (r != 1)
		return r;
	if (s->n_algorithms == 0 || (shared > 0 && !has_public(in->source)))
		return scheme_refuse(reason, "the signature matches none of %zu secret%s",
			shared, shared == 1 ? "" : "s");
	return scheme_try_public(in,
		&(struct attempt){.algorithms = s->algorithms,
			.n_algorithms = s->n_algorithms,
			.id = s->key_id,
			.not_plain = true,
			.signatures = &s->signature,
			.n_signatures = 1,
			.data = base},
		reason);
}

static int check_body(const struct scheme_input *in, const struct signing *s,
	char reason[static SCHEME_REASON_SIZE])
{
	struct bytes value;
	const char *problem;

	if (!signature_base_covers(s->input, s->m, "content-digest"))
		return 0;
	if (scheme_header_once(in->message, "Content-Digest", &value, reason) != 0)
		return 1;
	if (in->head_only)
		return 0;
	int r = content_digest_check(value, in->message->body, &problem);
	if (r > 0)
		scheme_refuse(reason, "%s", problem);
	return r;
}

static int check_keys(const struct scheme_input *in, const struct signing *s,
	char reason[static SCHEME_REASON_SIZE])
{
	CLEANUP(text_fini) struct text base = TEXT_EMPTY;
	const char *problem;

	int r = signature_base(in->message, in->origin, s->input, s->m, &base, &problem);
	if (r > 0)
		return scheme_refuse(reason, "%s", problem);
	return r < 0 ? r : try_keys(in, s, text_bytes(&base), reason);
}

/* One of them. As a scheme. */
static int check(const struct scheme_input *in, struct signing *s,
	char reason[static SCHEME_REASON_SIZE])
{
	if (read_signature(s, reason) != 0 || read_algorithm(s, reason) != 0 ||
		read_key_id(s, reason) != 0 || check_coverage(in, s, reason) != 0 ||
		check_times(in, s, reason) != 0)
		return 1;
	trace_say(in->trace, TRACE_GOOD, "it covers what CoveredComponents= wants");
	int r = check_body(in, s, reason);
	return r == 0 && !in->head_only ? check_keys(in, s, reason) : r;
}

static int parse_header(const struct message *m, const char *name, struct structured *ret,
	char reason[static SCHEME_REASON_SIZE])
{
	const char *problem;
	struct bytes value;

	if (scheme_header_once(m, name, &value, reason) != 0)
		return 1;
	if (structured_parse(value, ret, &problem) != 0)
		return scheme_refuse(reason, "header %s: %s", name, problem);
	return 0;
}

int scheme_http_signature(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	CLEANUP(freep) struct structured *input = malloc(sizeof(*input));
	CLEANUP(freep) struct structured *given = malloc(sizeof(*given));
	struct signing s = {.input = input, .given = given};
	char other[SCHEME_REASON_SIZE];
	int r = 1;

	if (!input || !given)
		return -ENOMEM;
	if (parse_header(in->message, "Signature-Input", input, reason) != 0 ||
		parse_header(in->message, "Signature", given, reason) != 0)
		return 1;
	if (input->n_members == 0)
		return scheme_refuse(reason, "header Signature-Input names no signature");
	for (size_t i = 0; i < input->n_members && r != 0; i++) {
		s.m = &input->members[i];
		int own = check(in, &s, i == 0 ? reason : other);
		/* The first one's reason stays, but keys that are needed come before it. */
		if (own == SCHEME_NEEDS_KEYS && r == 1 && i > 0)
			memcpy(reason, other, sizeof(other));
		if (own < 0)
			return own;
		r = own == 1 ? r : own;
	}
	return r;
}
