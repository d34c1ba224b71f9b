/*
 * A callback in the making: what a field would read is put where it would read it, into
 * the shape that the sender's callbacks have. For sample.c alone.
 *
 *   shape ─► put, put, … ─► [sign the form's field, put] ─► body, query, headers
 */
#ifndef API_SAMPLE_DRAFT_H
#define API_SAMPLE_DRAFT_H

#include "api/sample_shape.h"
#include "base/text.h"
#include "rules/field.h"

struct draft {
	enum shape_kind kind;
	json_t *json;            /* the body, or the form's fields */
	json_t *put;             /* what was put, by its place */
	const char *own_headers; /* of the shape; what is put comes before it */
	struct text query, headers;
	bool pointers, forms; /* what has been put into the body */
};

/* 0 or -ENOMEM. `shape` may be NULL. draft_fini() in every case. */
int draft_init(struct draft *d, const struct shape *shape) MUST_CHECK;
void draft_fini(struct draft *d);
/* 0; 1: something else stands in the way; -ENOMEM. */
int draft_put(struct draft *d, const struct field *f, const char *value) MUST_CHECK;
/* A form's field as it will be sent. 0 and *ret, owned by the caller; 1: none; -ENOMEM. */
int draft_field(const struct draft *d, const char *name, char **ret) MUST_CHECK;
/* 0 or -ENOMEM. */
int draft_write(const struct draft *d, struct text *body) MUST_CHECK;
/* "Content-Type: …\r\n" of that body. */
const char *draft_type(enum shape_kind kind);

#endif
