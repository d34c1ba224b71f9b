/*
 * What was told already: a warning that a sender could repeat with every callback is given once for
 * each source and word. Forgets nothing until the next start; capped, so that endless new words cost
 * nothing.
 */
#ifndef FLOW_ONCE_H
#define FLOW_ONCE_H

#include "base/bytes.h"

struct once;

struct once *once_new(void); /* NULL when memory is short */
void once_free(struct once *o);
/* Is it the first time? Beyond 1,000 pairs: false. */
bool once_first(struct once *o, const char *source, const char *word);

#endif
