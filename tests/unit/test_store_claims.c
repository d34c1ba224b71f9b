/* The store: which waiting runs are claimed. Turns of sources, order within a job, merging. */
#include "store_help.h"

#include "io/store_schema.h"

#include <sqlite3.h>

/* A run of "hook", of this source and job; its number. */
static uint64_t put_of(const char *source, const char *id, const char *status)
{
	struct store_wish wish = {.hook = "hook"};
	struct store_put p = new_put(id, status, OUTCOME_PENDING);

	p.source = source;
	p.wishes = &wish;
	p.n_wishes = 1;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_not_equal(wish.run, 0);
	return wish.run;
}

/* For more than one would wait for one by one. */
static void put_many(const char *source, unsigned n)
{
	enum { BATCH = 1000 };
	static struct store_put puts[BATCH];
	static struct store_wish wishes[BATCH];
	static char ids[BATCH][24];
	static unsigned number;
	bool done = false;

	for (unsigned i = 0; i < n; i++) {
		unsigned k = i % BATCH;
		snprintf(ids[k], sizeof(ids[k]), "many-%u", number++);
		puts[k] = new_put(ids[k], "OK", OUTCOME_SUCCESS);
		puts[k].source = source;
		wishes[k] = (struct store_wish){.hook = "hook"};
		puts[k].wishes = &wishes[k];
		puts[k].n_wishes = 1;
		puts[k].op.kind = STORE_PUT;
		puts[k].op.on_done = on_done;
		puts[k].op.arg = &done;
		assert_int_equal(store_submit(fix.store, &puts[k].op), 0);
		if (k == BATCH - 1 || i == n - 1) {
			struct store_ping ping = {.op = {.result = 0}};
			assert_int_equal(run(&ping.op, STORE_PING), 0);
		}
	}
}

static struct store_claim want(unsigned limit)
{
	return (struct store_claim){
		.hook = "hook", .limit = limit, .now_usec = clock_steady_usec()};
}

static struct store_claim claimed(struct store_claim c)
{
	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	return c;
}

