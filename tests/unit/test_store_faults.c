/*
 * The store when the disk does not do what it ought to: nobody is told "stored" before it
 * is synced, a failed sync is the end, a full disk is not, and what was told survives
 * SIGKILL.
 */
#include "store_help.h"
#include "store_shim.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int set_up_shim(void **state)
{
	shim_reset();
	return set_up(state);
}

static int tear_down_shim(void **state)
{
	shim_reset();
	return tear_down(state);
}

static bool is_stored(const char *id)
{
	struct store_get_job get = {.source = "src", .id = id};

	int r = run(&get.op, STORE_GET_JOB);
	store_op_fini(&get.op);
	return r == 0;
}

/* ---- No answer before the sync ---- */

static bool answered;

static void on_synced(struct store_op *op)
{
	assert_int_equal(op->result, 0);
	assert_false(shim.unsynced);
	answered = true;
}

static void test_synced_before_answered(void **state)
{
	char id[16];

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		struct store_put p = new_put(id, "OK", OUTCOME_SUCCESS);
		int writes = shim.log_writes, syncs = shim.log_syncs;
		snprintf(id, sizeof(id), "job-%u", i);
		p.op.kind = STORE_PUT;
		p.op.on_done = on_synced;
		answered = false;
		assert_int_equal(store_submit(fix.store, &p.op), 0);
		while (!answered)
			event_base_loop(fix.base, EVLOOP_ONCE);
		assert_true(shim.log_writes > writes);
		assert_true(shim.log_syncs > syncs);
	}
}

/* A question needs none. */
static void test_reading_does_not_sync(void **state)
{
	struct store_ping ping = {.op = {.result = 1}};

	(void)state;
	put_run("job", "hook", false);
	int syncs = shim.log_syncs;
	uint64_t commits = store_counts(fix.store).commits;
	assert_true(is_stored("job"));
	assert_int_equal(run(&ping.op, STORE_PING), 0);
	assert_int_equal(shim.log_syncs, syncs);
	assert_int_equal(store_counts(fix.store).commits, commits);
}

/* ---- An I/O error is the end ---- */

static void expect_end(void)
{
	static struct store_put puts[3];
	static struct store_settle settle;
	static struct store_wish wish;
	bool done = false;
	struct store_put last = new_put("last", "OK", OUTCOME_SUCCESS);

	wish = (struct store_wish){.hook = "hook"};
	for (unsigned i = 0; i < 3; i++) {
		puts[i] = new_put(i ? "b" : "a", "OK", OUTCOME_SUCCESS);
		puts[i].op.kind = STORE_PUT;
		puts[i].op.on_done = on_done;
		puts[i].op.arg = &done;
		puts[i].wishes = &wish;
		puts[i].n_wishes = i == 0;
		puts[i].op.result = 1;
		assert_int_equal(store_submit(fix.store, &puts[i].op), 0);
	}
	settle = (struct store_settle){.run = 1, .attempt = 1, .state = RUN_DONE};
	assert_int_equal(run(&settle.op, STORE_SETTLE), -EIO);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(puts[i].op.result, -EIO);
	assert_int_equal(wish.run, 0);
	assert_int_equal(fix.fatal, 1);
	assert_string_not_equal(fix.what, "");
	assert_false(store_healthy(fix.store));
	int writes = shim.writes;
	shim.write_countdown = shim.sync_countdown = 0;
	assert_int_equal(run(&last.op, STORE_PUT), -EIO);
	assert_int_equal(fix.fatal, 1);
	close_store();
	assert_int_equal(shim.writes, writes);
}

static void test_failed_sync(void **state)
{
	(void)state;
	put_run("before", "hook", true);
	shim.sync_error = SQLITE_IOERR_FSYNC;
	shim.sync_countdown = 1;
	expect_end();
	reopen();
	assert_true(is_stored("before"));
	assert_false(is_stored("last"));
}

