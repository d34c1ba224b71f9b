/* Signatures by OpenSSL's EVP; see pubkey.h. */
#include "rules/pubkey.h"

#include <errno.h>

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#define ES256_SIZE 64
#define NAMES_MAX  2

static const struct {
	enum keyset_kind kind;
	const char *digest;
	const char
		*names[NAMES_MAX]; /* that a JWK's alg may have for it (RFC 7518, 8037) */
} algorithms[] = {
	[PUBKEY_ED25519] = {KEYSET_ED25519, NULL, {"EdDSA", "Ed25519"}},
	[PUBKEY_ES256] = {KEYSET_P256, "SHA256", {"ES256"}},
	[PUBKEY_RS256] = {KEYSET_RSA, "SHA256", {"RS256"}},
	[PUBKEY_RSA_SHA1] = {KEYSET_RSA, "SHA1", {NULL}},
	[PUBKEY_RSA_PSS_SHA512] = {KEYSET_RSA, "SHA512", {"PS512"}},
};

enum keyset_kind pubkey_kind(enum pubkey_algorithm a)
{
	return algorithms[a].kind;
}

static bool may_be_used(
	const struct keyset_key *key, enum pubkey_algorithm a, int64_t now_usec)
{
	if (key->kind != algorithms[a].kind || now_usec < key->from_usec ||
		now_usec > key->until_usec)
		return false;
	if (!key->algorithm)
		return true;
	for (size_t i = 0; i < NAMES_MAX && algorithms[a].names[i]; i++)
		if (strcmp(key->algorithm, algorithms[a].names[i]) == 0)
			return true;
	return false;
}

/* r and s as ASN.1 has them; NULL: not of that length, or no memory. */
static unsigned char *der_of(struct bytes signature, size_t *ret_size)
{
	const unsigned char *raw = (const unsigned char *)signature.data;
	unsigned char *der = NULL;

	if (signature.size != ES256_SIZE)
		return NULL;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, ES256_SIZE / 2, NULL);
	BIGNUM *s = BN_bin2bn(raw + ES256_SIZE / 2, ES256_SIZE / 2, NULL);
	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		int n = i2d_ECDSA_SIG(sig, &der);
		*ret_size = n > 0 ? (size_t)n : 0;
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	return der;
}

static bool set_padding(EVP_PKEY_CTX *ctx, enum pubkey_algorithm a)
{
	if (algorithms[a].kind != KEYSET_RSA)
		return true;
	if (a != PUBKEY_RSA_PSS_SHA512)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
	/*
	 * RFC 9421, 3.3.1 wants a salt of 64 bytes; Node's crypto, and so its libraries, make
	 * the longest that fits. Each is as good as the other, and the signature says which.
	 */
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_AUTO) == 1;
}

static bool holds(const struct keyset_key *key, enum pubkey_algorithm a,
	struct bytes data, const unsigned char *signature, size_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey_ctx; /* the other's */
	bool held = ctx &&
		    EVP_DigestVerifyInit_ex(ctx, &pkey_ctx, algorithms[a].digest, NULL,
			    NULL, key->key, NULL) == 1 &&
		    set_padding(pkey_ctx, a) &&
		    EVP_DigestVerify(ctx, signature, size,
			    (const unsigned char *)(data.data ? data.data : ""),
			    data.size) == 1;

	EVP_MD_CTX_free(ctx);
	return held;
}

int pubkey_verify(const struct keyset_key *key, enum pubkey_algorithm a,
	struct bytes data, struct bytes signature, int64_t now_usec)
{
	const unsigned char *raw = (const unsigned char *)signature.data;
	size_t size = signature.size;
	unsigned char *der = NULL;

	if (!may_be_used(key, a, now_usec) || size == 0 || size > PUBKEY_SIGNATURE_MAX)
		return 1;
	if (a == PUBKEY_ES256)
		raw = der = der_of(signature, &size);
	bool held = raw && size > 0 && holds(key, a, data, raw, size);
	bool short_of_memory = !held &&
			       ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
	OPENSSL_free(der);
	/* A stale error in the queue would be taken for one of the next TLS record. */
	ERR_clear_error();
	return held ? 0 : short_of_memory ? -ENOMEM : 1;
}
