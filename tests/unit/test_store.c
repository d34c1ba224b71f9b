/* The store: what a callback is to its job, tokens, expectations, opening, the queue. */
#include "store_help.h"

#include "base/text.h"
#include "io/store_schema.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- Verdicts ---- */

enum { REOPEN = 1, HOLD = 2, CONFIRMED = 4, NULL_PAYLOAD = 8 };

struct step {
	const char *status, *payload, *delivery;
	enum outcome outcome;
	int flags;
	enum store_verdict verdict;
	int runs; /* made by this step, of two hooks that wish */
	uint64_t deliveries;
	enum outcome after;
	const char *word; /* the job's status after */
};

#define P OUTCOME_PENDING
#define S OUTCOME_SUCCESS
#define E OUTCOME_ERROR
#define C OUTCOME_CANCELED
#define L OUTCOME_LOST

static const struct step twice[] = {
	{"ok", "a", NULL, S, 0, STORE_NEW, 2, 1, S, "ok"},
	{"ok", "a", NULL, S, 0, STORE_REPEAT, 0, 2, S, "ok"},
	{"ok", "b", NULL, S, 0, STORE_CHANGED, 0, 3, S, "ok"},
	{"ok", "b", NULL, S, 0, STORE_REPEAT, 0, 4, S, "ok"},
	{"ok", "a", NULL, S, 0, STORE_REPEAT, 0, 5, S, "ok"},
	{"bad", "a", NULL, E, 0, STORE_CONTRADICTION, 0, 6, S, "ok"},
	{"bad", "a", NULL, E, 0, STORE_REPEAT, 0, 7, S, "ok"},
	{"run", "a", NULL, P, 0, STORE_LATE, 0, 8, S, "ok"},
	{"ok", "", NULL, S, 0, STORE_CHANGED, 0, 9, S, "ok"},
	{NULL, NULL, NULL, L, 0, STORE_CONTRADICTION, 0, 9, S, "ok"},
};
static const struct step pending[] = {
	{"up", "a", NULL, P, 0, STORE_NEW, 2, 1, P, "up"},
	{"up", "a", NULL, P, 0, STORE_REPEAT, 0, 2, P, "up"},
	{"up", "b", NULL, P, 0, STORE_CHANGED, 0, 3, P, "up"},
	{"work", "a", NULL, P, 0, STORE_MOVED, 2, 4, P, "work"},
	{"up", "a", NULL, P, 0, STORE_MOVED, 0, 5, P, "up"}, /* ran for "up" already */
	{"done", "a", NULL, S, 0, STORE_MOVED, 2, 6, S, "done"},
};
static const struct step lost[] = {
	{NULL, NULL, NULL, L, 0, STORE_NEW, 2, 0, L, NULL},
	{NULL, NULL, NULL, L, 0, STORE_REPEAT, 0, 0, L, NULL},
	{"up", "a", NULL, P, 0, STORE_LATE, 0, 1, L, NULL},
	{"bad", "a", NULL, E, 0, STORE_MOVED, 2, 2, E, "bad"},
	{"ok", "a", NULL, S, 0, STORE_CONTRADICTION, 0, 3, E, "bad"},
};
static const struct step reopened[] = {
	{"ok", "a", NULL, S, 0, STORE_NEW, 2, 1, S, "ok"},
	{"up", "a", NULL, P, REOPEN, STORE_MOVED, 2, 2, P, "up"},
	{"no", "a", NULL, C, REOPEN, STORE_MOVED, 2, 3, C, "no"},
	{"up", "a", NULL, P, 0, STORE_LATE, 0, 4, C, "no"},
	/* Once for each hook, job and outcome: the runs for "ok" and "no" were made. */
	{"UP", "b", NULL, P, REOPEN, STORE_MOVED, 0, 5, P, "UP"},
	{"ok", "c", NULL, S, REOPEN, STORE_MOVED, 0, 6, S, "ok"},
	{"again", "c", NULL, P, REOPEN, STORE_MOVED, 2, 7, P, "again"},
	{"no", "d", NULL, C, 0, STORE_MOVED, 0, 8, C, "no"},
	{"more", "d", NULL, P, REOPEN, STORE_MOVED, 2, 9, P, "more"},
	{"bad", "d", NULL, E, 0, STORE_MOVED, 2, 10, E, "bad"},
};
static const struct step delivered[] = {
	{"up", "a", "d1", P, 0, STORE_NEW, 2, 1, P, "up"},
	{"work", "b", "d2", P, 0, STORE_MOVED, 2, 2, P, "work"},
	/* Sent again, with the time of sending in it: does not turn the job back. */
	{"up", "a'", "d1", P, 0, STORE_REPEAT, 0, 3, P, "work"},
	/* An id used for everything must not swallow an outcome. */
	{"ok", "c", "d1", S, 0, STORE_MOVED, 2, 4, S, "ok"},
	{"ok", "d", "d1", S, 0, STORE_REPEAT, 0, 5, S, "ok"},
	{"ok", "d", "d3", S, 0, STORE_CHANGED, 0, 6, S, "ok"},
	{"up", "e", "d1", P, REOPEN, STORE_REPEAT, 0, 7, S, "ok"},
};
static const struct step held[] = {
	{"ok", "a", "d1", S, HOLD, STORE_HELD, 0, 1, P, NULL},
	{"ok", "a", "d1", S, HOLD, STORE_HELD, 0, 2, P, NULL},
	{"bad", "b", NULL, E, HOLD, STORE_HELD, 0, 3, P, NULL},
	{"up", "c", NULL, P, CONFIRMED, STORE_MOVED, 2, 3, P, "up"},
	{"fine", "c", NULL, S, CONFIRMED, STORE_MOVED, 2, 3, S, "fine"},
	{"ok", "a", NULL, S, HOLD, STORE_HELD, 0, 4, S, "fine"},
};
/* Held, then Confirm=no: what was held moved nothing and is no repeat. */
static const struct step no_longer_held[] = {
	{"ok", "a", "d1", S, HOLD, STORE_HELD, 0, 1, P, NULL},
	{"ok", "a", "d1", S, 0, STORE_MOVED, 2, 2, S, "ok"},
};
static const struct step null_words[] = {
	{NULL, "a", NULL, P, 0, STORE_NEW, 2, 1, P, NULL},
	{NULL, "a", NULL, P, 0, STORE_REPEAT, 0, 2, P, NULL},
	{"", "a", NULL, P, 0, STORE_MOVED, 2, 3, P, ""},
	{NULL, "b", NULL, S, 0, STORE_MOVED, 2, 4, S, NULL},
};