static void test_failed_write(void **state)
{
	(void)state;
	put_run("before", "hook", true);
	shim.write_error = SQLITE_IOERR_WRITE;
	shim.write_countdown = 1;
	expect_end();
	reopen();
	assert_true(is_stored("before"));
	assert_false(is_stored("a"));
}

/* Also of the database, when the log is carried over and nobody waits for anything. */
static void test_failed_checkpoint(void **state)
{
	static char body[64 * 1024];
	char id[16];
	int n = 0, r = 0;

	(void)state;
	shim.sync_error = SQLITE_IOERR_FSYNC;
	shim.database_sync_fails = true;
	while (r == 0 && n < 80) { /* enough to be worth it */
		struct store_put p = new_put(id, "OK", OUTCOME_SUCCESS);
		snprintf(id, sizeof(id), "job-%d", n);
		p.payload = (struct bytes){body, sizeof(body)};
		r = run(&p.op, STORE_PUT);
		n += r == 0;
	}
	/* A test that was held up for long enough meets the end between two puts. */
	assert_true(r == 0 || (r == -EIO && n > 0));
	while (!fix.fatal)
		event_base_loop(fix.base, EVLOOP_ONCE);
	close_store();
	shim.database_sync_fails = false;
	reopen();
	snprintf(id, sizeof(id), "job-%d", n - 1);
	assert_true(is_stored(id));
}

/* ---- Files that have lost their names are the end ---- */

static void command(const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	assert_int_equal(system(text), 0);
}

/* What was answered 0 would not be there in the next life. */
static void expect_gone(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct store_put p = new_put("lost", "OK", OUTCOME_SUCCESS);
		assert_int_equal(run(&p.op, STORE_PUT), -EIO);
	}
	assert_int_equal(fix.fatal, 1);
	assert_string_equal(
		fix.what, "the state directory was removed or replaced under the daemon");
	assert_false(store_healthy(fix.store));
	close_store();
	command("rm -rf %s %s.old", fix.directory, fix.directory);
	fix.fatal = 0;
	reopen();
	put_run("before", "hook", true);
}

static void test_directory_removed(void **state)
{
	const char *d = fix.directory;

	(void)state;
	put_run("before", "hook", true);
	command("rm -rf %s", d);
	expect_gone();
	command("mv %s %s.old", d, d);
	expect_gone();
	command("mv %s %s.old && mkdir %s", d, d, d);
	expect_gone();
	command("mv %s %s.old && cp -a %s.old %s", d, d, d, d);
	expect_gone();
	command("rm %s/callbackd.db", d);
	expect_gone();
	command("cp %s/callbackd.db %s/x && mv %s/x %s/callbackd.db", d, d, d, d);
	expect_gone();
	command("rm %s/callbackd.db-wal", d);
	expect_gone();
	command("mv %s/callbackd.db-wal %s/x && : >%s/callbackd.db-wal", d, d, d);
	expect_gone();
}

/* Also one that goes while a commit is under way. */
static void test_directory_removed_in_commit(void **state)
{
	struct store_put p = new_put("lost", "OK", OUTCOME_SUCCESS);
	bool done = false;

	(void)state;
	shim.blocked = true;
	p.op = (struct store_op){.kind = STORE_PUT, .on_done = on_done, .arg = &done};
	assert_int_equal(store_submit(fix.store, &p.op), 0);
	while (!shim.waiting)
		usleep(1000);
	command("rm -rf %s", fix.directory);
	shim.blocked = false;
	while (!done)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_int_equal(p.op.result, -EIO);
	expect_gone();
}

/* What is moved and moved back again is no harm, nor is a path by a symbolic link. */
static void test_directory_still_there(void **state)
{
	char link[80];

	(void)state;
	snprintf(link, sizeof(link), "%s.link", fix.directory);
	assert_int_equal(symlink(fix.directory, link), 0);
	fix.options.directory = link;
	reopen();
	put_run("a", "hook", true);
	command("mv %s %s.old && mv %s.old %s", fix.directory, fix.directory,
		fix.directory, fix.directory);
	put_run("b", "hook", true);
	assert_int_equal(fix.fatal, 0);
	fix.options.directory = fix.directory;
	reopen();
	assert_int_equal(unlink(link), 0);
}

