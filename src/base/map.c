/* The hash table; see map.h. */
#include "base/map.h"

#include "base/random.h"
#include "base/siphash.h"

#include <errno.h>

#define MIN_BUCKETS 16

int map_init(struct map *m)
{
	*m = (struct map){0};
	m->buckets = calloc(MIN_BUCKETS, sizeof(struct map_entry *));
	if (!m->buckets)
		return -ENOMEM;
	m->n_buckets = MIN_BUCKETS;
	random_bytes(m->seed, sizeof(m->seed));
	return 0;
}

void map_fini(struct map *m)
{
	free(m->buckets);
	*m = (struct map){0};
}

/* Without memory for more buckets the table stays as it is, only slower. */
static void grow(struct map *m)
{
	size_t n = m->n_buckets * 2;
	struct map_entry **buckets = calloc(n, sizeof(struct map_entry *));
	if (!buckets)
		return;
	for (size_t i = 0; i < m->n_buckets; i++) {
		struct map_entry *e = m->buckets[i], *next;
		for (; e; e = next) {
			next = e->next;
			e->next = buckets[e->hash & (n - 1)];
			buckets[e->hash & (n - 1)] = e;
		}
	}
	free(m->buckets);
	m->buckets = buckets;
	m->n_buckets = n;
}

void map_put(struct map *m, struct map_entry *e, struct bytes key)
{
	if (m->size >= m->n_buckets)
		grow(m);
	e->key = key;
	e->hash = siphash(m->seed, key);
	struct map_entry **bucket = &m->buckets[e->hash & (m->n_buckets - 1)];
	e->next = *bucket;
	e->inside = true;
	*bucket = e;
	m->size++;
}

void map_remove(struct map *m, struct map_entry *e)
{
	if (!e->inside)
		return;
	struct map_entry **at = &m->buckets[e->hash & (m->n_buckets - 1)];
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	e->next = NULL;
	e->inside = false;
	m->size--;
}

static struct map_entry *same(struct map_entry *e, uint64_t hash, struct bytes key)
{
	while (e && (e->hash != hash || !bytes_equal(e->key, key)))
		e = e->next;
	return e;
}

struct map_entry *map_find(const struct map *m, struct bytes key)
{
	uint64_t hash = siphash(m->seed, key);
	return same(m->buckets[hash & (m->n_buckets - 1)], hash, key);
}

struct map_entry *map_next(const struct map_entry *e)
{
	return same(e->next, e->hash, e->key);
}
