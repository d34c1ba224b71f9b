/*
 * The questions of the store and how they are put; see store_sql.h. An index is named
 * where a question would be slow without it: then a schema that lacks it fails at open.
 */
#include "io/store_private.h"
#include "io/store_schema.h"

#include <errno.h>
#include <stdio.h>

/* What a run's record is made of, in the order store_record.c reads it. */
#define RUN_COLUMNS                                                                      \
	"r.number, r.hook, j.source, j.id, r.status, r.outcome, r.state, r.attempt, "    \
	"r.due, r.started, r.finished, r.exit_status, r.signal, r.reason, r.truncated, " \
	"c.test, r.replay_of, c.received, c.fields, r.callback, r.dead_of, "             \
	"(SELECT max(number) FROM run INDEXED BY run_replay "                            \
	"WHERE replay_of = r.number AND replay_of <> 0)"
/* What store_run_fits() looks at; and what a row weighs. None of it lies behind the output. */
#define FILTER_COLUMNS "number, state, hook, job, due, started, finished"
#define SIZE_COLUMN    "coalesce(length(stdout), 0) + coalesce(length(stderr), 0)"
/* "Not NULL" alone does not read the payload. */
#define JOB_COLUMNS                                                                      \
	"j.number, j.source, j.id, j.status, j.outcome, j.received, j.updated, "         \
	"j.expected, "                                                                   \
	"j.confirmed, j.deliveries, j.public_url, j.size_bytes, c.payload IS NOT NULL, " \
	"j.ask_at, j.asked, j.ask_error"
/* enum store_lane: must stand as in the index. */
#define JOB_LANE "(" STORE_LANE_SQL ")"

