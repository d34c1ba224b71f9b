/* The body of the 200: {} or what a preset names, for senders that insist on one. */
#ifndef RULES_ANSWER_H
#define RULES_ANSWER_H

#include "base/text.h"
#include "rules/document.h"
#include "rules/source.h"

#define ANSWER_ECHO_MAX 1024 /* bytes of a value that is repeated */

/*
 * Adds the answer to a callback. It must be verified: what the source's preset wants repeated
 * comes out of it. 0 or -ENOMEM.
 */
int answer_make(const struct source *s, struct document *d, struct text *out) MUST_CHECK;

#endif
