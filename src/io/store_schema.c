/*
 * How a database is made, opened and brought up to date; see store_schema.h.
 *
 * A new one is made whole under another name and renamed: whatever stands under the real
 * name was complete once, so that an empty or broken file there is damage and is never
 * taken for a new store. Every pragma that a promise rests on is read back.
 */
#include "io/store_schema.h"

#include "base/random.h"
#include "base/text.h"
#include "io/store_backup.h"
#include "io/store_private.h"
#include "io/store_vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define NEW_FILE STORE_FILE ".new"

/*
 * job.callback is the callback that the job's outcome came with, job.latest the newest
 * that was recorded. Outcomes, states and verdicts are the numbers of their enums. What
 * is long stands last, so that a scan does not read it. No row is found by a foreign key:
 * one writer makes and deletes them together.
 */
const char *const store_schema_steps[] = {
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('probe', 0);"

	"CREATE TABLE job (number INTEGER PRIMARY KEY, source TEXT NOT NULL, "
	"id TEXT NOT NULL, status TEXT, outcome INTEGER NOT NULL, "
	"received INTEGER NOT NULL, updated INTEGER NOT NULL, "
	"expected INTEGER NOT NULL, confirmed INTEGER NOT NULL, "
	"deliveries INTEGER NOT NULL, callback INTEGER NOT NULL, "
	"latest INTEGER NOT NULL, ask_at INTEGER NOT NULL, public_url TEXT, "
	"size_bytes INTEGER NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX job_key ON job (id, source);"
	"CREATE INDEX job_ask ON job (ask_at) WHERE outcome = 1;"

	"CREATE TABLE callback (number INTEGER PRIMARY KEY, job INTEGER NOT NULL, "
	"received INTEGER NOT NULL, kind INTEGER NOT NULL, outcome INTEGER NOT NULL, "
	"test INTEGER NOT NULL, status TEXT, delivery TEXT, fields TEXT, "
	"payload BLOB) STRICT;"
	"CREATE INDEX callback_job ON callback (job, delivery);"

	"CREATE TABLE run (number INTEGER PRIMARY KEY, job INTEGER NOT NULL, "
	"callback INTEGER NOT NULL, hook TEXT NOT NULL, state INTEGER NOT NULL, "
	"attempt INTEGER NOT NULL, due INTEGER NOT NULL, started INTEGER NOT NULL, "
	"finished INTEGER NOT NULL DEFAULT 0, exit_status INTEGER NOT NULL DEFAULT -1, "
	"signal INTEGER NOT NULL DEFAULT -1, truncated INTEGER NOT NULL DEFAULT 0, "
	"replay_of INTEGER NOT NULL, dead_of INTEGER NOT NULL, "
	"outcome INTEGER NOT NULL, status TEXT, reason TEXT, stdout BLOB, "
	"stderr BLOB) STRICT;"
	"CREATE INDEX run_job ON run (job);"
	"CREATE INDEX run_waiting ON run (hook, due) WHERE state = 1;"
	"CREATE INDEX run_open ON run (state) WHERE state <> 3;"

	"CREATE TABLE token (hash BLOB PRIMARY KEY, source TEXT NOT NULL, id TEXT, "
	"created INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

	"CREATE TABLE change (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, "
	"job INTEGER NOT NULL, run INTEGER NOT NULL) STRICT;",

	/* ask_from and ask_at are of the steady clock; the lane is enum store_lane. */
	"ALTER TABLE job ADD COLUMN ask_from INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN ask_tries INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN ask_error TEXT;"
	"UPDATE job SET ask_at = 0 WHERE outcome <> 1 AND ask_at > 0;"
	"UPDATE job SET ask_from = expected WHERE ask_at > 0;"
	"DROP INDEX job_ask;"
	"CREATE INDEX job_pending ON job (source) WHERE outcome = 1;"
	"CREATE INDEX job_ask ON job (source, (" STORE_LANE_SQL "), ask_at) "
	"WHERE ask_at > 0;"
	"CREATE INDEX job_ask_from ON job (source, ask_from) WHERE ask_at > 0;",
	/*
	 * A claim takes turns over the sources of a hook, so the queue is in their order; a
	 * run that stands behind another of its job (Serialize=yes) is out of it meanwhile.
	 * Of what is over no source is needed. hook.started is the last start, in the clock
	 * of due times, kept for those hooks alone whose pace depends on it.
	 */
	"ALTER TABLE run ADD COLUMN source TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE run ADD COLUMN behind INTEGER NOT NULL DEFAULT 0;"
	"UPDATE run INDEXED BY run_open SET source = "
	"(SELECT source FROM job WHERE job.number = run.job) WHERE state <> 3;"
	"DROP INDEX run_waiting;"
	"CREATE INDEX run_waiting ON run (hook, source, due) "
	"WHERE state = 1 AND behind = 0;"
	"CREATE INDEX run_behind ON run (hook, job) WHERE state = 1 AND behind = 1;"
	"CREATE TABLE hook (name TEXT PRIMARY KEY, paused INTEGER NOT NULL, "
	"started INTEGER NOT NULL) STRICT, WITHOUT ROWID;",

	/* Was this one replayed? */
	"CREATE INDEX run_replay ON run (replay_of) WHERE replay_of <> 0;",

	/* How many jobs there are below the number jobs_to; see store_keep_count(). */
	"INSERT INTO meta SELECT 'jobs', count(*) FROM job INDEXED BY job_key;"
	"INSERT INTO meta SELECT 'jobs_to', coalesce(max(number), 0) + 1 FROM job;",

	/*
	 * Jobs are found by a hash of their id, which takes a third of the room, and not at
	 * once; see store_ids.h. Two of one id and source there are none: the writer looks.
	 */
	"DROP INDEX job_key;"
	"CREATE TABLE job_hash (hash INTEGER NOT NULL, number INTEGER NOT NULL, "
	"PRIMARY KEY (hash, number)) STRICT, WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('id_key', randomblob(16));"
	"INSERT INTO job_hash SELECT id_hash((SELECT value FROM meta "
	"WHERE key = 'id_key'), id), number FROM job ORDER BY 1, 2;"
	"INSERT INTO meta SELECT 'merged_to', coalesce(max(number), 0) + 1 FROM job;",
};
const int store_schema_newest = ARRAY_SIZE(store_schema_steps);

