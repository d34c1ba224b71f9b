/*
 * multipart/form-data (RFC 7578, RFC 2046 5.1.1), read where it lies and more strictly than
 * most: what two readers might read differently is refused as a whole. No preamble, no
 * epilogue, no transport padding, no folded headers, each part named once.
 */
#ifndef RULES_MULTIPART_H
#define RULES_MULTIPART_H

#include "base/bytes.h"

#define MULTIPART_BOUNDARY_MAX 70 /* RFC 2046, 5.1.1 */
#define MULTIPART_PARTS_MAX    256
#define MULTIPART_HEAD_MAX     4096 /* bytes of one part's headers */

struct multipart {
	struct bytes rest;                          /* begins behind a delimiter */
	char delimiter[MULTIPART_BOUNDARY_MAX + 5]; /* CR LF -- boundary */
	size_t delimiter_size;
	size_t n_parts; /* given out so far */
};

struct multipart_part {
	struct bytes name, value; /* slices of the body */
};

/* The media type alone: "multipart/form-data", without parameters and blanks. */
struct bytes multipart_media_type(struct bytes content_type);
/*
 * Finds the boundary in the whole value of Content-Type. 0, or 1 with *ret_reason (static
 * text). Looks at no body.
 */
int multipart_boundary(struct multipart *m, struct bytes content_type,
	const char **ret_reason) MUST_CHECK;
/* 0, or 1 with *ret_reason. `body` is borrowed. */
int multipart_begin(
	struct multipart *m, struct bytes body, const char **ret_reason) MUST_CHECK;
/* 0 and the next part; 1 at the end; 2 broken, with *ret_reason. */
int multipart_next(struct multipart *m, struct multipart_part *ret,
	const char **ret_reason) MUST_CHECK;

#endif
