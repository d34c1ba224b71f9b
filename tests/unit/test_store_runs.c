/* The store: the life of runs, from claim to replay, and what a restart does to them. */
#include "store_help.h"

static struct store_claim claim(const char *hook, unsigned limit)
{
	struct store_claim c = {
		.hook = hook,
		.limit = limit,
		.now_usec = clock_steady_usec(),
	};

	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	return c;
}

/* Claims one and gives back its number, 0 when there was none. */
static uint64_t claim_one(const char *hook)
{
	struct store_claim c = claim(hook, 1);
	uint64_t number = c.n_runs ? c.runs[0].number : 0;

	store_op_fini(&c.op);
	return number;
}

static int settle(uint64_t number, unsigned attempt, enum runstate state, int64_t due)
{
	struct store_settle s = {
		.run = number,
		.attempt = attempt,
		.state = state,
		.due_usec = due,
		.started_usec = 10,
		.finished_usec = 20,
		.exit_status = 3,
		.signal = -1,
		.reason = "exit status 3",
		.stdout_tail = TEXT("out\0put"),
		.stderr_tail = TEXT("err"),
		.truncated = true,
	};

	return run(&s.op, STORE_SETTLE);
}

static void assert_run(uint64_t number, enum runstate state, unsigned attempt)
{
	struct store_get_run get = {.run = run_id(number)};

	assert_int_equal(run(&get.op, STORE_GET_RUN), 0);
	assert_int_equal(get.record.state, state);
	assert_int_equal(get.record.attempt, attempt);
	store_op_fini(&get.op);
}

static void assert_counts(
	uint64_t waiting, uint64_t running, uint64_t done, uint64_t dead)
{
	struct store_counts c = store_counts(fix.store);

	assert_int_equal(c.waiting, waiting);
	assert_int_equal(c.running, running);
	assert_int_equal(c.done, done);
	assert_int_equal(c.dead, dead);
}

static void test_claim_and_settle(void **state)
{
	struct store_wish wish = {.hook = "hook"};
	struct store_put p = new_put("job", "OK", OUTCOME_SUCCESS);

	(void)state;
	p.payload = TEXT("pay\0load");
	p.fields = "{\"header:x\":\"1\"}";
	p.test = true;
	p.wishes = &wish;
	p.n_wishes = 1;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_counts(1, 0, 0, 0);
	struct store_claim c = claim("hook", 4);
	assert_int_equal(c.n_runs, 1);
	assert_int_equal(c.next_due_usec, 0);
	struct store_run *r = &c.runs[0];
	assert_int_equal(r->number, wish.run);
	assert_string_equal(r->id, run_id(wish.run));
	assert_string_equal(r->hook, "hook");
	assert_string_equal(r->source, "src");
	assert_string_equal(r->job, "job");
	assert_string_equal(r->status, "OK");
	assert_int_equal(r->outcome, OUTCOME_SUCCESS);
	assert_int_equal(r->state, RUN_RUNNING);
	assert_int_equal(r->attempt, 1);
	assert_int_equal(r->received_usec, p.received_usec);
	assert_true(bytes_equal(r->payload, TEXT("pay\0load")));
	assert_string_equal(r->fields, "{\"header:x\":\"1\"}");
	assert_true(r->test);
	store_op_fini(&c.op);
	assert_counts(0, 1, 0, 0);
	assert_int_equal(claim_one("hook"), 0);
	/* Only the attempt that runs can be ended, and only once. */
	assert_int_equal(settle(wish.run, 2, RUN_DONE, 0), -ENOENT);
	assert_int_equal(settle(wish.run + 1, 1, RUN_DONE, 0), -ENOENT);
	assert_int_equal(settle(wish.run, 1, RUN_RUNNING, 0), -EINVAL);
	assert_counts(0, 1, 0, 0);
	assert_int_equal(settle(wish.run, 1, RUN_DONE, 0), 0);
	assert_int_equal(settle(wish.run, 1, RUN_DONE, 0), -ENOENT);
	assert_counts(0, 0, 1, 0);

	struct store_get_run get = {.run = run_id(wish.run)};
	assert_int_equal(run(&get.op, STORE_GET_RUN), 0);
	assert_int_equal(get.record.state, RUN_DONE);
	assert_int_equal(get.record.started_usec, 10);
	assert_int_equal(get.record.finished_usec, 20);
	assert_int_equal(get.record.exit_status, 3);
	assert_int_equal(get.record.signal, -1);
	assert_string_equal(get.record.reason, "exit status 3");
	assert_true(bytes_equal(get.record.stdout_tail, TEXT("out\0put")));
	assert_true(bytes_equal(get.record.stderr_tail, TEXT("err")));
	assert_true(get.record.truncated);
	assert_null(get.record.payload.data);
	store_op_fini(&get.op);
}

