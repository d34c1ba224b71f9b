/*
 * What a fork costs is mostly the copying of the list of mappings, and a program linked with
 * a dozen libraries has hundreds: a third of all the time that a hook took was spent there. A
 * child of the runner needs the C library and our own code on its way to exec, so the other
 * libraries are left out of it. vfork would cost less still, but then a child that hangs in
 * chdir or exec on a dead file server would hold up the runner and every hook with it.
 */
#include "io/runner_lean.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Also what compilers link by themselves, sanitizers among it. */
static bool is_needed(const char *path)
{
	static const char *const needed[] = {"/libc.so", "/libc-", "/ld-", "/ld.so",
		"/libm.so", "/libgcc_s.", "/libstdc++.", "san.so", "/ld64."};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (strstr(path, needed[i]))
			return true;
	return !strstr(path, ".so");
}

void runner_lean(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4352];

	if (!maps)
		return;
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t first, end;
		const char *path = strchr(line, '/');

		if (path && !is_needed(path) &&
			sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &first, &end) == 2)
			(void)madvise((void *)first, end - first, MADV_DONTFORK);
	}
	fclose(maps);
}