static void check_step(const char *id, const struct step *step, enum outcome before)
{
	struct store_wish wishes[] = {{.hook = "one"}, {.hook = "two"}};
	struct store_put p = new_put(id, step->status, step->outcome);
	struct store_get_job get;
	uint64_t runs = store_counts(fix.store).waiting;

	p.payload = bytes_of(step->payload);
	p.delivery = step->delivery;
	p.reopen = step->flags & REOPEN;
	p.hold = step->flags & HOLD;
	p.confirmed = step->flags & CONFIRMED;
	p.wishes = wishes;
	p.n_wishes = 2;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, step->verdict);
	assert_int_equal(p.outcome_before, before);
	assert_int_equal(p.deliveries, step->deliveries);
	assert_int_equal((wishes[0].run != 0) + (wishes[1].run != 0), step->runs);
	assert_int_equal(store_counts(fix.store).waiting, runs + (uint64_t)step->runs);
	struct store_job *job = get_job(&get, id);
	assert_int_equal(job->outcome, step->after);
	assert_int_equal(job->deliveries, step->deliveries);
	if (step->word)
		assert_string_equal(job->status, step->word);
	else
		assert_null(job->status);
	assert_int_equal(store_counts(fix.store).pending, job->outcome == P);
	store_op_fini(&get.op);
}

