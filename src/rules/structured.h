/*
 * Structured field values (RFC 8941) as far as signatures need them: a dictionary of items and
 * inner lists, with parameters, of integers, strings, tokens, byte sequences and booleans. The
 * parser is stricter than the RFC in two things: a key that stands twice refuses the whole
 * (the RFC lets the last win, and a signature must not have two readings), and there are
 * no decimals. All of it points into the text that was read.
 */
#ifndef RULES_STRUCTURED_H
#define RULES_STRUCTURED_H

#include "base/text.h"

#include <stdint.h>

#define STRUCTURED_MEMBERS_MAX    16
#define STRUCTURED_ITEMS_MAX      64 /* in all inner lists */
#define STRUCTURED_PARAMETERS_MAX 96

enum structured_type {
	STRUCTURED_INTEGER,
	STRUCTURED_STRING,
	STRUCTURED_TOKEN,
	STRUCTURED_BYTES,
	STRUCTURED_BOOLEAN,
	STRUCTURED_INNER_LIST,
};

struct structured_value {
	enum structured_type type;
	struct bytes
		text;    /* of a string between the quotes, of bytes between the colons */
	int64_t integer; /* of a boolean 0 or 1 */
	size_t first, n; /* of an inner list: its items */
};

/* In an inner list, or a member of the dictionary. */
struct structured_item {
	struct bytes key; /* of a member */
	struct structured_value value;
	size_t first, n; /* its parameters */
};

struct structured_parameter {
	struct bytes key;
	struct structured_value value;
};

struct structured {
	struct structured_item members[STRUCTURED_MEMBERS_MAX];
	size_t n_members;
	struct structured_item items[STRUCTURED_ITEMS_MAX];
	size_t n_items;
	struct structured_parameter parameters[STRUCTURED_PARAMETERS_MAX];
	size_t n_parameters;
};

/* A dictionary (RFC 8941, 3.2). 0; 1 with *ret_problem (static text). */
int structured_parse(
	struct bytes text, struct structured *ret, const char **ret_problem) MUST_CHECK;
/* Both: NULL when there is none. */
const struct structured_item *structured_member(
	const struct structured *s, struct bytes key);
const struct structured_value *structured_parameter(
	const struct structured *s, const struct structured_item *item, const char *key);
/* As RFC 8941, 4.1 writes it, its parameters included, its key not. */
void structured_write(
	const struct structured *s, const struct structured_item *item, struct text *out);

#endif
