/* The store: pages and cursors, changes, retention. */
#include "store_help.h"

#include <fcntl.h>
#include <sys/stat.h>

static void put(
	const char *source, const char *id, enum outcome outcome, const char *hook)
{
	struct store_wish wish = {.hook = hook};
	struct store_put p = new_put(id, "word", outcome);

	p.source = source;
	p.wishes = &wish;
	p.n_wishes = hook != NULL;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
}

static void test_job_pages(void **state)
{
	enum { N = 25 };
	char id[16];
	unsigned seen = 0, pages = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "job-%u", i);
		put(i % 5 ? "src" : "other", id, i % 2 ? OUTCOME_SUCCESS : OUTCOME_ERROR,
			NULL);
	}
	struct store_list_jobs list = {.limit = 4};
	do {
		assert_int_equal(run(&list.op, STORE_LIST_JOBS), 0);
		assert_true(list.n_jobs <= 4);
		for (size_t i = 0; i < list.n_jobs; i++, seen++) {
			snprintf(id, sizeof(id), "job-%u", N - 1 - seen);
			assert_string_equal(list.jobs[i].id, id);
			assert_true(list.jobs[i].has_payload);
			assert_null(list.jobs[i].payload.data);
			assert_null(list.jobs[i].runs);
		}
		list.after = list.next;
		store_op_fini(&list.op);
		pages++;
	} while (list.next);
	assert_int_equal(seen, N);
	assert_true(pages >= 7);

	list = (struct store_list_jobs){
		.limit = 1000, .source = "other", .outcome = OUTCOME_ERROR};
	assert_int_equal(run(&list.op, STORE_LIST_JOBS), 0);
	assert_int_equal(list.n_jobs, 3); /* 0, 10, 20 */
	assert_int_equal(list.next, 0);
	int64_t newest = list.jobs[0].updated_usec;
	store_op_fini(&list.op);
	list = (struct store_list_jobs){.limit = 1000, .since_usec = newest};
	assert_int_equal(run(&list.op, STORE_LIST_JOBS), 0);
	assert_in_range(list.n_jobs, 1, 5);
	store_op_fini(&list.op);
}

static void test_run_pages(void **state)
{
	char id[16];
	uint64_t last = 0;
	unsigned seen = 0;

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		snprintf(id, sizeof(id), "job-%u", i);
		uint64_t number = put_run(id, i % 2 ? "odd" : "even", i < 6);
		struct store_settle s = {.run = number,
			.attempt = 1,
			.state = i < 3 ? RUN_DONE : RUN_DEAD};
		assert_int_equal(run(&s.op, STORE_SETTLE), i < 6 ? 0 : -ENOENT);
	}
	const struct {
		enum runstate state;
		const char *hook;
		unsigned n;
	} want[] = {
		{RUN_NONE, NULL, 12},
		{RUN_DONE, NULL, 3},
		{RUN_DEAD, NULL, 3},
		{RUN_WAITING, NULL, 6},
		{RUN_RUNNING, NULL, 0},
		{RUN_WAITING, "odd", 3},
		{RUN_NONE, "even", 6},
		{RUN_DONE, "even", 2},
		{RUN_NONE, "none", 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		struct store_list_runs list = {
			.filter = {.state = want[i].state, .hook = want[i].hook},
			.limit = 2};
		seen = 0;
		last = UINT64_MAX;
		do {
			assert_int_equal(run(&list.op, STORE_LIST_RUNS), 0);
			for (size_t k = 0; k < list.n_runs; k++, seen++) {
				assert_true(list.runs[k].number < last);
				last = list.runs[k].number;
				if (want[i].state)
					assert_int_equal(
						list.runs[k].state, want[i].state);
			}
			list.after = list.next;
			store_op_fini(&list.op);
		} while (list.next);
		assert_int_equal(seen, want[i].n);
	}
}