/* Whichever write or sync it is, of log or database: what was answered 0 is there. */
static void fail_at(int n, bool sync, int error)
{
	char id[16];
	unsigned stored = 0;
	int r = 0;

	if (sync) {
		shim.sync_error = error;
		shim.sync_countdown = n;
	} else {
		shim.write_error = error;
		shim.write_countdown = n;
	}
	for (; stored < 100 && !shim.failing; stored++) {
		struct store_put p = new_put(id, "OK", OUTCOME_SUCCESS);
		snprintf(id, sizeof(id), "%d-%u", n, stored);
		r = run(&p.op, STORE_PUT);
		if (r)
			break;
	}
	assert_true(shim.failing);
	assert_true(r == 0 || r == -EIO || r == -ENOSPC);
	shim.write_countdown = shim.sync_countdown = 0;
	shim.failing = false;
	reopen();
	for (unsigned i = 0; i < stored; i++) {
		snprintf(id, sizeof(id), "%d-%u", n, i);
		assert_true(is_stored(id));
	}
}

static void test_every_write(void **state)
{
	(void)state;
	for (int n = 1; n < 60; n += 3) {
		fail_at(n, false, SQLITE_IOERR_WRITE);
		fail_at(n, false, SQLITE_FULL);
		if (n < 20)
			fail_at(n, true, SQLITE_IOERR_FSYNC);
	}
}

/* ---- A full disk is not ---- */

static void wait_until_healthy(bool healthy)
{
	struct store_ping ping = {.op = {.result = 1}};

	for (int i = 0; i < 500 && store_healthy(fix.store) != healthy; i++) {
		assert_int_equal(run(&ping.op, STORE_PING), 0);
		usleep(10000);
	}
	assert_int_equal(store_healthy(fix.store), healthy);
}

static int try_put(const char *id)
{
	struct store_wish wish = {.hook = "hook"};
	struct store_put p = new_put(id, "OK", OUTCOME_SUCCESS);

	p.wishes = &wish;
	p.n_wishes = 1;
	int r = run(&p.op, STORE_PUT);
	assert_int_equal(wish.run != 0, r == 0);
	return r;
}

static void submit(struct store_op *op, enum store_kind kind, bool *done)
{
	op->kind = kind;
	op->on_done = on_done;
	op->arg = done;
	op->result = 1;
	assert_int_equal(store_submit(fix.store, op), 0);
}

static void test_full_disk(void **state)
{
	uint64_t number = put_run("job", "hook", true);
	struct store_settle settle = {.run = number, .attempt = 1, .state = RUN_DONE};
	struct store_claim claim = {.hook = "hook", .limit = 4, .now_usec = INT64_MAX};
	bool settled = false, claimed = false;

	(void)state;
	put_run("waits", "hook", false);
	shim.write_error = SQLITE_FULL;
	shim.write_countdown = 1;
	assert_int_equal(try_put("refused"), -ENOSPC);
	assert_false(store_healthy(fix.store));
	submit(&settle.op, STORE_SETTLE, &settled);
	submit(&claim.op, STORE_CLAIM, &claimed);
	/* Questions are answered all the while, also the watchdog's; what was refused is
	 * not there, what is kept is not answered. */
	for (int i = 0; i < 70; i++) {
		struct store_ping ping = {.op = {.result = 1}};
		assert_int_equal(run(&ping.op, STORE_PING), 0);
		assert_false(is_stored("refused"));
		assert_int_equal(try_put("refused"), -ENOSPC);
		struct store_put ignored = new_put("ignored", "OK", OUTCOME_SUCCESS);
		ignored.ignore = true;
		assert_int_equal(run(&ignored.op, STORE_PUT), 0);
		usleep(10000);
	}
	assert_false(settled || claimed);
	assert_int_equal(store_counts(fix.store).running, 1);
	shim.write_countdown = 0;
	wait_until_healthy(true);
	while (!settled || !claimed)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_int_equal(settle.op.result, 0);
	assert_int_equal(claim.op.result, 0);
	assert_int_equal(claim.n_runs, 1);
	store_op_fini(&claim.op);
	assert_int_equal(store_counts(fix.store).done, 1);
	assert_int_equal(try_put("refused"), 0);
	assert_int_equal(fix.fatal, 0);
}

