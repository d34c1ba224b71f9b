/*
 * The signature base of RFC 9421, 2.5: the lines that a signature over an HTTP request covers.
 * Of the parameters of components `bs` and `key` are known, and `name` of @query-param; `sf`,
 * `req` and `tr` are refused with words (we do not know every field's type, a request has no
 * request, and trailers are dropped).
 */
#ifndef RULES_SIGNATURE_BASE_H
#define RULES_SIGNATURE_BASE_H

#include "rules/message.h"
#include "rules/structured.h"

/*
 * Adds the base of the signature that member `m` of Signature-Input describes; `origin` is
 * PublicURL=, or BYTES_NONE. 0; 1 with *ret_problem (static text); -ENOMEM.
 */
int signature_base(const struct message *message, struct bytes origin,
	const struct structured *s, const struct structured_item *m, struct text *out,
	const char **ret_problem) MUST_CHECK;
/*
 * Does the signature cover the component that a person writes so: its name, and ;key=value
 * behind it for each parameter, all without quotes?
 */
bool signature_base_covers(const struct structured *s, const struct structured_item *m,
	const char *component);

#endif
