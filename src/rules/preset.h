/*
 * Known senders: what their sources are made of, as the text a person would write. A
 * preset fills in what is not given. Of its Verify= words, those that need a secret count
 * only where SecretFile= is given (or nothing else is left), and hmac only where
 * SignatureHeader= is given or is the preset's own.
 */
#ifndef RULES_PRESET_H
#define RULES_PRESET_H

#include "base/bytes.h"

struct preset_value {
	const char *key, *value; /* an empty value: none, whatever the key's default */
};

struct preset {
	const char *name, *sentence;
	const char *documentation;         /* URL; NULL for none */
	const char *answer;                /* the 200's body */
	const struct preset_value *values; /* in the order of the table of keys */
	size_t n_values;
	/*
	 * The member of a verified payload that the 200's body repeats, in place of `answer`,
	 * where it is there; or NULL.
	 */
	const char *echo;
};

const struct preset *preset_find(struct bytes name); /* NULL: none; exact case */
const struct preset *preset_at(size_t i);            /* NULL behind the last */
const char *preset_nearest(struct bytes name);       /* NULL: none is near */
/* NULL where the preset leaves the key to its default. */
const char *preset_value(const struct preset *p, const char *key);

#endif