/* The loop sees at once that it cannot commit, and by itself that it can again. */
static void test_idle_recovery(void **state)
{
	(void)state;
	usleep(300000); /* it has nothing else to do: it must wake for this alone */
	shim.write_error = SQLITE_FULL;
	shim.write_countdown = 1;
	assert_int_equal(try_put("a"), -ENOSPC);
	shim.write_countdown = 0;
	for (int i = 0; i < 100 && !store_healthy(fix.store); i++)
		usleep(10000); /* nothing is asked of it */
	assert_true(store_healthy(fix.store));
}

static void assert_health(unsigned n_ailments, unsigned n_recoveries, const char *why)
{
	assert_int_equal(fix.n_ailments, n_ailments);
	assert_int_equal(fix.n_recoveries, n_recoveries);
	assert_string_equal(fix.ailment, why);
}

/* Each edge is told once, and before the refusal that it explains. */
static void test_health_edges(void **state)
{
	(void)state;
	fix.options.on_health = on_health;
	reopen();
	put_run("job", "hook", true);
	assert_health(0, 0, "");
	shim.write_error = SQLITE_FULL;
	shim.write_countdown = 1;
	assert_int_equal(try_put("a"), -ENOSPC);
	assert_health(1, 0, "the disk is full");
	usleep(600000); /* it tries again in vain, twice */
	assert_int_equal(try_put("b"), -ENOSPC);
	assert_health(1, 0, "the disk is full");
	/* Well again with nobody asking: the loop wakes for this alone. */
	shim.write_countdown = 0;
	while (!fix.n_recoveries)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_health(1, 1, "");
	assert_int_equal(try_put("a"), 0);
	store_set_limits(fix.store, (uint64_t)DAYS(30), UINT64_MAX / 2);
	while (fix.n_ailments < 2)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_health(2, 1, "less than MinFreeBytes= is free");
	store_set_limits(fix.store, (uint64_t)DAYS(30), 1);
	while (fix.n_recoveries < 2)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_health(2, 2, "");
	/* Both edges are behind us when the loop looks: it is told of both. */
	bool done = false;
	struct store_put p = new_put("c", "OK", OUTCOME_SUCCESS);
	shim.write_countdown = 1;
	submit(&p.op, STORE_PUT, &done);
	while (store_healthy(fix.store))
		usleep(1000);
	shim.write_countdown = 0;
	while (!store_healthy(fix.store))
		usleep(1000);
	while (!done)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_int_equal(p.op.result, -ENOSPC);
	assert_health(3, 3, "");
}

/* What came later is not carried out before: it builds on what came first. */
static void test_kept_in_order(void **state)
{
	uint64_t number = put_run("job", "hook", true);
	struct store_settle settle = {.run = number, .attempt = 1, .state = RUN_WAITING};
	struct store_claim claim = {.hook = "hook", .limit = 1, .now_usec = INT64_MAX};
	struct store_settle again = {.run = number, .attempt = 2, .state = RUN_DONE};
	bool settled = false, claimed = false, ended = false;

	(void)state;
	shim.write_error = SQLITE_FULL;
	shim.write_countdown = 1;
	assert_int_equal(try_put("refused"), -ENOSPC);
	/* In three batches; and then they are tried together, in vain. */
	submit(&settle.op, STORE_SETTLE, &settled);
	assert_int_equal(try_put("refused"), -ENOSPC);
	submit(&claim.op, STORE_CLAIM, &claimed);
	assert_int_equal(try_put("refused"), -ENOSPC);
	usleep(300000);
	submit(&again.op, STORE_SETTLE, &ended);
	assert_int_equal(try_put("refused"), -ENOSPC);
	shim.write_countdown = 0;
	while (!ended)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_true(settled && claimed);
	assert_int_equal(settle.op.result, 0);
	assert_int_equal(claim.op.result, 0);
	assert_int_equal(claim.n_runs, 1);
	store_op_fini(&claim.op);
	assert_int_equal(again.op.result, 0);
}