static const char *const texts[STORE_SQL_MAX] = {
	[SQL_BEGIN] = "BEGIN",
	[SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_PROBE] = "UPDATE meta SET value = value + 1 WHERE key = 'probe'",
	[SQL_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[SQL_META_SET] = "INSERT INTO meta (key, value) VALUES (?1, ?2) "
			 "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	[SQL_LAST_NUMBERS] = "SELECT (SELECT max(number) FROM job), "
			     "(SELECT max(number) FROM callback), "
			     "(SELECT max(number) FROM run), "
			     "(SELECT max(seq) FROM change)",
	/* 1 is OUTCOME_PENDING: the terms must stand as in the partial indexes. */
	[SQL_COUNT_JOBS] = "SELECT (SELECT count(*) FROM job WHERE number >= ?1), "
			   "(SELECT count(*) FROM job INDEXED BY job_pending "
			   "WHERE outcome = 1), "
			   "(SELECT count(*) FROM job INDEXED BY job_ask "
			   "WHERE ask_at > 0)",
	[SQL_COUNT_RUNS] = "SELECT state, count(*) FROM run INDEXED BY run_open "
			   "WHERE state <> 3 GROUP BY state",

	[SQL_JOB_FIND] = "SELECT number, outcome, status, callback, latest, deliveries, "
			 "expected, confirmed, ask_at, ask_from, ask_tries "
			 "FROM job WHERE number = ?1 AND id = ?2 AND source = ?3",
	[SQL_IDS_OF] = "SELECT number FROM job_hash WHERE hash = ?1 AND number < ?2",
	[SQL_IDS_FROM] = "SELECT number, id FROM job WHERE number >= ?1 ORDER BY number",
	[SQL_ID_MERGE] = "INSERT OR IGNORE INTO job_hash SELECT ?1, ?2 "
			 "WHERE EXISTS (SELECT 1 FROM job WHERE number = ?2)",
	[SQL_ID_DROP] = "DELETE FROM job_hash WHERE number = ?1 AND hash = id_hash("
			"(SELECT value FROM meta WHERE key = 'id_key'), "
			"(SELECT id FROM job WHERE number = ?1))",
	[SQL_JOB_ADD] =
		"INSERT INTO job (number, source, id, status, outcome, received, "
		"updated, expected, confirmed, deliveries, callback, latest, "
		"ask_at, public_url, size_bytes, ask_from) VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
	[SQL_JOB_MOVE] = "UPDATE job SET status = ?2, outcome = ?3, callback = ?4, "
			 "latest = ?4, updated = ?5, deliveries = ?6, "
			 "received = iif(received = 0, ?7, received), "
			 "confirmed = iif(?8 = 0, confirmed, ?8), ask_at = ?9, "
			 "ask_from = iif(?9 = 0, 0, ask_from), "
			 "ask_tries = iif(?9 = 0, 0, ask_tries), "
			 "ask_error = iif(?10, ask_error, NULL) "
			 "WHERE number = ?1",
	[SQL_JOB_NOTE] = "UPDATE job SET latest = ?2, updated = ?3, deliveries = ?4, "
			 "received = iif(received = 0, ?5, received), "
			 "confirmed = iif(?6 = 0, confirmed, ?6), ask_at = ?7, "
			 "ask_from = ?8, ask_tries = ?9 WHERE number = ?1",
	[SQL_JOB_REPEAT] = "UPDATE job SET deliveries = ?2 WHERE number = ?1",
	[SQL_JOB_EXPECT] = "UPDATE job SET expected = ?2, ask_at = ?3, updated = ?4, "
			   "public_url = coalesce(?5, public_url), "
			   "size_bytes = iif(?6 < 0, size_bytes, ?6), "
			   "ask_from = ?7 WHERE number = ?1",
	[SQL_JOB_ASKED] = "UPDATE job SET ask_at = ?2, ask_tries = ?3, "
			  "asked = asked + 1, ask_error = ?4 WHERE number = ?1",
	[SQL_JOB_GET] = "SELECT " JOB_COLUMNS ", c.payload FROM job j "
			"LEFT JOIN callback c ON c.number = j.callback "
			"WHERE j.number = ?1",
	[SQL_JOB_SOURCE] = "SELECT source FROM job WHERE number = ?1",
	[SQL_JOB_DROP] = "DELETE FROM job WHERE number = ?1",
	[SQL_JOB_IS] = "SELECT 1 FROM job WHERE number = ?1 AND id = ?2 "
		       "AND (?3 IS NULL OR source = ?3)",
	[SQL_JOBS_DOWN] = "SELECT number, source, outcome, updated FROM job "
			  "WHERE number < ?1 ORDER BY number DESC",
	[SQL_JOBS_UP] = "SELECT number, outcome, updated, received, expected, ask_at "
			"FROM job "
			"WHERE number > ?1 ORDER BY number LIMIT ?2",
	[SQL_JOBS_DUE] = "SELECT id, ask_from, ask_tries, ask_error "
			 "FROM job INDEXED BY job_ask WHERE source = ?1 "
			 "AND " JOB_LANE " = ?2 AND ask_at > 0 AND ask_at <= ?3 "
			 "ORDER BY ask_at LIMIT ?4",
	[SQL_JOBS_NEXT_DUE] = "SELECT ask_at FROM job INDEXED BY job_ask "
			      "WHERE source = ?1 AND " JOB_LANE " = ?2 "
			      "AND ask_at > 0 AND ask_at > ?3 ORDER BY ask_at LIMIT 1",
	[SQL_JOBS_SINCE] = "SELECT id, ask_from, ask_tries, ask_error "
			   "FROM job INDEXED BY job_ask_from WHERE source = ?1 "
			   "AND ask_at > 0 AND ask_from <= ?2 "
			   "ORDER BY ask_from LIMIT ?3",
	[SQL_JOBS_MEND] = "UPDATE job INDEXED BY job_ask_from SET "
			  "ask_at = max(1, ask_at - (ask_from - ?1)), ask_from = ?1 "
			  "WHERE ask_at > 0 AND ask_from > ?1",

	[SQL_CALLBACK_ADD] =
		"INSERT INTO callback (number, job, received, kind, outcome, "
		"test, status, delivery, fields, payload) VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	[SQL_CALLBACK_GET] = "SELECT kind, outcome, status, payload FROM callback "
			     "WHERE number = ?1",
	[SQL_CALLBACK_DELIVERY] = "SELECT 1 FROM callback INDEXED BY callback_job "
				  "WHERE job = ?1 AND delivery = ?2 AND outcome = ?3 "
				  "AND status IS ?4 AND (kind = ?5) = ?6",
	/* Of a job that is flooded only so many are looked at. */
	[SQL_CALLBACK_HELD] =
		"SELECT outcome, status FROM (SELECT number, kind, outcome, status "
		"FROM callback INDEXED BY callback_job WHERE job = ?1 LIMIT 100) "
		"WHERE kind = ?2 AND number > ?3 AND outcome <> ?4 AND outcome <> 1 "
		"ORDER BY number DESC LIMIT 1",
	[SQL_CALLBACK_DROP] = "DELETE FROM callback WHERE number = ?1",
	[SQL_CALLBACKS_OF_JOB] = "SELECT number, length(payload) FROM callback "
				 "INDEXED BY callback_job WHERE job = ?1",

	[SQL_RUN_ADD] =
		"INSERT INTO run (number, job, callback, hook, state, attempt, due, "
		"started, replay_of, dead_of, outcome, status, source) VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, "
		"(SELECT source FROM job WHERE number = ?2))",
	[SQL_RUN_GET] = "SELECT " RUN_COLUMNS " FROM run r CROSS JOIN job j CROSS JOIN "
			"callback c WHERE r.number = ?1 AND j.number = r.job "
			"AND c.number = r.callback",
	[SQL_RUN_LETTER] = "SELECT r.hook, j.source, j.id FROM run r CROSS JOIN job j "
			   "WHERE r.number = ?1 AND j.number = r.job",
	[SQL_RUN_REPLAYED] = "SELECT 1 FROM run INDEXED BY run_replay "
			     "WHERE replay_of = ?1 AND replay_of <> 0",
	[SQL_RUN_DISCARD] = "UPDATE run SET state = ?2, reason = ?3 WHERE number = ?1",
	[SQL_RUN_OUTPUT] = "SELECT stdout, stderr FROM run WHERE number = ?1",
	[SQL_RUN_STATE] = "SELECT state, attempt, job, callback, hook, outcome, status, "
			  "dead_of, started FROM run WHERE number = ?1",
	[SQL_RUN_CLAIM] =
		"UPDATE run SET state = ?2, attempt = attempt + 1, started = ?3, "
		"finished = 0, exit_status = -1, signal = -1, reason = NULL, "
		"truncated = 0, stdout = NULL, stderr = NULL, behind = 0 "
		"WHERE number = ?1",
	[SQL_RUN_SETTLE] = "UPDATE run SET state = ?2, due = ?3, started = ?4, "
			   "finished = ?5, exit_status = ?6, signal = ?7, reason = ?8, "
			   "truncated = ?9, stdout = ?10, stderr = ?11, "
			   "attempt = attempt - ?12, behind = 0 WHERE number = ?1",
	[SQL_RUN_FOR_WORD] = "SELECT 1 FROM run INDEXED BY run_job WHERE job = ?1 "
			     "AND hook = ?2 AND outcome = ?3 "
			     "AND status IS ?4 COLLATE NOCASE "
			     "AND replay_of = 0 AND dead_of = 0",
	[SQL_RUN_FOR_OUTCOME] = "SELECT 1 FROM run INDEXED BY run_job WHERE job = ?1 "
				"AND hook = ?2 AND outcome = ?3 "
				"AND replay_of = 0 AND dead_of = 0",
	[SQL_RUN_DROP] = "DELETE FROM run WHERE number = ?1",
	/* 1 is RUN_WAITING, 2 RUN_RUNNING, 3 RUN_DONE. */
	[SQL_RUNS_DUE] = "SELECT number, job FROM run INDEXED BY run_waiting "
			 "WHERE state = 1 AND behind = 0 AND hook = ?1 AND source = ?2 "
			 "AND due <= ?3 ORDER BY due",
	[SQL_RUNS_BEYOND] =
		"SELECT number, job FROM run INDEXED BY run_waiting "
		"WHERE state = 1 AND behind = 0 AND hook = ?1 AND source = ?2 "
		"AND due > ?3 ORDER BY due",
	[SQL_RUNS_FIRST_DUE] =
		"SELECT due FROM run INDEXED BY run_waiting WHERE state = 1 "
		"AND behind = 0 AND hook = ?1 AND source = ?2 "
		"ORDER BY due LIMIT 1",
	[SQL_RUNS_NEXT_SOURCE] = "SELECT source FROM run INDEXED BY run_waiting "
				 "WHERE state = 1 AND behind = 0 AND hook = ?1 "
				 "AND source > ?2 ORDER BY source LIMIT 1",
	[SQL_RUNS_NEXT_HOOK] = "SELECT hook FROM run INDEXED BY run_waiting "
			       "WHERE state = 1 AND behind = 0 AND hook > ?1 "
			       "ORDER BY hook LIMIT 1",
	[SQL_RUNS_OF_HOOK] = "SELECT number, callback FROM run INDEXED BY run_waiting "
			     "WHERE state = 1 AND behind = 0 AND hook = ?1 LIMIT ?2",
	[SQL_RUNS_BEHIND] = "SELECT number, callback FROM run INDEXED BY run_behind "
			    "WHERE state = 1 AND behind = 1 AND hook = ?1 LIMIT ?2",
	[SQL_RUNS_BEHIND_IN_JOB] = "SELECT number FROM run INDEXED BY run_behind "
				   "WHERE state = 1 AND behind = 1 AND hook = ?1 "
				   "AND job = ?2 ORDER BY number LIMIT 1",
	[SQL_RUNS_NEXT_BEHIND] = "SELECT hook FROM run INDEXED BY run_behind "
				 "WHERE state = 1 AND behind = 1 AND hook > ?1 "
				 "ORDER BY hook LIMIT 1",
	[SQL_RUN_BEHIND] = "UPDATE run SET behind = ?2 WHERE number = ?1",
	[SQL_RUN_ELDER] = "SELECT 1 FROM run INDEXED BY run_job WHERE job = ?1 "
			  "AND hook = ?2 AND number <> ?3 "
			  "AND (state = 2 OR (state = 1 AND number < ?3)) LIMIT 1",
	[SQL_RUNS_IN_STATE] = "SELECT " FILTER_COLUMNS " FROM run INDEXED BY run_open "
			      "WHERE state <> 3 AND state = ?1 AND number < ?2 "
			      "ORDER BY number DESC",
	[SQL_RUNS_OF_JOB] = "SELECT number FROM run INDEXED BY run_job WHERE job = ?1 "
			    "ORDER BY number DESC LIMIT ?2",
	[SQL_RUNS_SIZES] = "SELECT number, state, finished, " SIZE_COLUMN
			   " FROM run INDEXED BY run_job WHERE job = ?1",
	[SQL_RUNS_DOWN] = "SELECT " FILTER_COLUMNS " FROM run WHERE number < ?1 "
			  "ORDER BY number DESC",
	[SQL_RUNS_UP_IN_STATE] =
		"SELECT " FILTER_COLUMNS ", " SIZE_COLUMN " FROM run INDEXED BY run_open "
		"WHERE state <> 3 AND state = ?1 AND number > ?2 AND number <= ?3 "
		"ORDER BY number",
	[SQL_RUNS_UP] = "SELECT " FILTER_COLUMNS ", " SIZE_COLUMN " FROM run "
			"WHERE number > ?2 AND number <= ?3 ORDER BY number",

	[SQL_HOOKS] = "SELECT name, paused, started FROM hook ORDER BY name",
	[SQL_HOOK_PAUSED] = "SELECT paused FROM hook WHERE name = ?1",
	[SQL_HOOK_PAUSE] = "INSERT INTO hook (name, paused, started) VALUES (?1, ?2, 0) "
			   "ON CONFLICT (name) DO UPDATE SET paused = excluded.paused",
	[SQL_HOOK_STARTED] =
		"INSERT INTO hook (name, paused, started) VALUES (?1, 0, ?2) "
		"ON CONFLICT (name) DO UPDATE SET started = excluded.started",

	[SQL_TOKEN_GET] = "SELECT source, id FROM token WHERE hash = ?1",
	[SQL_TOKEN_ADD] = "INSERT INTO token (hash, source, created) VALUES (?1, ?2, ?3)",
	[SQL_TOKEN_BIND] = "UPDATE token SET id = ?2 WHERE hash = ?1",
	[SQL_TOKEN_DROP] = "DELETE FROM token WHERE hash = ?1",
	[SQL_TOKENS_UP] = "SELECT hash, source, id, created FROM token WHERE hash > ?1 "
			  "ORDER BY hash LIMIT ?2",

	[SQL_CHANGE_ADD] =
		"INSERT INTO change (seq, time, job, run) VALUES (?1, ?2, ?3, ?4)",
	[SQL_CHANGES_UP] = "SELECT seq, time, job, run FROM change WHERE seq > ?1 "
			   "ORDER BY seq LIMIT ?2",
	[SQL_CHANGES_DROP] = "DELETE FROM change WHERE seq <= ?1",
};

int store_sql_prepare(struct store *s)
{
	for (int i = 0; i < STORE_SQL_MAX; i++) {
		int code = sqlite3_prepare_v3(s->db, texts[i], -1,
			SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL);
		if (code)
			return store_sql_error(s, code);
	}
	return 0;
}

void store_sql_finalize(struct store *s)
{
	for (int i = 0; i < STORE_SQL_MAX; i++) {
		sqlite3_finalize(s->statements[i]);
		s->statements[i] = NULL;
	}
}

int store_sql_error(struct store *s, int code)
{
	int system = sqlite3_system_errno(s->db);

	switch (code & 0xff) {
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_IOERR:
		if (sqlite3_extended_errcode(s->db) == SQLITE_IOERR_NOMEM)
			return -ENOMEM;
		/* A quota says EDQUOT for what is a full disk; only a write may say so. */
		if (sqlite3_extended_errcode(s->db) == SQLITE_IOERR_WRITE &&
			system == EDQUOT)
			return -ENOSPC;
		break;
	}
	snprintf(s->failure, sizeof(s->failure), "%s%s%s", sqlite3_errmsg(s->db),
		system ? ": " : "", system ? strerrordesc_np(system) : "");
	return -EIO;
}

int store_broken(struct store *s, const char *what)
{
	snprintf(s->failure, sizeof(s->failure), "the database is damaged: %s", what);
	return -EIO;
}

static int bind_all(struct store *s, sqlite3_stmt *statement,
	const struct store_arg *args, size_t n_args)
{
	for (size_t i = 0; i < n_args; i++) {
		const struct store_arg *a = &args[i];
		int code, place = (int)i + 1;
		if (a->type == STORE_ARG_INT)
			code = sqlite3_bind_int64(statement, place, a->number);
		else if (!a->bytes.data)
			code = sqlite3_bind_null(statement, place);
		else if (a->type == STORE_ARG_TEXT)
			code = sqlite3_bind_text64(statement, place, a->bytes.data,
				a->bytes.size, SQLITE_STATIC, SQLITE_UTF8);
		else
			code = sqlite3_bind_blob64(statement, place, a->bytes.data,
				a->bytes.size, SQLITE_STATIC);
		if (code)
			return store_sql_error(s, code);
	}
	return 0;
}

int store_sql_next(struct store *s, sqlite3_stmt *row)
{
	int code = sqlite3_step(row);

	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : store_sql_error(s, code);
}

int store_sql_row(struct store *s, enum store_sql which, sqlite3_stmt **ret,
	const struct store_arg *args, size_t n_args)
{
	sqlite3_stmt *statement = s->statements[which];
	int r = bind_all(s, statement, args, n_args);

	*ret = statement;
	return r ? r : store_sql_next(s, statement);
}

int store_sql_run(struct store *s, enum store_sql which, const struct store_arg *args,
	size_t n_args)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	int r = store_sql_row(s, which, &row, args, n_args);

	return r < 0 ? r : 0;
}

int store_sql_do(struct store *s, enum store_sql which)
{
	return store_sql_run(s, which, NULL, 0);
}

void store_sql_resetp(sqlite3_stmt **row)
{
	sqlite3_reset(*row); /* repeats the error of the step: it was looked at there */
}

struct bytes store_sql_peek(sqlite3_stmt *row, int column)
{
	if (sqlite3_column_type(row, column) == SQLITE_NULL)
		return BYTES_NONE;
	const char *data = sqlite3_column_blob(row, column);
	/* An empty one has no address there, and yet it is not "none". */
	return (struct bytes){
		data ? data : "", (size_t)sqlite3_column_bytes(row, column)};
}

struct bytes store_sql_bytes(sqlite3_stmt *row, int column, bool *failed)
{
	struct bytes b = store_sql_peek(row, column);

	if (!b.data)
		return b;
	char *copy = bytes_dup(b);
	if (!copy) {
		*failed = true;
		return BYTES_NONE;
	}
	return (struct bytes){copy, b.size};
}

char *store_sql_text(sqlite3_stmt *row, int column, bool *failed)
{
	return (char *)store_sql_bytes(row, column, failed).data;
}
