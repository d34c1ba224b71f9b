/*
 * The bytes of a request's head, checked as RFC 9112 has them before any parser sees
 * them: strict where llhttp is lenient. A pure function; fuzzed against llhttp as its
 * oracle.
 */
#ifndef RULES_HEAD_H
#define RULES_HEAD_H

#include "rules/message.h"

struct head_limits {
	size_t max_head_bytes, max_headers, max_target_bytes;
};

struct head {
	struct message
		message; /* method, target (origin form; * of OPTIONS), path, query,
			    headers; no body */
	struct bytes
		request_target; /* as it stood in the request line, absolute or not */
	struct bytes host; /* of the absolute form, else of Host; BYTES_NONE (1.0 only) */
	unsigned minor;    /* HTTP/1.minor: 0 or 1 */
	bool chunked;
	bool has_length;
	uint64_t length;
	bool keep_alive;
	bool expect_continue;
};

/*
 * Length of the head including its empty line, 0 when its end has not come yet, or
 * -EMSGSIZE when it is past max_head_bytes without one. Looks only for CRLFCRLF (and
 * stops early at a bare LF or NUL: then it returns the length so far, for head_check to
 * refuse).
 */
ptrdiff_t head_find_end(struct bytes input, const struct head_limits *limits) MUST_CHECK;
/* What to refuse an input with that head_find_end() called too large: 414 or 431. */
int head_overflow(struct bytes input, const char **ret_reason) MUST_CHECK;
/*
 * 0, or the status to refuse with (400, 404 for a CONNECT, 414, 415, 417, 431) and
 * *ret_reason (static text, for the journal). `headers` has room for max_headers. After a
 * refusal nothing behind this head may be served.
 */
int head_check(struct bytes head, const struct head_limits *limits,
	struct message_header *headers, struct head *ret,
	const char **ret_reason) MUST_CHECK;

/* For all who read or write names and values. RFC 9110, 5.6.2 and 5.5. */
bool head_is_token_char(char c);
bool head_is_token(struct bytes b);
bool head_is_value_char(char c);

#endif
