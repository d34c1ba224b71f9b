/*
 * What is wrong now, for an operator: one line each, the worst first. The same facts stand in the
 * status beside it; here is the judgement alone. Asks nobody and waits for nothing.
 */
#ifndef API_TROUBLES_H
#define API_TROUBLES_H

#include "api/control.h"

/* A run that is due for so long is worth a line: its hook is slow, paused, or slowed. */
#define TROUBLES_OVERDUE_USEC (5 * 60 * (int64_t)USEC_PER_SEC)

/* [{"level": "error"|"warning", "problem": TEXT}…]; NULL when memory is short. */
json_t *troubles_list(const struct flow *f, const struct control_doors *doors) MUST_CHECK;

struct troubles_oldest {
	const char *hook; /* NULL: nothing is due */
	int64_t due_usec; /* clock_steady_usec() */
};
/* Of all that is due and waits, what has been for the longest. */
struct troubles_oldest troubles_oldest(const struct flow *f);

#endif