static void test_due_order(void **state)
{
	uint64_t a = put_run("a", "hook", true), b = put_run("b", "hook", true);
	int64_t now = clock_steady_usec(), later = now + DAYS(1);

	(void)state;
	put_run("x", "other", false);
	assert_int_equal(settle(a, 1, RUN_WAITING, now - 10), 0);
	assert_int_equal(settle(b, 1, RUN_WAITING, now - 20), 0);
	uint64_t c = put_run("c", "hook", true);
	assert_int_equal(settle(c, 1, RUN_WAITING, later), 0);
	struct store_due due = {.n_hooks = 0};
	assert_int_equal(run(&due.op, STORE_DUE), 0);
	assert_int_equal(due.n_hooks, 2);
	assert_string_equal(due.hooks[0].hook, "hook");
	assert_int_equal(due.hooks[0].next_due_usec, now - 20);
	assert_string_equal(due.hooks[1].hook, "other");
	store_op_fini(&due.op);

	struct store_claim none = claim("hook", 0);
	assert_int_equal(none.next_due_usec, now - 20);
	store_op_fini(&none.op);
	struct store_claim one = claim("hook", 1);
	assert_int_equal(one.n_runs, 1);
	assert_int_equal(one.runs[0].number, b);
	assert_int_equal(one.runs[0].attempt, 2);
	assert_int_equal(one.next_due_usec, now - 10);
	store_op_fini(&one.op);
	struct store_claim rest = claim("hook", 9);
	assert_int_equal(rest.n_runs, 1);
	assert_int_equal(rest.runs[0].number, a);
	assert_int_equal(rest.next_due_usec, later);
	store_op_fini(&rest.op);
}

static uint64_t put_due(const char *id, int64_t due)
{
	uint64_t number = put_run(id, "hook", true);

	assert_int_equal(settle(number, 1, RUN_WAITING, due), 0);
	return number;
}

/* What no delay can have chosen was written under a clock that was wrong. */
static void test_due_too_late(void **state)
{
	int64_t now = clock_steady_usec(), latest = now + DAYS(1);
	uint64_t beyond = put_due("a", now + DAYS(400));
	uint64_t later = put_due("b", latest);
	uint64_t due = put_due("c", now - 5);
	struct store_claim c = {.hook = "hook", .limit = 0, .now_usec = now};

	(void)state;
	/* Nothing is too late where there is no limit. */
	c.limit = 9;
	c.now_usec = now - 10;
	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	assert_int_equal(c.n_runs, 0);
	store_op_fini(&c.op);
	/* Behind what is due by right. */
	c.now_usec = now;
	c.latest_usec = latest;
	c.limit = 1;
	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	assert_int_equal(c.n_runs, 1);
	assert_int_equal(c.runs[0].number, due);
	assert_int_equal(c.next_due_usec, now); /* that of `beyond` */
	store_op_fini(&c.op);
	c.limit = 9;
	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	assert_int_equal(c.n_runs, 1);
	assert_int_equal(c.runs[0].number, beyond);
	assert_int_equal(c.runs[0].attempt, 2);
	assert_int_equal(c.next_due_usec, latest); /* that of `later` itself */
	store_op_fini(&c.op);
	assert_run(later, RUN_WAITING, 1);
	/* The next to be due is never later than that. */
	assert_int_equal(settle(beyond, 2, RUN_WAITING, latest + 1), 0);
	assert_int_equal(settle(due, 2, RUN_WAITING, latest + 2), 0);
	c.limit = 0;
	c.now_usec = latest;
	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	store_op_fini(&c.op);
	c.limit = 2;
	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	assert_int_equal(c.n_runs, 2);
	assert_int_equal(c.runs[0].number, later);
	assert_int_equal(c.runs[1].number, beyond);
	assert_int_equal(c.next_due_usec, c.now_usec);
	store_op_fini(&c.op);
	c.latest_usec = 0;
	assert_int_equal(run(&c.op, STORE_CLAIM), 0);
	assert_int_equal(c.n_runs, 0);
	assert_int_equal(c.next_due_usec, latest + 2);
	store_op_fini(&c.op);
}