/* The numbers that a claim brought, and nothing else waits that is due. */
static void expect_runs(struct store_claim *c, const uint64_t *numbers, size_t n)
{
	assert_int_equal(c->n_runs, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(c->runs[i].number, numbers[i]);
	store_op_fini(&c->op);
}
#define EXPECT(c, ...)                                    \
	expect_runs((c), (const uint64_t[]){__VA_ARGS__}, \
		sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void settle(uint64_t number, unsigned attempt, enum runstate state, int64_t due)
{
	struct store_settle s = {.run = number,
		.attempt = attempt,
		.state = state,
		.due_usec = due,
		.exit_status = 1,
		.signal = -1};

	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
}

static void expect_state(uint64_t number, enum runstate state, const char *reason)
{
	struct store_get_run get = {.run = run_id(number)};

	assert_int_equal(run(&get.op, STORE_GET_RUN), 0);
	assert_int_equal(get.record.state, state);
	if (reason)
		assert_string_equal(get.record.reason, reason);
	store_op_fini(&get.op);
}

/* ---- turns ---- */

static void test_sources_take_turns(void **state)
{
	uint64_t a[4], b[2], c;

	(void)state;
	for (int i = 0; i < 4; i++) {
		char id[8];
		snprintf(id, sizeof(id), "a%d", i);
		a[i] = put_of("alpha", id, "p");
	}
	b[0] = put_of("beta", "b0", "p");
	b[1] = put_of("beta", "b1", "p");
	c = put_of("gamma", "c", "p");
	struct store_claim one = claimed(want(1));
	assert_string_equal(one.after, "alpha");
	struct store_claim next = want(2);
	memcpy(next.after, one.after, sizeof(next.after));
	EXPECT(&one, a[0]);
	next = claimed(next);
	assert_true(next.next_due_usec <= next.now_usec); /* there is more */
	assert_string_equal(next.after, "gamma");
	one = want(9);
	memcpy(one.after, next.after, sizeof(one.after));
	EXPECT(&next, b[0], c);
	/* Round to the first again; a source that has no more is left out. */
	one = claimed(one);
	assert_int_equal(one.next_due_usec, 0);
	EXPECT(&one, a[1], b[1], a[2], a[3]);
}

static void test_turns_begin_behind_a_source_that_is_gone(void **state)
{
	uint64_t a = put_of("alpha", "a", "p"), z = put_of("zeta", "z", "p");
	struct store_claim c = want(2);

	(void)state;
	snprintf(c.after, sizeof(c.after), "middle");
	c = claimed(c);
	EXPECT(&c, z, a);
}

/* What one source has to wait for is not in the way of the other. */
static void test_later_ones_of_a_source(void **state)
{
	uint64_t a = put_of("alpha", "a", "p"), b = put_of("beta", "b", "p");
	struct store_claim c = claimed(want(9));
	int64_t later = c.now_usec + DAYS(1);

	(void)state;
	EXPECT(&c, a, b);
	settle(a, 1, RUN_WAITING, later);
	settle(b, 1, RUN_WAITING, later - 5);
	uint64_t b2 = put_of("beta", "b2", "p");
	c = claimed(want(9));
	assert_int_equal(c.next_due_usec, later - 5);
	EXPECT(&c, b2);
}

/* 200,000 of one source (a million when FULL=1): another's is the second to start, and no claim
 * looks at more than its own. */
static void test_a_source_with_a_backlog(void **state)
{
	const char *full = getenv("FULL");
	unsigned n = full && *full ? 1000000 : 20000;

	(void)state;
	alarm(600);
	put_many("alpha", n);
	uint64_t b = put_of("beta", "b", "p");
	struct store_claim c = claimed(want(4));
	assert_int_equal(c.n_runs, 4);
	assert_int_equal(c.runs[1].number, b);
	store_op_fini(&c.op);
	uint64_t began = clock_mono_usec();
	for (int i = 0; i < 20; i++) {
		c = claimed(want(16));
		assert_int_equal(c.n_runs, 16);
		store_op_fini(&c.op);
	}
	struct store_due due = {.n_hooks = 0};
	assert_int_equal(run(&due.op, STORE_DUE), 0);
	assert_int_equal(due.n_hooks, 1);
	store_op_fini(&due.op);
	uint64_t took = clock_mono_usec() - began;
	if (full && *full)
		printf("20 claims of 16 with %u waiting: %llu us each\n", n,
			(unsigned long long)took / 20);
	assert_true(took < 10 * USEC_PER_SEC);
}

/* ---- Serialize= ---- */

static struct store_claim want_serial(unsigned limit)
{
	struct store_claim c = want(limit);

	c.serialize = true;
	return c;
}

static void test_one_of_a_job_at_a_time(void **state)
{
	uint64_t a1 = put_of("src", "a", "1"), a2 = put_of("src", "a", "2"),
		 a3 = put_of("src", "a", "3"), b = put_of("src", "b", "1");
	struct store_claim c = claimed(want_serial(9));

	(void)state;
	assert_int_equal(c.next_due_usec, 0);
	EXPECT(&c, a1, b);
	/* The one that waits for its retry holds the younger ones back, and nobody else's. */
	int64_t later = clock_steady_usec() + DAYS(1);
	settle(a1, 1, RUN_WAITING, later);
	uint64_t other = put_of("src", "c", "1");
	c = claimed(want_serial(9));
	assert_int_equal(c.next_due_usec, later);
	EXPECT(&c, other);
	reopen();
	c = claimed(want_serial(9));
	EXPECT(&c, b, other); /* put back by the restart; of job a none */
	struct store_claim at = want_serial(9);
	at.now_usec = later;
	at = claimed(at);
	EXPECT(&at, a1);
	settle(a1, 2, RUN_DONE, 0);
	c = claimed(want_serial(9));
	EXPECT(&c, a2);
	settle(a2, 1, RUN_DEAD, 0);
	c = claimed(want_serial(9));
	EXPECT(&c, a3);
	/* A replay is the youngest. */
	struct store_replay replay = {.run = run_id(a1)};
	assert_int_equal(run(&replay.op, STORE_REPLAY), 0);
	c = claimed(want_serial(9));
	assert_int_equal(c.n_runs, 0);
	store_op_fini(&c.op);
	settle(a3, 1, RUN_DONE, 0);
	c = claimed(want_serial(9));
	EXPECT(&c, a3 + 3); /* behind b and other */
}

/* Serialize=yes by a reload, while two of a job run already; and no again. */
static void test_serialize_by_a_reload(void **state)
{
	uint64_t a1 = put_of("src", "a", "1"), a2 = put_of("src", "a", "2");
	struct store_claim c = claimed(want(9));

	(void)state;
	EXPECT(&c, a1, a2);
	uint64_t a3 = put_of("src", "a", "3"), a4 = put_of("src", "a", "4");
	settle(a1, 1, RUN_WAITING, 1);
	c = claimed(want_serial(9)); /* a2 is younger than a1, but it runs */
	assert_int_equal(c.n_runs, 0);
	store_op_fini(&c.op);
	settle(a2, 1, RUN_DONE, 0);
	c = claimed(want_serial(9));
	EXPECT(&c, a1);
	struct store_due due = {.n_hooks = 0};
	assert_int_equal(run(&due.op, STORE_DUE), 0);
	assert_int_equal(due.n_hooks, 1); /* else nobody would claim them after this */
	assert_int_not_equal(due.hooks[0].next_due_usec, 0);
	store_op_fini(&due.op);
	c = claimed(want(9));
	EXPECT(&c, a3, a4);
}

/* Those behind are the dead hook's as well. */
static void test_orphans_that_stand_behind(void **state)
{
	struct store_orphans o = {.hook = "hook"};
	uint64_t a1 = put_of("src", "a", "1"), a2 = put_of("src", "a", "2");

	(void)state;
	put_of("src", "a", "3");
	struct store_claim c = claimed(want_serial(9));
	EXPECT(&c, a1);
	assert_int_equal(run(&o.op, STORE_ORPHANS), 0);
	assert_int_equal(o.n_died, 2);
	store_op_fini(&o.op);
	expect_state(a2, RUN_DEAD, "no such hook");
}

/* A thousand wait behind one: found out once, not at every claim. */
static void test_many_behind_one(void **state)
{
	enum { N = 1200 };
	uint64_t first = put_of("src", "a", "w");
	char word[8];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(word, sizeof(word), "w%d", i);
		put_of("src", "a", word);
	}
	uint64_t other = put_of("src", "b", "1");
	struct store_claim c = claimed(want_serial(1));
	EXPECT(&c, first);
	for (int i = 0; i < 2; i++) {
		c = claimed(want_serial(9)); /* so many were sent behind */
		assert_int_equal(c.next_due_usec, c.now_usec);
		assert_int_equal(c.n_runs, 0);
		store_op_fini(&c.op);
	}
	c = claimed(want_serial(9));
	assert_int_equal(c.next_due_usec, 0);
	EXPECT(&c, other);
	settle(first, 1, RUN_DONE, 0);
	c = claimed(want_serial(9));
	assert_int_equal(c.next_due_usec, 0);
	EXPECT(&c, first + 1);
}

/* ---- MinInterval= ---- */

static struct store_claim want_merged(void)
{
	struct store_claim c = want(1);

	c.merge = c.paced = true;
	return c;
}

static void test_merge(void **state)
{
	uint64_t a = put_of("src", "a", "1"), b = put_of("other", "b", "1"),
		 c = put_of("src", "c", "1");
	char into[RUN_ID_SIZE + 16];
	struct store_claim m = claimed(want_merged());

	(void)state;
	snprintf(into, sizeof(into), "merged into %s", run_id(c));
	assert_int_equal(m.n_merged, 2);
	assert_int_equal(m.merged[0].number + m.merged[1].number, a + b);
	assert_string_equal(m.merged[0].reason, into);
	assert_int_equal(m.next_due_usec, 0);
	EXPECT(&m, c);
	expect_state(a, RUN_DONE, into);
	expect_state(b, RUN_DONE, into);
	struct store_counts n = store_counts(fix.store);
	assert_int_equal(n.waiting, 0);
	assert_int_equal(n.running, 1);
	/* One that has failed before is merged as well, its retry due or not. */
	settle(c, 1, RUN_WAITING, clock_steady_usec() + DAYS(1));
	uint64_t d = put_of("src", "d", "1");
	m = claimed(want_merged());
	assert_int_equal(m.n_merged, 1);
	EXPECT(&m, d);
	expect_state(c, RUN_DONE, NULL);
	/* The latest callback wins, not the latest run: a replay is an old payload. */
	uint64_t e = put_of("src", "e", "1");
	struct store_replay replay = {.run = run_id(a)};
	assert_int_equal(run(&replay.op, STORE_REPLAY), 0);
	m = claimed(want_merged());
	EXPECT(&m, e);
	expect_state(e + 1, RUN_DONE, NULL);
	/* The one that is left keeps its own time. */
	settle(e, 1, RUN_WAITING, clock_steady_usec() + DAYS(1));
	m = claimed(want_merged());
	assert_int_equal(m.n_runs, 0);
	assert_true(m.next_due_usec > m.now_usec);
	store_op_fini(&m.op);
}

static void test_merge_in_steps(void **state)
{
	struct store_claim m;
	unsigned merged = 0, claims = 0;

	(void)state;
	put_many("src", 1300);
	uint64_t last = put_of("src", "last", "1");
	do {
		m = claimed(want_merged());
		merged += (unsigned)m.n_merged;
		claims++;
		if (!m.n_runs) {
			assert_int_equal(m.next_due_usec, m.now_usec);
			store_op_fini(&m.op);
		}
	} while (!m.n_runs);
	EXPECT(&m, last);
	assert_int_equal(merged, 1300);
	assert_int_equal(claims, 3);
}

static void test_merge_and_serialize(void **state)
{
	uint64_t a1 = put_of("src", "a", "1");
	struct store_claim m = want_merged();

	(void)state;
	m.serialize = true;
	m = claimed(m);
	EXPECT(&m, a1);
	uint64_t a2 = put_of("src", "a", "2"), a3 = put_of("src", "a", "3");
	m = want_merged();
	m.serialize = true;
	m = claimed(m);
	assert_int_equal(m.n_runs, 0); /* a1 runs */
	assert_int_equal(m.n_merged, 1);
	store_op_fini(&m.op);
	expect_state(a2, RUN_DONE, NULL);
	settle(a1, 1, RUN_DONE, 0);
	m = want_merged();
	m.serialize = true;
	m = claimed(m);
	EXPECT(&m, a3);
}

/* ---- what is kept of hooks ---- */

/* As the next life finds it. */
static struct store_hook kept_of(const char *hook)
{
	struct store_hook found = {.name = NULL};
	size_t n;

	reopen();
	const struct store_hook *hooks = store_hooks(fix.store, &n);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(hooks[i].name, hook))
			found = hooks[i];
	found.name = NULL;
	return found;
}

