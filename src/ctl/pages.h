/* Lists that come in pages: asks until `limit` items were seen or there are no more. */
#ifndef CTL_PAGES_H
#define CTL_PAGES_H

#include "base/text.h"
#include "ctl/ctl.h"

/* "?name=value" or "&name=value", percent-encoded; nothing when value is NULL. */
void pages_query(struct text *path, const char *name, const char *value);
/* `key` is "jobs" or "runs"; on_item is called for each that `takes` (NULL: all), in order,
 * at most `limit` times. 0, or told and the exit status. */
int pages_each(struct ctl *ctl, const char *path, const char *key, uint64_t limit,
	bool (*takes)(void *arg, const json_t *item),
	void (*on_item)(void *arg, const json_t *item), void *arg) MUST_CHECK;

#endif
