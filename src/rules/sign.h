/*
 * The other side of verify.h: makes the headers that a sender of this source would send,
 * for `callbackctl test` and for the unit tests of verification.
 */
#ifndef RULES_SIGN_H
#define RULES_SIGN_H

#include "base/text.h"
#include "rules/source.h"

struct sign_input {
	struct bytes body;
	const char *id;         /* the message id, for schemes that sign one */
	int64_t now_usec;       /* wall clock */
	const char *public_url; /* as for verify_message */
	bool form;              /* the body is an urlencoded form */
	/*
	 * What must follow the body is added here, for signatures in a form's field. NULL:
	 * such a message cannot be signed.
	 */
	struct text *more_body;
};

/*
 * Adds complete header lines "Name: value\r\n" to `headers`, and "/TOKEN" or a parameter to
 * `target` (which holds the source's path and query) where the scheme wants it. Uses the first scheme of the
 * source that a shared secret can serve and its first secret. 0; 1: no scheme of this
 * source can be signed here; -ENOMEM; -EIO.
 */
int sign_message(const struct source *s, const struct sign_input *in,
	struct text *headers, struct text *target) MUST_CHECK;

#endif
