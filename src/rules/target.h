/*
 * The target of a request line (RFC 9112, 3.2) and the host of a Host field, byte for byte
 * as the grammar of RFC 3986 has them: whatever is not in the grammar is refused, so that no
 * two readers of one request see two paths. One exception: in a query stands also what
 * browsers and their like leave there as it is, such as the brackets of `?a[]=1`. A query
 * leads nowhere here, and it is signed and read as it came.
 */
#ifndef RULES_TARGET_H
#define RULES_TARGET_H

#include "base/bytes.h"

struct target {
	struct bytes origin; /* path and query, undecoded */
	struct bytes path;
	struct bytes query;     /* BYTES_NONE without a '?' */
	struct bytes authority; /* of the absolute form, else BYTES_NONE */
};

/*
 * Origin form and absolute form (http and https). 0, or -EINVAL and *ret_reason (static
 * text). Slices of `text`, but for the path of an absolute form without one, which is "/".
 */
int target_parse(
	struct bytes text, struct target *ret, const char **ret_reason) MUST_CHECK;
/* uri-host [":" port] (RFC 9110, 7.2), neither empty nor with user information. */
bool target_host_valid(struct bytes host);
/* uri-host ":" port, the target of a CONNECT (RFC 9112, 3.2.3; RFC 9110, 9.3.6). */
bool target_authority_valid(struct bytes text);

#endif