static int problem(char **ret_error, int error, const char *format, ...)
	PRINTF_LIKE(3, 4);
static int problem(char **ret_error, int error, const char *format, ...)
{
	struct text t = TEXT_EMPTY;
	va_list ap;

	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	*ret_error = text_take(&t);
	return error;
}

/* What the database says, as an errno and in words. */
static int database_problem(struct store *s, const char *what, char **ret_error)
{
	int code = sqlite3_errcode(s->db);
	const char *why = sqlite3_errmsg(s->db);

	switch (code) {
	case SQLITE_BUSY:
		return problem(
			ret_error, -EBUSY, "%s is in use by another program", what);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_ERROR: /* a table that ought to be there is not */
		return problem(ret_error, -EBADMSG, "%s is damaged: %s", what, why);
	case SQLITE_NOMEM: return problem(ret_error, -ENOMEM, "%s: %s", what, why);
	case SQLITE_FULL: return problem(ret_error, -ENOSPC, "%s: %s", what, why);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN: return problem(ret_error, -EACCES, "%s: %s", what, why);
	}
	return problem(ret_error, -EIO, "%s: %s", what, why);
}

/* Runs a statement and compares the first value of its answer with `want`, where given. */
static int pragma(struct store *s, const char *text, const char *want, char **ret_error)
{
	CLEANUP(freep) char *got = NULL;
	sqlite3_stmt *statement;

	int code = sqlite3_prepare_v2(s->db, text, -1, &statement, NULL);
	if (!code) {
		bool failed = false;
		code = sqlite3_step(statement);
		if (code == SQLITE_ROW)
			got = store_sql_text(statement, 0, &failed);
		code = sqlite3_finalize(statement);
	}
	if (code)
		return database_problem(s, s->path, ret_error);
	if (want && (!got || strcmp(got, want) != 0))
		return problem(ret_error, -ENOTSUP, "%s: %s answered %s instead of %s",
			s->path, text, got ? got : "nothing", want);
	return 0;
}

