/*
 * Words on one line. The grammar is that of systemd's extract_first_word() with
 * EXTRACT_UNQUOTE and EXTRACT_CUNESCAPE, so that what a person knows from Environment=
 * of systemd.exec(5) holds here. NUL cannot be written: a word is a C string.
 */
#include "rules/words.h"

#include "base/codec.h"
#include "base/text.h"
#include "base/utf8.h"

#include <errno.h>

int words_add(struct words *w, struct bytes word)
{
	char **list = reallocarray(w->list, w->size + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	w->list = list;
	char *copy = bytes_dup(word);
	if (!copy)
		return -ENOMEM;
	w->list[w->size++] = copy;
	return 0;
}

void words_fini(struct words *w)
{
	for (size_t i = 0; i < w->size; i++)
		free(w->list[i]);
	free(w->list);
	*w = (struct words){0};
}

bool words_contain_nocase(const struct words *w, struct bytes word)
{
	for (size_t i = 0; i < w->size; i++)
		if (bytes_equal_nocase(bytes_of(w->list[i]), word))
			return true;
	return false;
}

/* How many characters the escape at `p` (behind the backslash) has; 0: none we know. */
static size_t unescape(const char *p, char *ret)
{
	static const char from[] = "abfnrstv\\\"'", to[] = "\a\b\f\n\r \t\v\\\"'";
	const char *at = *p ? strchr(from, *p) : NULL;
	if (at) {
		*ret = to[at - from];
		return 1;
	}
	unsigned char byte;
	if (*p == 'x' && p[1] && p[2] &&
		codec_hex_decode((struct bytes){p + 1, 2}, &byte, 1) == 1 && byte) {
		*ret = (char)byte;
		return 3;
	}
	return 0;
}

/* One word from *p on. 0, or 1 and a reason. */
static int read_word(const char **p, struct text *word, const char **ret_reason)
{
	char quote = '\0';
	for (; **p && (quote || !strchr(" \t\r\n", **p)); (*p)++) {
		char c = **p;
		if (c == '\\') {
			size_t n = unescape(*p + 1, &c);
			if (n == 0) {
				*ret_reason = "an unknown escape (write \\\\ for a "
					      "backslash)";
				return 1;
			}
			text_addc(word, c);
			*p += n;
		} else if (quote ? c == quote : (c == '"' || c == '\'')) {
			quote = quote ? '\0' : c;
		} else {
			text_addc(word, c);
		}
	}
	if (quote) {
		*ret_reason = "a quote that is not closed";
		return 1;
	}
	if (!utf8_valid(text_bytes(word))) {
		*ret_reason = "not valid UTF-8 once unescaped";
		return 1;
	}
	return 0;
}

int words_split(const char *line, struct words *ret, const char **ret_reason)
{
	const char *p = line;
	int r = 0;
	while (r == 0) {
		p += strspn(p, " \t\r\n");
		if (!*p)
			break;
		struct text word = TEXT_EMPTY;
		r = read_word(&p, &word, ret_reason);
		if (word.failed)
			r = -ENOMEM;
		if (r == 0)
			r = words_add(ret, text_bytes(&word));
		text_fini(&word);
	}
	return r;
}
