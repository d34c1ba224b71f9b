/*
 * The life of a run; the store is its one writer and asserts runstate_allowed().
 *
 *   waiting ──claim──► running ──exit 0──► done ──┐
 *      ▲  │               │ failed, tries left    ├─ replay makes a new run
 *      │  │               ├──────► waiting        │
 *      │  ├─ hook gone ─► dead ◄── no tries left ─┘
 *      │  │               └──discarded──► done
 *         └─ merged into another (MinInterval=) ─► done
 */
#ifndef RULES_RUNSTATE_H
#define RULES_RUNSTATE_H

#include <stdbool.h>

enum runstate {
	RUN_NONE = 0,
	RUN_WAITING,
	RUN_RUNNING,
	RUN_DONE,
	RUN_DEAD,
	RUN_STATE_MAX
};

bool runstate_allowed(enum runstate from, enum runstate to);
const char *runstate_name(enum runstate s);
enum runstate runstate_from_name(const char *name); /* RUN_NONE when unknown */

#endif
