/*
 * Public keys, read from what their owner publishes or from a file: JWKS, PEM, X.509, or
 * the 32 bytes of Ed25519 in any spelling. A set is complete and never changes, so whoever
 * holds a reference may use it while a newer one takes its place. Of Ed25519, P-256 and RSA
 * of 2048 to 8192 bits alone; what is weaker or something else is left out (RFC 7517, 5).
 */
#ifndef RULES_KEYSET_H
#define RULES_KEYSET_H

#include "base/bytes.h"

#include <stdatomic.h>
#include <stdint.h>

#include <openssl/types.h>

/* More would let one signature that names no key buy any number of verifications. */
#define KEYSET_KEYS_MAX 32
/* A text that is longer is no set of keys: whoever fetches one stops there. */
#define KEYSET_TEXT_MAX (256u << 10)

enum keyset_kind {
	KEYSET_ED25519 = 1 << 0,
	KEYSET_P256 = 1 << 1,
	KEYSET_RSA = 1 << 2,
};

struct keyset_key {
	enum keyset_kind kind;
	char *id;        /* JWK's kid; NULL for none */
	char *algorithm; /* JWK's alg: the one it may be used with; NULL: what its kind allows */
	bool webhook; /* written whpk_: a key of Standard Webhooks */
	bool plain; /* written as 32 bytes, hex or base64: nothing says that it is a key */
	int64_t from_usec, until_usec; /* wall clock, both included; of a certificate */
	EVP_PKEY *key;
};

struct keyset {
	atomic_uint refs;
	struct keyset_key *keys;
	size_t size;       /* at least one */
	size_t n_left_out; /* of a JWKS: not of our kinds, too weak, or not for signatures */
};

/*
 * Each: 0 and *ret with one reference; 1: no keys, *ret_problem (static text) says why;
 * -ENOMEM. A key id that two keys bear, or a key that stands there twice, refuses the whole.
 */
int keyset_of_jwks(
	struct bytes text, struct keyset **ret, const char **ret_problem) MUST_CHECK;
/* In any form, told apart by its beginning. Surrounding blanks do not count (but of 32 bytes). */
int keyset_of_text(
	struct bytes text, struct keyset **ret, const char **ret_problem) MUST_CHECK;

struct keyset *keyset_ref(struct keyset *k); /* returns k */
void keyset_unref(struct keyset *k);         /* NULL is fine */

/*
 * The next key behind place *at (begin with 0) that is of one of `kinds`, and that may have
 * signed what names key `id` (BYTES_NONE: it names none): one of that id, else one without
 * any. NULL behind the last.
 */
const struct keyset_key *keyset_next(
	const struct keyset *k, unsigned kinds, struct bytes id, size_t *at);

#endif