static void test_pause_is_kept(void **state)
{
	struct store_pause p = {.hook = "hook", .paused = true};

	(void)state;
	assert_int_equal(run(&p.op, STORE_PAUSE), 0);
	assert_true(p.changed);
	assert_int_equal(run(&p.op, STORE_PAUSE), 0);
	assert_false(p.changed);
	assert_true(kept_of("hook").paused);
	p.paused = false;
	assert_int_equal(run(&p.op, STORE_PAUSE), 0);
	assert_true(p.changed);
	assert_false(kept_of("hook").paused);
	p.hook = "never seen";
	assert_int_equal(run(&p.op, STORE_PAUSE), 0);
	assert_false(p.changed);
}

static void test_paced_start_is_kept(void **state)
{
	struct store_pause p = {.hook = "hook", .paused = true};
	int64_t before = clock_steady_usec();

	(void)state;
	uint64_t a = put_of("src", "a", "1");
	struct store_claim c = claimed(want(1));
	EXPECT(&c, a);
	settle(a, 1, RUN_DONE, 0);
	assert_int_equal(kept_of("hook").started_usec, 0); /* nobody asked for it */
	c = claimed(want_merged());
	assert_int_equal(c.n_runs, 0);
	store_op_fini(&c.op);
	assert_int_equal(kept_of("hook").started_usec, 0); /* nothing started */
	put_of("src", "b", "1");
	c = claimed(want_merged());
	store_op_fini(&c.op);
	assert_int_equal(run(&p.op, STORE_PAUSE), 0);
	struct store_hook kept = kept_of("hook");
	assert_true(kept.started_usec >= before);
	assert_true(kept.started_usec <= clock_steady_usec());
	assert_true(kept.paused);
}

