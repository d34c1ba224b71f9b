/* What the store knows of asking: who is due, whose turn it is, what an answer comes to. */
#include "store_help.h"

#include "io/store_schema.h"

#include <sqlite3.h>

#define P OUTCOME_PENDING
#define S OUTCOME_SUCCESS
#define E OUTCOME_ERROR
#define L OUTCOME_LOST

#define SECOND (int64_t) USEC_PER_SEC

static int64_t now;

static int set_up_frozen(void **state)
{
	int r = set_up(state);

	now = clock_steady_usec();
	clock_freeze(clock_wall_usec(), clock_mono_usec());
	now = clock_steady_usec();
	return r;
}

static void expect_job(const char *id, int64_t at)
{
	struct store_expect e = {.source = "src",
		.id = id,
		.now_usec = clock_wall_usec(),
		.ask_at_usec = at};

	assert_int_equal(run(&e.op, STORE_EXPECT), 0);
}

static struct store_put hold(
	const char *id, const char *status, enum outcome outcome, const char *payload)
{
	struct store_put p = new_put(id, status, outcome);

	p.hold = true;
	p.payload = bytes_of(payload);
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	return p;
}

/* The source's own word, asked for again at `at` if that is not the end. */
static struct store_put answer_with(const char *id, const char *status,
	enum outcome outcome, int64_t at, unsigned tries)
{
	struct store_put p = new_put(id, status, outcome);

	p.confirmed = p.known = true;
	p.ask_at_usec = at;
	p.ask_tries = tries;
	p.payload = bytes_of(status);
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	return p;
}

static struct store_put lose(const char *id)
{
	struct store_put p = new_put(id, NULL, L);

	p.known = true;
	p.payload = BYTES_NONE;
	int r = run(&p.op, STORE_PUT);
	assert_true(r == 0 || r == -ENOENT);
	return p;
}

static int fail_question(const char *id, int64_t at, unsigned tries, const char *error)
{
	struct store_asked a = {.source = "src",
		.id = id,
		.error = error,
		.ask_at_usec = at,
		.tries = tries};

	return run(&a.op, STORE_ASKED);
}

/* The ids that are due, joined, at `at`. */
static const char *due(int64_t at, unsigned limit, int64_t want_next)
{
	static char ids[256];
	struct store_asks a = {.source = "src", .limit = limit, .now_usec = at};

	assert_int_equal(run(&a.op, STORE_ASKS), 0);
	ids[0] = '\0';
	for (size_t i = 0; i < a.n_questions; i++)
		snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%s%d:%s",
			i ? " " : "", (int)a.questions[i].lane, a.questions[i].id);
	assert_int_equal(a.next_due_usec, want_next);
	store_op_fini(&a.op);
	assert_int_equal(a.n_questions, 0);
	return ids;
}

static void expect_asking(const char *id, int64_t at, uint64_t asked, const char *error)
{
	struct store_get_job get;
	struct store_job *job = get_job(&get, id);

	assert_int_equal(job->ask_at_usec, at);
	assert_int_equal(job->asked, asked);
	if (error)
		assert_string_equal(job->ask_error, error);
	else
		assert_null(job->ask_error);
	store_op_fini(&get.op);
}

static void test_what_is_due(void **state)
{
	(void)state;
	expect_job("late", now + 9);
	expect_job("soon", now + 2);
	expect_job("never", 0);
	expect_job("first", now + 1);
	struct store_expect other = {
		.source = "other", .id = "x", .now_usec = now, .ask_at_usec = now};
	assert_int_equal(run(&other.op, STORE_EXPECT), 0);
	assert_string_equal(due(now, 10, now + 1), "");
	assert_string_equal(due(now + 1, 10, now + 2), "0:first");
	assert_string_equal(due(now + 2, 10, now + 9), "0:first 0:soon");
	assert_string_equal(due(now + 9, 2, now + 9), "0:first 0:soon"); /* and more */
	assert_string_equal(due(now + 9, 4, 0), "0:first 0:soon 0:late");
	assert_int_equal(store_counts(fix.store).asking, 4);
	reopen();
	assert_int_equal(store_counts(fix.store).asking, 4);
	assert_string_equal(due(now + 9, 4, 0), "0:first 0:soon 0:late");
}

