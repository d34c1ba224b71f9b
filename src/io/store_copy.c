/* Copies of stores; see store_copy.h. */
#include "io/store_copy.h"

#include "base/clock.h"
#include "base/text.h"
#include "io/store_private.h"
#include "io/store_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_FILE STORE_FILE ".restore"
/* More than a life can have given since the copy was made, and a thousand restores fit into
 * the 53 bits that every reader of JSON has for a number. */
#define NUMBERS_APART (1ull << 40)
#define NUMBERS_END   (1ull << 53)

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

static int database_problem(sqlite3 *db, const char *path, char **ret_error)
{
	switch (sqlite3_errcode(db)) {
	case SQLITE_NOMEM: return problem(ret_error, -ENOMEM, "out of memory");
	case SQLITE_FULL:
		return problem(ret_error, -ENOSPC, "%s: the disk is full", path);
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return problem(ret_error, -EACCES, "%s: %s", path, sqlite3_errmsg(db));
	}
	return problem(ret_error, -EBADMSG, "%s is damaged, or no store of callbackd: %s",
		path, sqlite3_errmsg(db));
}

/* The first value of the first row, as text; owned. */
static int ask(
	sqlite3 *db, const char *path, const char *text, char **ret, char **ret_error)
{
	sqlite3_stmt *row = NULL;
	bool failed = false;

	*ret = NULL;
	int code = sqlite3_prepare_v2(db, text, -1, &row, NULL);
	if (!code)
		code = sqlite3_step(row);
	if (code == SQLITE_ROW)
		*ret = store_sql_text(row, 0, &failed);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		database_problem(db, path, ret_error);
	sqlite3_finalize(row);
	if (*ret)
		return 0;
	if (!*ret_error)
		problem(ret_error, -EBADMSG, "%s is no store of callbackd", path);
	return -EBADMSG;
}

static int ask_number(
	sqlite3 *db, const char *path, const char *text, uint64_t *ret, char **ret_error)
{
	CLEANUP(freep) char *value = NULL;
	int r = ask(db, path, text, &value, ret_error);

	if (!r)
		*ret = strtoull(value, NULL, 10);
	return r;
}

/* What stands in it is ours to the letter: a trigger would run in the daemon, and a table
 * that lacks a column would stop its start. */
static int check_schema(sqlite3 *db, const char *path, int version, char **ret_error)
{
	static const char all[] =
		"SELECT ifnull(group_concat(sql, ';'), '') FROM (SELECT sql FROM "
		"sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' "
		"OR type NOT IN ('table', 'index') ORDER BY type, name)";
	CLEANUP(freep) char *have = NULL;
	CLEANUP(freep) char *want = NULL;
	sqlite3 *ours = NULL;
	int r = 0;

	if (sqlite3_open(":memory:", &ours) || store_ids_function(ours))
		r = problem(ret_error, -ENOMEM, "out of memory");
	for (int i = 0; !r && i < version; i++)
		if (sqlite3_exec(ours, store_schema_steps[i], NULL, NULL, NULL))
			r = database_problem(ours, path, ret_error);
	if (!r)
		r = ask(ours, path, all, &want, ret_error);
	if (!r)
		r = ask(db, path, all, &have, ret_error);
	if (!r && strcmp(have, want) != 0)
		r = problem(ret_error, -EBADMSG,
			"%s is no store of callbackd: its tables are not those of "
			"version %d",
			path, version);
	sqlite3_close(ours);
	return r;
}

