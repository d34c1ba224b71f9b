/* Makes the runner's forks cheap; for runner_process.c alone, at its start. */
#ifndef IO_RUNNER_LEAN_H
#define IO_RUNNER_LEAN_H

#include "base/macros.h"

/*
 * From here on a child finds no library mapped but the C library: it may call that and our own
 * code, up to exec or _exit. It must be made with _Fork(), which runs no handlers of libraries.
 * Where it does not work, forks are as dear as they were.
 */
void runner_lean(void);

#endif
