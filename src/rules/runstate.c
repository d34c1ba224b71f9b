/*
 * What may follow what in the life of a run; see the picture in the header. A run may begin
 * as running: where a slot is free it is made and claimed in one commit. Done is final, dead
 * nearly so: it may be discarded, which takes it off the list of the dead. A replay is a run
 * of its own.
 */
#include "rules/runstate.h"

#include <string.h>

static const bool allowed[RUN_STATE_MAX][RUN_STATE_MAX] = {
	[RUN_NONE] = {[RUN_WAITING] = true, [RUN_RUNNING] = true},
	[RUN_WAITING] = {[RUN_RUNNING] = true, [RUN_DONE] = true, [RUN_DEAD] = true},
	[RUN_RUNNING] = {[RUN_WAITING] = true, [RUN_DONE] = true, [RUN_DEAD] = true},
	[RUN_DEAD] = {[RUN_DONE] = true},
};

static const char *const names[RUN_STATE_MAX] = {
	[RUN_NONE] = "",
	[RUN_WAITING] = "waiting",
	[RUN_RUNNING] = "running",
	[RUN_DONE] = "done",
	[RUN_DEAD] = "dead",
};

bool runstate_allowed(enum runstate from, enum runstate to)
{
	return (unsigned)from < RUN_STATE_MAX && (unsigned)to < RUN_STATE_MAX &&
	       allowed[from][to];
}

const char *runstate_name(enum runstate s)
{
	return (unsigned)s < RUN_STATE_MAX ? names[s] : "";
}

enum runstate runstate_from_name(const char *name)
{
	for (int s = RUN_WAITING; s < RUN_STATE_MAX; s++)
		if (strcmp(name, names[s]) == 0)
			return (enum runstate)s;
	return RUN_NONE;
}
