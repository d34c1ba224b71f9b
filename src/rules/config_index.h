/*
 * What a callback looks up in a complete configuration, without a walk over hundreds of
 * sources and hooks: a source by its name and by its path, a hook by its name, the hooks
 * that a source may fire. Made once, by config_build(), at its end; sorted lists of what
 * the configuration owns.
 *
 * A configuration put together by hand (a test's) has none: then there is a walk.
 */
#ifndef RULES_CONFIG_INDEX_H
#define RULES_CONFIG_INDEX_H

#include "rules/config.h"

int config_index_make(struct config *c) MUST_CHECK; /* 0 or -ENOMEM */
void config_index_free(struct config_index *x);     /* NULL is fine */

/* NULL: none. */
struct source *config_index_source(const struct config_index *x, struct bytes name);
struct source *config_index_path(const struct config_index *x, struct bytes path);
struct hook *config_index_hook(const struct config_index *x, struct bytes name);
/* No path of a source is longer. */
size_t config_index_longest(const struct config_index *x);

#endif
