/* The min-heap; see heap.h. Places are 1-based, so the parent of n is n / 2. */
#include "base/heap.h"

#include <errno.h>

void heap_fini(struct heap *h)
{
	free(h->entries);
	*h = (struct heap){0};
}

static void set(struct heap *h, size_t place, struct heap_entry *e)
{
	h->entries[place - 1] = e;
	e->place = place;
}

static void rise(struct heap *h, struct heap_entry *e)
{
	size_t place = e->place;

	while (place > 1) {
		struct heap_entry *parent = h->entries[place / 2 - 1];
		if (parent->key <= e->key)
			break;
		set(h, place, parent);
		place /= 2;
	}
	set(h, place, e);
}

static void sink(struct heap *h, struct heap_entry *e)
{
	size_t place = e->place;

	for (;;) {
		size_t child = place * 2;
		if (child > h->size)
			break;
		if (child < h->size &&
			h->entries[child]->key < h->entries[child - 1]->key)
			child++;
		if (e->key <= h->entries[child - 1]->key)
			break;
		set(h, place, h->entries[child - 1]);
		place = child;
	}
	set(h, place, e);
}

int heap_put(struct heap *h, struct heap_entry *e, uint64_t key)
{
	if (!e->place) {
		if (h->size == h->room) {
			size_t room = h->room ? h->room * 2 : 16;
			void *entries = reallocarray(
				h->entries, room, sizeof(*h->entries));
			if (!entries)
				return -ENOMEM;
			h->entries = entries;
			h->room = room;
		}
		e->key = key;
		set(h, ++h->size, e);
		rise(h, e);
		return 0;
	}
	bool earlier = key < e->key;
	e->key = key;
	if (earlier)
		rise(h, e);
	else
		sink(h, e);
	return 0;
}

void heap_remove(struct heap *h, struct heap_entry *e)
{
	if (!e->place)
		return;
	size_t place = e->place;
	struct heap_entry *last = h->entries[--h->size];
	e->place = 0;
	if (last == e)
		return;
	set(h, place, last);
	rise(h, last);
	sink(h, last);
}

struct heap_entry *heap_first(const struct heap *h)
{
	return h->size ? h->entries[0] : NULL;
}