static void test_close_while_full(void **state)
{
	uint64_t number = put_run("job", "hook", true);
	struct store_settle settle = {.run = number, .attempt = 1, .state = RUN_DONE};
	bool settled = false;

	(void)state;
	shim.write_error = SQLITE_FULL;
	shim.write_countdown = 1;
	assert_int_equal(try_put("refused"), -ENOSPC);
	submit(&settle.op, STORE_SETTLE, &settled);
	close_store();
	assert_true(settled);
	assert_int_equal(settle.op.result, -ECANCELED);
	shim.write_countdown = 0;
	reopen();
	assert_int_equal(store_recovered(fix.store), 1);
}

/* A disk that has room again just in time. */
static void test_close_in_time(void **state)
{
	uint64_t number = put_run("job", "hook", true);
	struct store_settle settle = {.run = number, .attempt = 1, .state = RUN_DONE};
	bool settled = false;

	(void)state;
	shim.write_error = SQLITE_FULL;
	shim.write_countdown = 1;
	assert_int_equal(try_put("refused"), -ENOSPC);
	submit(&settle.op, STORE_SETTLE, &settled);
	shim.write_countdown = 0;
	close_store();
	assert_true(settled);
	assert_int_equal(settle.op.result, 0);
	reopen();
	assert_int_equal(store_recovered(fix.store), 0);
}

static void test_low_disk(void **state)
{
	uint64_t number = put_run("job", "hook", true);
	struct store_settle settle = {.run = number, .attempt = 1, .state = RUN_DONE};
	struct store_claim claim = {.hook = "hook", .limit = 1, .now_usec = INT64_MAX};

	(void)state;
	put_run("waits", "hook", false);
	store_set_limits(fix.store, (uint64_t)DAYS(30), UINT64_MAX / 2);
	wait_until_healthy(false);
	assert_int_equal(try_put("refused"), -ENOSPC);
	/* What is under way goes on. */
	assert_int_equal(run(&settle.op, STORE_SETTLE), 0);
	assert_int_equal(run(&claim.op, STORE_CLAIM), 0);
	assert_int_equal(claim.n_runs, 1);
	store_op_fini(&claim.op);
	store_set_limits(fix.store, (uint64_t)DAYS(30), 1);
	wait_until_healthy(true);
	assert_int_equal(try_put("refused"), 0);
	/* Low from the start. */
	fix.options.min_free_bytes = UINT64_MAX / 2;
	reopen();
	assert_int_equal(try_put("more"), -ENOSPC);
	wait_until_healthy(false);
}