static void check_story(const struct step *steps, size_t n)
{
	struct store_forget forget = {.source = "src", .id = "job"};
	enum outcome before = OUTCOME_NONE;

	for (size_t i = 0; i < n; i++) {
		print_message("  step %zu\n", i);
		check_step("job", &steps[i], before);
		before = steps[i].after;
	}
	assert_int_equal(run(&forget.op, STORE_FORGET), 0);
	assert_int_equal(store_counts(fix.store).jobs, 0);
	assert_int_equal(store_counts(fix.store).waiting, 0);
}

#define STORY(steps) check_story(steps, ARRAY_SIZE(steps))

static void test_verdicts(void **state)
{
	(void)state;
	STORY(twice);
	STORY(pending);
	STORY(lost);
	STORY(reopened);
	STORY(delivered);
	STORY(held);
	STORY(no_longer_held);
	STORY(null_words);
}

static void test_first_payload_stays(void **state)
{
	struct store_get_job get;
	struct store_put p = new_put("job", "OK", S);

	(void)state;
	p.payload = TEXT("first\0\xff");
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	p.payload = TEXT("second");
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	struct store_job *job = get_job(&get, "job");
	assert_true(job->has_payload);
	assert_true(bytes_equal(job->payload, TEXT("first\0\xff")));
	assert_int_not_equal(job->received_usec, 0);
	assert_int_equal(job->expected_usec, 0);
	assert_int_equal(job->confirmed_usec, 0);
	assert_int_equal(job->size_bytes, -1);
	store_op_fini(&get.op);
	/* An empty payload is one. */
	p = new_put("empty", "OK", S);
	p.payload = TEXT("");
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	job = get_job(&get, "empty");
	assert_true(job->has_payload);
	assert_non_null(job->payload.data);
	assert_int_equal(job->payload.size, 0);
	store_op_fini(&get.op);
}

static void test_one_id_two_sources(void **state)
{
	struct store_get_job get = {.id = "job"};
	struct store_put p = new_put("job", "OK", S);

	(void)state;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	p.source = "other";
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, STORE_NEW);
	assert_int_equal(run(&get.op, STORE_GET_JOB), 0);
	assert_int_equal(get.n_jobs, 2);
	store_op_fini(&get.op);
	get = (struct store_get_job){.id = "none"};
	assert_int_equal(run(&get.op, STORE_GET_JOB), -ENOENT);
	store_op_fini(&get.op);
}

static void test_confirmed(void **state)
{
	struct store_get_job get;
	struct store_put p = new_put("job", "OK", S);

	(void)state;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	p.confirmed = true;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, STORE_REPEAT);
	struct store_job *job = get_job(&get, "job");
	assert_int_not_equal(job->confirmed_usec, 0);
	assert_int_equal(job->deliveries, 1);
	store_op_fini(&get.op);
}

/* ---- Tokens and expectations ---- */

static const unsigned char hash_a[32] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const unsigned char hash_b[32] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static void mint(const unsigned char *hash, int result)
{
	struct store_mint m = {
		.token_hash = hash, .source = "src", .now_usec = clock_wall_usec()};

	assert_int_equal(run(&m.op, STORE_MINT), result);
}

static enum store_verdict put_token(const unsigned char *hash, const char *source,
	const char *id, enum outcome outcome, const char *bound)
{
	struct store_put p = new_put(id, "OK", outcome);

	p.source = source;
	p.token_hash = hash;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_string_equal(p.token_job, bound);
	return p.verdict;
}

static int bind_token(const unsigned char *hash, const char *id, const char *bound)
{
	struct store_bind b = {
		.token_hash = hash,
		.source = "src",
		.id = id,
		.public_url = "https://cdn.example/x",
		.size_bytes = 42,
		.now_usec = clock_wall_usec(),
		.ask_at_usec = clock_wall_usec(),
	};

	int r = run(&b.op, STORE_BIND);
	assert_string_equal(b.bound, bound);
	return r;
}

