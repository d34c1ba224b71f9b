/* STORE_BACKUP and what becomes of its file; see tests/daemon/test_backup.py for the rest. */
#include "store_help.h"

#include "io/store_copy.h"

static void put(unsigned n)
{
	char id[32];
	static char pad[4000];

	memset(pad, 'x', sizeof(pad));
	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "job%u", i);
		struct store_put p = new_put(id, "completed", OUTCOME_SUCCESS);
		p.payload = (struct bytes){pad, sizeof(pad)};
		assert_int_equal(run(&p.op, STORE_PUT), 0);
		store_op_fini(&p.op);
	}
}

static bool stands_there(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", fix.directory, name);
	return access(path, F_OK) == 0;
}

/* `more`: or one more. */
static void expect_jobs(int fd, uint64_t jobs, bool more)
{
	struct store_copy_facts facts;
	char path[128], *error = NULL;

	/* Its name is gone, but not the file. */
	snprintf(path, sizeof(path), "%s/../copy-%d", fix.directory, getpid());
	FILE *out = fopen(path, "w");
	char piece[4096];
	ssize_t n;
	off_t at = 0;
	while ((n = pread(fd, piece, sizeof(piece), at)) > 0) {
		fwrite(piece, 1, (size_t)n, out);
		at += n;
	}
	fclose(out);
	int r = store_copy_check(path, &facts, &error);
	unlink(path);
	if (r)
		fail_msg("%s", error);
	assert_in_range(facts.jobs, jobs, jobs + more);
	assert_string_equal(facts.name, store_name(fix.store));
}

static void test_a_copy(void **state)
{
	struct store_backup b = {0};

	(void)state;
	put(200);
	assert_int_equal(run(&b.op, STORE_BACKUP), 0);
	assert_true(b.made);
	assert_false(stands_there("callbackd.db.backup"));
	expect_jobs(b.fd, 200, false);
	int fd = b.fd;
	store_op_fini(&b.op);
	assert_int_equal(pread(fd, &b, 1, 0), -1);
	assert_int_equal(errno, EBADF);
}

/* A put between the steps: the copy is of one moment all the same. */
static void test_among_others(void **state)
{
	bool done = false;
	struct store_backup b = {.op = {STORE_BACKUP, 0, on_done, &done, NULL, 0}};
	struct store_put p = new_put("meanwhile", "completed", OUTCOME_SUCCESS);

	(void)state;
	put(600); /* several steps */
	assert_int_equal(store_submit(fix.store, &b.op), 0);
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	while (!done)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_int_equal(b.op.result, 0);
	expect_jobs(b.fd, 600, true);
	store_op_fini(&b.op);
	store_op_fini(&p.op);
}

static void test_cancelled(void **state)
{
	struct store_backup b = {.cancelled = true};

	(void)state;
	put(10);
	assert_int_equal(run(&b.op, STORE_BACKUP), -ECANCELED);
	assert_false(b.made);
	assert_false(stands_there("callbackd.db.backup"));
}

static void test_closed_under_it(void **state)
{
	bool done[2] = {false, false};
	struct store_backup b[2] = {
		{.op = {STORE_BACKUP, 0, on_done, &done[0], NULL, 0}},
		{.op = {STORE_BACKUP, 0, on_done, &done[1], NULL, 0}},
	};

	(void)state;
	put(600);
	for (int i = 0; i < 2; i++)
		assert_int_equal(store_submit(fix.store, &b[i].op), 0);
	close_store();
	for (int i = 0; i < 2; i++) {
		assert_true(done[i]);
		/* The first may have been fast. */
		assert_true(b[i].op.result == -ECANCELED || i == 0);
		assert_int_equal(b[i].made, b[i].op.result == 0);
		store_op_fini(&b[i].op);
	}
	assert_false(stands_there("callbackd.db.backup"));
	reopen();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_copy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_among_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancelled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed_under_it, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
