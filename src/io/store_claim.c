/*
 * Which waiting runs start next: the store's half of the scheduler. A claim takes the sources
 * of a hook by turns, so that one with a million runs waiting is one of several all the same.
 *
 *	run_waiting: (hook, source, due) ──► first due of each source, round and round
 *	run_behind:  (hook, job)             those that wait for another of their job
 *
 * Who stands behind (Serialize=yes) is found out here, when its turn comes, and left out of the
 * queue from then on; store_run.c lets the next one step up whenever a run of the job moves. So
 * a claim looks at each such run once for each move of its job, however long the queue.
 */
#include "io/store_exec.h"
#include "io/store_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Runs that one claim merges, or sends behind, or lets step up: a batch stays short. */
#define STEPS_MAX 500

struct due {
	uint64_t number, job;
};

/* The sources of a hook that have something due, in the order of their turns. */
struct turns {
	char (*names)[STORE_LABEL_SIZE];
	size_t size, room;
};

static void turns_fini(struct turns *t)
{
	free(t->names);
}

static int turns_add(struct turns *t, const char *name)
{
	if (t->size == t->room) {
		size_t room = t->room ? t->room * 2 : 8;
		void *more = reallocarray(t->names, room, sizeof(*t->names));
		if (!more)
			return -ENOMEM;
		t->names = more;
		t->room = room;
	}
	snprintf(t->names[t->size++], STORE_LABEL_SIZE, "%s", name);
	return 0;
}

static void turns_drop(struct turns *t, size_t i)
{
	t->size--;
	memmove(t->names[i], t->names[i + 1], (t->size - i) * sizeof(*t->names));
}

/* `which`: SQL_RUNS_DUE until `usec`, or SQL_RUNS_BEYOND it. 1 and the first run of them, 0
 * when there is none. */
static int first_run(struct store *s, enum store_sql which, const char *hook,
	const char *source, int64_t usec, struct due *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(
		s, which, &row, ARG_TEXT(hook), ARG_TEXT(source), ARG_INT(usec));
	if (r == 1)
		*ret = (struct due){
			.number = store_sql_number(row, 0),
			.job = store_sql_number(row, 1),
		};
	return r;
}

/* 1 and the run of this source to claim next, 0 when none is due. */
static int first_due(
	struct store *s, const struct store_claim *o, const char *source, struct due *ret)
{
	int r = first_run(s, SQL_RUNS_DUE, o->hook, source, o->now_usec, ret);

	if (r || !o->latest_usec)
		return r;
	return first_run(s, SQL_RUNS_BEYOND, o->hook, source, o->latest_usec, ret);
}

/* When the first run of this source is due: now, where it is already. 0: it has none. */
static int source_due(struct store *s, const struct store_claim *o, const char *source,
	int64_t *ret_usec)
{
	struct due due;

	int r = store_source_due(s, o->hook, source, ret_usec);
	if (r < 0 || !o->latest_usec || *ret_usec <= o->now_usec)
		return r;
	/* One that counts as due now stands last in the order of due times. */
	r = first_run(s, SQL_RUNS_BEYOND, o->hook, source, o->latest_usec, &due);
	if (r == 1)
		*ret_usec = o->now_usec;
	return r < 0 ? r : 0;
}

static void note_due(struct store_claim *o, int64_t usec)
{
	if (usec && (!o->next_due_usec || usec < o->next_due_usec))
		o->next_due_usec = usec;
}

/*
 * Walks over the sources from the one behind `o->after` on, round to it: those with something
 * due are noted, of the others when they will be. As many as there may be starts are enough:
 * that more may be due is found out by the next claim.
 */
static int find_turns(struct store *s, struct store_claim *o, struct turns *t)
{
	char source[STORE_LABEL_SIZE];
	bool wrapped = false;
	int64_t due;

	snprintf(source, sizeof(source), "%s", o->after);
	for (;;) {
		int r = store_next_source(s, o->hook, source, source);
		if (r == 0 && !wrapped && o->after[0]) {
			wrapped = true;
			source[0] = '\0';
			continue;
		}
		if (r <= 0 || (wrapped && strcmp(source, o->after) > 0))
			return r < 0 ? r : 0;
		r = source_due(s, o, source, &due);
		if (r < 0)
			return r;
		if (due > o->now_usec || (!o->limit && due)) {
			note_due(o, due);
		} else if (t->size == o->limit) {
			note_due(o, o->now_usec);
			return 0;
		} else {
			r = turns_add(t, source);
			if (r < 0)
				return r;
		}
	}
}

