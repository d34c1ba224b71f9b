/*
 * A binary min-heap of things that are due, the place kept inside each thing so that it
 * can be taken out again in O(log n). Holds no time of its own: the owner compares.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

struct heap_entry {
	uint64_t key; /* smallest first */
	size_t place; /* 1-based; 0 = in no heap */
};

struct heap {
	struct heap_entry **entries;
	size_t size;
	size_t room;
};

void heap_fini(struct heap *h);
/* Inserts, or moves an entry that is inside to its new key. 0 or -ENOMEM (then
 * unchanged). */
int heap_put(struct heap *h, struct heap_entry *e, uint64_t key) MUST_CHECK;
void heap_remove(struct heap *h, struct heap_entry *e); /* nothing when not inside */
struct heap_entry *heap_first(const struct heap *h);    /* NULL when empty */

#endif
