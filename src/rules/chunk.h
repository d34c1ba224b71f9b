/*
 * The bytes of a chunked body (RFC 9112, 7.1), checked before the decoder sees them, as
 * head.h does with heads: digits, CRLFs and extensions exactly as the grammar has them, no
 * blanks, and a bound on all that is not data. It does not decode: it says where the body
 * ends, and the decoder must agree.
 */
#ifndef RULES_CHUNK_H
#define RULES_CHUNK_H

#include "base/bytes.h"

#include <stdint.h>

struct chunk_limits {
	uint64_t max_body_bytes;
	size_t max_overhead_bytes; /* extensions and trailers of one body together */
};

struct chunk {
	int state; /* 0: before the first byte */
	unsigned digits;
	uint64_t size;  /* of this chunk; while in its data: what is missing */
	uint64_t total; /* announced so far */
	size_t overhead;
};

#define CHUNK_MORE 0
#define CHUNK_DONE 1

/*
 * Goes on over the next bytes. CHUNK_MORE: all of them belong to the body. CHUNK_DONE: the
 * first *ret_used do, and the body ends there. Else the status to refuse with (400, 413) and
 * *ret_reason (static text).
 */
int chunk_check(struct chunk *c, const struct chunk_limits *limits, struct bytes input,
	size_t *ret_used, const char **ret_reason) MUST_CHECK;

#endif