/* An attempt that never ran leaves none behind; it is still only that attempt's to say. */
static void test_uncounted(void **state)
{
	uint64_t number = put_run("job", "hook", true);
	struct store_settle s = {
		.run = number, .attempt = 1, .state = RUN_WAITING, .uncounted = true};

	(void)state;
	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	assert_run(number, RUN_WAITING, 0);
	assert_int_equal(run(&s.op, STORE_SETTLE), -ENOENT);
	assert_run(number, RUN_WAITING, 0);
	assert_int_equal(claim_one("hook"), number);
	assert_int_equal(settle(number, 1, RUN_WAITING, 0), 0);
	assert_int_equal(claim_one("hook"), number);
	assert_int_equal(run(&s.op, STORE_SETTLE), -ENOENT); /* that was the first one */
	s.attempt = 2;
	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	assert_run(number, RUN_WAITING, 1);
	/* What ended did run. */
	assert_int_equal(claim_one("hook"), number);
	s.state = RUN_DEAD;
	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	assert_run(number, RUN_DEAD, 2);
	reopen();
	assert_run(number, RUN_DEAD, 2);
}

static void test_dead_letters(void **state)
{
	struct store_wish wishes[] = {{.hook = "mourn"}, {.hook = "weep"}};
	uint64_t number = put_run("job", "hook", true);
	struct store_settle s = {
		.run = number,
		.attempt = 1,
		.state = RUN_DEAD,
		.exit_status = 1,
		.signal = -1,
		.dead_wishes = wishes,
		.n_dead_wishes = 1,
	};

	(void)state;
	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	assert_int_not_equal(wishes[0].run, 0);
	assert_counts(1, 0, 0, 1);
	struct store_claim c = claim("mourn", 1);
	assert_int_equal(c.n_runs, 1);
	assert_string_equal(c.runs[0].job, "job");
	assert_string_equal(c.runs[0].status, "OK");
	assert_int_equal(c.runs[0].outcome, OUTCOME_SUCCESS);
	assert_true(bytes_equal(c.runs[0].payload, TEXT("{}")));
	s.run = c.runs[0].number;
	store_op_fini(&c.op);
	/* A dead letter that dies is another hook's dead letter, and there it ends. */
	s.n_dead_wishes = 2;
	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	assert_int_equal(wishes[0].run, 0);
	assert_int_not_equal(wishes[1].run, 0);
	s.run = claim_one("weep");
	assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	assert_counts(0, 0, 0, 3);
}

/* It is started again, however often; when that is too often is not the store's to say. */
static void test_attempt_died_with_us(void **state)
{
	uint64_t number = put_run("job", "hook", true);

	(void)state;
	for (unsigned attempt = 1; attempt < 5; attempt++) {
		assert_counts(0, 1, 0, 0);
		reopen();
		assert_int_equal(store_recovered(fix.store), 1);
		assert_run(number, RUN_WAITING, attempt);
		assert_counts(1, 0, 0, 0);
		struct store_claim c = claim("hook", 1);
		assert_int_equal(c.n_runs, 1);
		assert_int_equal(c.runs[0].attempt, attempt + 1);
		store_op_fini(&c.op);
	}
}

static void test_replay_and_discard(void **state)
{
	uint64_t number = put_run("job", "hook", true);
	char id[RUN_ID_SIZE], other[RUN_ID_SIZE];
	struct store_replay replay = {.run = id};
	struct store_discard discard = {.run = id, .reason = "discarded: by hand"};

	(void)state;
	snprintf(id, sizeof(id), "%s", run_id(number));
	assert_int_equal(run(&replay.op, STORE_REPLAY), -EBUSY);
	assert_int_equal(run(&discard.op, STORE_DISCARD), -EBUSY);
	assert_int_equal(settle(number, 1, RUN_DEAD, 0), 0);
	assert_int_equal(run(&replay.op, STORE_REPLAY), 0);
	assert_string_equal(replay.letter.hook, "hook");
	assert_string_equal(replay.letter.job, "job");
	assert_string_equal(replay.letter.source, "src");
	struct store_claim c = claim("hook", 1);
	assert_int_equal(c.n_runs, 1);
	assert_string_equal(c.runs[0].id, replay.letter.new_run);
	assert_int_equal(c.runs[0].attempt, 1);
	assert_int_equal(c.runs[0].replay_of, number);
	store_op_fini(&c.op);
	assert_counts(0, 1, 0, 1);
	assert_int_equal(run(&discard.op, STORE_DISCARD), 0);
	assert_counts(0, 1, 1, 0);
	struct store_get_run get = {.run = id};
	assert_int_equal(run(&get.op, STORE_GET_RUN), 0);
	assert_int_equal(get.record.state, RUN_DONE);
	assert_string_equal(get.record.reason, "discarded: by hand");
	assert_int_equal(get.record.exit_status, 3);
	assert_true(bytes_equal(get.record.stdout_tail, TEXT("out\0put")));
	store_op_fini(&get.op);
	/* A done one can be replayed, too. */
	assert_int_equal(run(&replay.op, STORE_REPLAY), 0);

	const char *const wrong[] = {"", "1", "zzzzzzzz-1", other, "-1"};
	snprintf(other, sizeof(other), "%s-0%llu", store_name(fix.store),
		(unsigned long long)number);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		replay.run = discard.run = wrong[i];
		assert_int_equal(run(&replay.op, STORE_REPLAY), -ENOENT);
		assert_int_equal(run(&discard.op, STORE_DISCARD), -ENOENT);
	}
}

