/*
 * What is asked of the sources: which jobs are due, and what a question came to. The
 * store is the queue: a job's ask_at is when its source is asked for it, 0 when it is not.
 *
 *	expected ─┐                 ┌─► told nothing: ask_at later ─┐
 *	held ─────┴─► ask_at ─► due ┤                               └─► due …
 *	                            └─► settled, or lost: ask_at 0
 *
 * ask_from is since when it is waited for, ask_tries how often it was asked for since
 * something was last heard, asked how often in all. Times are of clock_steady_usec().
 */
#include "base/clock.h"
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>

#define LIMIT_MAX 1000

void store_count_asking(struct store *s, int64_t from_usec, int64_t to_usec)
{
	s->ahead.asking += (uint64_t)(to_usec > 0) - (uint64_t)(from_usec > 0);
}

int store_mend_asks(struct store *s)
{
	return STORE_RUN(s, SQL_JOBS_MEND, ARG_INT(clock_steady_usec()));
}

int store_note_asked(struct store *s, const struct store_found *job, unsigned tries,
	int64_t ask_at_usec, const char *error)
{
	/* Something came while the question was under way: it is news. */
	bool news = ask_at_usec && job->ask_tries < tries;

	store_count_asking(s, job->ask_at_usec, ask_at_usec);
	return STORE_RUN(s, SQL_JOB_ASKED, ARG_INT(job->number),
		ARG_INT(news ? s->steady_usec : ask_at_usec),
		ARG_INT(!ask_at_usec ? 0
			: news       ? job->ask_tries + 1
				     : tries + 1),
		ARG_TEXT(error));
}

int store_exec_asked(struct store *s, struct store_op *op)
{
	struct store_asked *o = container_of(op, struct store_asked, op);
	struct store_found job;

	int r = store_find_job(s, o->source, o->id, NULL, &job);
	if (r < 0)
		return r;
	if (r == 0 || !job.ask_at_usec) {
		op->result = -ENOENT;
		return 0;
	}
	return store_note_asked(s, &job, o->tries, o->ask_at_usec, o->error);
}

/* ---- Which are due ---- */

static int add(struct store_asks *o, sqlite3_stmt *row, enum store_lane lane)
{
	bool failed = false;
	struct store_question *q = &o->questions[o->n_questions++];

	*q = (struct store_question){
		.lane = lane,
		.id = store_sql_text(row, 0, &failed),
		.from_usec = sqlite3_column_int64(row, 1),
		.tries = (unsigned)sqlite3_column_int64(row, 2),
		.error = store_sql_text(row, 3, &failed),
	};
	return failed ? -ENOMEM : 0;
}

static void note_due(struct store_asks *o, int64_t due_usec)
{
	if (!o->next_due_usec || due_usec < o->next_due_usec)
		o->next_due_usec = due_usec;
}

/* Of a lane that gives as many as are wanted more may be due. */
static int read_lane(struct store *s, struct store_asks *o, enum store_lane lane)
{
	size_t before = o->n_questions;
	{
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, SQL_JOBS_DUE, &row, ARG_TEXT(o->source),
			ARG_INT(lane), ARG_INT(o->now_usec), ARG_INT(o->limit));
		for (; r == 1; r = store_sql_next(s, row)) {
			r = add(o, row, lane);
			if (r < 0)
				return r;
		}
		if (r < 0)
			return r;
	}
	if (o->n_questions - before == o->limit) {
		note_due(o, o->now_usec);
		return 0;
	}
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	int r = STORE_ROW(s, SQL_JOBS_NEXT_DUE, &row, ARG_TEXT(o->source), ARG_INT(lane),
		ARG_INT(o->now_usec));
	if (r == 1)
		note_due(o, sqlite3_column_int64(row, 0));
	return r < 0 ? r : 0;
}

static int read_since(struct store *s, struct store_asks *o)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_JOBS_SINCE, &row, ARG_TEXT(o->source),
		ARG_INT(o->from_usec), ARG_INT(o->limit));
	for (; r == 1; r = store_sql_next(s, row)) {
		r = add(o, row, STORE_LANE_EXPECTED);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_oldest(struct store *s, struct store_asks *o)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_JOBS_SINCE, &row, ARG_TEXT(o->source),
		ARG_INT(INT64_MAX), ARG_INT(1));
	if (r == 1)
		o->oldest_usec = sqlite3_column_int64(row, 1);
	return r < 0 ? r : 0;
}

int store_exec_asks(struct store *s, struct store_op *op)
{
	struct store_asks *o = container_of(op, struct store_asks, op);
	int r = 0;

	o->n_questions = 0;
	o->next_due_usec = o->oldest_usec = 0;
	if (o->limit > LIMIT_MAX)
		o->limit = LIMIT_MAX;
	o->questions = calloc((size_t)o->limit * STORE_LANES + 1, sizeof(*o->questions));
	if (!o->questions)
		r = -ENOMEM;
	for (int lane = 0; !r && !o->from_usec && lane < STORE_LANES; lane++)
		r = read_lane(s, o, (enum store_lane)lane);
	if (!r && o->from_usec)
		r = read_since(s, o);
	if (!r)
		r = read_oldest(s, o);
	if (r != -ENOMEM || sqlite3_get_autocommit(s->db))
		return r;
	/* It wrote nothing: only who asked goes without. */
	store_op_fini(op);
	op->result = -ENOMEM;
	return 0;
}