static int pragmas(struct store *s, char **ret_error)
{
	static const struct {
		const char *text, *want;
	} list[] = {
		{"PRAGMA trusted_schema=OFF", NULL}, {"PRAGMA trusted_schema", "0"},
		{"PRAGMA mmap_size=0", NULL}, /* an I/O error must not be a SIGBUS */
		{"PRAGMA journal_mode=WAL", "wal"}, {"PRAGMA synchronous=FULL", NULL},
		{"PRAGMA synchronous", "2"}, {"PRAGMA locking_mode", "exclusive"},
		{"PRAGMA wal_autocheckpoint=0", "0"},
		{"PRAGMA journal_size_limit=100663296", "100663296"},
		{"PRAGMA auto_vacuum", "2"}, {"PRAGMA secure_delete=FAST", "2"},
		{"PRAGMA foreign_keys=OFF", NULL}, {"PRAGMA temp_store=MEMORY", NULL},
		{"PRAGMA cache_size=-32768", NULL}, /* KiB */
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		int r = pragma(s, list[i].text, list[i].want, ret_error);
		if (r)
			return r;
	}
	return 0;
}

static int read_int(struct store *s, const char *text, int *ret, char **ret_error)
{
	sqlite3_stmt *statement;

	int code = sqlite3_prepare_v2(s->db, text, -1, &statement, NULL);
	if (!code) {
		if (sqlite3_step(statement) == SQLITE_ROW)
			*ret = sqlite3_column_int(statement, 0);
		code = sqlite3_finalize(statement);
	}
	return code ? database_problem(s, s->path, ret_error) : 0;
}

static int migrate(struct store *s, int from, char **ret_error)
{
	for (int i = from; i < store_schema_newest; i++) {
		CLEANUP(freep)
		char *text = text_format("BEGIN IMMEDIATE; %s; "
					 "PRAGMA user_version=%d; COMMIT",
			store_schema_steps[i], i + 1);
		if (!text)
			return problem(ret_error, -ENOMEM, "out of memory");
		if (sqlite3_exec(s->db, text, NULL, NULL, NULL))
			return database_problem(s, s->path, ret_error);
	}
	return 0;
}

static int connect_to(struct store *s, const char *path, char **ret_error)
{
	/* Nobody asks how much memory the database takes: no lock for each allocation. It is
	 * refused where the library is in use already, and nothing depends on it. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	const char *vfs = store_vfs_name();
	if (!vfs)
		return problem(ret_error, -ENOMEM, "out of memory");
	/* One thread at a time: no mutexes of its own. The files exist: their mode (0600)
	 * is the one that the log gets, too. */
	if (sqlite3_open_v2(
		    path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs))
		return database_problem(s, path, ret_error);
	if (store_ids_function(s->db))
		return database_problem(s, path, ret_error);
	sqlite3_extended_result_codes(s->db, 0);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* Closing after an error must not write; what is to be carried over when we
	 * leave in order is carried over by store_close(). */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return 0;
}

/*
 * Of a new database. A commit of one callback writes the last page of each of ten trees, and
 * one that stands anywhere in the index of ids: smaller pages halve what goes to the disk.
 * Older stores have pages of 4096 bytes and keep them.
 */
#define NEW_PAGE_SQL "PRAGMA page_size=2048"

