/* Slices; see bytes.h. */
#include "base/bytes.h"

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
	if (a.size != b.size)
		return false;
	for (size_t i = 0; i < a.size; i++)
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	return true;
}

bool bytes_starts(struct bytes whole, struct bytes start)
{
	return whole.size >= start.size &&
	       bytes_equal((struct bytes){whole.data, start.size}, start);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct bytes bytes_trim(struct bytes b)
{
	while (b.size && is_blank(b.data[0])) {
		b.data++;
		b.size--;
	}
	while (b.size && is_blank(b.data[b.size - 1]))
		b.size--;
	return b;
}

struct bytes bytes_split(struct bytes whole, char separator, struct bytes *rest)
{
	const char *at = whole.size ? memchr(whole.data, separator, whole.size) : NULL;
	if (!at) {
		*rest = BYTES_NONE;
		return whole;
	}
	size_t size = (size_t)(at - whole.data);
	*rest = (struct bytes){at + 1, whole.size - size - 1};
	return (struct bytes){whole.data, size};
}

char *bytes_dup(struct bytes b)
{
	if (!b.data)
		return NULL;
	char *copy = malloc(b.size + 1);
	if (!copy)
		return NULL;
	memcpy(copy, b.data, b.size);
	copy[b.size] = '\0';
	return copy;
}

void bytes_wipe(void *data, size_t size)
{
	if (data)
		explicit_bzero(data, size);
	free(data);
}
