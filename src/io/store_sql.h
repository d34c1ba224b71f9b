/*
 * All that the store asks its database, by name; the text of each question stands in
 * store_sql.c. Prepared once at open. For the files of the store alone, on its writer
 * thread (or in store_open() before there is one).
 *
 *	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
 *	int r = STORE_ROW(s, SQL_JOB_FIND, &row, ARG_TEXT(id), ARG_TEXT(source));
 *
 * Results of all of them: 0 (1 where a row came), -ENOSPC and -ENOMEM (the transaction is
 * to be rolled back), -EIO (final; s->failure says why). Arguments are borrowed until the
 * statement is reset.
 */
#ifndef IO_STORE_SQL_H
#define IO_STORE_SQL_H

#include "base/bytes.h"

#include <sqlite3.h>
#include <stdint.h>

struct store;

enum store_sql {
	SQL_BEGIN,
	SQL_BEGIN_WRITE,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_PROBE,
	SQL_META_GET,
	SQL_META_SET,
	SQL_LAST_NUMBERS,
	SQL_COUNT_JOBS,
	SQL_COUNT_RUNS,

	SQL_JOB_FIND,
	SQL_IDS_OF,
	SQL_IDS_FROM,
	SQL_ID_MERGE,
	SQL_ID_DROP,
	SQL_JOB_ADD,
	SQL_JOB_MOVE,
	SQL_JOB_NOTE,
	SQL_JOB_REPEAT,
	SQL_JOB_EXPECT,
	SQL_JOB_ASKED,
	SQL_JOB_GET,
	SQL_JOB_SOURCE,
	SQL_JOB_DROP,
	SQL_JOB_IS,
	SQL_JOBS_DOWN,
	SQL_JOBS_UP,
	SQL_JOBS_DUE,
	SQL_JOBS_NEXT_DUE,
	SQL_JOBS_SINCE,
	SQL_JOBS_MEND,

	SQL_CALLBACK_ADD,
	SQL_CALLBACK_GET,
	SQL_CALLBACK_DELIVERY,
	SQL_CALLBACK_HELD,
	SQL_CALLBACK_DROP,
	SQL_CALLBACKS_OF_JOB,

	SQL_RUN_ADD,
	SQL_RUN_GET,
	SQL_RUN_LETTER,
	SQL_RUN_REPLAYED,
	SQL_RUN_DISCARD,
	SQL_RUN_OUTPUT,
	SQL_RUN_STATE,
	SQL_RUN_CLAIM,
	SQL_RUN_SETTLE,
	SQL_RUN_FOR_WORD,
	SQL_RUN_FOR_OUTCOME,
	SQL_RUN_DROP,
	SQL_RUNS_DUE,
	SQL_RUNS_BEYOND,
	SQL_RUNS_FIRST_DUE,
	SQL_RUNS_NEXT_SOURCE,
	SQL_RUNS_NEXT_HOOK,
	SQL_RUNS_OF_HOOK,
	SQL_RUNS_BEHIND,
	SQL_RUNS_BEHIND_IN_JOB,
	SQL_RUNS_NEXT_BEHIND,
	SQL_RUN_BEHIND,
	SQL_RUN_ELDER,
	SQL_RUNS_IN_STATE,
	SQL_RUNS_OF_JOB,
	SQL_RUNS_SIZES,
	SQL_RUNS_DOWN,
	SQL_RUNS_UP_IN_STATE,
	SQL_RUNS_UP,

	SQL_HOOKS,
	SQL_HOOK_PAUSED,
	SQL_HOOK_PAUSE,
	SQL_HOOK_STARTED,

	SQL_TOKEN_GET,
	SQL_TOKEN_ADD,
	SQL_TOKEN_BIND,
	SQL_TOKEN_DROP,
	SQL_TOKENS_UP,

	SQL_CHANGE_ADD,
	SQL_CHANGES_UP,
	SQL_CHANGES_DROP,
	STORE_SQL_MAX,
};

struct store_arg {
	enum { STORE_ARG_INT, STORE_ARG_TEXT, STORE_ARG_BLOB } type;
	int64_t number;
	struct bytes bytes; /* .data NULL is NULL */
};

#define ARG_INT(value) \
	((struct store_arg){.type = STORE_ARG_INT, .number = (int64_t)(value)})
#define ARG_TEXT(value) \
	((struct store_arg){.type = STORE_ARG_TEXT, .bytes = bytes_of(value)})
#define ARG_BLOB(value) ((struct store_arg){.type = STORE_ARG_BLOB, .bytes = (value)})

#define STORE_ARGS(...)                                           \
	(const struct store_arg[]){__VA_ARGS__},                  \
		sizeof((const struct store_arg[]){__VA_ARGS__}) / \
			sizeof(struct store_arg)
/* Carries a statement out that gives no rows. */
#define STORE_RUN(s, which, ...) store_sql_run((s), (which), STORE_ARGS(__VA_ARGS__))
/* Puts the first row of it into *ret: 1, or 0 when there is none. */
#define STORE_ROW(s, which, ret, ...) \
	store_sql_row((s), (which), (ret), STORE_ARGS(__VA_ARGS__))

int store_sql_prepare(struct store *s) MUST_CHECK;
void store_sql_finalize(struct store *s);
int store_sql_do(struct store *s, enum store_sql which) MUST_CHECK; /* no arguments */
int store_sql_run(struct store *s, enum store_sql which, const struct store_arg *args,
	size_t n_args) MUST_CHECK;
int store_sql_row(struct store *s, enum store_sql which, sqlite3_stmt **ret,
	const struct store_arg *args, size_t n_args) MUST_CHECK;
/* The next row of it: 1 or 0. */
int store_sql_next(struct store *s, sqlite3_stmt *row) MUST_CHECK;
void store_sql_resetp(sqlite3_stmt **row);
/* What a result code of the database means to us; keeps the words for it. */
int store_sql_error(struct store *s, int code);
/* The rows contradict each other, which only damage explains: -EIO. */
int store_broken(struct store *s, const char *what);

/* Columns. NULL, and *failed when memory is short; text and bytes are the caller's. */
char *store_sql_text(sqlite3_stmt *row, int column, bool *failed);
struct bytes store_sql_bytes(sqlite3_stmt *row, int column, bool *failed);
static inline uint64_t store_sql_number(sqlite3_stmt *row, int column)
{
	return (uint64_t)sqlite3_column_int64(row, column);
}
/* Borrowed until the next step. NULL is BYTES_NONE. */
struct bytes store_sql_peek(sqlite3_stmt *row, int column);

#endif