static int fill_new(struct store *s, char **ret_error)
{
	static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char name[STORE_NAME_SIZE] = "", text[192];

	for (size_t i = 0; i < sizeof(name) - 1; i++)
		name[i] = alphabet[random_below(sizeof(alphabet) - 1)];
	int r = pragma(s, NEW_PAGE_SQL, NULL, ret_error);
	if (!r)
		r = pragma(s, "PRAGMA auto_vacuum=INCREMENTAL", NULL, ret_error);
	if (!r)
		r = pragma(s, "PRAGMA synchronous=EXTRA", NULL, ret_error);
	if (!r)
		r = migrate(s, 0, ret_error);
	if (r)
		return r;
	snprintf(text, sizeof(text),
		"BEGIN IMMEDIATE; INSERT INTO meta VALUES ('name', '%s'); "
		"PRAGMA application_id=%d; COMMIT",
		name, STORE_APPLICATION_ID);
	if (sqlite3_exec(s->db, text, NULL, NULL, NULL))
		return database_problem(s, NEW_FILE, ret_error);
	return 0;
}

static int create(struct store *s, char **ret_error)
{
	CLEANUP(freep) char *path = text_format("%s.new", s->path);
	if (!path)
		return problem(ret_error, -ENOMEM, "out of memory");

	/* Of a start that was cut short; nothing was ever stored there. */
	unlinkat(s->directory_fd, NEW_FILE, 0);
	unlinkat(s->directory_fd, NEW_FILE "-journal", 0);
	int fd = openat(
		s->directory_fd, NEW_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return problem(ret_error, -errno, "%s: %s", path, strerror(errno));
	close(fd);
	int r = connect_to(s, path, ret_error);
	if (!r)
		r = fill_new(s, ret_error);
	sqlite3_close(s->db);
	s->db = NULL;
	if (r)
		return r;
	if (renameat(s->directory_fd, NEW_FILE, s->directory_fd, STORE_FILE) < 0 ||
		fsync(s->directory_fd) < 0)
		return problem(ret_error, -errno, "%s: %s", s->path, strerror(errno));
	return 0;
}

static int check_identity(struct store *s, int *ret_version, char **ret_error)
{
	int id = 0;

	int r = read_int(s, "PRAGMA application_id", &id, ret_error);
	if (!r)
		r = read_int(s, "PRAGMA user_version", ret_version, ret_error);
	if (r)
		return r;
	if (id != STORE_APPLICATION_ID || *ret_version < 1)
		return problem(ret_error, -EBADMSG,
			"%s is damaged, or no store of callbackd", s->path);
	if (*ret_version > store_schema_newest)
		return problem(ret_error, -ENOTSUP,
			"%s was written by a newer callbackd (version %d, this one knows "
			"%d)",
			s->path, *ret_version, store_schema_newest);
	return 0;
}

static int read_name(struct store *s, char **ret_error)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_META_GET, &row, ARG_TEXT("name"));
	if (r < 0)
		return database_problem(s, s->path, ret_error);
	struct bytes name = r ? store_sql_peek(row, 0) : BYTES_NONE;
	if (name.size != STORE_NAME_SIZE - 1)
		return problem(
			ret_error, -EBADMSG, "%s is damaged: it has no name", s->path);
	memcpy(s->name, name.data, name.size);
	return 0;
}

int store_schema_open(struct store *s, char **ret_error)
{
	int version = 0, page_bytes = 0;

	store_backup_clean(s);
	int r = store_dir_look(s, ret_error);
	if (r == 0)
		r = create(s, ret_error);
	if (r < 0)
		return r;
	r = connect_to(s, s->path, ret_error);
	/* Before the first look at the file: then the index of the log is in our own
	 * memory, and no second connection can come near (3.40.1 loses commits between
	 * two). Whose file it is comes before anything that would write to it. */
	if (!r)
		r = pragma(s, "PRAGMA locking_mode=EXCLUSIVE", "exclusive", ret_error);
	if (!r)
		r = check_identity(s, &version, ret_error);
	if (!r)
		r = pragmas(s, ret_error);
	if (!r)
		r = read_int(s, "PRAGMA page_size", &page_bytes, ret_error);
	s->page_bytes = (size_t)page_bytes;
	if (!r)
		r = migrate(s, version, ret_error);
	if (r)
		return r;
	if (store_sql_prepare(s))
		return database_problem(s, s->path, ret_error);
	r = read_name(s, ret_error);
	return r ? r : store_dir_mark(s, ret_error);
}
