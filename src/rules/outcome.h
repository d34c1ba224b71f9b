/*
 * What a job has come to, and the table of what may follow what. One writer uses it: the
 * store.
 *
 *             ┌─────► success ──┐
 *  (none) ─► pending ─► error     ├ terminal: the first one wins
 *             │ └────► canceled ──┘
 *             └──────► lost ─► success | error | canceled (a callback came after all)
 *  (none) ─► unreadable            (terminal, a job of its own)
 */
#ifndef RULES_OUTCOME_H
#define RULES_OUTCOME_H

#include "base/macros.h"

#include <stdbool.h>

enum outcome {
	OUTCOME_NONE = 0, /* no such job yet */
	OUTCOME_PENDING,
	OUTCOME_SUCCESS,
	OUTCOME_ERROR,
	OUTCOME_CANCELED,
	OUTCOME_LOST,
	OUTCOME_UNREADABLE,
	OUTCOME_MAX,
};

enum outcome_move {
	OUTCOME_MOVES,   /* take the new status and outcome; terminal ones make runs */
	OUTCOME_REPEATS, /* the same outcome again: counts, fires nothing */
	OUTCOME_CONTRADICTS, /* terminal already, differently: recorded, logged, fires
				nothing */
	OUTCOME_LATE, /* a pending word after a terminal one: recorded, fires nothing */
};

/* pending -> pending REPEATS here; whether its status word is new is the caller's to see.
 */
enum outcome_move outcome_next(enum outcome have, enum outcome got, bool reopen);
bool outcome_terminal(enum outcome o);
const char *outcome_name(enum outcome o); /* "success", …; OUTCOME_NONE is "" */
/* OUTCOME_NONE when it is no such word. Exact case. */
enum outcome outcome_from_name(const char *name);

#endif
