/* The store when memory is short: an operation is done or refused, never half of it. */
#include "store_help.h"

#include "fail_malloc.h"
#include "io/store_private.h"

/*
 * The writer begins with housework. If that is what finds no memory, the store rests, and a
 * put meets a full disk instead.
 */
static void wait_until_asleep(void)
{
	bool asleep = false;

	for (int i = 0; i < 3000 && !asleep; i++) {
		pthread_mutex_lock(&fix.store->mutex);
		asleep = fix.store->asleep;
		pthread_mutex_unlock(&fix.store->mutex);
		usleep(10000);
	}
	assert_true(asleep);
}

static void wait_until_healthy(void)
{
	for (int i = 0; i < 500 && !store_healthy(fix.store); i++)
		usleep(10000);
	assert_true(store_healthy(fix.store));
}

/* Everything that allocates for its answer, and what makes something. */
static void one_round(const char *id, long n)
{
	struct store_wish wish = {.hook = "hook"};
	struct store_put p = new_put(id, "OK", OUTCOME_SUCCESS);
	struct store_get_job get = {.source = "src", .id = id};
	struct store_list_jobs jobs = {.limit = 5};
	struct store_list_changes changes = {.limit = 5};
	struct store_list_runs runs = {.limit = 5};

	p.wishes = &wish;
	p.n_wishes = 1;
	fail_malloc_at(n);
	int r = run(&p.op, STORE_PUT);
	if (r != 0 && r != -ENOMEM)
		fail_msg("allocation %ld: put: %s: %s", n, strerror(-r), fix.what);
	assert_int_equal(wish.run != 0, r == 0);
	struct store_op *const ops[] = {&get.op, &jobs.op, &changes.op, &runs.op};
	const enum store_kind kinds[] = {
		STORE_GET_JOB, STORE_LIST_JOBS, STORE_LIST_CHANGES, STORE_LIST_RUNS};
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		int q = run(ops[i], kinds[i]);
		if (q != 0 && q != -ENOMEM && !(q == -ENOENT && r))
			fail_msg("allocation %ld: kind %d: %s: %s", n, (int)kinds[i],
				strerror(-q), fix.what);
		store_op_fini(ops[i]);
	}
	fail_malloc_end();
	wait_until_healthy();
	get = (struct store_get_job){.source = "src", .id = id};
	assert_int_equal(run(&get.op, STORE_GET_JOB), r ? -ENOENT : 0);
	if (!r)
		assert_int_equal(get.jobs[0].n_runs, 1);
	store_op_fini(&get.op);
}

static void test_nth_allocation(void **state)
{
	char id[16];

	(void)state;
	if (!fail_malloc_works()) {
		print_message("skipped: the sanitizer has its own malloc\n");
		return;
	}
	wait_until_asleep();
	for (long n = 1; n < 120; n += n < 20 ? 1 : 3) {
		snprintf(id, sizeof(id), "job-%ld", n);
		one_round(id, n);
	}
	reopen();
	assert_int_equal(fix.fatal, 0);
}

/* What has happened is told as soon as there is memory. */
static void test_claim_without_memory(void **state)
{
	struct store_claim claim = {.hook = "hook", .limit = 1, .now_usec = INT64_MAX};

	(void)state;
	if (!fail_malloc_works())
		return;
	wait_until_asleep();
	uint64_t number = put_run("job", "hook", false);
	fail_malloc_at(2);
	assert_int_equal(run(&claim.op, STORE_CLAIM), 0);
	assert_true(fail_malloc_end());
	assert_int_equal(claim.n_runs, 1);
	assert_int_equal(claim.runs[0].number, number);
	assert_int_equal(claim.runs[0].attempt, 1);
	store_op_fini(&claim.op);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_nth_allocation),
		TEST(test_claim_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
