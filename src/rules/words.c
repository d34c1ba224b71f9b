/*
 * Words on one line. The grammar is that of systemd's extract_first_word() with
 * EXTRACT_UNQUOTE and EXTRACT_CUNESCAPE, so that what a person knows from Environment=
 * of systemd.exec(5) holds here. NUL cannot be written: a word is a C string.
 */
#include "rules/words.h"

#include "base/utf8.h"
#include "rules/escape.h"

#include <errno.h>
#include <string.h>

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

bool words_equal(const struct words *a, const struct words *b)
{
	if (a->size != b->size)
		return false;
	for (size_t i = 0; i < a->size; i++)
		if (strcmp(a->list[i], b->list[i]) != 0)
			return false;
	return true;
}

bool words_contain_nocase(const struct words *w, struct bytes word)
{
	for (size_t i = 0; i < w->size; i++)
		if (bytes_equal_nocase(bytes_of(w->list[i]), word))
			return true;
	return false;
}

int words_read(const char **p, struct text *word, const char **ret_reason)
{
	char quote = '\0';
	const char *problem = NULL;

	text_clear(word);
	while (**p && !problem && (quote || !strchr(WORDS_BLANKS, **p))) {
		char c = *(*p)++;
		if (c == '\\')
			problem = escape_read(p, word);
		else if (quote ? c == quote : (c == '"' || c == '\''))
			quote = quote ? '\0' : c;
		else
			text_addc(word, c);
	}
	if (!problem && quote)
		problem = "a quote is opened and never closed";
	if (!problem)
		return word->failed ? -ENOMEM : 0;
	*ret_reason = problem;
	return 1;
}

/* A list is text; a command's argument may be any bytes. */
static int read_text(const char **p, struct text *word, const char **ret_reason)
{
	int r = words_read(p, word, ret_reason);

	if (r != 0 || utf8_valid(text_bytes(word)))
		return r;
	*ret_reason = "not valid UTF-8 once unescaped";
	return 1;
}

int words_split(const char *line, struct words *ret, const char **ret_reason)
{
	CLEANUP(text_fini) struct text word = TEXT_EMPTY;
	int r = 0;

	while (r == 0 && *(line += strspn(line, WORDS_BLANKS))) {
		r = read_text(&line, &word, ret_reason);
		if (r == 0)
			r = words_add(ret, text_bytes(&word));
	}
	return r;
}
