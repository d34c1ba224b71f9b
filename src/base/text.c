/* Growing strings; see text.h. */
#include "base/text.h"

#include "base/utf8.h"

#include <stdint.h>
#include <stdio.h>

void text_fini(struct text *t)
{
	free(t->data);
	*t = TEXT_EMPTY;
}

void text_clear(struct text *t)
{
	t->size = 0;
	t->failed = false;
	if (t->data)
		t->data[0] = '\0';
}

/* Room for `more` bytes and the NUL. */
static bool reserve(struct text *t, size_t more)
{
	if (t->failed)
		return false;
	if (more > SIZE_MAX / 2 - t->size - 1) {
		t->failed = true;
		return false;
	}
	size_t need = t->size + more + 1;
	if (need <= t->room)
		return true;
	size_t room = t->room ? t->room : 64;
	while (room < need)
		room *= 2;
	char *data = realloc(t->data, room);
	if (!data) {
		t->failed = true;
		return false;
	}
	t->data = data;
	t->room = room;
	return true;
}

void text_add(struct text *t, struct bytes b)
{
	if (!reserve(t, b.size))
		return;
	if (b.size)
		memcpy(t->data + t->size, b.data, b.size);
	t->size += b.size;
	t->data[t->size] = '\0';
}

void text_adds(struct text *t, const char *s)
{
	text_add(t, bytes_of(s));
}

void text_addc(struct text *t, char c)
{
	text_add(t, (struct bytes){&c, 1});
}

/* Mostly it fits into the room there is, and is made once. */
void text_addv(struct text *t, const char *format, va_list ap)
{
	va_list again;

	if (!reserve(t, 0))
		return;
	size_t room = t->room - t->size;
	va_copy(again, ap);
	int n = vsnprintf(t->data + t->size, room, format, again);
	va_end(again);
	if (n < 0 || ((size_t)n >= room && !reserve(t, (size_t)n))) {
		t->data[t->size] = '\0';
		t->failed = true;
		return;
	}
	if ((size_t)n >= room)
		vsnprintf(t->data + t->size, (size_t)n + 1, format, ap);
	t->size += (size_t)n;
}

void text_addf(struct text *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	text_addv(t, format, ap);
	va_end(ap);
}

/*
 * What may stand in a line that people read. Left out, besides controls: what turns the direction
 * of writing or is invisible, for such a character makes one line look like another
 * (Unicode Technical Report 36, 3.3).
 */
static bool is_printable(uint32_t c)
{
	bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
	bool bidi = c == 0x061c || c == 0x200e || c == 0x200f ||
		    (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
	bool breaks = c == 0x2028 || c == 0x2029;
	bool invisible = c == 0xfeff || (c >= 0x200b && c <= 0x200d) || c == 0x2060 ||
			 (c >= 0xe0000 && c <= 0xe007f);
	bool no_character = (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
	return !control && !bidi && !breaks && !invisible && !no_character && c != '\\';
}

void text_add_escaped(struct text *t, struct bytes b, size_t max)
{
	bool cut = b.size > max;
	uint32_t code_point;

	while (b.size) {
		size_t n = utf8_char(b, &code_point);
		size_t take = n ? n : 1;
		if (take > max)
			break;
		if (n && is_printable(code_point)) {
			text_add(t, (struct bytes){b.data, n});
		} else {
			for (size_t i = 0; i < take; i++)
				text_addf(t, "\\x%02X", (unsigned char)b.data[i]);
		}
		b.data += take;
		b.size -= take;
		max -= take;
	}
	if (cut)
		text_adds(t, "…");
}

void text_add_clean(struct text *t, struct bytes b)
{
	while (b.size) {
		size_t n = 0;

		while (n < b.size && b.data[n] != '\\' && b.data[n] != '\t')
			n++;
		text_add_escaped(t, (struct bytes){b.data, n}, n);
		if (n < b.size)
			text_addc(t, b.data[n++]);
		b.data += n;
		b.size -= n;
	}
}

char *text_take(struct text *t)
{
	if (!t->failed && !t->data)
		text_adds(t, "");
	if (t->failed) {
		text_fini(t);
		return NULL;
	}
	char *s = t->data;
	*t = TEXT_EMPTY;
	return s;
}

char *text_format(const char *format, ...)
{
	struct text t = TEXT_EMPTY;
	va_list ap;

	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	return text_take(&t);
}
