/*
 * Sets of public keys: their life, what may be in them, the choice among them, and the forms
 * a person or a vendor writes them in; JWKS stand in keyset_jwks.c.
 */
#include "rules/keyset.h"

#include "rules/keyset_private.h"

#include "base/codec.h"

#include <errno.h>
#include <stdint.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define ED25519_SIZE 32
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192 /* a verification with more takes milliseconds */
#define WHPK_PREFIX  "whpk_"
#define PEM_BEGIN    "-----BEGIN "

struct keyset *keyset_ref(struct keyset *k)
{
	atomic_fetch_add(&k->refs, 1);
	return k;
}

void keyset_key_fini(struct keyset_key *key)
{
	free(key->id);
	free(key->algorithm);
	EVP_PKEY_free(key->key);
	*key = (struct keyset_key){0};
}

void keyset_unref(struct keyset *k)
{
	if (!k || atomic_fetch_sub(&k->refs, 1) > 1)
		return;
	for (size_t i = 0; i < k->size; i++)
		keyset_key_fini(&k->keys[i]);
	free(k->keys);
	free(k);
}

static bool may_be(const struct keyset_key *key, unsigned kinds, struct bytes id)
{
	if (!(key->kind & kinds))
		return false;
	return !key->id || !id.data || bytes_equal(bytes_of(key->id), id);
}

const struct keyset_key *keyset_next(
	const struct keyset *k, unsigned kinds, struct bytes id, size_t *at)
{
	while (*at < k->size) {
		const struct keyset_key *key = &k->keys[(*at)++];
		if (may_be(key, kinds, id))
			return key;
	}
	return NULL;
}

/* ---- What may be in a set ---- */

/* The curve by its name, never by parameters that a key brings along (CVE-2020-0601). */
static bool is_p256(const EVP_PKEY *key)
{
	char group[64];
	size_t size;
	int explicit = 0;

	return EVP_PKEY_get_group_name(key, group, sizeof(group), &size) == 1 &&
	       (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0) &&
	       (EVP_PKEY_get_int_param(key,
			OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
			&explicit) != 1 ||
		       !explicit);
}

/* Is the point on the curve? */
static bool is_sound(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool sound = ctx && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return sound;
}

/* An even exponent has no inverse; with 1 the signature would be the message. */
static bool has_sound_exponent(const EVP_PKEY *key)
{
	BIGNUM *e = NULL;
	bool sound = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
		     BN_is_odd(e) && !BN_is_one(e);

	BN_free(e);
	return sound;
}

static const char *classify(struct keyset_key *key)
{
	int bits = EVP_PKEY_get_bits(key->key);

	if (EVP_PKEY_is_a(key->key, "ED25519")) {
		key->kind = KEYSET_ED25519;
	} else if (EVP_PKEY_is_a(key->key, "EC")) {
		key->kind = KEYSET_P256;
		if (!is_p256(key->key))
			return "its curve is not P-256";
		if (!is_sound(key->key))
			return "it is no point of its curve";
	} else if (EVP_PKEY_is_a(key->key, "RSA") || EVP_PKEY_is_a(key->key, "RSA-PSS")) {
		key->kind = KEYSET_RSA;
		if (bits < RSA_BITS_MIN)
			return "an RSA key of less than 2048 bits is too weak";
		if (bits > RSA_BITS_MAX)
			return "an RSA key of more than 8192 bits is too large";
		if (!has_sound_exponent(key->key))
			return "its exponent is 1 or even";
	} else {
		return "it is neither Ed25519, P-256 nor RSA";
	}
	return NULL;
}

int keyset_classify(struct keyset_key *key, const char **ret_problem)
{
	const char *problem = classify(key);

	ERR_clear_error();
	if (!problem)
		return 0;
	*ret_problem = problem;
	return 1;
}

static const char *why_not(const struct keyset *set, const struct keyset_key *key)
{
	if (set->size == KEYSET_KEYS_MAX)
		return "there are more than 32 keys";
	for (size_t i = 0; i < set->size; i++) {
		const struct keyset_key *other = &set->keys[i];
		if (key->id && other->id && strcmp(key->id, other->id) == 0)
			return "two keys bear the same id";
		if (EVP_PKEY_eq(key->key, other->key) == 1)
			return "the same key stands there twice";
	}
	return NULL;
}

int keyset_add(struct keyset **set, struct keyset_key *key, const char **ret_problem)
{
	const char *problem = NULL;
	int r = -ENOMEM;

	if (!*set) {
		*set = calloc(1, sizeof(**set));
		if (!*set)
			goto failed;
		atomic_init(&(*set)->refs, 1);
	}
	problem = why_not(*set, key);
	ERR_clear_error();
	if (problem) {
		*ret_problem = problem;
		r = 1;
		goto failed;
	}
	struct keyset_key *keys = reallocarray(
		(*set)->keys, (*set)->size + 1, sizeof(*keys));
	if (!keys)
		goto failed;
	(*set)->keys = keys;
	keys[(*set)->size++] = *key;
	return 0;
failed:
	keyset_key_fini(key);
	return r;
}

int keyset_key_ed25519(struct keyset_key *key, const unsigned char raw[static 32])
{
	*key = (struct keyset_key){.kind = KEYSET_ED25519, .until_usec = INT64_MAX};
	key->key = EVP_PKEY_new_raw_public_key_ex(
		NULL, "ED25519", NULL, raw, ED25519_SIZE);
	ERR_clear_error();
	return key->key ? 0 : -ENOMEM;
}

