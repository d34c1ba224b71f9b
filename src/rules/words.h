/*
 * Lists of words on one line: separated by blanks, quoted where a word holds one, as
 * Environment= of systemd.exec(5) takes them. And the small list itself.
 */
#ifndef RULES_WORDS_H
#define RULES_WORDS_H

#include "rules/source.h"

/* Appends a copy. 0 or -ENOMEM. */
int words_add(struct words *w, struct bytes word) MUST_CHECK;
void words_fini(struct words *w);
/* ASCII case does not count. */
bool words_contain_nocase(const struct words *w, struct bytes word);
/*
 * Appends the words of `line`. '…' and "…" hold blanks together; a backslash escapes as
 * in C (\\ \" \' \s \t \n \xHH and so on). 0; -ENOMEM; 1 with *ret_reason (static text),
 * the list then as far as it was read.
 */
int words_split(const char *line, struct words *ret, const char **ret_reason) MUST_CHECK;

#endif
