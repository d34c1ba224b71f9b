/* The last 64 KiB of a stream; see tail.h. */
#include "base/tail.h"

void tail_fini(struct tail *t)
{
	free(t->ring);
	*t = (struct tail){0};
}

/* Grows by doubling while it is not yet a ring; most outputs are a line or two. */
static bool grow(struct tail *t, size_t need)
{
	if (need <= t->room)
		return true;
	if (t->room == TAIL_MAX_BYTES)
		return false;
	size_t room = t->room ? t->room : 256;
	while (room < need && room < TAIL_MAX_BYTES)
		room *= 2;
	tail_bytes(t);
	char *ring = realloc(t->ring, room);
	if (!ring)
		return false;
	t->ring = ring;
	t->room = room;
	return need <= room;
}

void tail_add(struct tail *t, struct bytes b)
{
	if (b.size == 0)
		return;
	if (!grow(t, t->size + b.size)) {
		t->truncated = true;
		if (t->room == 0)
			return;
	}
	if (b.size > t->room) {
		b.data += b.size - t->room;
		b.size = t->room;
	}
	size_t excess = t->size + b.size > t->room ? t->size + b.size - t->room : 0;
	t->start = (t->start + excess) % t->room;
	t->size -= excess;
	size_t end = (t->start + t->size) % t->room;
	size_t first = b.size < t->room - end ? b.size : t->room - end;
	memcpy(t->ring + end, b.data, first);
	memcpy(t->ring, b.data + first, b.size - first);
	t->size += b.size;
}

static void reverse(char *from, size_t size)
{
	for (size_t i = 0; i < size / 2; i++) {
		char c = from[i];
		from[i] = from[size - 1 - i];
		from[size - 1 - i] = c;
	}
}

struct bytes tail_bytes(struct tail *t)
{
	if (t->start) {
		/* Rotate left by `start`, in place: three reversals need no second buffer. */
		reverse(t->ring, t->start);
		reverse(t->ring + t->start, t->room - t->start);
		reverse(t->ring, t->room);
		t->start = 0;
	}
	return (struct bytes){t->ring ? t->ring : "", t->size};
}
