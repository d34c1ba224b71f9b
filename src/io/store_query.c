/*
 * Questions. Lists go in the order of the rows' own numbers and are filtered here, not by
 * the database: so each row is a moment at which to look at the time, and a page that
 * would hold the writer up ends early, with a cursor.
 */
#include "base/clock.h"
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>
#include <string.h>

#define LIMIT_MAX 1000
/* Of one job's runs: the newest, and so much output of theirs. */
#define JOB_RUNS_MAX     1000
#define JOB_OUTPUT_BYTES (16u * 1024 * 1024)

static unsigned page_size(unsigned limit)
{
	if (limit < 1)
		return 1;
	return limit < LIMIT_MAX ? limit : LIMIT_MAX;
}

/* Is the time of this question up? Looks at the clock once in 16 rows. */
static bool is_late(uint64_t began, unsigned *rows)
{
	return ++*rows % 16 == 0 && clock_mono_usec() - began >= STORE_QUERY_USEC;
}

static int64_t before(uint64_t cursor)
{
	return cursor && cursor <= INT64_MAX ? (int64_t)cursor : INT64_MAX;
}

static bool is_one_of(struct bytes have, const char *want)
{
	return !want || bytes_equal(have, bytes_of(want));
}

/* A question that ran out of memory is answered so; it wrote nothing. But where it was the
 * database that ran out, it has given the transaction up, and with it the whole batch. */
static int answer(struct store *s, struct store_op *op, int r)
{
	if (r != -ENOMEM)
		return r < 0 ? r : 0;
	if (sqlite3_get_autocommit(s->db))
		return r;
	store_op_fini(op);
	op->result = -ENOMEM;
	return 0;
}

static int read_runs_of(struct store *s, struct store_job *job)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	size_t output = 0, room = 0;

	int r = STORE_ROW(
		s, SQL_RUNS_OF_JOB, &row, ARG_INT(job->number), ARG_INT(JOB_RUNS_MAX));
	for (; r == 1; r = store_sql_next(s, row)) {
		if (job->n_runs == room) {
			room = room ? room * 2 : 4;
			void *more = reallocarray(job->runs, room, sizeof(*job->runs));
			if (!more)
				return -ENOMEM;
			job->runs = more;
		}
		struct store_run *run = &job->runs[job->n_runs];
		int with = output < JOB_OUTPUT_BYTES ? STORE_WITH_OUTPUT : 0;
		r = store_read_run(s, store_sql_number(row, 0), with, run);
		if (r != 1)
			return r ? r : store_broken(s, "a run without its callback");
		output += run->stdout_tail.size + run->stderr_tail.size;
		job->n_runs++;
	}
	for (size_t i = 0, n = job->n_runs; i < n / 2; i++) {
		struct store_run other = job->runs[i];
		job->runs[i] = job->runs[n - 1 - i];
		job->runs[n - 1 - i] = other;
	}
	return r;
}

/* Has the job `number` that id, and that source if one is given? 1 or 0. */
static int is_asked_for(struct store *s, const struct store_get_job *o, uint64_t number)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	return STORE_ROW(s, SQL_JOB_IS, &row, ARG_INT(number), ARG_TEXT(o->id),
		ARG_TEXT(o->source));
}

static int get_jobs(struct store *s, struct store_get_job *o)
{
	CLEANUP(store_ids_endp) struct store_ids_walk walk = store_ids_find(s, o->id);
	uint64_t number;
	int r;

	while ((r = store_ids_next(s, &walk, &number)) == 1) {
		r = is_asked_for(s, o, number);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		void *more = reallocarray(o->jobs, o->n_jobs + 1, sizeof(*o->jobs));
		if (!more)
			return -ENOMEM;
		o->jobs = more;
		struct store_job *job = &o->jobs[o->n_jobs];
		r = store_read_job(s, number, STORE_WITH_PAYLOAD, job);
		if (r != 1)
			return r ? r : store_broken(s, "an index without its job");
		o->n_jobs++;
		r = read_runs_of(s, job);
		if (r < 0)
			return r;
	}
	return r;
}

int store_exec_get_job(struct store *s, struct store_op *op)
{
	struct store_get_job *o = container_of(op, struct store_get_job, op);

	int r = get_jobs(s, o);
	if (r == 0 && o->n_jobs == 0)
		op->result = -ENOENT;
	return answer(s, op, r);
}

int store_exec_get_run(struct store *s, struct store_op *op)
{
	struct store_get_run *o = container_of(op, struct store_get_run, op);

	int r = store_read_run(
		s, store_run_number(s, o->run), STORE_WITH_OUTPUT, &o->record);
	if (r == 0)
		op->result = -ENOENT;
	return answer(s, op, r);
}

static int list_jobs(struct store *s, struct store_list_jobs *o, unsigned limit)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	uint64_t began = clock_mono_usec();
	unsigned rows = 0;

	int r = STORE_ROW(s, SQL_JOBS_DOWN, &row, ARG_INT(before(o->after)));
	for (; r == 1; r = store_sql_next(s, row)) {
		if (o->n_jobs == limit || is_late(began, &rows))
			return 1;
		o->next = store_sql_number(row, 0);
		if (!is_one_of(store_sql_peek(row, 1), o->source) ||
			(o->outcome && sqlite3_column_int(row, 2) != (int)o->outcome) ||
			sqlite3_column_int64(row, 3) < o->since_usec)
			continue;
		r = store_read_job(s, o->next, 0, &o->jobs[o->n_jobs]);
		if (r < 0)
			return r;
		o->n_jobs += (size_t)r;
	}
	return r;
}

