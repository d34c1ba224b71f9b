/*
 * A hash table from byte strings to entries that live inside their owners. The hash is
 * keyed with a random seed (SipHash-2-4), so that no peer chooses our collisions. Several
 * entries may share a key: map_next walks them.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/bytes.h"

#include <stdint.h>

struct map_entry {
	struct map_entry *next;
	uint64_t hash;
	struct bytes key; /* points into the owner; must not change while inside */
	bool inside;
};

struct map {
	struct map_entry **buckets;
	size_t n_buckets;
	size_t size;
	uint64_t seed[2];
};

int map_init(struct map *m) MUST_CHECK; /* 0 or -ENOMEM */
void map_fini(struct map *m);           /* entries are the owners' */
void map_put(struct map *m, struct map_entry *e, struct bytes key);
void map_remove(struct map *m, struct map_entry *e); /* nothing when not inside */
struct map_entry *map_find(const struct map *m, struct bytes key);
struct map_entry *map_next(const struct map_entry *e); /* the next one of the same key */

#endif
