/*
 * What is older than the retention is forgotten, in small steps:
 *
 *	round: jobs upwards until one is too young ─► changes ─► tokens ─► sleep until the
 *	       first thing that was too young is old enough
 *
 * Under load a batch takes a quarter more old jobs with it than it brings new ones, in its own
 * transaction: so the store stays of a size, at no commit more, and nobody waits for a step
 * that came in between. Steps of their own are for the quiet, and now and then for a store
 * that gets little and has much to forget (store_house.c).
 */
#include "base/clock.h"
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>
#include <string.h>

#define DAY_USEC       (86400 * USEC_PER_SEC)
#define ROUND_MIN_USEC (60 * USEC_PER_SEC)
#define ROUND_SHARE    100 /* rounds may take at most this part of the time */
#define STEP_USEC      (5 * USEC_PER_MSEC) /* of a batch that takes old ones along */

int store_keep_numbers(struct store *s)
{
	int r = STORE_RUN(s, SQL_META_SET, ARG_TEXT("next_job"), ARG_INT(s->next_job));

	if (!r)
		r = STORE_RUN(
			s, SQL_META_SET, ARG_TEXT("next_run"), ARG_INT(s->next_run));
	return r ? r : store_keep_count(s);
}

/*
 * A start counts the rows behind jobs_to alone, so that it takes no longer as the store
 * grows: a transaction that deletes jobs calls this (by store_keep_numbers()) when it has
 * counted them, one that adds many does at its commit.
 */
int store_keep_count(struct store *s)
{
	int r = STORE_RUN(s, SQL_META_SET, ARG_TEXT("jobs"), ARG_INT(s->ahead.jobs));

	if (!r)
		r = STORE_RUN(s, SQL_META_SET, ARG_TEXT("jobs_to"), ARG_INT(s->next_job));
	if (!r)
		s->counting_to = s->next_job;
	return r;
}

/* What is older may go. The wall clock may be set forward by a day, by mistake: then the
 * steady one is the earlier. */
static int64_t cutoff(const struct store *s)
{
	int64_t now = clock_wall_usec(), steady = clock_steady_usec();

	if (steady < now)
		now = steady;
	return s->retention < (uint64_t)now ? now - (int64_t)s->retention : 0;
}

/* Something from `time_usec` on is not old enough yet. */
static void note_first(struct store *s, int64_t time_usec)
{
	if (time_usec < s->prune.first_usec)
		s->prune.first_usec = time_usec;
}

/* May the job go, as far as its runs say? A run's end is an update of its job, too. 1 or
 * 0. */
static int runs_are_old(struct store *s, uint64_t job, int64_t before)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_RUNS_SIZES, &row, ARG_INT(job));
	for (; r == 1; r = store_sql_next(s, row)) {
		int state = sqlite3_column_int(row, 1);
		if (state == RUN_WAITING || state == RUN_RUNNING)
			return 0;
		if (sqlite3_column_int64(row, 2) >= before) {
			note_first(s, sqlite3_column_int64(row, 2));
			return 0;
		}
	}
	return r < 0 ? r : 1;
}

int store_drop_callbacks(struct store *s, uint64_t job, size_t *budget)
{
	while (*budget) {
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, SQL_CALLBACKS_OF_JOB, &row, ARG_INT(job));
		if (r <= 0)
			return r;
		uint64_t number = store_sql_number(row, 0);
		size_t cost = 1 + store_sql_number(row, 1) / s->page_bytes;
		store_sql_resetp(&row);
		r = STORE_RUN(s, SQL_CALLBACK_DROP, ARG_INT(number));
		if (r)
			return r;
		*budget -= cost < *budget ? cost : *budget;
	}
	return 0;
}

int store_drop_job(struct store *s, uint64_t job)
{
	int r = store_ids_drop(s, job);

	return r ? r : STORE_RUN(s, SQL_JOB_DROP, ARG_INT(job));
}

/* One job with all that hangs on it, as far as the budget goes: a large one goes in
 * several transactions, its row last. 1 gone, 0 not yet. */
static int drop_job(struct store *s, uint64_t job, size_t *budget)
{
	int r = store_drop_runs(s, job, budget);

	if (!r)
		r = store_drop_callbacks(s, job, budget);
	if (r || !*budget)
		return r;
	--*budget;
	s->ahead.jobs--;
	r = store_drop_job(s, job);
	return r ? r : 1;
}

