/* A backslash and what is behind it, in a line that a person wrote: the escapes of C, as
 * systemd.syntax(7) has them. The one reader of them: words.c asks it. */
#ifndef RULES_ESCAPE_H
#define RULES_ESCAPE_H

#include "base/text.h"

/*
 * *p stands behind the backslash; what the escape means is added to `out`, and *p moves past
 * it. \a \b \f \n \r \t \v \\ \" \' \s, \xHH, \nnn, \uHHHH, \UHHHHHHHH; never a NUL. NULL, or
 * why it is none (static text).
 */
const char *escape_read(const char **p, struct text *out) MUST_CHECK;

#endif