static void test_job_with_runs(void **state)
{
	struct store_get_job get;
	uint64_t first = put_run("job", "hook", true);
	struct store_settle s = {.run = first,
		.attempt = 1,
		.state = RUN_DONE,
		.stdout_tail = TEXT("out")};
	struct store_replay replay = {.run = run_id(first)};

	(void)state;
	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	assert_int_equal(run(&replay.op, STORE_REPLAY), 0);
	struct store_job *job = get_job(&get, "job");
	assert_int_equal(job->n_runs, 2);
	assert_int_equal(job->runs[0].number, first);
	assert_true(bytes_equal(job->runs[0].stdout_tail, TEXT("out")));
	assert_int_equal(job->runs[1].replay_of, first);
	store_op_fini(&get.op);
}

/* A question that finds nothing in many rows comes back early, with a cursor. */
static void test_short_pages(void **state)
{
	enum { ROUND = 2000, N = 20 * ROUND };
	static struct store_put puts[ROUND];
	static char ids[ROUND][16];
	bool done = false;
	unsigned pages = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct store_put *p = &puts[i % ROUND];
		snprintf(ids[i % ROUND], sizeof(ids[0]), "job-%u", i);
		*p = new_put(ids[i % ROUND], "OK", OUTCOME_SUCCESS);
		p->op.kind = STORE_PUT;
		p->op.on_done = on_done;
		p->op.arg = &done;
		assert_int_equal(store_submit(fix.store, &p->op), 0);
		if (i % ROUND == ROUND - 1) {
			struct store_ping ping = {.op = {.result = 0}};
			assert_int_equal(run(&ping.op, STORE_PING), 0);
		}
	}
	struct store_list_jobs list = {.outcome = OUTCOME_ERROR, .limit = 1000};
	do {
		uint64_t began = clock_mono_usec();
		assert_int_equal(run(&list.op, STORE_LIST_JOBS), 0);
		assert_true(clock_mono_usec() - began < 500 * USEC_PER_MSEC);
		assert_int_equal(list.n_jobs, 0);
		assert_true(!list.next || !list.after || list.next < list.after);
		list.after = list.next;
		store_op_fini(&list.op);
		pages++;
	} while (list.next);
	assert_in_range(pages, 2, N / 16 + 1);
}

/* ---- Changes ---- */

static struct {
	unsigned calls, jobs, runs;
	uint64_t last;
	bool answered;
} seen;

static void on_changes(void *arg, const struct store_change *changes, size_t n)
{
	(void)arg;
	seen.calls++;
	for (size_t i = 0; i < n; i++) {
		assert_true(changes[i].seq > seen.last);
		seen.last = changes[i].seq;
		assert_string_equal(changes[i].job.id, "job");
		assert_null(changes[i].job.payload.data);
		if (changes[i].is_run) {
			seen.runs++;
			assert_string_equal(changes[i].run.hook, "hook");
		} else {
			seen.jobs++;
		}
	}
	assert_false(seen.answered); /* before the on_done of the operation */
}

static void on_answer(struct store_op *op)
{
	(void)op;
	seen.answered = true;
}

static void test_live_changes(void **state)
{
	struct store_wish wish = {.hook = "hook"};
	struct store_put p = new_put("job", "OK", OUTCOME_SUCCESS);

	(void)state;
	fix.options.on_changes = on_changes;
	reopen();
	memset(&seen, 0, sizeof(seen));
	put("src", "unseen", OUTCOME_SUCCESS, NULL);
	assert_int_equal(seen.calls, 0);
	store_watch(fix.store, true);
	p.wishes = &wish;
	p.n_wishes = 1;
	p.op.kind = STORE_PUT;
	p.op.on_done = on_answer;
	assert_int_equal(store_submit(fix.store, &p.op), 0);
	while (!seen.answered)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.jobs, 1);
	assert_int_equal(seen.runs, 1);
	seen.answered = false;
	put("src", "job", OUTCOME_SUCCESS, NULL); /* a repeat: no change */
	struct store_claim c = {.hook = "hook", .limit = 1, .now_usec = INT64_MAX};
	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	store_op_fini(&c.op);
	assert_int_equal(seen.jobs, 1);
	assert_int_equal(seen.runs, 2);
	store_watch(fix.store, false);
	struct store_settle s = {.run = wish.run, .attempt = 1, .state = RUN_DONE};
	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	assert_int_equal(seen.runs, 2);

	struct store_list_changes list = {.after = seen.last, .limit = 100};
	assert_int_equal(run(&list.op, STORE_LIST_CHANGES), 0);
	assert_int_equal(list.n_changes, 1);
	assert_int_equal(list.last, seen.last + 1);
	assert_true(list.changes[0].is_run);
	assert_int_equal(list.changes[0].run.state, RUN_DONE);
	store_op_fini(&list.op);
}

