/*
 * What a callback of a known sender looks like, as far as nothing but its shape matters:
 * the members around id and status. Made after the senders' documentation.
 */
#ifndef API_SAMPLE_SHAPE_H
#define API_SAMPLE_SHAPE_H

#include "base/macros.h"

enum shape_kind { SHAPE_JSON, SHAPE_URLENCODED, SHAPE_MULTIPART };

struct shape {
	const char *preset;
	enum shape_kind kind;
	const char *headers; /* lines "Name: value\r\n"…; "" for none */
	/* A JSON object: the body, or the fields of a form, of which those that are no
	 * strings are written as JSON. */
	const char *body;
};

/* NULL: no shape is known, which `preset` NULL is, too. */
const struct shape *shape_find(const char *preset);

#endif
