/* What a person calls a job: SOURCE/ID if the text before the first '/' names a source,
 * else a job id of any source. */
#ifndef CTL_NAME_H
#define CTL_NAME_H

#include "ctl/ctl.h"

struct name {
	char *source; /* NULL: of any */
	char *id;
};

/* 0, or told and the exit status. name_fini() in every case. */
int name_read(struct ctl *ctl, const char *text, struct name *ret) MUST_CHECK;
void name_fini(struct name *n);
/* The same, but where there is none the source stays NULL and nothing is told. */
int name_look(struct ctl *ctl, struct name *n) MUST_CHECK;
/* Finds the source of a known job: none is CTL_UNKNOWN, several CTL_USAGE, both told. */
int name_find_source(struct ctl *ctl, struct name *n) MUST_CHECK;
/* Told: these sources have a job of that id. `jobs` is the array of the answer. */
void name_complain_several(const char *id, const json_t *jobs);
/* "/v1/jobs/SOURCE/ID"; owned by the caller; NULL when memory is short. */
char *name_path(const struct name *n) MUST_CHECK;

#endif
