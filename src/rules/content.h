/*
 * SignedContent=: the template that says which bytes a signature covers, e.g.
 * {timestamp}.{body}. The pieces are handed on as they lie; nothing is put together.
 */
#ifndef RULES_CONTENT_H
#define RULES_CONTENT_H

#include "rules/mac.h"

enum content_part {
	CONTENT_ID = 1 << 0,
	CONTENT_TIMESTAMP = 1 << 1,
	CONTENT_BODY = 1 << 2,
	CONTENT_URL = 1 << 3,
	CONTENT_FORM = 1 << 4,       /* all fields, in order: form_add_sorted() */
	CONTENT_FORM_FIELD = 1 << 5, /* {form:NAME}: one field's value */
};

struct content {
	struct bytes id, timestamp, body;
	struct bytes origin, target; /* {url} is the one and then the other */
	struct bytes form;           /* {form}, or the value of {form:NAME} */
};

/* Which parts the template names: a set of enum content_part. */
unsigned content_parts(const char *template);
/* NAME of {form:NAME}; BYTES_NONE without. */
struct bytes content_form_field(const char *template);
/*
 * 0, or 1: not a template that can be served, *ret_reason (static text) says why. What
 * stands in braces and is no part is a slip; other text is signed as it is.
 */
int content_check(const char *template, const char **ret_reason) MUST_CHECK;
void content_add(const char *template, const struct content *c, struct mac *m);

#endif
