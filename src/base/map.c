/* The hash table; see map.h. SipHash-2-4: Aumasson, Bernstein 2012. */
#include "base/map.h"

#include "base/random.h"

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

static uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static void sip_rounds(uint64_t v[4], int n)
{
	while (n--) {
		v[0] += v[1];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[0] = rotl(v[0], 32);
		v[2] += v[3];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[2] = rotl(v[2], 32);
	}
}

static uint64_t sip_hash(const uint64_t seed[2], struct bytes key)
{
	uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
		seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};

	size_t whole = key.size / 8 * 8;
	for (size_t i = 0; i < whole; i += 8) {
		uint64_t word;
		memcpy(&word, key.data + i, 8);
		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	uint64_t last = (uint64_t)key.size << 56;
	for (size_t i = whole; i < key.size; i++)
		last |= (uint64_t)(unsigned char)key.data[i] << (8 * (i - whole));
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
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
	e->hash = sip_hash(m->seed, key);
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
	uint64_t hash = sip_hash(m->seed, key);
	return same(m->buckets[hash & (m->n_buckets - 1)], hash, key);
}

struct map_entry *map_next(const struct map_entry *e)
{
	return same(e->next, e->hash, e->key);
}
