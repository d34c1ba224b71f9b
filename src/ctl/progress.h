/*
 * One line on the terminal that says how far things are, and is written over. Nothing at
 * all where standard error is no terminal, and never an escape sequence: the line is blanked
 * by blanks.
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

bool progress_wanted(void);
/* What is longer than the terminal is wide is cut. The caller escapes what is not its own. */
void progress_show(const char *format, ...) PRINTF_LIKE(1, 2);
/* Before anything else is written to the terminal. */
void progress_clear(void);
/* "3d 4h", "1h 2min", "2min 3s", "3s": in one of 2 rotating buffers. */
const char *progress_span(uint64_t usec);

#endif