struct candidate {
	uint64_t number;
	enum outcome outcome;
	int64_t updated_usec, made_usec, ask_at_usec;
};

static int read_candidates(
	struct store *s, size_t n_max, struct candidate *ret, size_t *ret_n)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_JOBS_UP, &row, ARG_INT(s->prune.cursor), ARG_INT(n_max));
	for (*ret_n = 0; r == 1; r = store_sql_next(s, row)) {
		int64_t received = sqlite3_column_int64(row, 3);
		int64_t expected = sqlite3_column_int64(row, 4);
		ret[(*ret_n)++] = (struct candidate){
			.number = store_sql_number(row, 0),
			.outcome = (enum outcome)sqlite3_column_int(row, 1),
			.updated_usec = sqlite3_column_int64(row, 2),
			.made_usec = received && (!expected || received < expected)
					     ? received
					     : expected,
			.ask_at_usec = sqlite3_column_int64(row, 5),
		};
	}
	return r;
}

/* How much at once: at most STORE_PRUNE_ROWS of either. */
struct step {
	size_t jobs;
	size_t rows; /* of what is not a job */
	uint64_t usec;
};

/* Jobs are numbered as they come, and none is updated before it came: behind one that came
 * too late there is nothing to find. 1 the stage goes on, 0 it is done. */
static int prune_jobs(struct store *s, struct step step)
{
	struct candidate list[STORE_PRUNE_ROWS];
	size_t n, budget = STORE_PRUNE_ROWS;
	int64_t before = cutoff(s);
	uint64_t began = clock_mono_usec();
	bool dropped = false;

	int r = read_candidates(s, step.jobs, list, &n);
	for (size_t i = 0; !r && i < n; i++) {
		if (list[i].made_usec >= before) {
			note_first(s, list[i].made_usec);
			n = 0;
			break;
		}
		if (!budget || (i && clock_mono_usec() - began >= step.usec))
			break;
		s->prune.cursor = list[i].number;
		s->prune.n_seen++;
		if (!outcome_terminal(list[i].outcome))
			continue;
		if (list[i].updated_usec >= before) {
			note_first(s, list[i].updated_usec);
			continue;
		}
		r = runs_are_old(s, list[i].number, before);
		if (r == 1) {
			r = drop_job(s, list[i].number, &budget);
			dropped = true;
			if (r == 0) { /* the rest of it in the next step */
				s->prune.cursor = list[i].number - 1;
				s->prune.n_seen--;
			}
			if (r == 1) {
				store_count_asking(s, list[i].ask_at_usec, 0);
				s->prune.n_gone++;
				r = 0;
			}
		}
	}
	if (!r && dropped)
		r = store_keep_numbers(s);
	return r ? r : n > 0;
}

/* The newest one stays: the numbers go on from it. */
static int prune_changes(struct store *s, struct step step)
{
	uint64_t last = 0;
	bool more = false;
	int64_t before = cutoff(s);

	{
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		size_t n = 0;
		int r = STORE_ROW(
			s, SQL_CHANGES_UP, &row, ARG_INT(0), ARG_INT(step.rows));
		for (; r == 1; r = store_sql_next(s, row)) {
			uint64_t seq = store_sql_number(row, 0);
			if (sqlite3_column_int64(row, 1) >= before) {
				note_first(s, sqlite3_column_int64(row, 1));
				break;
			}
			if (seq + 1 == s->next_change)
				break;
			last = seq;
			more = ++n == step.rows;
		}
		if (r < 0)
			return r;
	}
	int r = last ? STORE_RUN(s, SQL_CHANGES_DROP, ARG_INT(last)) : 0;
	return r ? r : more;
}

/* 1 the token's job is gone, or it never had one; 0 it is there. */
static int is_orphan(struct store *s, struct bytes source, struct bytes id)
{
	CLEANUP(freep) char *source_copy = bytes_dup(source);
	CLEANUP(freep) char *id_copy = bytes_dup(id);
	struct store_found job;

	if (!id.data)
		return 1;
	if (!source_copy || !id_copy)
		return -ENOMEM;
	int r = store_find_job(s, source_copy, id_copy, NULL, &job);
	return r < 0 ? r : !r;
}