/* N runs of "hook", dead; their numbers follow each other from *ret_first on. */
static void put_dead(unsigned n, const char *hook, uint64_t *ret_first)
{
	char id[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "%.4s-%u", hook, i);
		uint64_t number = put_run(id, hook, true);
		if (i == 0)
			*ret_first = number;
		assert_int_equal(settle(number, 1, RUN_DEAD, 0), 0);
	}
}

/* All of it, step by step; how many were dealt with, and in how many commits. */
static size_t deal(struct store_letters *l, uint64_t *ret_commits)
{
	uint64_t before = store_counts(fix.store).commits;
	size_t n = 0;

	l->after = l->through = 0;
	do {
		assert_int_equal(run(&l->op, STORE_LETTERS), 0);
		assert_true(l->n_letters <= l->limit && l->n_letters <= 500);
		n += l->n_letters;
		l->after = l->next;
		store_op_fini(&l->op);
	} while (l->next);
	*ret_commits = store_counts(fix.store).commits - before;
	return n;
}

static void test_letters_in_steps(void **state)
{
	enum { N = 1200 };
	struct store_letters l = {.verb = STORE_VERB_COUNT,
		.filter = {.state = RUN_DEAD, .replayed = STORE_NOT_REPLAYED},
		.limit = 100000}; /* it takes 500 all the same */
	uint64_t first = 0, commits;

	(void)state;
	put_dead(N, "hook", &first);
	assert_int_equal(deal(&l, &commits), N);
	assert_int_equal(commits, 0); /* it only looks */
	assert_counts(0, 0, 0, N);
	/* Cut short after the first step, and begun anew: each once. */
	l.verb = STORE_VERB_REPLAY;
	l.after = l.through = 0;
	assert_int_equal(run(&l.op, STORE_LETTERS), 0);
	assert_true(l.n_letters && l.n_letters <= 500 && l.next);
	assert_string_equal(l.letters[0].run, run_id(first)); /* the oldest */
	assert_string_equal(l.letters[0].hook, "hook");
	assert_string_equal(l.letters[0].job, "hook-0");
	size_t begun = l.n_letters;
	store_op_fini(&l.op);
	assert_int_equal(deal(&l, &commits), N - begun);
	assert_true(commits >= (N - begun + 499) / 500);
	assert_counts(N, 0, 0, N);
	assert_int_equal(deal(&l, &commits), 0);
	assert_counts(N, 0, 0, N);
	/* The oldest is started first. */
	struct store_claim c = claim("hook", 1);
	assert_int_equal(c.runs[0].replay_of, first);
	store_op_fini(&c.op);
	struct store_get_run get = {.run = run_id(first)};
	assert_int_equal(run(&get.op, STORE_GET_RUN), 0);
	assert_int_equal(get.record.replayed_by, first + N);
	store_op_fini(&get.op);
}

/* What dies while it goes on is newer than the operation: it is not met again. */
static void test_letters_end(void **state)
{
	struct store_letters l = {.verb = STORE_VERB_REPLAY,
		.filter = {.state = RUN_DEAD, .replayed = STORE_NOT_REPLAYED},
		.limit = 1};
	uint64_t first = 0;
	unsigned steps = 0;

	(void)state;
	put_dead(3, "hook", &first);
	do {
		assert_int_equal(run(&l.op, STORE_LETTERS), 0);
		assert_int_equal(l.n_letters, 1);
		store_op_fini(&l.op);
		assert_int_equal(settle(claim_one("hook"), 1, RUN_DEAD, 0), 0);
		l.after = l.next;
		assert_true(++steps <= 3);
	} while (l.next);
	assert_int_equal(steps, 3);
	assert_counts(0, 0, 0, 6);
	/* Their replays died as well: those are what the next one replays. */
	uint64_t commits;
	l.limit = 500;
	assert_int_equal(deal(&l, &commits), 3);
}