/* ---- As a file ---- */

/* What PEM calls it. 0 and .key, 1, never -ENOMEM: that looks the same to OpenSSL. */
static int read_block(const char *name, const unsigned char *der, long size,
	struct keyset_key *key, const char **ret_problem)
{
	*key = (struct keyset_key){.until_usec = INT64_MAX};
	if (strstr(name, "PRIVATE KEY")) {
		*ret_problem = "it holds a private key: only the public one belongs here";
		return 1;
	}
	if (strcmp(name, "PUBLIC KEY") == 0) {
		key->key = d2i_PUBKEY(NULL, &der, size);
	} else if (strcmp(name, "RSA PUBLIC KEY") == 0) {
		key->key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, size);
	} else if (strcmp(name, "CERTIFICATE") == 0) {
		X509 *x = d2i_X509(NULL, &der, size);
		key->key = x ? X509_get_pubkey(x) : NULL;
		X509_free(x);
	} else {
		*ret_problem = "it holds PEM that is neither PUBLIC KEY nor CERTIFICATE";
		return 1;
	}
	if (key->key)
		return 0;
	*ret_problem = "it holds PEM with nothing readable in it";
	return 1;
}

/* Every block of the text. 0, 1, -ENOMEM; *set may be partly filled then. */
static int read_blocks(BIO *bio, struct keyset **set, const char **ret_problem)
{
	char *name, *header;
	unsigned char *der;
	long size;
	int r = 0;

	while (r == 0 && PEM_read_bio(bio, &name, &header, &der, &size) == 1) {
		struct keyset_key key;
		r = read_block(name, der, size, &key, ret_problem);
		if (r == 0)
			r = keyset_classify(&key, ret_problem);
		if (r == 0)
			r = keyset_add(set, &key, ret_problem);
		else
			keyset_key_fini(&key);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)size);
	}
	/* The end looks like an error too, and is the only good one. */
	if (r == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		*ret_problem = "it holds PEM that is damaged";
		r = 1;
	}
	ERR_clear_error();
	return r;
}

static int of_pem(struct bytes text, struct keyset **set, const char **ret_problem)
{
	BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);

	if (!bio)
		return -ENOMEM;
	ERR_clear_error();
	int r = read_blocks(bio, set, ret_problem);
	BIO_free(bio);
	return r;
}

/* 32 bytes in hex, base64 or base64url, behind whpk_ or not. */
static int of_line(struct bytes text, struct keyset **set, const char **ret_problem)
{
	bool webhook = bytes_starts(text, bytes_of(WHPK_PREFIX));
	unsigned char raw[ED25519_SIZE];
	struct keyset_key key;
	ptrdiff_t n = -1;

	if (webhook)
		text = (struct bytes){
			text.data + strlen(WHPK_PREFIX), text.size - strlen(WHPK_PREFIX)};
	else
		n = codec_hex_decode(text, raw, sizeof(raw));
	if (n < 0)
		n = codec_base64_decode(text, raw, sizeof(raw));
	if (n < 0)
		n = codec_base64url_decode(text, raw, sizeof(raw));
	if (n != ED25519_SIZE) {
		*ret_problem =
			webhook ? "behind whpk_ there is no base64 of 32 bytes"
				: "it is no public key: PEM, JWKS, whpk_, or 32 bytes "
				  "as they are, in hex or base64";
		return 1;
	}
	int r = keyset_key_ed25519(&key, raw);
	if (r < 0)
		return r;
	key.webhook = webhook;
	key.plain = !webhook;
	return keyset_add(set, &key, ret_problem);
}

static int of_raw(struct bytes raw, struct keyset **set, const char **ret_problem)
{
	struct keyset_key key;
	int r = keyset_key_ed25519(&key, (const unsigned char *)raw.data);

	key.plain = true;
	return r < 0 ? r : keyset_add(set, &key, ret_problem);
}

int keyset_of_text(struct bytes text, struct keyset **ret, const char **ret_problem)
{
	struct bytes trimmed = text;
	struct keyset *set = NULL;
	int r;

	while (trimmed.size > 0 && strchr(" \t\r\n", trimmed.data[trimmed.size - 1]) &&
		trimmed.data[trimmed.size - 1])
		trimmed.size--;
	while (trimmed.size > 0 && strchr(" \t\r\n", trimmed.data[0]) && trimmed.data[0])
		trimmed = (struct bytes){trimmed.data + 1, trimmed.size - 1};
	if (text.size > KEYSET_TEXT_MAX) {
		*ret_problem = "it is longer than 256 KiB";
		return 1;
	}
	if (trimmed.size > 0 && trimmed.data[0] == '{')
		return keyset_of_jwks(trimmed, ret, ret_problem);
	if (memmem(text.data ? text.data : "", text.size, PEM_BEGIN, strlen(PEM_BEGIN)))
		r = of_pem(text, &set, ret_problem);
	else if (text.size == ED25519_SIZE)
		r = of_raw(text, &set, ret_problem);
	else if (text.size == ED25519_SIZE + 1 && text.data[ED25519_SIZE] == '\n')
		r = of_raw((struct bytes){text.data, ED25519_SIZE}, &set, ret_problem);
	else
		r = of_line(trimmed, &set, ret_problem);
	if (r == 0 && !set) {
		*ret_problem = "it holds no key";
		r = 1;
	}
	if (r == 0)
		*ret = set;
	else
		keyset_unref(set);
	return r;
}
