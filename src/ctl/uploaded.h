/* What is printed of an upload: a line a file, or an object. */
#ifndef CTL_UPLOADED_H
#define CTL_UPLOADED_H

#include "ctl/ctl.h"

struct uploaded {
	const char *path;
	bool named; /* one of several: its line begins with its name */
	uint64_t size_bytes;
	const json_t *initiated;
};

/* The job is over, with what it makes of the exit status. */
void uploaded_print(
	const struct ctl *ctl, const struct uploaded *u, const json_t *job, int exit);
/* The file is there; nobody waits for more. */
void uploaded_print_detached(const struct ctl *ctl, const struct uploaded *u);

#endif