/* Run ids are made of the name, and of numbers that have to go on from here. */
static int check_values(sqlite3 *db, const char *path, const char *name, char **ret_error)
{
	CLEANUP(freep)
	char *text = text_format(
		"SELECT count(*) FROM (SELECT max(number) AS n FROM job UNION ALL "
		"SELECT max(number) FROM run UNION ALL SELECT max(seq) FROM change "
		"UNION ALL SELECT value FROM meta WHERE key IN ('next_job', 'next_run', "
		"'next_change', 'merged_to')) WHERE n IS NOT NULL AND (typeof(n) <> "
		"'integer' OR "
		"n NOT BETWEEN 0 AND %llu)",
		NUMBERS_END - NUMBERS_APART);
	uint64_t wrong = 0;

	if (strlen(name) != STORE_NAME_SIZE - 1 ||
		strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz") != strlen(name))
		return problem(ret_error, -EBADMSG,
			"%s is no store of callbackd: it has no name", path);
	if (!text)
		return problem(ret_error, -ENOMEM, "out of memory");
	int r = ask_number(db, path, text, &wrong, ret_error);
	if (!r && wrong)
		r = problem(ret_error, -EBADMSG,
			"%s is damaged: its numbers are out of range", path);
	return r;
}

/* integrity_check knows nothing of it: every job that is to be found in job_hash is there. */
static int check_ids(sqlite3 *db, const char *path, char **ret_error)
{
	static const char text[] =
		"SELECT (SELECT count(*) FROM meta WHERE key = 'id_key' "
		"AND typeof(value) = 'blob' AND length(value) = 16) = 1 AND "
		"NOT EXISTS (SELECT 1 FROM job j WHERE number < "
		"(SELECT value FROM meta WHERE key = 'merged_to') AND NOT EXISTS "
		"(SELECT 1 FROM job_hash h WHERE h.number = j.number AND h.hash = "
		"id_hash("
		"(SELECT value FROM meta WHERE key = 'id_key'), j.id)))";
	uint64_t whole = 0;
	int r = ask_number(db, path, text, &whole, ret_error);

	if (!r && !whole)
		r = problem(ret_error, -EBADMSG,
			"%s is damaged: its index of ids is not whole", path);
	return r;
}

/* Whose it is, and that every page of it can be read and makes sense. */
static int check(
	sqlite3 *db, const char *path, struct store_copy_facts *ret, char **ret_error)
{
	CLEANUP(freep) char *name = NULL;
	CLEANUP(freep) char *verdict = NULL;
	uint64_t id = 0, version = 0;

	int r = ask_number(db, path, "PRAGMA application_id", &id, ret_error);
	if (!r)
		r = ask_number(db, path, "PRAGMA user_version", &version, ret_error);
	if (r)
		return r;
	if (id != STORE_APPLICATION_ID || version < 1)
		return problem(ret_error, -EBADMSG, "%s is no store of callbackd", path);
	if (version > (uint64_t)store_schema_newest)
		return problem(ret_error, -ENOTSUP,
			"%s was written by a newer callbackd (version %llu, this one "
			"knows %d)",
			path, (unsigned long long)version, store_schema_newest);
	ret->version = (int)version;
	r = ask(db, path, "PRAGMA integrity_check(1)", &verdict, ret_error);
	if (!r && strcmp(verdict, "ok") != 0)
		r = problem(ret_error, -EBADMSG, "%s is damaged: %s", path, verdict);
	if (!r)
		r = check_schema(db, path, ret->version, ret_error);
	if (!r)
		r = ask(db, path, "SELECT value FROM meta WHERE key = 'name'", &name,
			ret_error);
	if (!r)
		r = check_values(db, path, name, ret_error);
	if (!r && version >= STORE_SCHEMA_IDS)
		r = check_ids(db, path, ret_error);
	if (!r)
		snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (!r)
		r = ask_number(
			db, path, "SELECT count(*) FROM job", &ret->jobs, ret_error);
	if (!r)
		r = ask_number(
			db, path, "SELECT count(*) FROM run", &ret->runs, ret_error);
	return r;
}

/* Cut short at the end of a page it might still look whole: its head says how long it is. */
static int check_size(int fd, const char *path, uint64_t *ret_bytes, char **ret_error)
{
	unsigned char head[100];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return problem(ret_error, -errno, "%s: %s", path, strerror(errno));
	*ret_bytes = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || pread(fd, head, sizeof(head), 0) != sizeof(head) ||
		memcmp(head, "SQLite format 3", 16) != 0)
		return problem(ret_error, -EBADMSG, "%s is no store of callbackd", path);
	/* https://www.sqlite.org/fileformat.html, 1.3 */
	uint64_t page = (uint64_t)head[16] << 8 | head[17];
	uint64_t pages = (uint64_t)head[28] << 24 | (uint64_t)head[29] << 16 |
			 (uint64_t)head[30] << 8 | head[31];
	uint64_t want = pages * (page == 1 ? 65536 : page);
	if (*ret_bytes != want)
		return problem(ret_error, -EBADMSG, "%s is cut short: %llu of %llu bytes",
			path, (unsigned long long)*ret_bytes, (unsigned long long)want);
	return 0;
}

