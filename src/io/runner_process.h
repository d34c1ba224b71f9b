/*
 * The runner itself: forked by runner_start, small, of one thread. It forks, waits, kills
 * and reports, and ends everything it started when the daemon's end of the socket closes.
 *
 *   poll ─► requests ─► reap all that died ─► a step of what is being ended ─► poll
 */
#ifndef IO_RUNNER_PROCESS_H
#define IO_RUNNER_PROCESS_H

#include "io/cgroup.h"

#include <sys/resource.h>

/* In the child of runner_start, with all signals blocked. Takes the socket over and closes all else but standard
 * error; never returns to what it was forked from. `cgroup` may be NULL. */
_Noreturn void runner_process_main(
	int socket, const struct rlimit *nofile, struct cgroup *cgroup);

#endif
