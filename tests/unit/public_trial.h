/*
 * Senders with public keys: keys made on the spot, a signer for each algorithm that shares no
 * code with the verifier, and a source and a message to be changed before it is verified.
 * Include in one file.
 */
#ifndef PUBLIC_TRIAL_H
#define PUBLIC_TRIAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/text.h"
#include "rules/keyset.h"
#include "rules/verify.h"

#include <stdio.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define SEC           ((int64_t)USEC_PER_SEC)
#define NOW           1700000000
#define HEADERS_MAX   10
#define VALUES_MAX    24
#define SIGNATURE_MAX 1024

struct trial {
	struct source source;
	struct secret secrets[3];
	struct field place, delivery;
	struct message m;
	struct message_header headers[HEADERS_MAX];
	char values[VALUES_MAX][4096];
	size_t n_values;
	char body[2048];
	const char *public_url;
	struct keyset *fetched; /* what is at hand of a URL; NULL: nothing */
	char asked[VERIFY_URL_SIZE];
	enum verify_keys_kind asked_kind;
	struct verify_result result;
};

/* ---- Keys ---- */

static inline EVP_PKEY *key_ed25519(void)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static inline EVP_PKEY *key_p256(void)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static inline EVP_PKEY *key_rsa(unsigned bits)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
}

/* Its public half in PEM; owned by the caller. */
static inline char *pem_of(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;

	assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
	long n = BIO_get_mem_data(bio, &data);
	char *copy = bytes_dup((struct bytes){data, (size_t)n});
	BIO_free(bio);
	return copy;
}

static inline struct keyset *set_of(struct bytes text)
{
	struct keyset *set;
	const char *problem = "";

	if (keyset_of_text(text, &set, &problem) != 0)
		fail_msg("no keys: %s", problem);
	return set;
}

static inline struct keyset *set_of_key(EVP_PKEY *key)
{
	CLEANUP(freep) char *pem = pem_of(key);

	return set_of(bytes_of(pem));
}

/* ---- Signatures ---- */

enum how { HOW_PLAIN, HOW_ES256, HOW_PSS };

/* `digest` NULL for Ed25519. Returns the size. */
static inline size_t sign_raw(EVP_PKEY *key, const char *digest, enum how how,
	struct bytes data, unsigned char out[static SIGNATURE_MAX])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p;
	size_t size = SIGNATURE_MAX;

	assert_int_equal(
		EVP_DigestSignInit_ex(ctx, &p, digest, NULL, NULL, key, NULL), 1);
	if (how == HOW_PSS) {
		EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(p, 64);
	}
	assert_int_equal(EVP_DigestSign(ctx, out, &size, (const unsigned char *)data.data,
				 data.size),
		1);
	EVP_MD_CTX_free(ctx);
	if (how != HOW_ES256)
		return size;
	const unsigned char *der = out;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)size);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32);
	ECDSA_SIG_free(sig);
	return 64;
}

/* ---- The message ---- */

/* Once more, whatever stands there. */
static inline void double_header(struct trial *t, const char *name, const char *value)
{
	assert_true(t->m.n_headers < HEADERS_MAX && t->n_values < VALUES_MAX);
	char *copy = t->values[t->n_values++];
	snprintf(copy, sizeof(t->values[0]), "%s", value);
	t->headers[t->m.n_headers++] = (struct message_header){
		bytes_of(name), bytes_trim(bytes_of(copy))};
}

static inline void drop_header(struct trial *t, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->m.n_headers; i++)
		if (!bytes_equal_nocase(t->headers[i].name, bytes_of(name)))
			t->headers[kept++] = t->headers[i];
	t->m.n_headers = kept;
}

/* In the place of what stands there. */
static inline void set_header(struct trial *t, const char *name, const char *value)
{
	drop_header(t, name);
	double_header(t, name, value);
}

static inline char *value_of(struct trial *t, const char *name)
{
	for (size_t i = 0; i < t->m.n_headers; i++)
		if (bytes_equal_nocase(t->headers[i].name, bytes_of(name)))
			return (char *)t->headers[i].value.data;
	fail_msg("no header %s", name);
	return NULL;
}