/* `immutable`: no lock, no log beside it, nothing is written. */
static int connect_to(const char *path, bool immutable, sqlite3 **ret, char **ret_error)
{
	struct text uri = TEXT_EMPTY;

	text_adds(&uri, "file:");
	for (const char *p = path; *p; p++) /* what would end a path in a URI */
		text_addf(&uri, strchr("%?#", *p) ? "%%%02x" : "%c", *p);
	text_adds(&uri, immutable ? "?immutable=1" : "");
	int code = uri.failed ? SQLITE_NOMEM
			      : sqlite3_open_v2(uri.data, ret,
					SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
						(immutable ? SQLITE_OPEN_READONLY
							   : SQLITE_OPEN_READWRITE),
					NULL);
	text_fini(&uri);
	if (code)
		return problem(ret_error, code == SQLITE_NOMEM ? -ENOMEM : -EACCES,
			"%s: %s", path, sqlite3_errstr(code));
	if (store_ids_function(*ret))
		return problem(ret_error, -ENOMEM, "out of memory");
	sqlite3_db_config(*ret, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(*ret, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return 0;
}

int store_copy_check(const char *path, struct store_copy_facts *ret, char **ret_error)
{
	sqlite3 *db = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would wait */

	*ret = (struct store_copy_facts){0};
	*ret_error = NULL;
	if (fd < 0)
		return problem(ret_error, -errno, "%s: %s", path, strerror(errno));
	int r = check_size(fd, path, &ret->bytes, ret_error);
	close(fd);
	if (!r)
		r = connect_to(path, true, &db, ret_error);
	if (!r)
		r = check(db, path, ret, ret_error);
	sqlite3_close(db);
	return r;
}

/* ---- Restoring ---- */

static int copy_bytes(int from, int to)
{
	char piece[65536];
	ssize_t n;

	while ((n = read(from, piece, sizeof(piece))) > 0)
		for (ssize_t at = 0, w; at < n; at += w)
			if ((w = write(to, piece + at, (size_t)(n - at))) < 0)
				return -errno;
	return n < 0 ? -errno : 0;
}

/* Of one that was cut short, its log most of all: SQLite would apply that to the next. */
static void clear(struct store *s)
{
	static const char *const files[] = {
		COPY_FILE "-journal", COPY_FILE "-wal", COPY_FILE "-shm", COPY_FILE};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (unlinkat(s->directory_fd, files[i], 0) < 0 && errno != ENOENT)
			return; /* take_in() says so: the last is still there */
}

/* What root makes in the directory of another is to be that one's, a refusal included. */
static int give_away(struct store *s, int fd)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (fstat(s->directory_fd, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0)
		return -errno;
	return 0;
}

/* Its own copy of the file beside the store, with the owner of the directory. */
static int take_in(struct store *s, const char *path, char **ret_error)
{
	int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), to = -1;
	int r = from < 0 ? -errno : 0;

	clear(s);
	if (!r) {
		to = openat(s->directory_fd, COPY_FILE,
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		r = to < 0 ? -errno : copy_bytes(from, to);
	}
	if (!r)
		r = give_away(s, to);
	if (!r && fsync(to) < 0)
		r = -errno;
	if (to >= 0)
		close(to);
	if (from >= 0)
		close(from);
	return r ? problem(ret_error, r, "%s: %s", path, strerror(-r)) : 0;
}

/* Numbers go on far behind, and the log of a WAL database is not needed to open it. */
static int move_on(const char *path, struct store_copy_facts *ret, char **ret_error)
{
	static const char *const keys[][2] = {{"next_job", "SELECT max(number) FROM job"},
		{"next_run", "SELECT max(number) FROM run"},
		{"next_change", "SELECT max(seq) FROM change"}};
	struct text sql = TEXT_EMPTY;
	sqlite3 *db = NULL;

	int r = connect_to(path, false, &db, ret_error);
	if (!r)
		r = check(db, path, ret, ret_error);
	text_adds(&sql, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA; "
			"BEGIN IMMEDIATE;");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		text_addf(&sql,
			"INSERT OR REPLACE INTO meta VALUES ('%s', max("
			"ifnull((%s), 0), ifnull((SELECT value FROM meta WHERE key = "
			"'%s'), 0)) + %llu);",
			keys[i][0], keys[i][1], keys[i][0], NUMBERS_APART);
	text_adds(&sql, "COMMIT");
	if (!r && sql.failed)
		r = problem(ret_error, -ENOMEM, "out of memory");
	if (!r && sqlite3_exec(db, sql.data, NULL, NULL, NULL))
		r = database_problem(db, path, ret_error);
	text_fini(&sql);
	if (sqlite3_close(db) && !r)
		r = problem(ret_error, -EIO, "%s could not be closed", path);
	return r;
}

static int rename_in(struct store *s, const char *from, const char *to, bool must)
{
	if (renameat(s->directory_fd, from, s->directory_fd, to) == 0)
		return 0;
	return errno == ENOENT && !must ? 1 : -errno;
}

/* The database first: without its log it would be taken for an older state of itself. */
static int put_in_place(struct store *s, char **ret_aside, char **ret_error)
{
	char stamp[CLOCK_TEXT_SIZE], *end;
	CLEANUP(freep) char *aside = NULL;
	CLEANUP(freep) char *aside_log = NULL;
	CLEANUP(freep) char *aside_journal = NULL;

	clock_format(clock_wall_usec(), stamp);
	if ((end = strchr(stamp, 'Z')))
		*end = '\0';
	aside = text_format(STORE_FILE ".%s", stamp);
	aside_log = text_format(STORE_FILE ".%s-wal", stamp);
	aside_journal = text_format(STORE_FILE ".%s-journal", stamp);
	if (!aside || !aside_log || !aside_journal)
		return problem(ret_error, -ENOMEM, "out of memory");
	int kept = rename_in(s, STORE_FILE, aside, false);
	int r = kept < 0 ? kept : rename_in(s, STORE_FILE "-wal", aside_log, false);
	if (r >= 0) /* of a start that was cut short */
		r = rename_in(s, STORE_FILE "-journal", aside_journal, false);
	if (r >= 0)
		r = fsync(s->directory_fd) < 0 ? -errno : 0;
	if (r >= 0)
		r = rename_in(s, COPY_FILE, STORE_FILE, true);
	if (r >= 0)
		r = fsync(s->directory_fd) < 0 ? -errno : 0;
	if (r < 0)
		return problem(ret_error, r, "%s: %s", s->path, strerror(-r));
	*ret_aside = kept == 0 ? text_format("%s/%s", s->directory, aside) : NULL;
	return 0;
}

static int restore(struct store *s, const char *directory, const char *path,
	struct store_copy_facts *ret, char **ret_aside, char **ret_error)
{
	CLEANUP(freep) char *copy = text_format("%s/" COPY_FILE, directory);
	struct stat st;

	if (!copy)
		return problem(ret_error, -ENOMEM, "out of memory");
	if (stat(directory, &st) < 0)
		return problem(ret_error, -errno, "%s: %s", directory, strerror(errno));
	int r = store_dir_open(s, directory, ret_error);
	if (r) /* what stands there may be another restore's */
		return r;
	if ((r = give_away(s, s->lock_fd)) < 0)
		problem(ret_error, r, "%s: %s", directory, strerror(-r));
	if (!r)
		r = store_copy_check(path, ret, ret_error);
	if (!r)
		r = take_in(s, path, ret_error);
	if (!r)
		r = move_on(copy, ret, ret_error);
	if (!r)
		r = put_in_place(s, ret_aside, ret_error);
	clear(s);
	return r;
}

int store_copy_restore(const char *directory, const char *path,
	struct store_copy_facts *ret, char **ret_aside, char **ret_error)
{
	struct store *s = calloc(1, sizeof(*s));

	*ret_aside = *ret_error = NULL;
	if (!s)
		return problem(ret_error, -ENOMEM, "out of memory");
	s->directory_fd = s->lock_fd = -1;
	int r = restore(s, directory, path, ret, ret_aside, ret_error);
	store_dir_close(s);
	free(s);
	return r;
}
