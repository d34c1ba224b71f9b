/*
 * The life of runs: made, settled, replayed, discarded, orphaned, recovered; how they are
 * claimed is store_claim.c's. Nobody else writes a run's state; every move is checked against the table of
 * runstate_allowed(), counted and noted as a change.
 *
 * Due times are of clock_steady_usec(): they do not move with a wall clock that is set.
 */
#include "base/clock.h"
#include "io/store_exec.h"
#include "io/store_private.h"

#include <assert.h>
#include <errno.h>

/* Runs that orphans may end in one batch: it stays short. */
#define DEATHS_MAX 500

struct row { /* a run's row, as far as its moves need it */
	uint64_t number, job, callback, dead_of;
	enum runstate state;
	unsigned attempt;
	enum outcome outcome;
	int64_t started_usec;
	char *hook, *status;
};

static void row_fini(struct row *row)
{
	free(row->hook);
	free(row->status);
}

/* 1 found, 0 not. */
static int read_row(struct store *s, uint64_t number, struct row *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	bool failed = false;

	*ret = (struct row){.number = number};
	int r = STORE_ROW(s, SQL_RUN_STATE, &row, ARG_INT(number));
	if (r <= 0)
		return r;
	ret->state = (enum runstate)sqlite3_column_int(row, 0);
	ret->attempt = (unsigned)sqlite3_column_int64(row, 1);
	ret->job = store_sql_number(row, 2);
	ret->callback = store_sql_number(row, 3);
	ret->hook = store_sql_text(row, 4, &failed);
	ret->outcome = (enum outcome)sqlite3_column_int(row, 5);
	ret->status = store_sql_text(row, 6, &failed);
	ret->dead_of = store_sql_number(row, 7);
	ret->started_usec = sqlite3_column_int64(row, 8);
	return failed ? -ENOMEM : 1;
}

/* done counts up alone: those before this start are not known. */
static void count(struct store_counts *c, enum runstate state, int more)
{
	switch (state) {
	case RUN_WAITING: c->waiting += (uint64_t)more; break;
	case RUN_RUNNING: c->running += (uint64_t)more; break;
	case RUN_DEAD: c->dead += (uint64_t)more; break;
	case RUN_DONE: c->done += more > 0; break;
	case RUN_NONE:
	case RUN_STATE_MAX: break;
	}
}

void store_count_run(struct store *s, enum runstate from, enum runstate to)
{
	count(&s->ahead, from, -1);
	count(&s->ahead, to, 1);
}

int store_add_run(struct store *s, const struct store_new_run *run, uint64_t *ret_number)
{
	uint64_t number = s->next_run++;
	enum runstate state = run->start_now ? RUN_RUNNING : RUN_WAITING;

	int r = STORE_RUN(s, SQL_RUN_ADD, ARG_INT(number), ARG_INT(run->job),
		ARG_INT(run->callback), ARG_TEXT(run->hook), ARG_INT(state),
		ARG_INT(run->start_now), ARG_INT(s->steady_usec),
		ARG_INT(run->start_now ? s->now_usec : 0), ARG_INT(run->replay_of),
		ARG_INT(run->dead_of), ARG_INT(run->outcome), ARG_TEXT(run->status));
	if (r)
		return r;
	*ret_number = number;
	store_count_run(s, RUN_NONE, state);
	return store_note_change(s, run->job, number);
}

/* Did a run of `hook` lead to this death? Two hooks with On=dead would report each
 * other's deaths for ever. 1 or 0. */
static int is_in_chain(struct store *s, const char *hook, const struct row *dead)
{
	if (dead->hook && strcmp(hook, dead->hook) == 0)
		return 1;
	for (uint64_t number = dead->dead_of; number;) {
		CLEANUP(row_fini) struct row row = {.number = 0};
		int r = read_row(s, number, &row);
		if (r < 0)
			return r;
		if (r == 0)
			return 0;
		if (strcmp(hook, row.hook) == 0)
			return 1;
		number = row.dead_of;
	}
	return 0;
}

/* Does this hook ask for deaths of other sources only? 1 or 0. */
static int is_deaf_to(
	struct store *s, const struct store_wish *wish, const struct row *dead)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	if (!wish->n_sources)
		return 0;
	int r = STORE_ROW(s, SQL_JOB_SOURCE, &row, ARG_INT(dead->job));
	if (r <= 0)
		return r ? r : store_broken(s, "a run without its job");
	struct bytes source = store_sql_peek(row, 0);
	for (size_t i = 0; i < wish->n_sources; i++)
		if (bytes_equal(source, bytes_of(wish->sources[i])))
			return 0;
	return 1;
}