/* 1: another run of its job comes first. */
static int is_behind(struct store *s, const char *hook, const struct due *due)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	return STORE_ROW(s, SQL_RUN_ELDER, &row, ARG_INT(due->job), ARG_TEXT(hook),
		ARG_INT(due->number));
}

static int claim_one(struct store *s, struct store_claim *o, const struct due *due)
{
	assert(runstate_allowed(RUN_WAITING, RUN_RUNNING));
	int r = STORE_RUN(s, SQL_RUN_CLAIM, ARG_INT(due->number), ARG_INT(RUN_RUNNING),
		ARG_INT(s->now_usec));
	if (r)
		return r;
	r = store_read_run(s, due->number, STORE_WITH_PAYLOAD, &o->runs[o->n_runs]);
	if (r <= 0)
		return r ? r : store_broken(s, "a run without its job or callback");
	o->n_runs++;
	store_count_run(s, RUN_WAITING, RUN_RUNNING);
	return store_note_change(s, due->job, due->number);
}

/* The turn of one source. 1 a run is claimed, 0 it has none that may start; `steps` counts what
 * was sent behind. */
static int take_turn(
	struct store *s, struct store_claim *o, const char *source, unsigned *steps)
{
	struct due due = {0};

	while (*steps < STEPS_MAX) {
		int r = first_due(s, o, source, &due);
		if (r <= 0)
			return r;
		r = o->serialize ? is_behind(s, o->hook, &due) : 0;
		if (r == 0) {
			snprintf(o->after, sizeof(o->after), "%s", source);
			r = claim_one(s, o, &due);
			return r < 0 ? r : 1;
		}
		if (r == 1)
			r = STORE_RUN(s, SQL_RUN_BEHIND, ARG_INT(due.number), ARG_INT(1));
		if (r < 0)
			return r;
		++*steps;
	}
	return 0;
}

static int claim_in_turns(struct store *s, struct store_claim *o)
{
	CLEANUP(turns_fini) struct turns turns = {NULL, 0, 0};
	unsigned steps = 0;
	int64_t due;

	int r = find_turns(s, o, &turns);
	while (r >= 0 && o->n_runs < o->limit && turns.size && steps < STEPS_MAX) {
		for (size_t i = 0; r >= 0 && i < turns.size && o->n_runs < o->limit;) {
			r = take_turn(s, o, turns.names[i], &steps);
			if (r == 1) {
				i++;
				continue;
			}
			if (r == 0)
				r = source_due(s, o, turns.names[i], &due);
			if (r == 0)
				note_due(o, due);
			turns_drop(&turns, i);
		}
	}
	for (size_t i = 0; r >= 0 && i < turns.size; i++) {
		r = source_due(s, o, turns.names[i], &due);
		note_due(o, due);
	}
	if (steps >= STEPS_MAX)
		o->next_due_usec = o->now_usec;
	return r < 0 ? r : 0;
}

/* ---- Serialize=no again: nobody stands behind any more ---- */

/* 1: there are more of them. */
static int let_all_step_up(struct store *s, const char *hook)
{
	for (int i = 0; i < STEPS_MAX; i++) {
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, SQL_RUNS_BEHIND, &row, ARG_TEXT(hook), ARG_INT(1));
		if (r <= 0)
			return r;
		uint64_t number = store_sql_number(row, 0);
		store_sql_resetp(&row);
		r = STORE_RUN(s, SQL_RUN_BEHIND, ARG_INT(number), ARG_INT(0));
		if (r)
			return r;
	}
	return 1;
}

/* ---- MinInterval=: what waits is one ---- */

struct candidate {
	uint64_t number, callback;
};

static int read_candidates(struct store *s, enum store_sql which, const char *hook,
	struct candidate *list, size_t *n)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	if (*n == STEPS_MAX)
		return 0;
	int r = STORE_ROW(s, which, &row, ARG_TEXT(hook), ARG_INT(STEPS_MAX - *n));
	for (; r == 1; r = store_sql_next(s, row))
		list[(*n)++] = (struct candidate){
			.number = store_sql_number(row, 0),
			.callback = store_sql_number(row, 1),
		};
	return r;
}