static void test_tokens(void **state)
{
	struct store_get_job get;

	(void)state;
	mint(hash_a, 0);
	mint(hash_a, -EEXIST);
	assert_int_equal(put_token(hash_b, "src", "job", S, ""), STORE_UNVERIFIED);
	assert_int_equal(put_token(hash_a, "other", "job", S, ""), STORE_UNVERIFIED);
	assert_int_equal(store_counts(fix.store).jobs, 0);
	/* What cannot be read verifies, and does not bind. */
	assert_int_equal(
		put_token(hash_a, "src", "sha256:00", OUTCOME_UNREADABLE, ""), STORE_NEW);
	assert_int_equal(put_token(hash_a, "src", "job", S, ""), STORE_NEW);
	assert_int_equal(put_token(hash_a, "src", "job", S, ""), STORE_REPEAT);
	assert_int_equal(put_token(hash_a, "src", "evil", S, "job"), STORE_UNVERIFIED);
	assert_int_equal(
		put_token(hash_a, "src", "sha256:01", OUTCOME_UNREADABLE, ""), STORE_NEW);
	assert_int_equal(store_counts(fix.store).jobs, 3);
	assert_int_equal(bind_token(hash_a, "another", "job"), -EEXIST);
	assert_int_equal(bind_token(hash_a, NULL, "job"), -EEXIST);
	assert_int_equal(bind_token(hash_a, "job", "job"), 0);
	assert_int_equal(bind_token(hash_b, "job", ""), -ENOENT);
	/* The callback was faster than the answer: it stays, the file is known now. */
	struct store_job *job = get_job(&get, "job");
	assert_int_equal(job->outcome, S);
	assert_string_equal(job->public_url, "https://cdn.example/x");
	assert_int_equal(job->size_bytes, 42);
	assert_int_equal(job->expected_usec, 0);
	store_op_fini(&get.op);
}

/* Only whether it may speak at all is asked. */
static void test_ignored(void **state)
{
	struct store_mint mint = {
		.token_hash = hash_a, .source = "src", .now_usec = clock_wall_usec()};
	struct store_wish wish = {.hook = "hook", .run = 7};
	struct store_put p = new_put("evil", "OK", S);
	struct store_get_job get = {.source = "src", .id = "evil"};

	(void)state;
	p.ignore = true;
	p.wishes = &wish;
	p.n_wishes = 1;
	assert_int_equal(run(&mint.op, STORE_MINT), 0);
	uint64_t commits = store_counts(fix.store).commits;
	assert_int_equal(run(&p.op, STORE_PUT), 0); /* verified by other means */
	assert_int_equal(p.verdict, STORE_IGNORED);
	p.token_hash = hash_b;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, STORE_UNVERIFIED);
	p.token_hash = hash_a;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, STORE_IGNORED);
	assert_int_equal(wish.run, 0);
	assert_int_equal(p.deliveries, 0);
	assert_int_equal(run(&get.op, STORE_GET_JOB), -ENOENT);
	assert_int_equal(store_counts(fix.store).commits, commits);
	assert_int_equal(store_counts(fix.store).callbacks, 0);
	assert_int_equal(store_counts(fix.store).waiting, 0);
	/* It did not lock the true id out; that one locks it out. */
	assert_int_equal(put_token(hash_a, "src", "job", S, ""), STORE_NEW);
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, STORE_UNVERIFIED);
	assert_string_equal(p.token_job, "job");
	p.id = "job";
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, STORE_IGNORED);
	assert_int_equal(store_counts(fix.store).callbacks, 1);
}

