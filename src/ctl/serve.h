/*
 * One run of `callbackctl serve`: a line of rules/workline.h on its way to an ordinary command.
 * serve_child.c reads the line and makes the process; cmd_serve.c has the connection.
 */
#ifndef CTL_SERVE_H
#define CTL_SERVE_H

#include "base/bytes.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define SERVE_RUN_SIZE 65

/*
 * The run's id out of a line, checked. 0 and *ret_line (json_decref) and the id; 1: it is no line
 * of a run, `id` is "" or the run that must be told so.
 */
int serve_read_line(
	struct bytes line, json_t **ret_line, char id[static SERVE_RUN_SIZE]) MUST_CHECK;
/*
 * A process for it: payload on standard input, the contract's environment, `stdout_fd` and our
 * standard error, a session of its own. Its pid, or negative errno.
 */
pid_t serve_start(char *const *argv, const json_t *line, int stdout_fd) MUST_CHECK;

#endif