static bool is_later(const struct candidate *a, const struct candidate *b)
{
	return a->callback != b->callback ? a->callback > b->callback
					  : a->number > b->number;
}

static int merge_one(struct store *s, struct store_claim *o, uint64_t number,
	const char into[static RUN_ID_SIZE])
{
	char reason[RUN_ID_SIZE + 32];

	snprintf(reason, sizeof(reason), "merged into %s", into);
	int r = store_end_run(s, number, RUN_DONE, reason);
	if (!r)
		r = store_read_run(s, number, 0, &o->merged[o->n_merged]);
	if (r <= 0)
		return r ? r : store_broken(s, "a run without its job or callback");
	o->n_merged++;
	return 0;
}

static int merge(struct store *s, struct store_claim *o, const struct candidate *list,
	size_t n, const struct candidate *latest)
{
	char into[RUN_ID_SIZE];
	int r = 0;

	o->merged = n > 1 ? calloc(n - 1, sizeof(*o->merged)) : NULL;
	if (n > 1 && !o->merged)
		return -ENOMEM;
	store_run_id(s, latest->number, into);
	for (size_t i = 0; !r && i < n; i++)
		if (&list[i] != latest)
			r = merge_one(s, o, list[i].number, into);
	return r;
}

/* The one that is left: claimed, if it is due and no other of its job runs. */
static int claim_latest(struct store *s, struct store_claim *o, uint64_t number)
{
	CLEANUP(store_run_fini) struct store_run run = {.number = 0};
	struct due due = {.number = number};

	{
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, SQL_RUN_STATE, &row, ARG_INT(number));
		if (r <= 0)
			return r ? r : store_broken(s, "an index without its run");
		due.job = store_sql_number(row, 2);
	}
	int r = store_read_run(s, number, 0, &run);
	if (r <= 0)
		return r ? r : store_broken(s, "a run without its job or callback");
	bool beyond = o->latest_usec && run.due_usec > o->latest_usec;
	if (run.due_usec > o->now_usec && !beyond) {
		o->next_due_usec = run.due_usec;
		return 0;
	}
	r = o->serialize ? is_behind(s, o->hook, &due) : 0;
	if (r < 0)
		return r;
	if (r)
		return STORE_RUN(s, SQL_RUN_BEHIND, ARG_INT(number), ARG_INT(1));
	return claim_one(s, o, &due);
}

static int claim_merged(struct store *s, struct store_claim *o)
{
	CLEANUP(freep)
	struct candidate *list = calloc(STEPS_MAX, sizeof(*list));
	size_t n = 0, latest = 0;

	if (!list)
		return -ENOMEM;
	int r = read_candidates(s, SQL_RUNS_OF_HOOK, o->hook, list, &n);
	if (!r)
		r = read_candidates(s, SQL_RUNS_BEHIND, o->hook, list, &n);
	if (r < 0 || n == 0)
		return r;
	for (size_t i = 1; i < n; i++)
		if (is_later(&list[i], &list[latest]))
			latest = i;
	r = merge(s, o, list, n, &list[latest]);
	if (r < 0)
		return r;
	if (n == STEPS_MAX) {
		o->next_due_usec = o->now_usec;
		return 0;
	}
	return claim_latest(s, o, list[latest].number);
}

/* ---- The claim ---- */

int store_exec_claim(struct store *s, struct store_op *op)
{
	struct store_claim *o = container_of(op, struct store_claim, op);
	int r = 0;

	o->next_due_usec = 0;
	o->runs = o->limit ? calloc(o->limit, sizeof(*o->runs)) : NULL;
	if (o->limit && !o->runs)
		return -ENOMEM;
	bool more = false;
	if (!o->serialize && !o->merge) {
		r = let_all_step_up(s, o->hook);
		more = r == 1;
	}
	if (r >= 0)
		r = o->merge && o->limit ? claim_merged(s, o) : claim_in_turns(s, o);
	if (!r && o->paced && o->n_runs)
		r = STORE_RUN(
			s, SQL_HOOK_STARTED, ARG_TEXT(o->hook), ARG_INT(s->steady_usec));
	if (more)
		o->next_due_usec = o->now_usec;
	return r;
}