/* The same with a real file system that is full. */
static void test_small_disk(void **state)
{
	static char body[64 * 1024];
	static char directory[128], ballast[160];
	char id[16];
	unsigned stored = 0;
	int r = 0;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root can mount a small disk\n");
		return;
	}
	snprintf(directory, sizeof(directory), "%s/small", fix.directory);
	snprintf(ballast, sizeof(ballast), "%s/ballast", directory);
	assert_int_equal(mkdir(directory, 0700), 0);
	if (mount("none", directory, "tmpfs", 0, "size=4m")) {
		print_message("skipped: no small disk can be mounted here\n");
		return;
	}
	int fd = open(ballast, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(posix_fallocate(fd, 0, 1024 * 1024), 0);
	close(fd);
	fix.options.directory = directory;
	reopen();
	uint64_t number = put_run("job", "hook", true);
	memset(body, 'x', sizeof(body));
	for (; r == 0; stored += r == 0) {
		struct store_put p = new_put(id, "OK", OUTCOME_SUCCESS);
		snprintf(id, sizeof(id), "job-%u", stored);
		p.payload = (struct bytes){body, sizeof(body)};
		r = run(&p.op, STORE_PUT);
	}
	assert_int_equal(r, -ENOSPC);
	struct store_settle settle = {.run = number,
		.attempt = 1,
		.state = RUN_DONE,
		.stdout_tail = {body, sizeof(body)}};
	bool settled = false;
	submit(&settle.op, STORE_SETTLE, &settled);
	assert_true(is_stored("job-0"));
	assert_int_equal(fix.fatal, 0);
	unlink(ballast);
	wait_until_healthy(true);
	while (!settled)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_int_equal(settle.op.result, 0);
	assert_int_equal(try_put("again"), 0);
	close_store();
	reopen();
	for (unsigned i = 0; i < stored; i++) {
		snprintf(id, sizeof(id), "job-%u", i);
		assert_true(is_stored(id));
	}
	close_store();
	umount(directory);
	fix.options.directory = fix.directory;
	reopen();
}

/* ---- The queue is bounded ---- */

static void test_full_queue(void **state)
{
	enum { N = 8 };
	static struct store_put puts[N + 2];
	struct store_settle settle = {.run = 1, .attempt = 1, .state = RUN_DONE};
	bool done[N + 2] = {false}, settled = false;

	(void)state;
	fix.options.queue_max = N;
	reopen();
	shim.blocked = true;
	puts[0] = new_put("first", "OK", OUTCOME_SUCCESS);
	submit(&puts[0].op, STORE_PUT, &done[0]);
	while (!shim.waiting)
		usleep(1000);
	for (unsigned i = 1; i <= N; i++) {
		puts[i] = new_put("job", "OK", OUTCOME_SUCCESS);
		submit(&puts[i].op, STORE_PUT, &done[i]);
	}
	assert_int_equal(store_counts(fix.store).queue, N);
	puts[N + 1] = new_put("job", "OK", OUTCOME_SUCCESS);
	puts[N + 1].op.kind = STORE_PUT;
	assert_int_equal(store_submit(fix.store, &puts[N + 1].op), -EAGAIN);
	submit(&settle.op, STORE_SETTLE, &settled); /* is not bounded */
	assert_false(done[0]);
	shim.blocked = false;
	while (!settled)
		event_base_loop(fix.base, EVLOOP_ONCE);
	for (unsigned i = 0; i <= N; i++)
		assert_true(done[i]);
	assert_int_equal(try_put("later"), 0);
}

static void on_late(struct store_op *op)
{
	assert_int_equal(op->result, 0);
	++*(unsigned *)op->arg;
}

static int put_late(struct store_put *put, struct bytes body, unsigned *done)
{
	*put = new_put("job", "OK", OUTCOME_SUCCESS);
	put->payload = body;
	put->op.kind = STORE_PUT;
	put->op.on_done = on_late;
	put->op.arg = done;
	return store_submit(fix.store, &put->op);
}

/*
 * `n` puts wait behind a commit that does not end: more are taken, but not when the first has
 * waited for long and they fill more than a batch.
 */