static void test_list_changes(void **state)
{
	struct store_forget forget = {.source = "src", .id = "b"};
	struct store_list_changes list = {.after = UINT64_MAX, .limit = 10};

	(void)state;
	assert_int_equal(run(&list.op, STORE_LIST_CHANGES), 0);
	assert_int_equal(list.last, 0);
	put("src", "a", OUTCOME_SUCCESS, NULL);
	put("src", "b", OUTCOME_SUCCESS, NULL);
	put("src", "c", OUTCOME_SUCCESS, NULL);
	assert_int_equal(run(&forget.op, STORE_FORGET), 0);
	list = (struct store_list_changes){.limit = 1};
	assert_int_equal(run(&list.op, STORE_LIST_CHANGES), 0);
	assert_int_equal(list.n_changes, 1);
	assert_string_equal(list.changes[0].job.id, "a");
	assert_int_equal(list.last, 3);
	assert_int_equal(list.first, 1);
	assert_int_equal(store_counts(fix.store).seq, 3);
	list.after = list.changes[0].seq;
	store_op_fini(&list.op);
	assert_int_equal(run(&list.op, STORE_LIST_CHANGES), 0);
	assert_int_equal(list.n_changes, 1);
	assert_string_equal(list.changes[0].job.id, "c");
	store_op_fini(&list.op);
	reopen();
	put("src", "d", OUTCOME_SUCCESS, NULL);
	list.after = UINT64_MAX;
	assert_int_equal(run(&list.op, STORE_LIST_CHANGES), 0);
	assert_int_equal(list.n_changes, 0);
	assert_int_equal(list.last, 4);
}

/* ---- Retention ---- */

static int64_t frozen_wall;
static uint64_t frozen_mono;

/* A moment goes by, for the writer and for its clock. */
static void let_pass(void)
{
	struct store_ping ping = {.op = {.result = 0}};

	assert_int_equal(run(&ping.op, STORE_PING), 0);
	usleep(1000);
	frozen_mono += 100 * USEC_PER_MSEC;
	clock_freeze(frozen_wall, frozen_mono);
}

static void wait_for_jobs(uint64_t n)
{
	for (int i = 0; i < 2000 && store_counts(fix.store).jobs != n; i++)
		let_pass();
	assert_int_equal(store_counts(fix.store).jobs, n);
}

/* Closes, puts the clock so many days after `start`, opens. */
static void reopen_at(int64_t start, int days)
{
	close_store();
	frozen_wall = start + DAYS(days);
	frozen_mono = USEC_PER_SEC;
	clock_freeze(frozen_wall, frozen_mono);
	reopen();
}

