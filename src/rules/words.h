/*
 * Lists of words on one line: separated by blanks, quoted where a word holds one, as
 * Environment= of systemd.exec(5) takes them. And the small list itself.
 */
#ifndef RULES_WORDS_H
#define RULES_WORDS_H

#include "base/text.h"

struct words {
	char **list;
	size_t size;
};

/* Appends a copy. 0 or -ENOMEM. */
int words_add(struct words *w, struct bytes word) MUST_CHECK;
void words_fini(struct words *w);
bool words_equal(const struct words *a, const struct words *b);
/* ASCII case does not count. */
bool words_contain_nocase(const struct words *w, struct bytes word);
/* What parts words. */
#define WORDS_BLANKS " \t\n\r"

/*
 * One word from *p on, which stands on its first byte, into `word`; *p ends behind it. As
 * systemd does, quotes may open anywhere. 0; -ENOMEM; 1 with *ret_reason (static text).
 */
int words_read(const char **p, struct text *word, const char **ret_reason) MUST_CHECK;
/*
 * Appends the words of `line`. '…' and "…" hold blanks together; a backslash escapes as
 * escape.h says. 0; -ENOMEM; 1 with *ret_reason (static text),
 * the list then as far as it was read.
 */
int words_split(const char *line, struct words *ret, const char **ret_reason) MUST_CHECK;

#endif