static void test_bind_then_callback(void **state)
{
	struct store_get_job get;

	(void)state;
	mint(hash_a, 0);
	assert_int_equal(bind_token(hash_a, "job", ""), 0);
	struct store_job *job = get_job(&get, "job");
	assert_int_equal(job->outcome, P);
	assert_int_not_equal(job->expected_usec, 0);
	assert_int_equal(job->received_usec, 0);
	assert_false(job->has_payload);
	store_op_fini(&get.op);
	assert_int_equal(put_token(hash_a, "src", "evil", S, "job"), STORE_UNVERIFIED);
	assert_int_equal(put_token(hash_a, "src", "job", S, ""), STORE_MOVED);
	mint(hash_b, 0);
	assert_int_equal(bind_token(hash_b, NULL, ""), 0);
	assert_int_equal(put_token(hash_b, "src", "x", S, ""), STORE_UNVERIFIED);
}

static void expect_job(const char *id)
{
	struct store_expect e = {
		.source = "src", .id = id, .now_usec = 1, .ask_at_usec = 5};

	assert_int_equal(run(&e.op, STORE_EXPECT), 0);
}

static void test_expect(void **state)
{
	struct store_get_job get;
	struct store_put p = new_put("job", NULL, P);

	(void)state;
	expect_job("job");
	struct store_job *job = get_job(&get, "job");
	assert_int_equal(job->outcome, P);
	assert_null(job->status);
	assert_int_equal(job->received_usec, 0);
	int64_t expected = job->expected_usec;
	assert_int_not_equal(expected, 0);
	store_op_fini(&get.op);
	uint64_t commits = store_counts(fix.store).commits;
	expect_job("job");
	assert_int_equal(store_counts(fix.store).commits, commits);
	assert_int_equal(store_counts(fix.store).pending, 1);
	/* The first callback moves it even with the word it has: none. */
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_equal(p.verdict, STORE_MOVED);
	p = new_put("job", "OK", S);
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	expect_job("job");
	job = get_job(&get, "job");
	assert_int_equal(job->outcome, S);
	assert_int_equal(job->expected_usec, expected);
	store_op_fini(&get.op);
}

static void test_forget(void **state)
{
	struct store_forget forget = {.source = "src", .id = "job"};
	struct store_settle settle = {.attempt = 1, .state = RUN_DONE};

	(void)state;
	assert_int_equal(run(&forget.op, STORE_FORGET), -ENOENT);
	settle.run = put_run("job", "hook", true);
	assert_int_equal(run(&forget.op, STORE_FORGET), -EBUSY);
	assert_int_equal(run(&settle.op, STORE_SETTLE), 0);
	assert_int_equal(run(&forget.op, STORE_FORGET), 0);
	assert_int_equal(run(&forget.op, STORE_FORGET), -ENOENT);
	/* Its number is not given away again, not even in the next life. */
	reopen();
	assert_true(put_run("job", "hook", false) > settle.run);
}

/* ---- The queue ---- */

static unsigned answered;

static void on_count(struct store_op *op)
{
	assert_int_equal(op->result, 0);
	/* In the order of submission. */
	assert_int_equal((uintptr_t)op->arg, answered);
	answered++;
}

static void test_group_commit(void **state)
{
	enum { N = 400 };
	static struct store_put puts[N];
	static char ids[N][16];
	uint64_t commits = store_counts(fix.store).commits;

	(void)state;
	answered = 0;
	for (unsigned i = 0; i < N; i++) {
		snprintf(ids[i], sizeof(ids[i]), "job-%u", i);
		puts[i] = new_put(ids[i], "OK", S);
		puts[i].op.kind = STORE_PUT;
		puts[i].op.on_done = on_count;
		puts[i].op.arg = (void *)(uintptr_t)i;
		assert_int_equal(store_submit(fix.store, &puts[i].op), 0);
	}
	assert_int_equal(answered, 0); /* never from within store_submit() */
	while (answered < N)
		event_base_loop(fix.base, EVLOOP_ONCE);
	struct store_counts counts = store_counts(fix.store);
	assert_int_equal(counts.jobs, N);
	assert_int_equal(counts.callbacks, N);
	assert_true(counts.commits - commits < N / 8);
}

