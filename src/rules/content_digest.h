/* Content-Digest (RFC 9530): the hash of a body that a signature over the head covers. */
#ifndef RULES_CONTENT_DIGEST_H
#define RULES_CONTENT_DIGEST_H

#include "base/text.h"

/*
 * Does `value` hold a sha-256 or sha-512, and is every one of those the body's? Others are
 * passed over. 0; 1 with *ret_problem (static text); negative errno.
 */
int content_digest_check(
	struct bytes value, struct bytes body, const char **ret_problem) MUST_CHECK;
/* Writes a value with sha-256. 0 or negative errno. */
int content_digest_write(struct bytes body, struct text *out) MUST_CHECK;

#endif
