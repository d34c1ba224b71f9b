/*
 * Exec=: words split and unquoted as systemd.service(5) does, without its specifiers and
 * prefixes; then ${CALLBACK_…} replaced inside each word, in one pass.
 */
#ifndef RULES_COMMAND_H
#define RULES_COMMAND_H

#include "rules/source.h"

/*
 * Splits `line` into *ret. 0; -ENOMEM; 1 with *ret_reason (owned by the caller):
 * unbalanced quote, unknown escape, prefix, ';', or a variable in the argument after a
 * shell's -c (says what to write instead). *ret_warning (owned, may stay NULL): a
 * variable begins an argument before "--".
 */
int command_split(const char *line, struct words *ret, char **ret_reason,
	char **ret_warning) MUST_CHECK;
/* The name in a ${CALLBACK_NAME} that begins at `p`, or BYTES_NONE; a slice of `p`. */
struct bytes command_variable_at(const char *p);
/*
 * One argument with its variables replaced; `environment` is NAME=VALUE…, NULL at the
 * end. Owned by the caller; NULL when memory is short.
 */
char *command_expand(const char *word, char *const *environment) MUST_CHECK;

#endif