static inline void set_body(struct trial *t, const char *body)
{
	snprintf(t->body, sizeof(t->body), "%s", body);
	t->m.body = bytes_of(t->body);
}

static inline void begin(struct trial *t, unsigned verify, const char *target)
{
	*t = (struct trial){.public_url = "https://cb.example"};
	t->source = (struct source){.name = (char *)"s",
		.path = (char *)"/callback/s",
		.verify = verify,
		.secrets = t->secrets};
	t->source.signature = (struct signature_rule){.prefix = (char *)"",
		.content = (char *)"{body}",
		.encoding = ENCODING_HEX,
		.tolerance_usec = 300 * USEC_PER_SEC};
	t->m = (struct message){.method = bytes_of("POST"),
		.target = bytes_of(target),
		.headers = t->headers,
		.peer = bytes_of("192.0.2.1"),
		.received_usec = NOW * SEC};
	t->m.path = bytes_split(t->m.target, '?', &t->m.query);
}

static inline void add_keys(struct trial *t, struct keyset *set)
{
	t->secrets[t->source.n_secrets++] = (struct secret){.keys = set,
		.data = (unsigned char *)"not a secret",
		.size = 12,
		.text = (unsigned char *)"not a secret",
		.text_size = 12};
}

static inline void end(struct trial *t)
{
	for (size_t i = 0; i < t->source.n_secrets; i++)
		keyset_unref(t->secrets[i].keys);
	keyset_unref(t->fetched);
}

/* ---- The verdict ---- */

static inline const struct keyset *on_find(
	void *arg, const struct source *s, enum verify_keys_kind kind, const char *url)
{
	struct trial *t = arg;

	assert_ptr_equal(s, &t->source);
	t->asked_kind = kind;
	snprintf(t->asked, sizeof(t->asked), "%s", url);
	return t->fetched;
}

static inline enum verify_verdict ask(struct trial *t)
{
	const struct verify_keys keys = {on_find, t};
	const struct verify_input in = {.source = &t->source,
		.message = &t->m,
		.public_url = t->public_url,
		.keys = &keys};

	t->asked[0] = '\0';
	assert_int_equal(verify_ask(&in, &t->result), 0);
	assert_int_equal(t->result.reason[0] == '\0', t->result.verdict == VERIFY_OK);
	return t->result.verdict;
}

static inline int by_head(struct trial *t)
{
	struct verify_result r;
	struct message m = t->m;

	m.body = BYTES_NONE;
	return verify_head(&t->source, &m, BYTES_NONE, &r);
}

static inline void expect_ok(struct trial *t, const char *name)
{
	if (ask(t) != VERIFY_OK)
		fail_msg("%s: %s", name, t->result.reason);
	assert_int_equal(by_head(t), 0);
}

/* Refused, for this reason; by the head alone where `early`. */
static inline void expect_refused(
	struct trial *t, const char *name, const char *why, bool early)
{
	if (ask(t) != VERIFY_REFUSED)
		fail_msg("%s: verdict %d, not refused for <%s>", name, t->result.verdict,
			why);
	if (!strstr(t->result.reason, why))
		fail_msg("%s: <%s>, not <%s>", name, t->result.reason, why);
	if (by_head(t) != early)
		fail_msg("%s: the head alone: %d", name, !early);
}

static inline void expect_needs(struct trial *t, const char *name,
	enum verify_keys_kind kind, bool stale, const char *url)
{
	if (ask(t) != VERIFY_NEEDS_KEYS)
		fail_msg("%s: verdict %d, %s", name, t->result.verdict, t->result.reason);
	assert_int_equal(t->result.keys_kind, kind);
	assert_int_equal(t->asked_kind, kind);
	assert_int_equal(t->result.stale, stale);
	assert_string_equal(t->result.url, url);
	assert_string_equal(t->asked, url);
	assert_int_equal(by_head(t), 0);
}

/* One bit in each of eight places of `text`, put back after each look. */
#define EACH_BIT(text, size, i)                                                        \
	for (size_t i = 0; i < 8 && ((text)[(size)*i / 8] ^= (char)(1 << (i % 7)), 1); \
		(text)[(size)*i / 8] ^= (char)(1 << (i % 7)), i++)

#endif
