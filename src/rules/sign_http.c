/* The sender's side of verify_http_signature.c: hmac-sha256; see sign_http.h. */
#include "rules/sign_http.h"

#include "base/codec.h"
#include "rules/content_digest.h"
#include "rules/mac.h"
#include "rules/signature_base.h"

#include <errno.h>

#define LABEL "sig1"

/* What is written @query-param;name=x in CoveredComponents=, with its quotes. */
static void add_component(struct text *out, const char *word)
{
	struct bytes rest, name = bytes_split(bytes_of(word), ';', &rest);

	text_addc(out, '"');
	text_add(out, name);
	text_addc(out, '"');
	while (rest.data) {
		struct bytes value, pair = bytes_split(rest, ';', &rest);
		struct bytes key = bytes_split(pair, '=', &value);
		text_addc(out, ';');
		text_add(out, key);
		if (value.data)
			text_addf(out, "=\"%.*s\"", BYTES_FMT(value));
	}
}

static void add_input(const struct source *s, int64_t now_usec, struct text *out)
{
	text_adds(out, LABEL "=(");
	for (size_t i = 0; i < s->components.size; i++) {
		if (i > 0)
			text_addc(out, ' ');
		add_component(out, s->components.list[i]);
	}
	text_addf(out, ");created=%lld;alg=\"hmac-sha256\"",
		(long long)(now_usec / (int64_t)USEC_PER_SEC));
}

static const struct secret *shared_secret(const struct source *s)
{
	for (size_t i = 0; i < s->n_secrets; i++)
		if (!s->secrets[i].keys && s->secrets[i].size > 0)
			return &s->secrets[i];
	return NULL;
}

/* 0 and the signature in base64, owned by the caller. */
static int sign_base(const struct secret *secret, struct bytes base, char **ret)
{
	unsigned char out[MAC_SIZE_MAX];
	struct mac m;
	int r = mac_begin(&m, HASH_SHA256,
		(struct bytes){(const char *)secret->data, secret->size});

	if (r < 0)
		return r;
	mac_add(&m, base);
	r = mac_end(&m, out);
	if (r < 0)
		return r;
	*ret = codec_base64_encode(out, mac_size(HASH_SHA256));
	return *ret ? 0 : -ENOMEM;
}

/* The request as far as it is known here: no other header can be covered. */
static int make_base(const struct sign_input *in, const struct text *target,
	struct bytes digest, struct bytes input, struct text *out)
{
	const struct message_header header = {bytes_of("Content-Digest"), digest};
	struct message m = {.method = bytes_of("POST"),
		.target = text_bytes(target),
		.headers = &header,
		.n_headers = 1,
		.body = in->body};
	CLEANUP(freep) struct structured *s = calloc(1, sizeof(*s));
	const char *problem;

	if (!s)
		return -ENOMEM;
	m.path = bytes_split(m.target, '?', &m.query);
	if (structured_parse(input, s, &problem) != 0)
		return 1;
	return signature_base(
		&m, bytes_of(in->public_url), s, &s->members[0], out, &problem);
}

int sign_http(const struct source *s, const struct sign_input *in, struct text *headers,
	const struct text *target)
{
	CLEANUP(text_fini) struct text digest = TEXT_EMPTY;
	CLEANUP(text_fini) struct text input = TEXT_EMPTY;
	CLEANUP(text_fini) struct text base = TEXT_EMPTY;
	CLEANUP(freep) char *signature = NULL;
	const struct secret *secret = shared_secret(s);

	if (!secret)
		return 1;
	int r = content_digest_write(in->body, &digest);
	if (r < 0)
		return r;
	add_input(s, in->now_usec, &input);
	if (digest.failed || input.failed)
		return -ENOMEM;
	r = make_base(in, target, text_bytes(&digest), text_bytes(&input), &base);
	if (r == 0)
		r = sign_base(secret, text_bytes(&base), &signature);
	if (r == 0)
		text_addf(headers,
			"Content-Digest: %s\r\nSignature-Input: %s\r\n"
			"Signature: " LABEL "=:%s:\r\n",
			digest.data, input.data, signature);
	return r;
}
