/*
 * How signatures stand in their header: plain, in pairs (t=…,v1=…,v1=…) or in a list
 * (v1,… v1,…), hex or base64, with or without a prefix. Read here, written by sign.c.
 */
#ifndef RULES_SIGNATURE_H
#define RULES_SIGNATURE_H

#include "rules/mac.h"

/* More would let one request buy any number of comparisons. */
#define SIGNATURES_MAX 16

struct signatures {
	unsigned char list[SIGNATURES_MAX][MAC_SIZE_MAX]; /* decoded */
	size_t size;
	struct bytes timestamp; /* of style pairs, as written; BYTES_NONE without */
	size_t n_unfit;         /* listed, but not of that encoding or length */
};

/*
 * Of `size` bytes each, MAC_SIZE_MAX at most. 0; 1: nothing to compare, *ret_reason (static text) says why. The timestamp is not looked
 * at beyond its standing there at most once.
 */
int signatures_parse(const struct signature_rule *rule, size_t size, struct bytes value,
	struct signatures *ret, const char **ret_reason) MUST_CHECK;
/* Is `mac` among them? Takes the same time wherever and whether it stands there. */
bool signatures_hold(const struct signatures *s, const unsigned char *mac, size_t size);

#endif