#define STEP 2 /* the one that brought the turns of sources */

/* A store of before that, with runs that wait and are dead. */
static void test_migration(void **state)
{
	uint64_t waiting = put_of("src", "a", "1"), dead = put_of("src", "b", "1");
	char path[128], *error = NULL;
	sqlite3 *db;

	(void)state;
	struct store_claim c = claimed(want(1));
	EXPECT(&c, waiting);
	settle(waiting, 1, RUN_WAITING, 1);
	c = claimed(want(2));
	store_op_fini(&c.op);
	settle(dead, 1, RUN_DEAD, 0);
	close_store();
	snprintf(path, sizeof(path), "%s/" STORE_FILE, fix.directory);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db,
			"DROP INDEX run_waiting; DROP INDEX run_behind; DROP TABLE hook;"
			"ALTER TABLE run DROP COLUMN source;"
			"ALTER TABLE run DROP COLUMN behind;"
			"CREATE INDEX run_waiting ON run (hook, due) WHERE state = 1;",
			NULL, NULL, &error),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, store_schema_steps[STEP], NULL, NULL, &error),
		SQLITE_OK);
	sqlite3_close(db);
	if (open_store(&error))
		fail_msg("%s", error);
	c = claimed(want(9));
	assert_string_equal(c.after, "src");
	EXPECT(&c, waiting);
	struct store_replay replay = {.run = run_id(dead)};
	assert_int_equal(run(&replay.op, STORE_REPLAY), 0);
	c = claimed(want(9));
	EXPECT(&c, dead + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_sources_take_turns),
		TEST(test_turns_begin_behind_a_source_that_is_gone),
		TEST(test_later_ones_of_a_source),
		TEST(test_a_source_with_a_backlog),
		TEST(test_one_of_a_job_at_a_time),
		TEST(test_serialize_by_a_reload),
		TEST(test_orphans_that_stand_behind),
		TEST(test_many_behind_one),
		TEST(test_merge),
		TEST(test_merge_in_steps),
		TEST(test_merge_and_serialize),
		TEST(test_pause_is_kept),
		TEST(test_paced_start_is_kept),
		TEST(test_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
