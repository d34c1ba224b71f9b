/*
 * From JSON text (RFC 8259) to jansson's values, in one pass and strictly. jansson's own
 * parser takes a callback's 2 KiB apart byte by byte through two function calls each (20 to
 * 27 µs), recurses as deep as the text wants, and gives a whole document up for one number
 * that is too large.
 */
#ifndef RULES_JSONTEXT_H
#define RULES_JSONTEXT_H

#include "base/bytes.h"

#include <jansson.h>

/*
 * At most `depth` brackets within each other. A number that fits neither int64_t nor double
 * becomes a string of its digits: their text is all that anyone here wants of it. Members that
 * stand twice, NUL in their names, broken UTF-8 and lone surrogates refuse the whole. 0 and
 * *ret; 1 with *ret_problem (static text); -ENOMEM, also when jansson's allocator refuses.
 */
int jsontext_parse(struct bytes text, unsigned depth, json_t **ret,
	const char **ret_problem) MUST_CHECK;

#endif
