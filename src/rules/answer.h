/* The body of the 200: {} or what a preset names, for senders that insist on one. */
#ifndef RULES_ANSWER_H
#define RULES_ANSWER_H

#include "base/text.h"
#include "rules/document.h"
#include "rules/source.h"

#define ANSWER_ECHO_MAX 1024 /* bytes of a value that is repeated */

/*
 * Adds the answer to a verified callback. `d` may be NULL: then what the source's preset would
 * repeat is left out, as it must be for whoever is not verified. 0 or -ENOMEM.
 */
int answer_make(const struct source *s, struct document *d, struct text *out) MUST_CHECK;

#endif
