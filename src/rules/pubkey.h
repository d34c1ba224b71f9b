/*
 * Does a signature hold with a public key? The algorithm is the caller's, who has it from
 * policy; a key that is not of its kind, or that is published for another one, holds nothing.
 * So no text of a message can make an HMAC of an RSA key, or an RSA signature of a point.
 */
#ifndef RULES_PUBKEY_H
#define RULES_PUBKEY_H

#include "rules/keyset.h"

enum pubkey_algorithm {
	PUBKEY_ED25519,  /* RFC 8032; 64 bytes */
	PUBKEY_ES256,    /* ECDSA with SHA-256; r and s, 64 bytes (RFC 7518, 3.4) */
	PUBKEY_RS256,    /* RSASSA-PKCS1-v1_5 with SHA-256 */
	PUBKEY_RSA_SHA1, /* the same with SHA-1: version 1 of SNS, and nothing else */
	PUBKEY_RSA_PSS_SHA512 /* RFC 9421, 3.3.1; a salt of any length */
};

#define PUBKEY_SIGNATURE_MAX 1024

/* The one kind of key that an algorithm takes. */
enum keyset_kind pubkey_kind(enum pubkey_algorithm a);
/* At `now_usec`, for keys of certificates. 0 it holds; 1 it does not; -ENOMEM. */
int pubkey_verify(const struct keyset_key *key, enum pubkey_algorithm a,
	struct bytes data, struct bytes signature, int64_t now_usec) MUST_CHECK;

#endif