static void test_letters_by_filter(void **state)
{
	static const char *const hooks[] = {"one"};
	struct store_letters l = {.verb = STORE_VERB_COUNT, .limit = 500};
	uint64_t first = 0, other, done, commits;

	(void)state;
	put_dead(3, "one", &first);
	put_dead(2, "two", &other);
	done = put_run("done", "one", true);
	assert_int_equal(settle(done, 1, RUN_DONE, 0), 0);
	const struct {
		struct store_run_filter filter;
		unsigned n;
	} want[] = {
		{{.state = RUN_DEAD}, 5},
		{{.state = RUN_DEAD, .hook = "two"}, 2},
		{{.state = RUN_DEAD, .hook = "none"}, 0},
		{{.state = RUN_DEAD, .source = "src"}, 5},
		{{.state = RUN_DEAD, .source = "sr"}, 0},
		{{.state = RUN_DEAD, .since_usec = 20}, 5}, /* all ended at 20 */
		{{.state = RUN_DEAD, .since_usec = 21}, 0},
		{{.state = RUN_DEAD, .until_usec = 20}, 0},
		{{.state = RUN_DEAD, .until_usec = 21}, 5},
		{{.state = RUN_DONE}, 1},
		{{.state = RUN_DONE, .hook = "two"}, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		l.filter = want[i].filter;
		assert_int_equal(deal(&l, &commits), want[i].n);
		struct store_list_runs list = {.filter = want[i].filter, .limit = 100};
		assert_int_equal(run(&list.op, STORE_LIST_RUNS), 0);
		assert_int_equal(list.n_runs, want[i].n);
		store_op_fini(&list.op);
	}
	l.filter = (struct store_run_filter){
		.state = RUN_DEAD, .replayed = STORE_NOT_REPLAYED};
	l.hooks = hooks; /* "two" is gone */
	l.n_hooks = 1;
	l.verb = STORE_VERB_REPLAY;
	l.after = l.through = 0;
	assert_int_equal(run(&l.op, STORE_LETTERS), 0);
	assert_int_equal(l.n_letters, 3);
	assert_int_equal(l.n_passed_over, 2);
	store_op_fini(&l.op);
	assert_counts(3, 0, 1, 5);
	l.hooks = NULL;
	l.filter.replayed = STORE_REPLAYED;
	l.verb = STORE_VERB_DISCARD;
	l.reason = "discarded: known";
	assert_int_equal(deal(&l, &commits), 3);
	assert_counts(3, 0, 4, 2);
	struct store_get_run get = {.run = run_id(first)};
	assert_int_equal(run(&get.op, STORE_GET_RUN), 0);
	assert_int_equal(get.record.state, RUN_DONE);
	assert_string_equal(get.record.reason, "discarded: known");
	assert_true(bytes_equal(get.record.stdout_tail, TEXT("out\0put")));
	store_op_fini(&get.op);
	/* What waits, runs or is done cannot be discarded, nor what waits be replayed. */
	for (int s = RUN_WAITING; s < RUN_STATE_MAX; s++) {
		l.filter.state = (enum runstate)s;
		l.verb = STORE_VERB_DISCARD;
		assert_int_equal(run(&l.op, STORE_LETTERS), s == RUN_DEAD ? 0 : -EINVAL);
		store_op_fini(&l.op);
		l.verb = STORE_VERB_REPLAY;
		if (s == RUN_WAITING || s == RUN_RUNNING)
			assert_int_equal(run(&l.op, STORE_LETTERS), -EINVAL);
	}
}

/* Rows with much output are heavy to write anew: fewer of them in a step. */
static void test_letters_weigh(void **state)
{
	static char output[128 * 1024];
	struct store_letters l = {.verb = STORE_VERB_DISCARD,
		.filter = {.state = RUN_DEAD},
		.reason = "discarded",
		.limit = 500};
	char id[16];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "job-%u", i);
		struct store_settle s = {.run = put_run(id, "hook", true),
			.attempt = 1,
			.state = RUN_DEAD,
			.exit_status = 1,
			.signal = -1,
			.stdout_tail = {output, sizeof(output)}};
		assert_int_equal(run(&s.op, STORE_SETTLE), 0);
	}
	assert_int_equal(run(&l.op, STORE_LETTERS), 0);
	assert_true(l.n_letters <= 40);
	assert_true(l.next);
	store_op_fini(&l.op);
}

