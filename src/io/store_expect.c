/*
 * Jobs that are waited for, and the tokens of uploads: what is written before a callback
 * can come. A token is minted before the request that carries it leaves; then either the
 * initiate's answer or the callback names its job, whichever is first.
 */
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>
#include <stdio.h>

struct expectation {
	const char *source, *id, *public_url;
	int64_t size_bytes, ask_at_usec;
};

/* The earlier of two times, of which 0 is none: who expects a job again and again must
 * not put off that it is asked for. */
static int64_t earlier(int64_t a, int64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static int expect_new(struct store *s, const struct expectation *e)
{
	uint64_t job = s->next_job++;

	s->ahead.jobs++;
	s->ahead.pending++;
	store_count_asking(s, 0, e->ask_at_usec);
	int r = STORE_RUN(s, SQL_JOB_ADD, ARG_INT(job), ARG_TEXT(e->source),
		ARG_TEXT(e->id), ARG_TEXT(NULL), ARG_INT(OUTCOME_PENDING), ARG_INT(0),
		ARG_INT(s->now_usec), ARG_INT(s->now_usec), ARG_INT(0), ARG_INT(0),
		ARG_INT(0), ARG_INT(0), ARG_INT(e->ask_at_usec), ARG_TEXT(e->public_url),
		ARG_INT(e->size_bytes), ARG_INT(e->ask_at_usec ? s->steady_usec : 0));
	if (!r)
		r = store_ids_add(s, e->id, job);
	return r ? r : store_note_change(s, job, 0);
}

static int expect(struct store *s, const struct expectation *e)
{
	struct store_found job;

	int r = store_find_job(s, e->source, e->id, NULL, &job);
	if (r <= 0)
		return r ? r : expect_new(s, e);
	/* What an upload's answer says of the file is kept even if the callback was
	 * faster; the outcome is what it is. */
	bool tells = e->public_url || e->size_bytes >= 0;
	bool terminal = outcome_terminal(job.outcome);
	int64_t ask_at = terminal ? job.ask_at_usec
				  : earlier(job.ask_at_usec, e->ask_at_usec);
	int64_t expected = job.expected_usec;
	if (!terminal && !expected)
		expected = s->now_usec;
	if (!tells && ask_at == job.ask_at_usec && expected == job.expected_usec)
		return 0;
	int64_t from = job.ask_from_usec;
	if (ask_at && !from)
		from = s->steady_usec;
	store_count_asking(s, job.ask_at_usec, ask_at);
	r = STORE_RUN(s, SQL_JOB_EXPECT, ARG_INT(job.number), ARG_INT(expected),
		ARG_INT(ask_at), ARG_INT(s->now_usec), ARG_TEXT(e->public_url),
		ARG_INT(e->size_bytes), ARG_INT(from));
	return r ? r : store_note_change(s, job.number, 0);
}

int store_exec_expect(struct store *s, struct store_op *op)
{
	struct store_expect *o = container_of(op, struct store_expect, op);
	struct expectation e = {
		.source = o->source,
		.id = o->id,
		.size_bytes = -1,
		.ask_at_usec = o->ask_at_usec,
	};

	return expect(s, &e);
}

/* 1 a run of the job is running, 0 none. */
static int is_running(struct store *s, uint64_t job)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_RUNS_SIZES, &row, ARG_INT(job));
	for (; r == 1; r = store_sql_next(s, row)) {
		if (sqlite3_column_int(row, 1) == RUN_RUNNING)
			return 1;
	}
	return r;
}

int store_exec_forget(struct store *s, struct store_op *op)
{
	struct store_forget *o = container_of(op, struct store_forget, op);
	struct store_found job;
	size_t budget = SIZE_MAX;

	int r = store_find_job(s, o->source, o->id, NULL, &job);
	if (r < 0)
		return r;
	if (r == 0) {
		op->result = -ENOENT;
		return 0;
	}
	r = is_running(s, job.number);
	if (r < 0)
		return r;
	if (r) {
		op->result = -EBUSY;
		return 0;
	}
	r = store_drop_runs(s, job.number, &budget);
	if (!r)
		r = store_drop_callbacks(s, job.number, &budget);
	if (!r)
		r = store_drop_job(s, job.number);
	s->ahead.jobs--;
	if (!r)
		r = store_keep_numbers(s);
	if (job.outcome == OUTCOME_PENDING)
		s->ahead.pending--;
	store_count_asking(s, job.ask_at_usec, 0);
	return r;
}

int store_exec_mint(struct store *s, struct store_op *op)
{
	struct store_mint *o = container_of(op, struct store_mint, op);
	struct bytes hash = {(const char *)o->token_hash, 32};
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_TOKEN_GET, &row, ARG_BLOB(hash));
	if (r < 0)
		return r;
	if (r) {
		op->result = -EEXIST;
		return 0;
	}
	return STORE_RUN(s, SQL_TOKEN_ADD, ARG_BLOB(hash), ARG_TEXT(o->source),
		ARG_INT(o->now_usec));
}

/* The token's job, "" where it has none yet. 1, or 0 when it is no token of the source. */
static int bound_to(struct store *s, struct store_bind *o, struct bytes hash)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_TOKEN_GET, &row, ARG_BLOB(hash));
	if (r <= 0)
		return r;
	if (!bytes_equal(store_sql_peek(row, 0), bytes_of(o->source)))
		return 0;
	struct bytes id = store_sql_peek(row, 1);
	snprintf(o->bound, sizeof(o->bound), "%.*s", BYTES_FMT(id));
	return 1;
}

int store_exec_bind(struct store *s, struct store_op *op)
{
	struct store_bind *o = container_of(op, struct store_bind, op);
	struct bytes hash = {(const char *)o->token_hash, 32};

	o->bound[0] = '\0';
	int r = bound_to(s, o, hash);
	if (r < 0)
		return r;
	if (r == 0) {
		op->result = -ENOENT;
		return 0;
	}
	/* Also where the initiate is said to have failed: the service knows the token and
	 * called back, so its repeats must verify. */
	if (o->bound[0] && (!o->id || strcmp(o->bound, o->id) != 0)) {
		op->result = -EEXIST;
		return 0;
	}
	if (!o->id)
		return STORE_RUN(s, SQL_TOKEN_DROP, ARG_BLOB(hash));
	r = o->bound[0] ? 0
			: STORE_RUN(s, SQL_TOKEN_BIND, ARG_BLOB(hash), ARG_TEXT(o->id));
	struct expectation e = {
		.source = o->source,
		.id = o->id,
		.public_url = o->public_url,
		.size_bytes = o->size_bytes,
		.ask_at_usec = o->ask_at_usec,
	};
	return r ? r : expect(s, &e);
}