static int make_dead_letters(
	struct store *s, const struct row *dead, struct store_wish *wishes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t number = 0;
		int r = is_deaf_to(s, &wishes[i], dead);
		if (!r)
			r = is_in_chain(s, wishes[i].hook, dead);
		if (r < 0)
			return r;
		if (r)
			continue;
		struct store_new_run run = {
			.job = dead->job,
			.callback = dead->callback,
			.dead_of = dead->number,
			.hook = wishes[i].hook,
			.status = dead->status,
			.outcome = dead->outcome,
		};
		r = store_add_run(s, &run, &number);
		if (r)
			return r;
		wishes[i].run = number;
	}
	return 0;
}

/* The oldest run that stands behind others of this job is looked at again: who claims it finds
 * out whether it still has to wait. So one that stands behind never outlasts the others. */
static int step_up(struct store *s, const struct row *row)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *found = NULL;

	int r = STORE_ROW(s, SQL_RUNS_BEHIND_IN_JOB, &found, ARG_TEXT(row->hook),
		ARG_INT(row->job));
	if (r <= 0)
		return r;
	uint64_t number = store_sql_number(found, 0);
	store_sql_resetp(&found);
	return STORE_RUN(s, SQL_RUN_BEHIND, ARG_INT(number), ARG_INT(0));
}

/* The one place where a run that exists leaves its state other than by a claim. */
static int settle(struct store *s, const struct row *row, const struct store_settle *to)
{
	assert(runstate_allowed(row->state, to->state));
	int r = STORE_RUN(s, SQL_RUN_SETTLE, ARG_INT(row->number), ARG_INT(to->state),
		ARG_INT(to->due_usec), ARG_INT(to->started_usec),
		ARG_INT(to->finished_usec), ARG_INT(to->exit_status), ARG_INT(to->signal),
		ARG_TEXT(to->reason), ARG_INT(to->truncated), ARG_BLOB(to->stdout_tail),
		ARG_BLOB(to->stderr_tail),
		ARG_INT(to->uncounted && to->state == RUN_WAITING));
	if (r)
		return r;
	store_count_run(s, row->state, to->state);
	r = store_note_change(s, row->job, row->number);
	return r ? r : step_up(s, row);
}

/* A run ends without a process of its own to tell of. */
static int end_without_process(
	struct store *s, const struct row *row, enum runstate state, const char *reason)
{
	struct store_settle to = {
		.state = state,
		.due_usec = s->steady_usec,
		.started_usec = row->started_usec,
		.finished_usec = state == RUN_WAITING ? 0 : s->now_usec,
		.exit_status = -1,
		.signal = -1,
		.reason = reason,
	};

	return settle(s, row, &to);
}

int store_end_run(
	struct store *s, uint64_t number, enum runstate state, const char *reason)
{
	CLEANUP(row_fini) struct row row = {.number = 0};

	int r = read_row(s, number, &row);
	if (r < 0)
		return r;
	return r ? end_without_process(s, &row, state, reason)
		 : store_broken(s, "an index without its run");
}

int store_exec_settle(struct store *s, struct store_op *op)
{
	struct store_settle *o = container_of(op, struct store_settle, op);
	CLEANUP(row_fini) struct row row = {.number = 0};

	for (size_t i = 0; i < o->n_dead_wishes; i++)
		o->dead_wishes[i].run = 0;
	if (o->state != RUN_DONE && o->state != RUN_WAITING && o->state != RUN_DEAD) {
		op->result = -EINVAL;
		return 0;
	}
	int r = read_row(s, o->run, &row);
	if (r < 0)
		return r;
	if (r == 0 || row.state != RUN_RUNNING || row.attempt != o->attempt) {
		op->result = -ENOENT;
		return 0;
	}
	struct store_settle to = *o;
	if (!to.started_usec)
		to.started_usec = row.started_usec;
	/* 0 would be no due time at all to who asks for the next one. */
	if (to.state != RUN_WAITING || to.due_usec < 1)
		to.due_usec = s->steady_usec;
	r = settle(s, &row, &to);
	if (r || o->state != RUN_DEAD)
		return r;
	return make_dead_letters(s, &row, o->dead_wishes, o->n_dead_wishes);
}

