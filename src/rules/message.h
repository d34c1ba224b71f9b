/*
 * An HTTP request as the rules see it: slices of raw bytes, whoever received it. Built by
 * the listener, by the control API's test and verify, and by unit tests from literals.
 */
#ifndef RULES_MESSAGE_H
#define RULES_MESSAGE_H

#include "base/bytes.h"

#include <stdint.h>

struct message_header {
	struct bytes name, value; /* value without surrounding blanks */
};

struct message {
	struct bytes method;
	struct bytes target; /* as received, in origin form, undecoded */
	struct bytes path,
		query; /* halves of target; query is BYTES_NONE without a '?' */
	const struct message_header *headers;
	size_t n_headers;
	struct bytes body; /* after removal of the transfer coding; raw otherwise */
	struct bytes peer; /* the client's address as text, e.g. 192.0.2.1, 2001:db8::1,
			      "unix" */
	int64_t received_usec; /* wall clock */
};

enum message_found { MESSAGE_ONCE = 0, MESSAGE_ABSENT = 1, MESSAGE_TWICE = 2 };

/* The value of a header field. A field that stands twice is no value: *ret is untouched.
 */
enum message_found message_header(
	const struct message *m, const char *name, struct bytes *ret);
/*
 * The undecoded value of a query parameter, or of a field of an urlencoded body given as
 * `text`; names are compared after decoding. MESSAGE_TWICE as above.
 */
enum message_found message_parameter(
	struct bytes text, struct bytes name, struct bytes *ret);

#endif