static void test_retention(void **state)
{
	int64_t start = clock_wall_usec();
	struct store_expect e = {.source = "src", .id = "expected"};
	struct store_get_job get;
	char id[16];

	(void)state;
	reopen_at(start, 0);
	for (unsigned i = 0; i < 700; i++) { /* more than one step */
		snprintf(id, sizeof(id), "job-%u", i);
		put("src", id, i % 2 ? OUTCOME_SUCCESS : OUTCOME_LOST, NULL);
	}
	uint64_t waiting = put_run("waiting", "hook", false);
	uint64_t ran = put_run("ran", "hook", true);
	put("src", "pending", OUTCOME_PENDING, NULL);
	assert_int_equal(run(&e.op, STORE_EXPECT), 0);
	static const unsigned char hash[32] = "old";
	struct store_mint m = {.token_hash = hash, .source = "src", .now_usec = start};
	assert_int_equal(run(&m.op, STORE_MINT), 0);
	reopen_at(start, 29);
	wait_for_jobs(704);
	struct store_settle s = {.run = ran, .attempt = 1, .state = RUN_WAITING};
	assert_int_equal(run(&s.op, STORE_SETTLE), -ENOENT); /* it was recovered */
	struct store_claim c = {.hook = "hook", .limit = 9, .now_usec = INT64_MAX};
	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	assert_int_equal(c.n_runs, 2);
	store_op_fini(&c.op);
	s = (struct store_settle){.run = ran,
		.attempt = 2,
		.state = RUN_DEAD,
		.finished_usec = clock_wall_usec()};
	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	assert_int_equal(store_counts(fix.store).dead, 1);
	put("src", "young", OUTCOME_SUCCESS, NULL);

	/* What waits, what is not terminal, and what had a run lately stays. */
	reopen_at(start, 31);
	wait_for_jobs(5);
	store_op_fini((get_job(&get, "waiting"), &get.op));
	store_op_fini((get_job(&get, "ran"), &get.op));
	store_op_fini((get_job(&get, "young"), &get.op));
	store_op_fini((get_job(&get, "pending"), &get.op));
	store_op_fini((get_job(&get, "expected"), &get.op));
	assert_int_equal(store_counts(fix.store).pending, 2);

	reopen_at(start, 60);
	wait_for_jobs(3);
	assert_int_equal(store_counts(fix.store).dead, 0);
	/* Numbers go on, and so do changes; the token is no longer one. */
	uint64_t number = put_run("job-1", "hook", false);
	assert_true(number > ran && number > waiting);
	for (int i = 0; i < 2000 && run(&m.op, STORE_MINT) != 0; i++)
		let_pass(); /* tokens go after the jobs */
	assert_int_equal(m.op.result, 0);
	struct store_list_changes list = {.limit = 1000};
	assert_int_equal(run(&list.op, STORE_LIST_CHANGES), 0);
	assert_true(list.last > 705);
	assert_in_range(list.n_changes, 2, 10);
	assert_in_range(list.first, 2, list.changes[0].seq);
	store_op_fini(&list.op);
}

static bool is_there(const char *id)
{
	struct store_get_job get = {.source = "src", .id = id};
	int r = run(&get.op, STORE_GET_JOB);

	store_op_fini(&get.op);
	return r == 0;
}

/* Under load what is old goes with what is new, two with each alone, in the same commit. */
static void test_old_goes_with_new(void **state)
{
	enum { OLD = 900, NEW = 40 };
	int64_t start = clock_wall_usec();
	char id[16];

	(void)state;
	reopen_at(start, 0);
	for (unsigned i = 0; i < OLD; i++) {
		snprintf(id, sizeof(id), "job-%u", i);
		put("src", id, OUTCOME_SUCCESS, NULL);
	}
	frozen_wall = start + DAYS(31);
	clock_freeze(frozen_wall, frozen_mono);
	store_set_limits(fix.store, DAYS(30), 0);
	while (store_counts(fix.store).jobs == OLD)
		let_pass();
	/* The clock stands, and a step was taken behind the first of these: none is due. */
	assert_true(is_there("job-899"));
	assert_true(is_there("job-899"));
	uint64_t jobs = store_counts(fix.store).jobs;
	uint64_t commits = store_counts(fix.store).commits;
	assert_in_range(jobs, 2 * NEW, OLD - 1);
	for (unsigned i = 0; i < NEW; i++) {
		snprintf(id, sizeof(id), "new-%u", i);
		put("src", id, OUTCOME_SUCCESS, NULL);
	}
	assert_int_equal(store_counts(fix.store).jobs, jobs - NEW);
	assert_int_equal(store_counts(fix.store).commits, commits + NEW);
	assert_false(is_there("job-0"));
	for (unsigned i = 0; i < NEW; i++) {
		snprintf(id, sizeof(id), "new-%u", i);
		assert_true(is_there(id));
	}
}

