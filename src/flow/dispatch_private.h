/*
 * Inside of dispatch: a lane a hook, a task a running attempt. dispatch.c decides what starts;
 * dispatch_lane.c knows how many of a hook may; dispatch_queue.c speaks with the store about
 * what waits. Nobody else includes this.
 */
#ifndef FLOW_DISPATCH_PRIVATE_H
#define FLOW_DISPATCH_PRIVATE_H

#include "base/map.h"
#include "flow/dispatch.h"
#include "flow/share.h"
#include "flow/tempo.h"
#include "flow/worker.h"

#include <sys/queue.h>

/* What is known of one hook's queue. Lives as long as the dispatch: names are few. */
struct lane {
	LIST_ENTRY(lane) link;
	struct map_entry by_name;
	struct dispatch *dispatch;
	char name[65];
	unsigned used; /* runs: running, reserved, or being claimed */
	bool is_worker; /* by dispatch_reckon(): they are one process or none of ours, one slot */
	unsigned running;
	int64_t next_due_usec; /* of the earliest waiting run, steady clock; 0 = none waits */
	/* Of what waits: since when the first of it is due, or when it will be; for people. Unlike
	 * next_due_usec, no wake-up moves it. 0 = none waits. */
	int64_t oldest_due_usec;
	int64_t not_before_usec; /* what is due waits for its pace until then; 0 = no */
	struct tempo tempo;
	bool paused;
	bool serial;       /* runs of a job may stand behind one another */
	unsigned claiming; /* claims under way */
	bool woken;        /* something was added, or stepped up, behind the last claim */
	char after[65];    /* the source that had the last turn */
};

struct task {
	LIST_ENTRY(task) link;
	struct attempt *attempt;
	struct lane *lane;
	struct dispatch *dispatch;
	bool ended; /* its slot is given back; its end is not committed yet */
};

struct dispatch {
	struct flow *flow;
	LIST_HEAD(, lane) lanes;
	struct map lanes_by_name;
	LIST_HEAD(, task) tasks;
	struct workers *workers;
	struct share share;  /* of the slots, by all lanes; a worker takes one */
	unsigned running;    /* tasks */
	bool ready;          /* left-overs are gone; nothing starts before */
	struct event *timer; /* the earliest due time, or the stop's end */
	struct store_due due;
	bool asking, ask_again, ask_later;
	void (*on_stopped)(void *arg);
	void *stopped_arg;
};

/* ---- dispatch_lane.c ---- */
struct lane *dispatch_find_lane(struct dispatch *d, const char *name);
/* NULL when memory is short: the run waits in the store until somebody looks again. */
struct lane *dispatch_make_lane(struct dispatch *d, const char *name);
/* What the store kept of hooks in a former life. 0 or -ENOMEM. */
int dispatch_remember(struct dispatch *d) MUST_CHECK;
/* One more waits, due then. */
void dispatch_note_waiting(struct lane *l, int64_t due_usec);
void dispatch_take_slots(struct lane *l, unsigned n);
void dispatch_give_slots(struct lane *l, unsigned n);
/* The configuration, or who is paused, is new: who shares the slots? */
void dispatch_reckon(struct dispatch *d);
bool dispatch_may_work(const struct dispatch *d);
bool dispatch_is_due(const struct lane *l);
/* How many may start now, for its pace and for the others; 0: not_before_usec says more. */
unsigned dispatch_free_slots(struct lane *l, const struct hook *h);
/* A run ended: the journal is told when its hook is slowed, and when it is well again. */
void dispatch_note_end(struct lane *l, const struct run_end *end);

/* ---- dispatch.c and dispatch_queue.c ---- */
/* Starts what may start now, sleeps until the next is due. */
void dispatch_pump(struct dispatch *d);
/* The question of what waits failed: once more in a second. */
void dispatch_ask_later(struct dispatch *d);
/* Tells dispatch_stop()'s caller when nothing is left. */
void dispatch_maybe_stopped(struct dispatch *d);
/* The start of a claimed run whose slot is taken. */
void dispatch_start_claimed(
	struct lane *l, const struct hook *h, const struct store_run *record);
/* A hook died for good: those with On=dead may have a run waiting. */
void dispatch_wake_mourners(struct dispatch *d);

/*
 * A due time beyond this was not chosen by any delay of the hook: it was written under a clock
 * that was wrong, and is due now.
 */
int64_t dispatch_latest_usec(const struct hook *h);
/* May another claim be under way beside those that are? */
bool dispatch_may_claim(const struct lane *l, const struct hook *h);
/* Takes `limit` slots and as many due runs of this lane from the store, and starts them. */
void dispatch_claim(struct lane *l, const struct hook *h, unsigned limit);
/* Claimed, but nothing may start any more: back to waiting. Gives its slot back. */
void dispatch_put_back(struct lane *l, const struct store_run *record);
/* Asks the store which hooks have runs waiting, makes their lanes, buries what has no hook. */
void dispatch_ask_what_waits(struct dispatch *d);

#endif