static void test_lanes(void **state)
{
	(void)state;
	hold("new", "OK", S, "a");
	hold("asked", "OK", S, "a");
	hold("known", "OK", S, "a");
	expect_job("mine", now);
	assert_int_equal(fail_question("asked", now, 0, "404"), 0);
	answer_with("known", "up", P, now, 0);
	assert_string_equal(due(now, 9, 0), "0:known 0:mine 1:new 2:asked");
	expect_job("asked", now + 5);
	assert_string_equal(due(now, 9, 0), "0:asked 0:known 0:mine 1:new");
}

static void test_a_question_that_tells_nothing(void **state)
{
	(void)state;
	expect_job("job", now + 1);
	assert_int_equal(fail_question("job", now + 5, 0, "no answer"), 0);
	expect_asking("job", now + 5, 1, "no answer");
	assert_int_equal(fail_question("job", now + 9, 1, "404"), 0);
	expect_asking("job", now + 9, 2, "404");
	assert_int_equal(fail_question("none", now, 0, "x"), -ENOENT);
	/* Expecting it again does not put it off, nor forget what was wrong. */
	expect_job("job", now + 20);
	expect_asking("job", now + 9, 2, "404");
	answer_with("job", "up", P, now + 30, 2);
	expect_asking("job", now + 30, 3, NULL);
	answer_with("job", "up", P, now + 60, 3); /* the same again */
	expect_asking("job", now + 60, 4, NULL);
	answer_with("job", "OK", S, now + 90, 4);
	expect_asking("job", 0, 5, NULL);
	assert_int_equal(fail_question("job", now, 0, "x"), -ENOENT);
	assert_int_equal(store_counts(fix.store).asking, 0);
}

/* Who asks reads how often it did: the intervals grow in the next life, too. */
static void test_tries(void **state)
{
	struct store_asks a = {.source = "src", .limit = 1, .now_usec = now + 9};

	(void)state;
	hold("job", "OK", S, "a");
	for (unsigned tries = 0; tries < 3; tries++)
		assert_int_equal(fail_question("job", now + 1, tries, "404"), 0);
	reopen();
	assert_int_equal(run(&a.op, STORE_ASKS), 0);
	assert_int_equal(a.questions[0].tries, 3);
	assert_string_equal(a.questions[0].error, "404");
	assert_int_equal(a.questions[0].from_usec, now);
	assert_int_equal(a.oldest_usec, now);
	store_op_fini(&a.op);
	/* A word that is new: it is asked for at once, and as if for the first time. */
	assert_int_equal(fail_question("job", now + 500, 3, "404"), 0);
	assert_string_equal(due(now, 9, now + 500), "");
	hold("job", "OK", S, "a"); /* that one was heard */
	assert_string_equal(due(now, 9, now + 500), "");
	hold("job", "OK", S, "b");
	assert_string_equal(due(now, 9, 0), "2:job");
	/* It came while a question was under way: what that told may be old. */
	assert_int_equal(fail_question("job", now + 500, 4, "404"), 0);
	assert_string_equal(due(now, 9, 0), "2:job");
	assert_int_equal(fail_question("job", now + 500, 1, "404"), 0);
	assert_string_equal(due(now, 9, now + 500), "");
}

static void test_a_callback_ends_it(void **state)
{
	struct store_put p = new_put("job", "up", P);

	(void)state;
	expect_job("job", now + 1);
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	expect_asking("job", now + 1, 0, NULL); /* that was not the end */
	p = new_put("job", "OK", S);
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	expect_asking("job", 0, 0, NULL);
	assert_string_equal(due(now + 9, 9, 0), "");
	/* The answer to a question that was under way. */
	assert_int_equal(answer_with("job", "OK", S, now + 5, 0).verdict, STORE_CHANGED);
	assert_int_equal(
		answer_with("job", "bad", E, now + 5, 0).verdict, STORE_CONTRADICTION);
	assert_int_equal(answer_with("job", "up", P, now + 5, 0).verdict, STORE_LATE);
	expect_asking("job", 0, 3, NULL);
	assert_int_equal(store_counts(fix.store).asking, 0);
}

