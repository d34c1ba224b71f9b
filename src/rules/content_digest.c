/* Compares and writes digests of bodies; see content_digest.h. */
#include "rules/content_digest.h"

#include "base/codec.h"
#include "rules/structured.h"

#include <errno.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#define DIGEST_MAX 64

static const struct {
	const char *key, *name;
	size_t size;
} digests[] = {{"sha-256", "SHA256", 32}, {"sha-512", "SHA512", 64}};

static int hash(size_t which, struct bytes body, unsigned char out[static DIGEST_MAX])
{
	if (EVP_Q_digest(NULL, digests[which].name, NULL, body.size ? body.data : "",
		    body.size, out, NULL) == 1)
		return 0;
	ERR_clear_error();
	return -EIO;
}

/* 0 it is the body's; 1 it is not, or is none; -EIO. */
static int compare(size_t which, const struct structured_item *m, struct bytes body)
{
	unsigned char given[DIGEST_MAX], own[DIGEST_MAX];

	if (m->value.type != STRUCTURED_BYTES ||
		codec_base64_decode(m->value.text, given, sizeof(given)) !=
			(ptrdiff_t)digests[which].size)
		return 1;
	int r = hash(which, body, own);
	return r < 0 ? r : CRYPTO_memcmp(given, own, digests[which].size) != 0;
}

int content_digest_check(struct bytes value, struct bytes body, const char **ret_problem)
{
	CLEANUP(freep) struct structured *s = calloc(1, sizeof(*s));
	size_t compared = 0;

	if (!s)
		return -ENOMEM;
	if (structured_parse(value, s, ret_problem) != 0) {
		*ret_problem = "header Content-Digest is no dictionary";
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++) {
		const struct structured_item *m = structured_member(
			s, bytes_of(digests[i].key));
		int r = m ? compare(i, m, body) : 0;
		if (r < 0)
			return r;
		if (r > 0) {
			*ret_problem = "header Content-Digest is not the body's";
			return 1;
		}
		compared += m != NULL;
	}
	if (compared > 0)
		return 0;
	*ret_problem = "header Content-Digest holds neither sha-256 nor sha-512";
	return 1;
}

int content_digest_write(struct bytes body, struct text *out)
{
	unsigned char own[DIGEST_MAX];
	int r = hash(0, body, own);

	if (r < 0)
		return r;
	CLEANUP(freep) char *encoded = codec_base64_encode(own, digests[0].size);
	if (!encoded)
		return -ENOMEM;
	text_addf(out, "%s=:%s:", digests[0].key, encoded);
	return 0;
}
