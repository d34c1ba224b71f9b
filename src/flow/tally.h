/*
 * What is counted for metrics and status, by source and by hook, since the start: plain additions
 * on the loop where the thing happens, so that a look at them costs nothing of the store. Names
 * are those of the configuration alone, never of a sender: that bounds them.
 *
 *   intake, record, attempt, public ─► tally ─► api/control_metrics.c, api/control_status.c
 */
#ifndef FLOW_TALLY_H
#define FLOW_TALLY_H

#include "base/histogram.h"
#include "base/map.h"
#include "base/meter.h"
#include "rules/outcome.h"

struct tally_source {
	struct map_entry by_name;
	struct tally_source *next;
	char name[65];
	/* Callbacks by their answer; `accepted` are those that were no repeats. */
	uint64_t accepted, repeated, unverified, unavailable, unreadable;
	uint64_t outcomes[OUTCOME_MAX]; /* jobs that came to it */
};

struct tally_hook {
	struct map_entry by_name;
	struct tally_hook *next;
	char name[65];
	uint64_t started, failed, timed_out; /* attempts */
	uint64_t done, died;                 /* runs */
	struct histogram duration; /* of attempts that were counted; histogram_slow */
};

/* Answers that name no source: the status codes that a listener can give, and 0: it closed. */
#define TALLY_REFUSALS 10

struct tally {
	struct map sources_by_name, hooks_by_name;
	struct tally_source *sources, no_source; /* the second: when memory is short */
	struct tally_hook *hooks, no_hook;
	struct meter callbacks;   /* that were accepted, repeats too */
	struct histogram answers; /* from the whole head to the answer; histogram_quick */
	struct histogram
		delays; /* from the callback to its first process; histogram_slow */
	uint64_t refusals[TALLY_REFUSALS];
};

struct tally *tally_new(void); /* NULL when memory is short */
void tally_free(struct tally *t);
/* Never NULL; `name` is one of the configuration. */
struct tally_source *tally_source(struct tally *t, const char *name);
struct tally_hook *tally_hook(struct tally *t, const char *name);
void tally_refused(struct tally *t, int status);
/* The status of refusals[i]; another one than these counts as 0. */
int tally_refusal_status(size_t i);

#endif