/* To the last of them; how many died. */
static size_t bury(struct store_orphans *o)
{
	size_t n = 0;

	do {
		assert_int_equal(run(&o->op, STORE_ORPHANS), 0);
		assert_true(o->n_died <= 500);
		for (size_t i = 0; i < o->n_died; i++) {
			assert_string_equal(o->died[i].hook, o->hook);
			assert_string_equal(o->died[i].source, "src");
			assert_memory_equal(o->died[i].job, "job-", 4);
		}
		n += o->n_died;
		store_op_fini(&o->op);
	} while (o->more);
	return n;
}

static void test_orphans(void **state)
{
	enum { N = 1100 }; /* more than goes into one batch */
	static struct store_put puts[N];
	static struct store_wish wishes[N];
	static char ids[N][16];
	struct store_orphans o = {.hook = "hook"};
	bool done = false;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		snprintf(ids[i], sizeof(ids[i]), "job-%u", i);
		puts[i] = new_put(ids[i], "OK", OUTCOME_SUCCESS);
		wishes[i].hook = "hook";
		puts[i].wishes = &wishes[i];
		puts[i].n_wishes = 1;
		puts[i].op.kind = STORE_PUT;
		puts[i].op.on_done = on_done;
		puts[i].op.arg = &done;
		assert_int_equal(store_submit(fix.store, &puts[i].op), 0);
	}
	uint64_t other = put_run("other", "other", false);
	assert_counts(N + 1, 0, 0, 0);
	uint64_t commits = store_counts(fix.store).commits;
	assert_int_equal(bury(&o), N);
	assert_int_equal(store_counts(fix.store).commits - commits, 3);
	assert_counts(1, 0, 0, N);
	assert_run(other, RUN_WAITING, 0);
	struct store_get_run get = {.run = run_id(wishes[N - 1].run)};
	assert_int_equal(run(&get.op, STORE_GET_RUN), 0);
	assert_string_equal(get.record.reason, "no such hook");
	store_op_fini(&get.op);
}

/* Their deaths are told like any other. */
static void test_orphans_are_mourned(void **state)
{
	enum { N = 600 }; /* in two batches */
	char *const of_others[] = {"other", "another"};
	char *const of_ours[] = {"other", "src"};
	struct store_wish wishes[] = {{.hook = "mourn"}, {.hook = "hook"},
		{.hook = "deaf", .sources = of_others, .n_sources = 2},
		{.hook = "near", .sources = of_ours, .n_sources = 2}};
	struct store_orphans o = {.hook = "hook",
		.dead_wishes = wishes,
		.n_dead_wishes = ARRAY_SIZE(wishes)};
	char id[16];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "job-%u", i);
		put_run(id, "hook", false);
	}
	assert_int_equal(bury(&o), N);
	assert_counts(2 * N, 0, 0, N);
	assert_int_equal(wishes[1].run, 0); /* not of its own deaths */
	assert_int_equal(wishes[2].run, 0); /* nor of those of other sources */
	assert_int_not_equal(wishes[3].run, 0);
	struct store_get_run get = {.run = run_id(wishes[0].run)};
	assert_int_equal(run(&get.op, STORE_GET_RUN), 0);
	assert_string_equal(get.record.hook, "mourn");
	assert_int_equal(get.record.state, RUN_WAITING);
	store_op_fini(&get.op);
	o.hook = "mourn"; /* which nobody is left to tell of */
	o.n_dead_wishes = 1;
	assert_int_equal(bury(&o), N);
	assert_int_equal(wishes[0].run, 0);
	assert_counts(N, 0, 0, 2 * N);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_claim_and_settle),
		TEST(test_due_order),
		TEST(test_due_too_late),
		TEST(test_uncounted),
		TEST(test_dead_letters),
		TEST(test_attempt_died_with_us),
		TEST(test_replay_and_discard),
		TEST(test_letters_in_steps),
		TEST(test_letters_end),
		TEST(test_letters_by_filter),
		TEST(test_letters_weigh),
		TEST(test_orphans),
		TEST(test_orphans_are_mourned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