/* All that is old goes, and yet no number comes again. */
static void test_changes_go_on(void **state)
{
	int64_t start = clock_wall_usec();
	struct store_list_changes list = {.after = UINT64_MAX, .limit = 1};

	(void)state;
	reopen_at(start, 0);
	put("src", "a", OUTCOME_SUCCESS, NULL);
	put("src", "b", OUTCOME_SUCCESS, NULL);
	reopen_at(start, 31);
	wait_for_jobs(0);
	for (int i = 0; i < 20; i++)
		let_pass(); /* changes go after the jobs */
	reopen_at(start, 31);
	assert_int_equal(run(&list.op, STORE_LIST_CHANGES), 0);
	assert_int_equal(list.last, 2);
	assert_int_equal(store_counts(fix.store).seq, 2);
	list.after = 0;
	assert_int_equal(run(&list.op, STORE_LIST_CHANGES), 0);
	assert_int_equal(list.first, 2); /* the newest stays */
	store_op_fini(&list.op);
}

/* The log is carried over and cut when it is quiet, free pages are given back. */
static void test_files_shrink(void **state)
{
	static char body[64 * 1024];
	int64_t start = clock_wall_usec();
	char id[16], path[128];
	struct stat st;

	(void)state;
	reopen_at(start, 0);
	memset(body, 'x', sizeof(body));
	for (unsigned i = 0; i < 400; i++) {
		struct store_put p = new_put(id, "OK", OUTCOME_SUCCESS);
		snprintf(id, sizeof(id), "job-%u", i);
		p.payload = (struct bytes){body, sizeof(body)};
		assert_int_equal(run(&p.op, STORE_PUT), 0);
	}
	uint64_t before = store_counts(fix.store).bytes;
	assert_true(before > 400 * sizeof(body));
	reopen_at(start, 31);
	wait_for_jobs(0);
	close_store(); /* what is given back is seen in the file after a checkpoint */
	clock_thaw();
	snprintf(path, sizeof(path), "%s/callbackd.db-wal", fix.directory);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 0);
	reopen();
	for (int i = 0; i < 300; i++) {
		usleep(10000);
		snprintf(path, sizeof(path), "%s/callbackd.db", fix.directory);
		if (stat(path, &st) == 0 && (uint64_t)st.st_size < 200 * sizeof(body))
			break;
	}
	assert_true((uint64_t)st.st_size < 200 * sizeof(body));
}

/* Without a quiet moment, too, the log does not grow for ever. */
static void test_log_is_capped(void **state)
{
	enum { N = 1800, WINDOW = 40 };
	static struct store_put puts[WINDOW];
	static char body[64 * 1024], ids[WINDOW][16];
	char path[128];
	struct stat st;
	bool done;

	(void)state;
	snprintf(path, sizeof(path), "%s/callbackd.db-wal", fix.directory);
	off_t most = 0;
	for (unsigned i = 0; i < N; i++) {
		struct store_put *p = &puts[i % WINDOW];
		snprintf(ids[i % WINDOW], sizeof(ids[0]), "job-%u", i);
		*p = new_put(ids[i % WINDOW], "OK", OUTCOME_SUCCESS);
		p->payload = (struct bytes){body, sizeof(body)};
		p->op.kind = STORE_PUT;
		p->op.on_done = on_done;
		p->op.arg = &done;
		if (i % WINDOW < WINDOW - 1) {
			assert_int_equal(store_submit(fix.store, &p->op), 0);
			continue;
		}
		assert_int_equal(run(&p->op, STORE_PUT), 0);
		assert_int_equal(stat(path, &st), 0);
		if (st.st_size > most)
			most = st.st_size;
	}
	assert_in_range(most, 4 << 20, 16 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_job_pages),
		TEST(test_run_pages),
		TEST(test_job_with_runs),
		TEST(test_short_pages),
		TEST(test_live_changes),
		TEST(test_list_changes),
		TEST(test_retention),
		TEST(test_old_goes_with_new),
		TEST(test_changes_go_on),
		TEST(test_files_shrink),
		TEST(test_log_is_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
