/*
 * A string that grows. A failed allocation is remembered in `failed` and every later call
 * does nothing, so a writer checks once, at the end. Always NUL-terminated once something
 * was added.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/bytes.h"

#include <stdarg.h>

struct text {
	char *data;
	size_t size;
	size_t room;
	bool failed;
};

#define TEXT_EMPTY ((struct text){0})

void text_fini(struct text *t);
void text_clear(struct text *t);
void text_add(struct text *t, struct bytes b);
void text_adds(struct text *t, const char *s);
void text_addc(struct text *t, char c);
void text_addf(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
void text_addv(struct text *t, const char *format, va_list ap) PRINTF_LIKE(2, 0);
/*
 * Bytes from outside, made fit for one line of a log or a terminal: valid UTF-8 that is
 * printable stays, everything else (controls, DEL, C1, bidi controls, broken UTF-8,
 * backslash) becomes \xHH. At most `max` bytes of `b` are taken; "…" marks the cut.
 */
void text_add_escaped(struct text *t, struct bytes b, size_t max);
/*
 * The same for a message whose words from outside were escaped when it was made: backslash
 * and tab stay as they are.
 */
void text_add_clean(struct text *t, struct bytes b);
/* Takes the string out; the text is empty afterwards. NULL when an addition failed. */
char *text_take(struct text *t) MUST_CHECK;
static inline struct bytes text_bytes(const struct text *t)
{
	return (struct bytes){t->data ? t->data : "", t->size};
}
/* asprintf that returns NULL on failure. */
char *text_format(const char *format, ...) PRINTF_LIKE(1, 2) MUST_CHECK;

#endif
