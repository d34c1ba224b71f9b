/*
 * The one table of configuration keys: section, key, type, default, one sentence. It
 * drives the parser, the defaults, --print-config, and the lint that every key stands in
 * the manual page and in the sample file. A key whose feature is not built yet is marked
 * and refused with those words.
 */
#ifndef RULES_KEYS_H
#define RULES_KEYS_H

#include "base/bytes.h"

enum key_section { SECTION_DAEMON, SECTION_SOURCE, SECTION_HOOK, SECTION_MAX };

struct key; /* see keys.c */

/* NULL when there is none of that name (exact case). */
const struct key *key_find(enum key_section section, struct bytes name);
/* The nearest known name of the section (small edit distance, any case), NULL when none
 * is near. */
const char *key_nearest(enum key_section section, struct bytes name);

#endif
