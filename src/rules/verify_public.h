/*
 * The public keys of a source, wherever they stand: those in its SecretFile= first, then those
 * of a URL as far as they are at hand. For verify_*.c alone.
 */
#ifndef RULES_VERIFY_PUBLIC_H
#define RULES_VERIFY_PUBLIC_H

#include "rules/pubkey.h"
#include "rules/verify_scheme.h"

/* One message buys no more verifications, of some 100 µs each. */
#define ATTEMPTS_MAX 64

struct attempt {
	/* Of each kind of key one at most; the key chooses. */
	const enum pubkey_algorithm *algorithms;
	size_t n_algorithms;
	struct bytes id; /* the key's, as the message names it; BYTES_NONE */
	bool webhook;    /* only keys of Standard Webhooks */
	bool not_plain;  /* no key that may as well be a shared secret */
	const struct bytes *signatures;
	size_t n_signatures;
	struct bytes data;
};

/* 0 one holds; 1 none, the reason says why; SCHEME_NEEDS_KEYS; -ENOMEM. */
int scheme_try_public(const struct scheme_input *in, const struct attempt *a,
	char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;

#endif
