/*
 * A store in a directory of its own, and operations carried out one at a time, as if they
 * returned at once. Include in one file of a test.
 */
#ifndef STORE_HELP_H
#define STORE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "io/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAYS(n) ((n)*86400 * (int64_t)USEC_PER_SEC)
#define TEXT(s) ((struct bytes){(s), sizeof(s) - 1})

static struct fixture {
	struct event_base *base;
	struct store *store;
	struct store_options options;
	char directory[64];
	unsigned fatal;
	char what[256];
	unsigned n_ailments, n_recoveries;
	char ailment[64];
	struct store_change *seen; /* the last ones, copied */
	size_t n_seen, n_calls;
} fix;

__attribute__((unused)) static void on_fatal(void *arg, const char *what)
{
	(void)arg;
	fix.fatal++;
	snprintf(fix.what, sizeof(fix.what), "%s", what);
}

__attribute__((unused)) static void on_health(void *arg, bool healthy, const char *why)
{
	(void)arg;
	fix.n_recoveries += healthy;
	fix.n_ailments += !healthy;
	assert_int_equal(fix.n_ailments, fix.n_recoveries + !healthy); /* by turns */
	assert_true(healthy == !why);
	snprintf(fix.ailment, sizeof(fix.ailment), "%s", why ? why : "");
}

static int open_store(char **ret_error)
{
	return store_open(&fix.store, fix.base, &fix.options, ret_error);
}

static void close_store(void)
{
	store_close(fix.store);
	fix.store = NULL;
}

static void reopen(void)
{
	char *error = NULL;

	close_store();
	if (open_store(&error))
		fail_msg("%s", error);
}

static int set_up(void **state)
{
	(void)state;
	memset(&fix, 0, sizeof(fix));
	alarm(120); /* an answer that never comes ends the test, not the day */
	snprintf(fix.directory, sizeof(fix.directory), "/tmp/test-store-XXXXXX");
	assert_non_null(mkdtemp(fix.directory));
	fix.base = event_base_new();
	fix.options = (struct store_options){
		.directory = fix.directory,
		.retention_usec = (uint64_t)DAYS(30),
		.on_fatal = on_fatal,
	};
	reopen();
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	close_store();
	clock_thaw();
	event_base_free(fix.base);
	snprintf(command, sizeof(command), "rm -rf %s", fix.directory);
	return system(command);
}

static void on_done(struct store_op *op)
{
	*(bool *)op->arg = true;
}

/* Submits and waits for the answer: the operation's result. */
static int run(struct store_op *op, enum store_kind kind)
{
	bool done = false;

	op->kind = kind;
	op->on_done = on_done;
	op->arg = &done;
	int r = store_submit(fix.store, op);
	if (r)
		return r;
	while (!done)
		assert_int_not_equal(event_base_loop(fix.base, EVLOOP_ONCE), -1);
	return op->result;
}

static struct store_put new_put(const char *id, const char *status, enum outcome outcome)
{
	return (struct store_put){
		.source = "src",
		.id = id,
		.status = status,
		.outcome = outcome,
		.received_usec = clock_wall_usec(),
		.payload = TEXT("{}"),
	};
}

/* A success with a run of `hook`; its number. */
__attribute__((unused)) static uint64_t put_run(
	const char *id, const char *hook, bool start_now)
{
	struct store_wish wish = {.hook = hook, .start_now = start_now};
	struct store_put p = new_put(id, "OK", OUTCOME_SUCCESS);

	p.wishes = &wish;
	p.n_wishes = 1;
	assert_int_equal(run(&p.op, STORE_PUT), 0);
	assert_int_not_equal(wish.run, 0);
	return wish.run;
}

/* The only job of this id; store_op_fini() is the caller's. */
__attribute__((unused)) static struct store_job *get_job(
	struct store_get_job *get, const char *id)
{
	*get = (struct store_get_job){.source = "src", .id = id};
	assert_int_equal(run(&get->op, STORE_GET_JOB), 0);
	assert_int_equal(get->n_jobs, 1);
	return &get->jobs[0];
}

__attribute__((unused)) static const char *run_id(uint64_t number)
{
	static char id[RUN_ID_SIZE];

	snprintf(id, sizeof(id), "%s-%llu", store_name(fix.store),
		(unsigned long long)number);
	return id;
}

#endif
