/*
 * The index of ids: wherever a job's id is, in memory, half way or in the database, it is found,
 * and found once; whatever a transaction did to it is undone with it. No writer: the test is it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "io/store_exec.h"
#include "io/store_private.h"
#include "io/store_schema.h"

#include <stdio.h>
#include <unistd.h>

static char directory[64];
static struct store *s;

static void open_store(void)
{
	char *error = NULL;

	s = calloc(1, sizeof(*s));
	assert_non_null(s);
	pthread_mutex_init(&s->mutex, NULL);
	s->directory_fd = s->lock_fd = s->wake_fd = -1;
	assert_int_equal(store_dir_open(s, directory, &error), 0);
	assert_int_equal(store_schema_open(s, &error), 0);
	s->next_job =
		1000000; /* of this life; those of the one before come from the rows */
	assert_int_equal(store_ids_load(s), 0);
	if (s->ids.n)
		s->next_job = s->ids.list[s->ids.n - 1].number + 1;
	else if (s->ids.merged_to > s->next_job)
		s->next_job = s->ids.merged_to;
}

/* Nothing is finished: as if it had been killed. */
static void close_store(void)
{
	store_sql_finalize(s);
	sqlite3_close(s->db);
	store_ids_free(&s->ids);
	store_dir_close(s);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/test-ids-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	open_store();
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	close_store();
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static void begin(void)
{
	assert_int_equal(store_begin(s, true), 0);
}

static void commit(void)
{
	assert_int_equal(store_commit(s), 0);
}

static uint64_t add(const char *source, const char *id)
{
	uint64_t number = s->next_job++;

	assert_int_equal(
		STORE_RUN(s, SQL_JOB_ADD, ARG_INT(number), ARG_TEXT(source), ARG_TEXT(id),
			ARG_TEXT(NULL), ARG_INT(2), ARG_INT(0), ARG_INT(1), ARG_INT(0),
			ARG_INT(0), ARG_INT(1), ARG_INT(0), ARG_INT(0), ARG_INT(0),
			ARG_TEXT(NULL), ARG_INT(-1), ARG_INT(0)),
		0);
	assert_int_equal(store_ids_add(s, id, number), 0);
	return number;
}

/* In no order, and each like no other. */
static const char *name_of(uint64_t i)
{
	static char name[32];

	snprintf(name, sizeof(name), "%08x-job", (unsigned)(i * 2654435761u));
	return name;
}

static void add_many(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		add("src", name_of(i));
}

static uint64_t find(const char *source, const char *id)
{
	struct store_found found;
	int r = store_find_job(s, source, id, NULL, &found);

	assert_in_range(r, 0, 1);
	return r ? found.number : 0;
}

static void expect_all(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (!find("src", name_of(i)))
			fail_msg("%s is lost", name_of(i));
	assert_int_equal(find("src", "never-was"), 0);
	assert_int_equal(find("other", name_of(from)), 0);
}

static int64_t number_of(const char *sql)
{
	sqlite3_stmt *row;

	assert_int_equal(sqlite3_prepare_v2(s->db, sql, -1, &row, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	return value;
}

#define INDEXED "SELECT count(*) FROM job_hash"

static void merge_step(void)
{
	begin();
	assert_int_equal(store_ids_merge_step(s), 0);
	commit();
}

static void merge_all(void)
{
	do
		merge_step();
	while (store_ids_merging(&s->ids));
}

static unsigned walk(const char *id)
{
	CLEANUP(store_ids_endp) struct store_ids_walk w = store_ids_find(s, id);
	uint64_t number;
	unsigned n = 0;

	while (store_ids_next(s, &w, &number) == 1)
		n++;
	return n;
}

static void test_found_at_each_step(void **state)
{
	(void)state;
	begin();
	add_many(0, 2000);
	expect_all(0, 2000); /* before the commit, too: two of one job in one batch */
	commit();
	for (int step = 0; step == 0 || store_ids_merging(&s->ids); step++) {
		merge_step();
		expect_all(0, 2000);
		for (uint64_t i = 0; i < 2000; i += 7)
			assert_int_equal(walk(name_of(i)), 1);
		assert_in_range(step, 0, 5);
	}
	assert_int_equal(s->ids.n, 0);
	assert_null(s->ids.list);
	assert_int_equal(number_of(INDEXED), 2000);
}

static void test_new_ones_while_it_merges(void **state)
{
	(void)state;
	begin();
	add_many(0, 1500);
	commit();
	merge_step();
	begin();
	add_many(1500, 3000);
	commit();
	while (store_ids_merging(&s->ids)) {
		merge_step();
		expect_all(0, 3000);
	}
	assert_int_equal(s->ids.n, 1500);
	merge_all();
	expect_all(0, 3000);
	assert_int_equal(number_of(INDEXED), 3000);
}

static void test_one_id_of_many_sources(void **state)
{
	char source[16];
	uint64_t numbers[40];

	(void)state;
	begin();
	for (int i = 0; i < 40; i++) {
		snprintf(source, sizeof(source), "s%d", i);
		numbers[i] = add(source, "same");
	}
	commit();
	for (int round = 0; round < 2; round++) {
		assert_int_equal(walk("same"), 40);
		for (int i = 0; i < 40; i++) {
			snprintf(source, sizeof(source), "s%d", i);
			assert_int_equal(find(source, "same"), numbers[i]);
		}
		merge_all();
	}
}

static void test_rolled_back(void **state)
{
	(void)state;
	begin();
	add_many(0, 1200);
	commit();
	merge_step();
	struct store_merge before = s->ids.merge;
	begin();
	add_many(1200, 5000); /* the table grows meanwhile */
	assert_int_equal(store_ids_merge_step(s), 0);
	assert_true(s->ids.merge.done > before.done);
	store_rollback(s);
	assert_int_equal(s->ids.n, 1200);
	assert_int_equal(s->ids.merge.done, before.done);
	expect_all(0, 1200);
	assert_int_equal(find("src", name_of(1200)), 0);
	/* The step that began a merge, and the one that ends it. */
	while (s->ids.merge.n - s->ids.merge.done > 500)
		merge_step();
	begin();
	assert_int_equal(store_ids_merge_step(s), 0);
	assert_int_equal(s->ids.merge.done, 1200);
	store_rollback(s);
	expect_all(0, 1200);
	merge_step();
	assert_int_equal(s->ids.n, 0);
	expect_all(0, 1200);
	begin();
	add_many(1200, 1230);
	assert_int_equal(store_ids_merge_step(s), 0);
	store_rollback(s);
	assert_false(store_ids_merging(&s->ids));
	assert_int_equal(s->ids.n, 0);
	expect_all(0, 1200);
	assert_int_equal(number_of(INDEXED), 1200);
	begin();
	add_many(1200, 1230);
	store_rollback(s);
	begin();
	add_many(1200, 1230);
	commit();
	for (uint64_t i = 1200; i < 1230; i++)
		assert_int_equal(walk(name_of(i)), 1);
}

static void test_killed_while_it_merges(void **state)
{
	(void)state;
	begin();
	add_many(0, 3000);
	commit();
	for (int life = 0; life < 3; life++) {
		merge_step();
		close_store();
		open_store();
		assert_int_equal(s->ids.n, 3000);
		expect_all(0, 3000);
		assert_int_equal(
			walk(name_of(1)), 1); /* what is there already is not looked at */
	}
	merge_all();
	close_store();
	open_store();
	assert_int_equal(s->ids.n, 0);
	expect_all(0, 3000);
	assert_int_equal(number_of(INDEXED), 3000);
}

static void test_gone(void **state)
{
	(void)state;
	begin();
	add_many(0, 2000);
	commit();
	merge_step(); /* a quarter is in */
	begin();
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(store_drop_job(s, find("src", name_of(i))), 0);
	commit();
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(find("src", name_of(i)), 0);
	expect_all(1000, 2000);
	merge_all();
	assert_int_equal(number_of(INDEXED), 1000); /* nothing of theirs remains */
	begin();
	for (uint64_t i = 1000; i < 2000; i++)
		assert_int_equal(store_drop_job(s, find("src", name_of(i))), 0);
	add_many(0, 10); /* they come again, as other jobs */
	commit();
	assert_int_equal(number_of(INDEXED), 0);
	expect_all(0, 10);
}

/* Two ids of one hash, and what points to nothing. */
static void test_each_is_compared_with_its_row(void **state)
{
	(void)state;
	begin();
	uint64_t number = add("src", "one");
	commit();
	merge_all();
	begin();
	assert_int_equal(
		STORE_RUN(s, SQL_ID_MERGE, ARG_INT(store_ids_find(s, "another").hash),
			ARG_INT(number)),
		0);
	commit();
	assert_int_equal(walk("another"), 1);
	assert_int_equal(find("src", "another"), 0);
	assert_int_equal(find("src", "one"), number);
}

/* Under load, beside what comes in: memory stays bounded, and it ends. */
static void test_beside_batches(void **state)
{
	const uint64_t many = 300000;
	size_t most = 0;
	unsigned begun = 0, ended = 0;

	(void)state;
	for (uint64_t i = 0; i < many; i += 100) {
		bool merging = store_ids_merging(&s->ids);
		begin();
		add_many(i, i + 100);
		assert_int_equal(store_ids_merge_beside(s, 100), 0);
		commit();
		begun += !merging && store_ids_merging(&s->ids);
		ended += merging && !store_ids_merging(&s->ids);
		most = s->ids.n > most ? s->ids.n : most;
	}
	assert_int_equal(begun, 2);
	assert_true(ended >= 1);
	assert_true(most < 200000);
	for (uint64_t i = 0; i < many; i += 101)
		assert_true(find("src", name_of(i)));
	assert_int_equal(
		s->ids.n + (size_t)number_of("SELECT value FROM meta WHERE key = "
					     "'merged_to'"),
		s->next_job);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_found_at_each_step),
		TEST(test_new_ones_while_it_merges),
		TEST(test_one_id_of_many_sources),
		TEST(test_rolled_back),
		TEST(test_killed_while_it_merges),
		TEST(test_gone),
		TEST(test_each_is_compared_with_its_row),
		TEST(test_beside_batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
