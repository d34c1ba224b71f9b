/*
 * The measure of exec hooks: the same command spawned and waited for in a bare loop, so many at
 * a time, with nothing else done. Usage: spawn COUNT AT_ONCE COMMAND [ARG…]. Prints runs a second.
 */
#include "base/clock.h"
#include "base/macros.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
	long count = argc > 3 ? atol(argv[1]) : 0, at_once = argc > 3 ? atol(argv[2]) : 0;
	long running = 0;

	if (count < 1 || at_once < 1) {
		fprintf(stderr, "usage: %s COUNT AT_ONCE COMMAND [ARG...]\n", argv[0]);
		return 64;
	}
	uint64_t began = clock_mono_usec();
	for (long left = count; left || running;) {
		pid_t pid;
		if (left && running < at_once) {
			if (posix_spawn(&pid, argv[3], NULL, NULL, argv + 3, environ))
				return 71;
			left--;
			running++;
		} else {
			int status;
			if (waitpid(-1, &status, 0) < 0 || status)
				return 71;
			running--;
		}
	}
	printf("%.0f\n", (double)count / ((double)(clock_mono_usec() - began) /
						 (double)USEC_PER_SEC));
	return 0;
}
