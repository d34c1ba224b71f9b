/* Writes that are kept back: whatever is asked in between, the file reads as if they were not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/store_vfs.h"
#include "store_shim.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 1 << 20, LARGEST = 100000 };

static char directory[] = "/tmp/callbackd-vfs-XXXXXX";
static char path[64];

static struct {
	sqlite3_vfs *vfs;
	sqlite3_file *file;
} fix;

static int make_directory(void **state)
{
	(void)state;
	shim_install();
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/file", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void open_file(int flags)
{
	int got;

	assert_int_equal(fix.vfs->xOpen(fix.vfs, path, fix.file,
				 SQLITE_OPEN_READWRITE | flags, &got),
		SQLITE_OK);
}

static int set_up(void **state)
{
	(void)state;
	shim_reset();
	unlink(path);
	fix.vfs = sqlite3_vfs_find(store_vfs_name());
	if (!fix.vfs)
		return -1;
	fix.file = calloc(1, (size_t)fix.vfs->szOsFile);
	if (!fix.file)
		return -1;
	open_file(SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	shim_reset();
	fix.file->pMethods->xClose(fix.file);
	free(fix.file);
	return 0;
}

static int put(const void *data, int n, sqlite3_int64 at)
{
	return fix.file->pMethods->xWrite(fix.file, data, n, at);
}

static int get(void *data, int n, sqlite3_int64 at)
{
	return fix.file->pMethods->xRead(fix.file, data, n, at);
}

static int sync_file(void)
{
	return fix.file->pMethods->xSync(fix.file, SQLITE_SYNC_NORMAL);
}

static void test_any_order_reads_as_written(void **state)
{
	static char model[SIZE + LARGEST], data[LARGEST], back[LARGEST];
	sqlite3_int64 size = 0, next = 0, read_to = 0, seen;

	(void)state;
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		long what = random() % 100;
		int n = (int)(random() % (what % 7 ? 5000 : LARGEST)) + 1;
		sqlite3_int64 at = what % 3 ? next : random() % SIZE;
		if (at > SIZE)
			at = 0;
		if (what < 80) {
			memset(data, (int)random(), (size_t)n);
			assert_int_equal(put(data, n, at), SQLITE_OK);
			memcpy(model + at, data, (size_t)n);
			next = at + n;
			size = next > size ? next : size;
		} else if (what < 90 && size) {
			bool on = what < 87 && read_to < size;
			at = on ? read_to : random() % size;
			for (int more = on ? 8 : 1; more && at < size; more--) {
				n = n > size - at ? (int)(size - at) : n;
				assert_int_equal(get(back, n, at), SQLITE_OK);
				assert_memory_equal(back, model + at, n);
				read_to = at + n;
				at = read_to + (n % 2 ? 24 : 0);
			}
		} else if (what < 94) {
			assert_int_equal(fix.file->pMethods->xFileSize(fix.file, &seen),
				SQLITE_OK);
			assert_true(seen == size);
		} else if (what < 96) {
			sqlite3_int64 cut = size ? random() % size : 0;
			assert_int_equal(
				fix.file->pMethods->xTruncate(fix.file, cut), SQLITE_OK);
			memset(model + cut, 0, (size_t)(size - cut));
			size = cut;
		} else if (what < 98) {
			assert_int_equal(sync_file(), SQLITE_OK);
		} else {
			assert_int_equal(fix.file->pMethods->xClose(fix.file), SQLITE_OK);
			open_file(SQLITE_OPEN_MAIN_DB);
		}
	}
}

static void test_side_by_side_is_few_writes(void **state)
{
	char page[4096] = "";

	(void)state;
	for (int i = 0; i < 60; i++)
		assert_int_equal(
			put(page, sizeof(page), i * (int)sizeof(page)), SQLITE_OK);
	assert_int_equal(shim.writes, 1);
	assert_int_equal(sync_file(), SQLITE_OK);
	assert_int_equal(shim.writes, 2);
}

static void test_page_after_page_is_few_reads(void **state)
{
	char page[4096] = "", back[4096 + 1];

	(void)state;
	for (int i = 0; i < 60; i++) {
		memset(page, i, sizeof(page));
		assert_int_equal(
			put(page, sizeof(page), i * (int)sizeof(page)), SQLITE_OK);
	}
	int reads = shim.reads;
	for (int i = 0; i < 60; i++) {
		assert_int_equal(
			get(back, sizeof(page), i * (int)sizeof(page)), SQLITE_OK);
		assert_int_equal(back[0], i);
	}
	assert_in_range(shim.reads - reads, 1, 3);
	/* At the end the file says itself that there is no more. */
	assert_int_equal(
		get(back, sizeof(back), 59 * (int)sizeof(page)), SQLITE_IOERR_SHORT_READ);
}