int store_exec_list_jobs(struct store *s, struct store_op *op)
{
	struct store_list_jobs *o = container_of(op, struct store_list_jobs, op);
	unsigned limit = page_size(o->limit);

	o->next = 0;
	o->jobs = calloc(limit, sizeof(*o->jobs));
	int r = o->jobs ? list_jobs(s, o, limit) : -ENOMEM;
	if (r <= 0)
		o->next = 0;
	return answer(s, op, r);
}

/* 1 or 0. */
static int is_of_source(struct store *s, uint64_t job, const char *source)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_JOB_SOURCE, &row, ARG_INT(job));
	return r == 1 ? is_one_of(store_sql_peek(row, 0), source) : r;
}

/* 1 or 0. */
static int is_replayed(struct store *s, uint64_t number)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	return STORE_ROW(s, SQL_RUN_REPLAYED, &row, ARG_INT(number));
}

static int64_t time_of_run(sqlite3_stmt *row)
{
	int64_t started = sqlite3_column_int64(row, 5);
	int64_t finished = sqlite3_column_int64(row, 6);

	if (sqlite3_column_int(row, 1) == RUN_WAITING)
		return sqlite3_column_int64(row, 4);
	return finished ? finished : started;
}

int store_run_fits(struct store *s, const struct store_run_filter *f, sqlite3_stmt *row)
{
	int64_t time = time_of_run(row);
	int r = 1;

	if ((f->state && sqlite3_column_int(row, 1) != (int)f->state) ||
		!is_one_of(store_sql_peek(row, 2), f->hook) ||
		(f->since_usec && time < f->since_usec) ||
		(f->until_usec && time >= f->until_usec))
		return 0;
	if (f->source)
		r = is_of_source(s, store_sql_number(row, 3), f->source);
	if (r == 1 && f->replayed != STORE_REPLAYED_OR_NOT) {
		r = is_replayed(s, store_sql_number(row, 0));
		if (r >= 0)
			r = r == (f->replayed == STORE_REPLAYED);
	}
	return r;
}

static int list_runs(struct store *s, struct store_list_runs *o, unsigned limit)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	enum runstate state = o->filter.state;
	bool open = state != RUN_NONE && state != RUN_DONE;
	uint64_t began = clock_mono_usec();
	unsigned rows = 0;

	int r = open ? STORE_ROW(s, SQL_RUNS_IN_STATE, &row, ARG_INT(state),
			       ARG_INT(before(o->after)))
		     : STORE_ROW(s, SQL_RUNS_DOWN, &row, ARG_INT(before(o->after)));
	for (; r == 1; r = store_sql_next(s, row)) {
		if (o->n_runs == limit || is_late(began, &rows))
			return 1;
		o->next = store_sql_number(row, 0);
		r = store_run_fits(s, &o->filter, row);
		if (r < 0)
			return r;
		if (!r)
			continue;
		r = store_read_run(s, o->next, 0, &o->runs[o->n_runs]);
		if (r < 0)
			return r;
		o->n_runs += (size_t)r;
	}
	return r;
}

int store_exec_list_runs(struct store *s, struct store_op *op)
{
	struct store_list_runs *o = container_of(op, struct store_list_runs, op);
	unsigned limit = page_size(o->limit);

	o->next = 0;
	o->runs = calloc(limit, sizeof(*o->runs));
	int r = o->runs ? list_runs(s, o, limit) : -ENOMEM;
	if (r <= 0)
		o->next = 0;
	return answer(s, op, r);
}

/* Changes of what is gone are passed over. There is no cursor but the last change that is
 * given, so the time is not up before there is one. */
static int list_changes(struct store *s, struct store_list_changes *o, unsigned limit)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	uint64_t began = clock_mono_usec();
	unsigned rows = 0;

	int r = STORE_ROW(s, SQL_CHANGES_UP, &row, ARG_INT(o->after), ARG_INT(INT64_MAX));
	for (; r == 1; r = store_sql_next(s, row)) {
		if (o->n_changes == limit || (is_late(began, &rows) && o->n_changes))
			return 1;
		struct store_change *change = &o->changes[o->n_changes];
		r = store_read_change(
			s, store_sql_number(row, 2), store_sql_number(row, 3), change);
		if (r < 0)
			return r;
		change->seq = store_sql_number(row, 0);
		change->time_usec = sqlite3_column_int64(row, 1);
		o->n_changes += (size_t)r;
	}
	return r;
}

static int oldest_change(struct store *s, uint64_t *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_CHANGES_UP, &row, ARG_INT(0), ARG_INT(1));
	*ret = r == 1 ? store_sql_number(row, 0) : s->next_change;
	return r < 0 ? r : 0;
}

int store_exec_list_changes(struct store *s, struct store_op *op)
{
	struct store_list_changes *o = container_of(op, struct store_list_changes, op);
	unsigned limit = page_size(o->limit);

	o->last = s->next_change - 1;
	if (o->after > INT64_MAX)
		return 0;
	o->changes = calloc(limit, sizeof(*o->changes));
	int r = o->changes ? oldest_change(s, &o->first) : -ENOMEM;
	if (!r)
		r = list_changes(s, o, limit);
	return answer(s, op, r);
}