/* Two of one job in one batch are as two in a row; closing commits what waits. */
static void test_close_commits(void **state)
{
	static struct store_put puts[2];
	struct store_wish wishes[2] = {{.hook = "hook"}, {.hook = "hook"}};
	struct store_get_job get;

	(void)state;
	answered = 0;
	for (unsigned i = 0; i < 2; i++) {
		puts[i] = new_put("job", "OK", S);
		puts[i].op.kind = STORE_PUT;
		puts[i].op.on_done = on_count;
		puts[i].op.arg = (void *)(uintptr_t)i;
		puts[i].wishes = &wishes[i];
		puts[i].n_wishes = 1;
		assert_int_equal(store_submit(fix.store, &puts[i].op), 0);
	}
	reopen();
	assert_int_equal(answered, 2);
	assert_int_equal(puts[0].verdict, STORE_NEW);
	assert_int_equal(puts[1].verdict, STORE_REPEAT);
	assert_int_equal(wishes[1].run, 0);
	struct store_job *job = get_job(&get, "job");
	assert_int_equal(job->n_runs, 1);
	assert_int_equal(job->deliveries, 2);
	store_op_fini(&get.op);
}

/* ---- Opening ---- */

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", fix.directory, name);
	return path;
}

static void expect_refusal(int error, const char *words)
{
	char *message = NULL;

	assert_int_equal(open_store(&message), error);
	assert_non_null(message);
	if (!strstr(message, words))
		fail_msg("\"%s\" does not say \"%s\"", message, words);
	free(message);
}