int store_replay_run(struct store *s, uint64_t number, uint64_t *ret_number)
{
	CLEANUP(row_fini) struct row row = {.number = 0};

	int r = read_row(s, number, &row);
	if (r <= 0)
		return r ? r : store_broken(s, "a run that was there is not");
	if (row.state != RUN_DONE && row.state != RUN_DEAD)
		return 1;
	struct store_new_run run = {
		.job = row.job,
		.callback = row.callback,
		.replay_of = row.number,
		.dead_of = row.dead_of,
		.hook = row.hook,
		.status = row.status,
		.outcome = row.outcome,
	};
	return store_add_run(s, &run, ret_number);
}

/* All else stays as its last attempt left it. */
int store_discard_run(struct store *s, uint64_t number, const char *reason)
{
	CLEANUP(row_fini) struct row row = {.number = 0};

	int r = read_row(s, number, &row);
	if (r <= 0)
		return r ? r : store_broken(s, "a run that was there is not");
	if (row.state != RUN_DEAD)
		return 1;
	assert(runstate_allowed(RUN_DEAD, RUN_DONE));
	r = STORE_RUN(
		s, SQL_RUN_DISCARD, ARG_INT(number), ARG_INT(RUN_DONE), ARG_TEXT(reason));
	if (r)
		return r;
	store_count_run(s, RUN_DEAD, RUN_DONE);
	return store_note_change(s, row.job, number);
}

static int bury(struct store *s, struct store_orphans *o, uint64_t number)
{
	CLEANUP(row_fini) struct row row = {.number = 0};

	int r = read_row(s, number, &row);
	if (r == 1)
		r = store_read_letter(s, number, &o->died[o->n_died]);
	if (r <= 0)
		return r ? r : store_broken(s, "a run without its job");
	r = end_without_process(s, &row, RUN_DEAD, "no such hook");
	if (!r)
		r = make_dead_letters(s, &row, o->dead_wishes, o->n_dead_wishes);
	o->n_died += !r;
	return r;
}

/* 1 and a waiting run of the hook, 0 when there is none. */
static int any_of(struct store *s, const char *hook, uint64_t *ret_number)
{
	static const enum store_sql both[] = {SQL_RUNS_OF_HOOK, SQL_RUNS_BEHIND};

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, both[i], &row, ARG_TEXT(hook), ARG_INT(1));
		if (r == 1)
			*ret_number = store_sql_number(row, 0);
		if (r)
			return r;
	}
	return 0;
}

int store_exec_orphans(struct store *s, struct store_op *op)
{
	struct store_orphans *o = container_of(op, struct store_orphans, op);
	uint64_t number = 0;
	int r = 0;

	for (size_t i = 0; i < o->n_dead_wishes; i++)
		o->dead_wishes[i].run = 0;
	o->n_died = 0;
	o->more = false;
	o->died = calloc(DEATHS_MAX, sizeof(*o->died));
	if (!o->died)
		return -ENOMEM;
	while (!r && o->n_died < DEATHS_MAX) {
		r = any_of(s, o->hook, &number);
		if (r <= 0)
			return r;
		r = bury(s, o, number);
	}
	o->more = !r;
	return r;
}

int store_recover(struct store *s)
{
	for (s->recovered = 0;; s->recovered++) {
		uint64_t number;
		{
			CLEANUP(store_sql_resetp) sqlite3_stmt *found = NULL;
			int r = STORE_ROW(s, SQL_RUNS_IN_STATE, &found,
				ARG_INT(RUN_RUNNING), ARG_INT(INT64_MAX));
			if (r <= 0)
				return r;
			number = store_sql_number(found, 0);
		}
		CLEANUP(row_fini) struct row row = {.number = 0};
		int r = read_row(s, number, &row);
		if (r == 1)
			r = end_without_process(
				s, &row, RUN_WAITING, "the daemon ended while it ran");
		if (r)
			return r;
	}
}

int store_drop_runs(struct store *s, uint64_t job, size_t *budget)
{
	while (*budget) {
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, SQL_RUNS_SIZES, &row, ARG_INT(job));
		if (r <= 0)
			return r;
		uint64_t number = store_sql_number(row, 0);
		enum runstate state = (enum runstate)sqlite3_column_int(row, 1);
		size_t cost = 1 + store_sql_number(row, 3) / s->page_bytes;
		store_sql_resetp(&row);
		r = STORE_RUN(s, SQL_RUN_DROP, ARG_INT(number));
		if (r)
			return r;
		store_count_run(s, state, RUN_NONE);
		*budget -= cost < *budget ? cost : *budget;
	}
	return 0;
}