static void test_known_only(void **state)
{
	struct store_put p = new_put("none", "OK", S);
	struct store_get_job get = {.source = "src", .id = "none"};

	(void)state;
	p.known = p.confirmed = true;
	assert_int_equal(run(&p.op, STORE_PUT), -ENOENT);
	assert_int_equal(lose("none").op.result, -ENOENT);
	assert_int_equal(run(&get.op, STORE_GET_JOB), -ENOENT);
	store_op_fini(&get.op);
}

static void test_lost(void **state)
{
	struct store_wish wish = {.hook = "alarm"};
	struct store_put p = new_put("job", NULL, L);

	(void)state;
	expect_job("job", now + 1);
	assert_int_equal(fail_question("job", now + 2, 0, "404"), 0);
	p.known = true;
	p.payload = BYTES_NONE;
	p.wishes = &wish;
	p.n_wishes = 1;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, STORE_MOVED);
	assert_int_not_equal(wish.run, 0);
	expect_asking("job", 0, 1, "404"); /* why */
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, STORE_REPEAT);
	/* A callback was faster: that nobody answered is no contradiction. */
	expect_job("fast", now);
	struct store_put fast = new_put("fast", "OK", S);
	assert_int_equal(run(&fast.op, STORE_PUT), 0);
	assert_int_equal(lose("fast").verdict, STORE_REPEAT);
	assert_int_equal(lose("fast").deliveries, 0);
	/* A callback after all, of a source that is to confirm it. */
	hold("job", "OK", S, "a");
	assert_string_equal(due(now, 9, 0), "0:job");
	assert_int_equal(answer_with("job", "up", P, now + 5, 0).verdict, STORE_LATE);
	assert_string_equal(due(now, 9, now + 5), "");
	assert_int_equal(lose("job").verdict, STORE_REPEAT); /* given up again */
	assert_string_equal(due(now + 9, 9, 0), "");
	assert_int_equal(store_counts(fix.store).asking, 0);
	hold("job", "OK", S, "a"); /* its sender repeats itself */
	assert_string_equal(due(now, 9, 0), "0:job");
	assert_int_equal(lose("job").verdict, STORE_REPEAT);
	assert_string_equal(due(now, 9, 0), "");
	hold("job", "OK", S, "a"); /* byte for byte what was recorded last */
	assert_string_equal(due(now, 9, 0), "0:job");
	assert_int_equal(answer_with("job", "OK", S, now + 5, 0).verdict, STORE_MOVED);
	assert_int_equal(store_counts(fix.store).asking, 0);
	hold("job", "bad", E, "c"); /* that has ended */
	assert_string_equal(due(now, 9, 0), "");
}

static void test_disagreement(void **state)
{
	struct store_put p;

	(void)state;
	hold("job", "DONE", S, "a");
	p = answer_with("job", "up", P, now, 0);
	assert_int_equal(p.held_outcome, S);
	assert_string_equal(p.held_status, "DONE");
	p = answer_with("job", "up", P, now, 1); /* told once */
	assert_int_equal(p.held_outcome, OUTCOME_NONE);
	hold("job", "bad", E, "b");
	hold("job", "DONE", S, "c");
	p = answer_with("job", "up", P, now, 0); /* no new word, and yet */
	assert_int_equal(p.held_outcome, S);
	p = answer_with("job", "up", P, now, 1);
	assert_int_equal(p.held_outcome, OUTCOME_NONE);
	hold("job", "DONE", S, "d");
	p = answer_with("job", "OK", S, now, 0);
	assert_int_equal(p.held_outcome, E); /* one of them had lied */
	assert_string_equal(p.held_status, "bad");
	hold("fine", "DONE", S, "a");
	assert_int_equal(answer_with("fine", "OK", S, now, 0).held_outcome, OUTCOME_NONE);
	hold("going", "up", P, "a"); /* and then it ended: no contradiction */
	assert_int_equal(
		answer_with("going", "OK", S, now, 0).held_outcome, OUTCOME_NONE);
	p = new_put("unheld", "bad", P);
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(
		answer_with("unheld", "OK", S, now, 0).held_outcome, OUTCOME_NONE);
}