static void test_modes(void **state)
{
	struct stat st;
	char deep[128];

	(void)state;
	put_run("job", "hook", false);
	assert_int_equal(stat(path_of(STORE_FILE), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(path_of(STORE_FILE "-wal"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close_store();
	snprintf(deep, sizeof(deep), "%s/state", fix.directory);
	fix.options.directory = deep;
	reopen();
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	close_store();
	fix.options.directory = "/tmp/test-store-none/deeper";
	expect_refusal(-ENOENT, "/tmp/test-store-none/deeper");
}

static void test_two_daemons(void **state)
{
	struct store *first = fix.store;

	(void)state;
	fix.store = NULL;
	expect_refusal(-EBUSY, "in use by another callbackd");
	fix.store = first;
}

static void overwrite(const char *name, const char *text, size_t size)
{
	int fd = open(path_of(name), O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	close(fd);
}

static void test_damage(void **state)
{
	static char garbage[8192];

	(void)state;
	put_run("job", "hook", false);
	close_store();
	struct stat st;
	assert_int_equal(stat(path_of(STORE_FILE), &st), 0);
	/* Half of it. */
	assert_int_equal(truncate(path_of(STORE_FILE), st.st_size / 2), 0);
	expect_refusal(-EBADMSG, "damaged");
	memset(garbage, 'x', sizeof(garbage));
	overwrite(STORE_FILE, garbage, sizeof(garbage));
	expect_refusal(-EBADMSG, "damaged");
	overwrite(STORE_FILE, "", 0);
	expect_refusal(-EBADMSG, "empty");
	unlink(path_of(STORE_FILE));
	expect_refusal(-EBADMSG, "gone");
	unlink(path_of("lock"));
	unlink(path_of(STORE_FILE "-wal"));
	reopen(); /* an empty directory is a new beginning */
	assert_int_equal(store_counts(fix.store).jobs, 0);
}

static void execute_sql(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path_of(STORE_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* What takes each step of the schema back, for stores of an older version. */
#define UNDO_STEP_3                                                               \
	"DROP INDEX run_waiting; DROP INDEX run_behind; DROP TABLE hook;"         \
	"ALTER TABLE run DROP COLUMN source; ALTER TABLE run DROP COLUMN behind;" \
	"CREATE INDEX run_waiting ON run (hook, due) WHERE state = 1;"
#define UNDO_STEP_4 "DROP INDEX run_replay;"
#define UNDO_STEP_6                                                             \
	"CREATE UNIQUE INDEX job_key ON job (id, source); DROP TABLE job_hash;" \
	"DELETE FROM meta WHERE key IN ('id_key', 'merged_to');"
#define UNDO_STEP_5 "DELETE FROM meta WHERE key IN ('jobs', 'jobs_to');"

/* What a store that knew nothing of asking has, is asked for. */
static void test_from_version_1(void **state)
{
	struct store_asks asks = {
		.source = "src", .limit = 10, .now_usec = clock_steady_usec()};

	(void)state;
	close_store();
	/* Made anew, as the first version made it. */
	CLEANUP(freep)
	char *sql = text_format(
		"PRAGMA auto_vacuum=INCREMENTAL; BEGIN; %s; "
		"INSERT INTO meta VALUES ('name', 'abcdefgh'); "
		"INSERT INTO job VALUES (1, 'src', 'old', NULL, 1, 0, 5, 5, 0, 0, 0, 0, "
		"7, NULL, -1), (2, 'src', 'done', NULL, 2, 0, 5, 5, 0, 0, 0, 0, 7, NULL, "
		"-1); PRAGMA application_id=%d; PRAGMA user_version=1; COMMIT",
		store_schema_steps[0], STORE_APPLICATION_ID);
	assert_non_null(sql);
	assert_int_equal(unlink(path_of(STORE_FILE)), 0);
	unlink(path_of(STORE_FILE "-wal"));
	execute_sql(sql);
	reopen();
	assert_int_equal(store_counts(fix.store).pending, 1);
	assert_int_equal(store_counts(fix.store).asking, 1);
	assert_int_equal(run(&asks.op, STORE_ASKS), 0);
	assert_int_equal(asks.n_questions, 1);
	assert_string_equal(asks.questions[0].id, "old");
	assert_int_equal(asks.questions[0].from_usec, 5);
	assert_int_equal(asks.oldest_usec, 5);
	store_op_fini(&asks.op);
}

static void test_versions(void **state)
{
	char sql[64];

	(void)state;
	close_store();
	execute_sql("PRAGMA user_version=1000");
	expect_refusal(-ENOTSUP, "newer");
	execute_sql("PRAGMA user_version=1");
	expect_refusal(-EBADMSG, "damaged");
	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d; DROP INDEX run_open",
		store_schema_newest);
	execute_sql(sql);
	expect_refusal(-EBADMSG, "damaged");
	execute_sql("PRAGMA application_id=1");
	expect_refusal(-EBADMSG, "no store of callbackd");
	execute_sql("CREATE INDEX run_open ON run (state) WHERE state <> 3");
	snprintf(sql, sizeof(sql), "PRAGMA application_id=%d", STORE_APPLICATION_ID);
	execute_sql(sql);
	reopen();
}

/* Version 2 knew no replays by their origin: what it had stored is found all the same. */
static void test_from_version_2(void **state)
{
	uint64_t number = put_run("job", "hook", true);
	struct store_settle settle = {.run = number,
		.attempt = 1,
		.state = RUN_DONE,
		.exit_status = 0,
		.signal = -1};
	struct store_replay replay = {.run = run_id(number)};
	struct store_claim claim = {.hook = "hook", .limit = 9, .now_usec = INT64_MAX};

	(void)state;
	assert_int_equal(run(&settle.op, STORE_SETTLE), 0);
	assert_int_equal(run(&replay.op, STORE_REPLAY), 0);
	close_store();
	execute_sql(
		UNDO_STEP_6 UNDO_STEP_5 UNDO_STEP_4 UNDO_STEP_3 "PRAGMA user_version=2");
	reopen();
	/* What waits is in the queue of its source. */
	assert_int_equal(run(&claim.op, STORE_CLAIM), 0);
	assert_int_equal(claim.n_runs, 1);
	assert_int_equal(claim.runs[0].number, number + 1);
	store_op_fini(&claim.op);
	struct store_get_run get = {.run = run_id(number)};
	assert_int_equal(run(&get.op, STORE_GET_RUN), 0);
	assert_int_equal(get.record.replayed_by, number + 1);
	store_op_fini(&get.op);
}

static void put_job(const char *id)
{
	struct store_put put = new_put(id, "OK", S);

	assert_int_equal(run(&put.op, STORE_PUT), 0);
}

static int64_t meta(const char *key)
{
	sqlite3 *db;
	sqlite3_stmt *row;
	CLEANUP(freep)
	char *sql = text_format("SELECT value FROM meta WHERE key = '%s'", key);

	assert_int_equal(sqlite3_open(path_of(STORE_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	sqlite3_close(db);
	return value;
}

/* The jobs are counted as they come and go, not at each start. */
static void test_count_of_jobs(void **state)
{
	struct store_forget forget = {.source = "src", .id = "b"};

	(void)state;
	put_job("a");
	put_job("b");
	put_job("c");
	reopen();
	assert_int_equal(store_counts(fix.store).jobs, 3);
	assert_int_equal(run(&forget.op, STORE_FORGET), 0);
	put_job("d");
	put_job("e");
	reopen();
	assert_int_equal(store_counts(fix.store).jobs, 4);
	close_store();
	/* As of the last deletion: a and c; d and e came later. */
	assert_int_equal(meta("jobs"), 2);
	assert_int_equal(meta("jobs_to"), 4);
	execute_sql("UPDATE meta SET value = value + 1000 WHERE key = 'jobs'");
	reopen();
	assert_int_equal(store_counts(fix.store).jobs, 1004);
	/* Too many came since: the next transaction notes how many there are. */
	close_store();
	execute_sql("UPDATE meta SET value = 2 WHERE key = 'jobs';"
		    "UPDATE job SET number = 20000 WHERE id = 'e'");
	reopen();
	assert_int_equal(store_counts(fix.store).jobs, 4);
	put_job("f");
	put_job("g");
	close_store();
	assert_int_equal(meta("jobs"), 5);
	assert_int_equal(meta("jobs_to"), 20002);
	reopen();
	assert_int_equal(store_counts(fix.store).jobs, 6);
	/* A number below it that no row has is given to none: it would not be counted. */
	close_store();
	execute_sql("UPDATE meta SET value = 6 WHERE key = 'jobs';"
		    "UPDATE meta SET value = 100000 WHERE key = 'jobs_to'");
	reopen();
	put_job("h");
	reopen();
	assert_int_equal(store_counts(fix.store).jobs, 7);
	close_store();
	execute_sql("DELETE FROM meta WHERE key = 'jobs'");
	expect_refusal(-EIO, "how many jobs");
}

/* A start that was killed while it made the file leaves nothing in the way. */
static void test_unfinished_creation(void **state)
{
	char name[16];

	(void)state;
	snprintf(name, sizeof(name), "%s", store_name(fix.store));
	assert_int_equal(strlen(name), 8);
	assert_int_equal(strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz"), 8);
	reopen();
	assert_string_equal(store_name(fix.store), name);
	close_store();
	unlink(path_of("lock"));
	unlink(path_of(STORE_FILE "-wal"));
	char from[128], to[128];
	snprintf(from, sizeof(from), "%s", path_of(STORE_FILE));
	snprintf(to, sizeof(to), "%s", path_of(STORE_FILE ".new"));
	assert_int_equal(rename(from, to), 0);
	overwrite(STORE_FILE ".new", "half", 4);
	reopen();
	assert_string_not_equal(store_name(fix.store), name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_verdicts),
		TEST(test_first_payload_stays),
		TEST(test_one_id_two_sources),
		TEST(test_confirmed),
		TEST(test_tokens),
		TEST(test_ignored),
		TEST(test_bind_then_callback),
		TEST(test_expect),
		TEST(test_forget),
		TEST(test_group_commit),
		TEST(test_close_commits),
		TEST(test_modes),
		TEST(test_two_daemons),
		TEST(test_damage),
		TEST(test_from_version_1),
		TEST(test_versions),
		TEST(test_from_version_2),
		TEST(test_count_of_jobs),
		TEST(test_unfinished_creation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
