/* Which word of a command is the text of a shell's script? For command.c alone. */
#ifndef RULES_COMMAND_SHELL_H
#define RULES_COMMAND_SHELL_H

#include <stddef.h>

/* Its index, or 0 when there is none. `words` are unquoted. */
size_t command_shell_script(char *const *words, size_t n_words);

#endif
