/*
 * JSON Web Key Sets (RFC 7517; Ed25519: RFC 8037): {"keys":[…]} or one key alone. What is not
 * understood, too weak or meant for something else is left out, as RFC 7517, 5 wants it; two
 * keys of one id are an attack or a slip, and refuse the whole.
 */
#include "rules/keyset.h"

#include "rules/document.h"
#include "rules/keyset_private.h"

#include "base/codec.h"

#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#define ED25519_SIZE  32
#define P256_SIZE     32
#define MODULUS_MAX   1024 /* bytes: 8192 bits */
#define EXPONENT_MAX  8
#define ID_MAX        256
#define ALGORITHM_MAX 32
#define ENTRIES_MAX   256 /* looked at at all */

static struct bytes member(const json_t *jwk, const char *name)
{
	const json_t *value = json_object_get(jwk, name);

	if (!json_is_string(value))
		return BYTES_NONE;
	return (struct bytes){json_string_value(value), json_string_length(value)};
}

static bool is(const json_t *jwk, const char *name, const char *word)
{
	return bytes_equal(member(jwk, name), bytes_of(word));
}

/* For signatures, as far as it says what it is for (RFC 7517, 4.2 and 4.3). */
static bool is_for_signatures(const json_t *jwk)
{
	const json_t *operations = json_object_get(jwk, "key_ops"), *o;
	bool may_verify = !operations;
	size_t i;

	if (json_object_get(jwk, "use") && !is(jwk, "use", "sig"))
		return false;
	json_array_foreach(operations, i, o)
		may_verify |= json_is_string(o) &&
			      !strcmp(json_string_value(o), "verify");
	return may_verify;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY *key = NULL;

	if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *read_rsa(const json_t *jwk)
{
	unsigned char n[MODULUS_MAX], e[EXPONENT_MAX];
	ptrdiff_t n_size = codec_base64url_decode(member(jwk, "n"), n, sizeof(n));
	ptrdiff_t e_size = codec_base64url_decode(member(jwk, "e"), e, sizeof(e));
	EVP_PKEY *key = NULL;

	if (n_size <= 0 || e_size <= 0)
		return NULL;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *modulus = BN_bin2bn(n, (int)n_size, NULL);
	BIGNUM *exponent = BN_bin2bn(e, (int)e_size, NULL);
	if (build && modulus && exponent &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
		key = from_params("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(modulus);
	BN_free(exponent);
	return key;
}

/* RFC 7518, 6.2.1: both coordinates in full length. */
static EVP_PKEY *read_p256(const json_t *jwk)
{
	unsigned char point[1 + 2 * P256_SIZE] = {0x04};
	EVP_PKEY *key = NULL;

	if (codec_base64url_decode(member(jwk, "x"), point + 1, P256_SIZE) != P256_SIZE ||
		codec_base64url_decode(
			member(jwk, "y"), point + 1 + P256_SIZE, P256_SIZE) != P256_SIZE)
		return NULL;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	if (build &&
		OSSL_PARAM_BLD_push_utf8_string(
			build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(
			build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1)
		key = from_params("EC", build);
	OSSL_PARAM_BLD_free(build);
	return key;
}

static EVP_PKEY *read_ed25519(const json_t *jwk)
{
	unsigned char raw[ED25519_SIZE];

	if (codec_base64url_decode(member(jwk, "x"), raw, sizeof(raw)) != ED25519_SIZE)
		return NULL;
	return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, raw, sizeof(raw));
}

static EVP_PKEY *read_key(const json_t *jwk)
{
	if (is(jwk, "kty", "RSA"))
		return read_rsa(jwk);
	if (is(jwk, "kty", "EC") && is(jwk, "crv", "P-256"))
		return read_p256(jwk);
	if (is(jwk, "kty", "OKP") && is(jwk, "crv", "Ed25519"))
		return read_ed25519(jwk);
	return NULL;
}

/* A member that is text, short and not empty. 0 (with or without), 1, -ENOMEM. */
static int copy_member(const json_t *jwk, const char *name, size_t max, char **ret)
{
	struct bytes value = member(jwk, name);

	if (!json_object_get(jwk, name))
		return 0;
	if (!value.data || value.size == 0 || value.size > max ||
		memchr(value.data, '\0', value.size))
		return 1;
	*ret = bytes_dup(value);
	return *ret ? 0 : -ENOMEM;
}

/* 0 and a key, 1: not one for us, -ENOMEM. */
static int read_jwk(const json_t *jwk, struct keyset_key *key)
{
	const char *problem;
	int r = 1;

	*key = (struct keyset_key){.until_usec = INT64_MAX};
	/* Who publishes the private half has no key any more. */
	if (!json_is_object(jwk) || json_object_get(jwk, "d") || !is_for_signatures(jwk))
		return 1;
	key->key = read_key(jwk);
	ERR_clear_error();
	if (key->key)
		r = keyset_classify(key, &problem);
	if (r == 0)
		r = copy_member(jwk, "kid", ID_MAX, &key->id);
	if (r == 0)
		r = copy_member(jwk, "alg", ALGORITHM_MAX, &key->algorithm);
	if (r != 0)
		keyset_key_fini(key);
	return r;
}

static int read_all(const json_t *json, struct keyset **set, const char **ret_problem)
{
	const json_t *keys = json_object_get(json, "keys");
	size_t n = keys ? json_array_size(keys) : 1, left_out = 0;
	int r = 0;

	if (n > ENTRIES_MAX) {
		*ret_problem = "it lists more than 256 keys";
		return 1;
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct keyset_key key;
		r = read_jwk(keys ? json_array_get(keys, i) : json, &key);
		left_out += r == 1;
		r = r == 1 ? 0 : r < 0 ? r : keyset_add(set, &key, ret_problem);
	}
	if (r == 0 && !*set) {
		*ret_problem =
			left_out ? "it holds no key for signatures of Ed25519, P-256 or "
				   "RSA from 2048 bits"
				 : "it holds no key";
		return 1;
	}
	if (*set)
		(*set)->n_left_out = left_out;
	return r;
}

int keyset_of_jwks(struct bytes text, struct keyset **ret, const char **ret_problem)
{
	struct keyset *set = NULL;
	json_t *json = NULL;
	int r;

	if (text.size > KEYSET_TEXT_MAX) {
		*ret_problem = "it is longer than 256 KiB";
		return 1;
	}
	r = document_parse(text, &json, ret_problem);
	if (r != 0)
		return r;
	if (json_is_object(json)) {
		r = read_all(json, &set, ret_problem);
	} else {
		*ret_problem = "it is JSON, and no set of keys";
		r = 1;
	}
	json_decref(json);
	if (r == 0)
		*ret = set;
	else
		keyset_unref(set);
	return r;
}
