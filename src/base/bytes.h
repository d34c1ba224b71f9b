/*
 * A slice of somebody else's memory: all that comes from outside travels as one. It is
 * never NUL-terminated and never owned. `data == NULL` means "not there", which is not
 * the same as empty.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/macros.h"

#include <stdbool.h>
#include <string.h>

struct bytes {
	const char *data;
	size_t size;
};

#define BYTES_NONE ((struct bytes){NULL, 0})
/* For printf: "%.*s", BYTES_FMT(b). Never for bytes from outside: those are escaped
 * first. */
#define BYTES_FMT(b) (int)(b).size, (b).data ? (b).data : ""

static inline struct bytes bytes_of(const char *s)
{
	return (struct bytes){s, s ? strlen(s) : 0};
}

bool bytes_equal(struct bytes a, struct bytes b);
/* ASCII case only, whatever the locale (RFC 9110, 5.1: field names). */
bool bytes_equal_nocase(struct bytes a, struct bytes b);
bool bytes_starts(struct bytes whole, struct bytes start);
/* Without leading and trailing SP and HTAB (RFC 9110, 5.6.3: OWS). */
struct bytes bytes_trim(struct bytes b);
/* The part in front of the first `separator`; *rest becomes what is behind it, or
 * BYTES_NONE. */
struct bytes bytes_split(struct bytes whole, char separator, struct bytes *rest);
/* A NUL-terminated copy, owned by the caller; NULL when memory is short or `b` is not
 * there. */
char *bytes_dup(struct bytes b) MUST_CHECK;
/* free() for what held a secret: `size` bytes are overwritten first. NULL is fine. */
void bytes_wipe(void *data, size_t size);

#endif