static void expect_late(struct bytes body, unsigned n)
{
	struct store_put *puts = calloc(n + 3, sizeof(*puts));
	struct store_settle settle = {.run = 1, .attempt = 1, .state = RUN_DONE};
	unsigned n_done = 0;
	bool settled = false;
	int64_t wall = clock_wall_usec();
	uint64_t mono = clock_mono_usec();

	assert_non_null(puts);
	shim.waiting = false;
	shim.blocked = true;
	assert_int_equal(put_late(&puts[0], body, &n_done), 0);
	while (!shim.waiting)
		usleep(1000);
	clock_freeze(wall, mono);
	for (unsigned i = 1; i < n; i++)
		assert_int_equal(put_late(&puts[i], body, &n_done), 0);
	clock_freeze(wall, mono + 600 * USEC_PER_MSEC);
	assert_int_equal(put_late(&puts[n], body, &n_done), 0); /* a batch is not full */
	assert_int_equal(put_late(&puts[n + 1], body, &n_done), -EAGAIN);
	clock_freeze(wall, mono + 400 * USEC_PER_MSEC);
	assert_int_equal(put_late(&puts[n + 1], body, &n_done), 0);
	clock_freeze(wall, mono + 600 * USEC_PER_MSEC);
	assert_int_equal(put_late(&puts[n + 2], body, &n_done), -EAGAIN);
	submit(&settle.op, STORE_SETTLE, &settled); /* is not bounded */
	clock_thaw();
	shim.blocked = false;
	while (!settled)
		event_base_loop(fix.base, EVLOOP_ONCE);
	assert_int_equal(n_done, n + 2);
	assert_int_equal(put_late(&puts[0], body, &n_done), 0);
	while (n_done < n + 3)
		event_base_loop(fix.base, EVLOOP_ONCE);
	free(puts);
}

static void test_slow_queue(void **state)
{
	static char large[1024 * 1024];

	(void)state;
	expect_late(TEXT("{}"), 512);
	expect_late((struct bytes){large, sizeof(large)}, 8);
	expect_late(
		(struct bytes){large, sizeof(large)}, 8); /* none of them counts still */
}

/* ---- Answers do not fill the memory nor hold the loop up ---- */

enum { N_ANSWERS = 100 };

static unsigned n_back, n_turn, n_turn_max;

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	n_turn = 0;
}

static void on_slow_answer(struct store_op *op)
{
	assert_ptr_equal(op->arg, (void *)(uintptr_t)n_back); /* in order */
	assert_int_equal(op->result, 0);
	n_back++;
	if (++n_turn > n_turn_max)
		n_turn_max = n_turn;
	store_op_fini(op);
	usleep(2000);
}

/* How many of them hold results, once the writer has come as far as it will. */
static unsigned count_answers(const struct store_get_job *gets)
{
	unsigned n = 0;

	usleep(1000000);
	(void)store_counts(fix.store); /* what the writer did is seen from here on */
	for (unsigned i = 0; i < N_ANSWERS; i++)
		n += gets[i].n_jobs > 0;
	return n;
}

static void ask_often(bool full)
{
	static struct store_get_job gets[N_ANSWERS];
	struct timeval often = {0, 100};
	struct event *turn = event_new(fix.base, -1, EV_PERSIST, on_turn, NULL);
	unsigned n;

	n_back = n_turn = n_turn_max = 0;
	for (uintptr_t i = 0; i < N_ANSWERS; i++) {
		gets[i] = (struct store_get_job){.source = "src", .id = "fat"};
		gets[i].op.kind = STORE_GET_JOB;
		gets[i].op.on_done = on_slow_answer;
		gets[i].op.arg = (void *)i;
		assert_int_equal(store_submit(fix.store, &gets[i].op), 0);
	}
	/* 1 MiB each: 32 are the most, and those of a batch that was begun before. */
	n = count_answers(gets);
	assert_in_range(n, 8, 48);
	assert_int_equal(store_healthy(fix.store), !full);
	event_add(turn, &often);
	while (n_back < N_ANSWERS)
		event_base_loop(fix.base, EVLOOP_ONCE);
	/* Three in 5 ms, and twice that before the timer is due; a busy machine is late. */
	assert_in_range(n_turn_max, 1, 16);
	event_free(turn);
}

static void test_heavy_answers(void **state)
{
	static char body[1024 * 1024];
	struct store_put p = new_put("fat", "OK", OUTCOME_SUCCESS);

	(void)state;
	p.payload = (struct bytes){body, sizeof(body)};
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	ask_often(false);
	shim.write_error = SQLITE_FULL;
	shim.write_countdown = 1;
	assert_int_equal(try_put("refused"), -ENOSPC);
	ask_often(true);
	shim.write_countdown = 0;
	wait_until_healthy(true);
}