static int prune_tokens(struct store *s, struct step step)
{
	unsigned char gone[STORE_PRUNE_ROWS][32];
	struct bytes cursor = {(const char *)s->prune.token, sizeof(s->prune.token)};
	size_t n = 0, n_rows = 0;
	int64_t before = cutoff(s);
	int r;

	{
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		unsigned char last[32];
		r = STORE_ROW(
			s, SQL_TOKENS_UP, &row, ARG_BLOB(cursor), ARG_INT(step.rows));
		for (; r == 1; r = store_sql_next(s, row)) {
			struct bytes hash = store_sql_peek(row, 0);
			if (hash.size != sizeof(last))
				return store_broken(s, "a token of a wrong size");
			memcpy(last, hash.data, sizeof(last));
			n_rows++;
			if (sqlite3_column_int64(row, 3) >= before)
				continue;
			r = is_orphan(s, store_sql_peek(row, 1), store_sql_peek(row, 2));
			if (r < 0)
				return r;
			if (r)
				memcpy(gone[n++], last, sizeof(last));
		}
		if (r < 0)
			return r;
		if (n_rows)
			memcpy(s->prune.token, last, sizeof(last));
	}
	for (size_t i = 0; i < n && !r; i++)
		r = STORE_RUN(s, SQL_TOKEN_DROP,
			ARG_BLOB(((struct bytes){(const char *)gone[i], 32})));
	return r ? r : n_rows == step.rows;
}

void store_prune_begin(struct store *s)
{
	s->prune = (struct store_prune){
		.active = true,
		.at = STORE_FOREVER,
		.first_usec = INT64_MAX,
	};
}

/* When the first thing gets old that did not go this time; not at once and not never, for
 * jobs end and clocks are set meanwhile. A round that mostly looked at what stays is not
 * repeated soon. */
static void end_round(struct store *s, uint64_t now)
{
	int64_t before = cutoff(s);
	uint64_t pause = s->prune.spent_usec * ROUND_SHARE, wait = DAY_USEC;

	if (s->prune.first_usec != INT64_MAX && s->prune.first_usec > before &&
		(uint64_t)(s->prune.first_usec - before) < wait)
		wait = (uint64_t)(s->prune.first_usec - before) + 1;
	if (pause < ROUND_MIN_USEC || s->prune.n_gone * 2 > s->prune.n_seen)
		pause = ROUND_MIN_USEC;
	if (wait < pause)
		wait = pause;
	s->prune.active = false;
	s->vacuuming = true;
	s->prune.at = now + (wait < DAY_USEC ? wait : DAY_USEC);
}

/* In the transaction that is open; rolled back with it. 0 or negative errno. */
static int take_step(struct store *s, struct step step)
{
	uint64_t began = clock_mono_usec();
	int r = 0;

	switch (s->prune.stage) {
	case PRUNE_JOBS: r = prune_jobs(s, step); break;
	case PRUNE_CHANGES: r = prune_changes(s, step); break;
	case PRUNE_TOKENS: r = prune_tokens(s, step); break;
	}
	s->prune.spent_usec += clock_mono_usec() - began;
	if (r != 0)
		return r < 0 ? r : 0;
	if (s->prune.stage < PRUNE_TOKENS)
		s->prune.stage++;
	else
		end_round(s, clock_mono_usec());
	return 0;
}

int store_prune_beside(struct store *s, size_t n_new)
{
	size_t most = STORE_PRUNE_ROWS, jobs = n_new + (n_new + 3) / 4, rows = 8 * n_new;

	if (!s->prune.active || !n_new || s->spare_batches)
		return 0;
	return take_step(s, (struct step){.jobs = jobs < most ? jobs : most,
				    .rows = rows < most ? rows : most,
				    .usec = STEP_USEC});
}

void store_prune_step(struct store *s, uint64_t usec)
{
	int r = store_begin(s, true);

	if (!r)
		r = take_step(s, (struct step){STORE_PRUNE_ROWS, STORE_PRUNE_ROWS, usec});
	if (!r)
		r = store_commit(s);
	if (r)
		store_trouble(s, r);
}