/* Reopen=yes: what is said to go on is asked for, though it had ended. */
static void test_reopened(void **state)
{
	struct store_put p = new_put("job", "OK", S);

	(void)state;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	hold("job", "up", P, "a");
	assert_string_equal(due(now, 9, 0), "");
	p = new_put("job", "up", P);
	p.hold = p.reopen = true;
	p.payload = TEXT("b");
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_string_equal(due(now, 9, 0), "1:job");
	p = answer_with("job", "OK", S, now + 1, 0);
	assert_string_equal(due(now + 9, 9, 0), "");
}

static void test_since(void **state)
{
	struct store_asks a = {.source = "src", .limit = 2, .now_usec = now};
	int64_t began = now;

	(void)state;
	for (int i = 0; i < 4; i++) {
		char id[8];
		snprintf(id, sizeof(id), "j%d", i);
		clock_freeze(
			clock_wall_usec() + SECOND, clock_mono_usec() + USEC_PER_SEC);
		expect_job(id, now + 100 * SECOND - i);
	}
	a.from_usec = began + 3 * SECOND;
	assert_int_equal(run(&a.op, STORE_ASKS), 0);
	assert_int_equal(a.n_questions, 2);
	assert_string_equal(a.questions[0].id, "j0");
	assert_string_equal(a.questions[1].id, "j1");
	assert_int_equal(a.oldest_usec, began + SECOND);
	store_op_fini(&a.op);
	a.limit = 9;
	assert_int_equal(run(&a.op, STORE_ASKS), 0);
	assert_int_equal(a.n_questions, 3);
	store_op_fini(&a.op);
}

/* Written under a clock that was a day ahead: it is waited for since the start instead. */
static void test_clock_that_was_wrong(void **state)
{
	char sql[128], path[96];
	sqlite3 *db;

	(void)state;
	expect_job("job", now + 10);
	close_store();
	snprintf(path, sizeof(path), "%s/" STORE_FILE, fix.directory);
	snprintf(sql, sizeof(sql),
		"UPDATE job SET ask_at = ask_at + %lld, "
		"ask_from = ask_from + %lld",
		(long long)DAYS(1), (long long)DAYS(1));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	reopen();
	assert_string_equal(due(now, 9, now + 10), "");
	assert_string_equal(due(now + 10, 9, 0), "0:job");
}

static void test_counts(void **state)
{
	struct store_forget forget = {.source = "src", .id = "gone"};
	struct store_ping ping = {0};

	(void)state;
	expect_job("gone", now);
	expect_job("lost", now);
	assert_int_equal(store_counts(fix.store).asking, 2);
	assert_int_equal(run(&forget.op, STORE_FORGET), 0);
	assert_int_equal(store_counts(fix.store).asking, 1);
	lose("lost");
	hold("lost", "OK", S, "a");
	assert_int_equal(store_counts(fix.store).asking, 1);
	close_store();
	clock_freeze(
		clock_wall_usec() + DAYS(40), clock_mono_usec() + (uint64_t)DAYS(40));
	reopen();
	assert_int_equal(store_counts(fix.store).asking, 1);
	while (store_counts(fix.store).jobs)
		assert_int_equal(run(&ping.op, STORE_PING), 0);
	assert_int_equal(store_counts(fix.store).asking, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_frozen, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_due),
		TEST(test_lanes),
		TEST(test_a_question_that_tells_nothing),
		TEST(test_tries),
		TEST(test_a_callback_ends_it),
		TEST(test_known_only),
		TEST(test_lost),
		TEST(test_disagreement),
		TEST(test_reopened),
		TEST(test_since),
		TEST(test_counts),
		TEST(test_clock_that_was_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