/* Who closes waits for nobody to take the answers. */
static void test_close_with_heavy_answers(void **state)
{
	static char body[1024 * 1024];
	static struct store_get_job gets[N_ANSWERS];
	struct store_put p = new_put("fat", "OK", OUTCOME_SUCCESS);

	(void)state;
	p.payload = (struct bytes){body, sizeof(body)};
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	n_back = 0;
	for (uintptr_t i = 0; i < N_ANSWERS; i++) {
		gets[i] = (struct store_get_job){.source = "src", .id = "fat"};
		gets[i].op.kind = STORE_GET_JOB;
		gets[i].op.on_done = on_slow_answer;
		gets[i].op.arg = (void *)i;
		assert_int_equal(store_submit(fix.store, &gets[i].op), 0);
	}
	close_store();
	assert_int_equal(n_back, N_ANSWERS);
	reopen();
}

/* ---- SIGKILL ---- */

static int told_fd;

static void on_told(struct store_op *op)
{
	unsigned *number = op->arg;

	if (op->result || write(told_fd, number, sizeof(*number)) != sizeof(*number))
		_exit(1);
	*number += 16;
	struct store_put *p = container_of(op, struct store_put, op);
	snprintf((char *)p->id, 16, "job-%u", *number);
	if (store_submit(fix.store, op))
		_exit(1);
}

/* Puts as fast as it can, 16 at a time, and tells which are stored; until it is killed. */
static void stream_of_puts(void)
{
	static struct store_put puts[16];
	static char ids[16][16];
	static unsigned numbers[16];

	alarm(20); /* whatever happens to who should end us */
	fix.base = event_base_new();
	reopen();
	for (unsigned i = 0; i < 16; i++) {
		numbers[i] = i;
		snprintf(ids[i], sizeof(ids[i]), "job-%u", i);
		puts[i] = new_put(ids[i], "OK", OUTCOME_SUCCESS);
		puts[i].op.kind = STORE_PUT;
		puts[i].op.on_done = on_told;
		puts[i].op.arg = &numbers[i];
		if (store_submit(fix.store, &puts[i].op))
			_exit(1);
	}
	event_base_dispatch(fix.base);
	_exit(1);
}

static void kill_and_count(unsigned n_told)
{
	static unsigned told[100000];
	int fds[2], status;
	size_t n = 0;
	char id[16];

	close_store();
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		told_fd = fds[1];
		stream_of_puts();
	}
	close(fds[1]);
	while (n < ARRAY_SIZE(told) &&
		read(fds[0], &told[n], sizeof(told[0])) == sizeof(told[0])) {
		if (++n == n_told)
			kill(pid, SIGKILL);
	}
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	reopen();
	assert_true(n >= n_told);
	for (size_t i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "job-%u", told[i]);
		assert_true(is_stored(id));
	}
}

static void test_killed(void **state)
{
	(void)state;
	kill_and_count(1);
	kill_and_count(300);
	kill_and_count(2500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_shim, tear_down_shim)
		TEST(test_synced_before_answered),
		TEST(test_reading_does_not_sync),
		TEST(test_failed_sync),
		TEST(test_failed_write),
		TEST(test_failed_checkpoint),
		TEST(test_directory_removed),
		TEST(test_directory_removed_in_commit),
		TEST(test_directory_still_there),
		TEST(test_every_write),
		TEST(test_full_disk),
		TEST(test_idle_recovery),
		TEST(test_health_edges),
		TEST(test_kept_in_order),
		TEST(test_close_while_full),
		TEST(test_close_in_time),
		TEST(test_low_disk),
		TEST(test_small_disk),
		TEST(test_full_queue),
		TEST(test_slow_queue),
		TEST(test_heavy_answers),
		TEST(test_close_with_heavy_answers),
		TEST(test_killed),
	};

	shim_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
