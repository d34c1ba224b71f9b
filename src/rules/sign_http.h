/* HTTP Message Signatures with a shared secret, as a sender makes them. For sign.c alone. */
#ifndef RULES_SIGN_HTTP_H
#define RULES_SIGN_HTTP_H

#include "rules/sign.h"

/*
 * Adds Content-Digest, Signature-Input and Signature. 0; 1: there is no shared secret, or
 * CoveredComponents= wants what the signer does not know; -ENOMEM; -EIO.
 */
int sign_http(const struct source *s, const struct sign_input *in, struct text *headers,
	const struct text *target) MUST_CHECK;

#endif
