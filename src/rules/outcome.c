/*
 * The table of outcomes: row what the job has, column what a callback says. Nothing leaves a
 * terminal row but lost, and pending where Reopen=yes; whatever else comes is recorded and
 * fires nothing, so an answer that is wrong here costs a log line and never a second run.
 */
#include "rules/outcome.h"

#include <string.h>

#define MOVES OUTCOME_MOVES
#define SAME  OUTCOME_REPEATS
#define CONTR OUTCOME_CONTRADICTS
#define LATE  OUTCOME_LATE

/* clang-format off */
static const unsigned char table[OUTCOME_MAX][OUTCOME_MAX] = {
	/* got:                 none   pending success error  canceled lost   unreadable */
	[OUTCOME_NONE]       = {CONTR, MOVES,  MOVES,  MOVES, MOVES,   MOVES, MOVES},
	[OUTCOME_PENDING]    = {CONTR, SAME,   MOVES,  MOVES, MOVES,   MOVES, CONTR},
	[OUTCOME_SUCCESS]    = {CONTR, LATE,   SAME,   CONTR, CONTR,   CONTR, CONTR},
	[OUTCOME_ERROR]      = {CONTR, LATE,   CONTR,  SAME,  CONTR,   CONTR, CONTR},
	[OUTCOME_CANCELED]   = {CONTR, LATE,   CONTR,  CONTR, SAME,    CONTR, CONTR},
	[OUTCOME_LOST]       = {CONTR, LATE,   MOVES,  MOVES, MOVES,   SAME,  CONTR},
	[OUTCOME_UNREADABLE] = {CONTR, LATE,   CONTR,  CONTR, CONTR,   CONTR, SAME},
};
/* clang-format on */

static const char *const names[OUTCOME_MAX] = {
	[OUTCOME_NONE] = "",
	[OUTCOME_PENDING] = "pending",
	[OUTCOME_SUCCESS] = "success",
	[OUTCOME_ERROR] = "error",
	[OUTCOME_CANCELED] = "canceled",
	[OUTCOME_LOST] = "lost",
	[OUTCOME_UNREADABLE] = "unreadable",
};

static bool known(enum outcome o)
{
	return (unsigned)o < OUTCOME_MAX;
}

enum outcome_move outcome_next(enum outcome have, enum outcome got, bool reopen)
{
	if (!known(have) || !known(got))
		return OUTCOME_CONTRADICTS;
	enum outcome_move move = (enum outcome_move)table[have][got];
	/* What could not be read has no id of its own that could go on. */
	if (move == OUTCOME_LATE && reopen && have != OUTCOME_UNREADABLE)
		return OUTCOME_MOVES;
	return move;
}

bool outcome_terminal(enum outcome o)
{
	return o > OUTCOME_PENDING && o < OUTCOME_MAX;
}

const char *outcome_name(enum outcome o)
{
	return known(o) ? names[o] : "";
}

enum outcome outcome_from_name(const char *name)
{
	for (int o = OUTCOME_PENDING; o < OUTCOME_MAX; o++)
		if (strcmp(name, names[o]) == 0)
			return (enum outcome)o;
	return OUTCOME_NONE;
}
