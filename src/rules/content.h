/*
 * SignedContent=: the template that says which bytes a signature covers, e.g.
 * {timestamp}.{body}. The pieces are handed on as they lie; nothing is put together.
 */
#ifndef RULES_CONTENT_H
#define RULES_CONTENT_H

#include "rules/mac.h"
#include "rules/message.h"

#include "base/text.h"

#define CONTENT_HEADER_MAX 64 /* bytes of NAME in {header:NAME} */

enum content_part {
	CONTENT_ID = 1 << 0,
	CONTENT_TIMESTAMP = 1 << 1,
	CONTENT_BODY = 1 << 2,
	CONTENT_URL = 1 << 3,
	CONTENT_FORM = 1 << 4,       /* all fields, in order: form_add_sorted() */
	CONTENT_FORM_FIELD = 1 << 5, /* {form:NAME}: one field's value */
	CONTENT_BODY_HASH = 1 << 6,  /* {body_sha256}: of the body, in small hex digits */
	CONTENT_HEADER = 1 << 7,     /* {header:NAME}: its value */
	CONTENT_NEWLINE = 1 << 8,    /* {newline}: a line feed, which no value can hold */
};

struct content {
	struct bytes id, timestamp, body;
	struct bytes origin, target; /* {url} is the one and then the other */
	struct bytes form;           /* {form}, or the value of {form:NAME} */
	struct bytes body_hash;
	const struct message *message; /* of {header:NAME} */
};

/* Which parts the template names: a set of enum content_part. */
unsigned content_parts(const char *template);
/* NAME of {form:NAME}; BYTES_NONE without. */
struct bytes content_form_field(const char *template);
/* NAME of the i-th {header:NAME}; false behind the last. */
bool content_header(
	const char *template, size_t i, char ret[static CONTENT_HEADER_MAX + 1]);
/*
 * 0, or 1: not a template that can be served, *ret_reason (static text) says why. What
 * stands in braces and is no part is a slip; other text is signed as it is.
 */
int content_check(const char *template, const char **ret_reason) MUST_CHECK;
void content_add(const char *template, const struct content *c, struct mac *m);
/* The same where the bytes must lie together. */
void content_write(const char *template, const struct content *c, struct text *out);

#endif