/* The one that failed was ours: what was asked for is tried itself, and says how it went. */
static void test_what_cannot_be_read_ahead(void **state)
{
	static char text[2 * LARGEST];
	char back;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	assert_int_equal(put(text, LARGEST, 0), SQLITE_OK);
	assert_int_equal(put(text + LARGEST, LARGEST, LARGEST), SQLITE_OK);
	assert_int_equal(get(&back, 1, 0), SQLITE_OK); /* and what follows */
	assert_int_equal(get(&back, 1, 150000), SQLITE_OK);
	shim.reads_to_fail = 1;
	assert_int_equal(get(&back, 1, 150001), SQLITE_OK);
	assert_int_equal(back, text[150001]);
	assert_int_equal(shim.reads_to_fail, 0);
	assert_int_equal(get(&back, 1, 1), SQLITE_OK);
	assert_int_equal(back, 1);
	assert_int_equal(get(&back, 1, 150000), SQLITE_OK);
	shim.reads_to_fail = 2;
	assert_int_equal(get(&back, 1, 150001), SQLITE_IOERR_READ);
}

static void test_what_was_cut_off_is_not_read(void **state)
{
	char text[100] = "", back;

	(void)state;
	assert_int_equal(put(text, sizeof(text), 0), SQLITE_OK);
	assert_int_equal(get(&back, 1, 0), SQLITE_OK);
	assert_int_equal(fix.file->pMethods->xTruncate(fix.file, 10), SQLITE_OK);
	assert_int_equal(get(&back, 1, 10), SQLITE_IOERR_SHORT_READ);
}

/* The write said "kept"; the sync must not say "done". */
static void test_what_failed_is_told_and_forgotten(void **state)
{
	char back[8] = "";

	(void)state;
	assert_int_equal(put("before", 6, 0), SQLITE_OK);
	assert_int_equal(sync_file(), SQLITE_OK);
	shim.write_error = SQLITE_FULL;
	for (int way = 0; way < 3; way++) {
		assert_int_equal(put("behind", 6, 0), SQLITE_OK);
		shim.write_countdown = 1;
		int code = way == 0   ? sync_file()
			   : way == 1 ? put("x", 1, 100)
				      : get(back, 6, 0);
		assert_int_equal(code, SQLITE_FULL);
		shim.write_countdown = 0;
		assert_int_equal(sync_file(), SQLITE_OK);
		assert_int_equal(get(back, 6, 0), SQLITE_OK);
		assert_string_equal(back, "before");
	}
}

/* What a transaction writes is one piece, and whole for a reader that knows nothing of us. */
static void test_a_transaction(void **state)
{
	sqlite3 *db;
	sqlite3_stmt *count;

	(void)state;
	char name[80];
	snprintf(name, sizeof(name), "%s/db", directory);
	assert_int_equal(
		sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
			store_vfs_name()),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				 "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
				 "CREATE TABLE t (a)",
				 NULL, NULL, NULL),
		SQLITE_OK);
	int writes = shim.log_writes;
	assert_int_equal(
		sqlite3_exec(db,
			"INSERT INTO t SELECT randomblob(1000) FROM (WITH RECURSIVE "
			"n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 80) "
			"SELECT i FROM n)",
			NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(shim.log_writes, writes + 1);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(
		sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &count, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(count), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(count, 0), 80);
	sqlite3_finalize(count);
	sqlite3_close(db);
	unlink(name);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_any_order_reads_as_written),
		TEST(test_side_by_side_is_few_writes),
		TEST(test_page_after_page_is_few_reads),
		TEST(test_what_cannot_be_read_ahead),
		TEST(test_what_was_cut_off_is_not_read),
		TEST(test_what_failed_is_told_and_forgotten),
		TEST(test_a_transaction),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
