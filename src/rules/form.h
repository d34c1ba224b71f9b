/*
 * The fields of a body that is a form, urlencoded or multipart, as Content-Type says. A form
 * that is broken anywhere has no fields, and a field that stands twice no value.
 */
#ifndef RULES_FORM_H
#define RULES_FORM_H

#include "base/text.h"
#include "rules/message.h"
#include "rules/multipart.h"

enum form_kind {
	FORM_NONE, /* the body is something else */
	FORM_URLENCODED,
	FORM_MULTIPART,
};

/* Of one urlencoded body at most so many fields are put in order. */
#define FORM_FIELDS_MAX 1000

struct form {
	enum form_kind kind;
	struct bytes body;
	struct multipart multipart;
	const char
		*problem; /* why there are no fields; static text, NULL when there are */
};

/* By the head alone. A body without Content-Type may be urlencoded. */
void form_of_head(struct form *f, const struct message *m);
/* By the whole message. */
void form_of(struct form *f, const struct message *m);
/*
 * One field's value as it lies: a multipart one as it is, an urlencoded one still encoded
 * (form_decode).
 */
enum message_found form_find(const struct form *f, struct bytes name, struct bytes *ret);
/* 0 and what form_find() gave, decoded, owned by the caller; 1: no sound escape; -ENOMEM. */
int form_decode(const struct form *f, struct bytes raw, char **ret_value,
	size_t *ret_size) MUST_CHECK;
/*
 * Adds names and values of an urlencoded form, decoded, in the bytes' order of the names,
 * name and value joined with nothing between; the same pair once (Twilio, "Webhooks
 * Security": {form}). 0, 1 with *ret_reason, -ENOMEM.
 */
int form_add_sorted(
	const struct form *f, struct text *out, const char **ret_reason) MUST_CHECK;

#endif
