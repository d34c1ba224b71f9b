/*
 * Who waits for one upload, in the orders that a race would bring about: a store and a feed
 * that do what the test says, and visits whose answers are only noted down.
 */
#include "api/dropin_private.h"
#include "flow/feed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- the world ---- */

struct feed_wait {
	void (*on_change)(void *arg, const struct store_change *change);
	void *arg;
};

static struct store_get_job *ops[16]; /* what the store was asked */
static unsigned n_ops, n_waits, n_finished;
static struct feed_wait *last_wait;
static int submit_result;
static unsigned n_forgotten;
static bool remembers;
static void (*inquired)(void *arg, const struct inquiry_answer *answer);
static void *inquired_arg;
static struct message message;
static struct message_header prefer;

int store_submit(struct store *s, struct store_op *op)
{
	(void)s;
	if (submit_result)
		return submit_result;
	ops[n_ops++] = container_of(op, struct store_get_job, op);
	return 0;
}

void store_op_fini(struct store_op *op)
{
	(void)op;
	n_finished++;
}

int feed_wait_new(struct feed *f, const char *source, const char *id,
	void (*on_change)(void *arg, const struct store_change *change), void *arg,
	struct feed_wait **ret)
{
	(void)f, (void)id;
	assert_string_equal(source, "s");
	*ret = calloc(1, sizeof(**ret));
	(*ret)->on_change = on_change;
	(*ret)->arg = arg;
	last_wait = *ret;
	n_waits++;
	return 0;
}

void feed_wait_free(struct feed_wait *w)
{
	free(w);
	n_waits--;
}

bool inquiry_recall(struct inquiries *q, const struct source *s, const char *id,
	struct inquiry_answer *ret)
{
	(void)q, (void)s, (void)id;
	if (remembers)
		*ret = (struct inquiry_answer){.status = 404, .error = "none"};
	return remembers;
}

int inquiry_start(struct inquiries *q, const struct source *s, const char *id,
	void (*on_done)(void *arg, const struct inquiry_answer *answer), void *arg,
	struct inquiry **ret)
{
	(void)q, (void)s, (void)id;
	assert_null(inquired);
	inquired = on_done;
	inquired_arg = arg;
	*ret = (struct inquiry *)&inquired;
	return 0;
}

void inquiry_forget(struct inquiry *i)
{
	assert_ptr_equal(i, &inquired);
	inquired = NULL;
	n_forgotten++;
}

static struct source source = {
	.name = (char *)"s", .status_url = (char *)"https://h/{id}", .status = {NULL, 1}};

struct source *config_source(const struct config *c, struct bytes name)
{
	(void)c;
	assert_true(bytes_equal(name, bytes_of("s")));
	return &source;
}

const struct message *http_message(const struct http_request *r)
{
	(void)r;
	return &message;
}

/* ---- visits ---- */

struct guest {
	struct visit visit;
	int status;
	char body[128];
};

static void note(struct visit *v, int status, struct bytes body)
{
	struct guest *g = container_of(v, struct guest, visit);

	assert_false(v->answered);
	v->answered = true;
	g->status = status;
	snprintf(g->body, sizeof(g->body), "%.*s", (int)body.size, body.data);
	poll_leave(v);
}

void visit_reply(struct visit *v, int status, struct bytes body)
{
	note(v, status, body);
}

void visit_error(struct visit *v, int status, const char *error)
{
	note(v, status, bytes_of(error));
}

void visit_retry_after(struct visit *v, uint64_t usec)
{
	(void)v, (void)usec;
}

static struct config config;
static struct flow flow;
static struct dropin dropin;
static struct guest guests[16];

static int set_up(void **state)
{
	(void)state;
	config = (struct config){.status_served = &source};
	flow = (struct flow){.config = &config, .base = event_base_new()};
	dropin = (struct dropin){.flow = &flow};
	LIST_INIT(&dropin.visits);
	TAILQ_INIT(&dropin.line);
	memset(guests, 0, sizeof(guests));
	n_ops = n_waits = n_finished = n_forgotten = 0;
	submit_result = 0;
	inquired = NULL;
	remembers = false;
	return map_init(&dropin.subjects);
}

static int tear_down(void **state)
{
	(void)state;
	/* Nothing is left of any subject. */
	assert_int_equal(dropin.subjects.size, 0);
	assert_int_equal(n_waits, 0);
	assert_int_equal(dropin.turns, 0);
	assert_int_equal(dropin.waiting, 0);
	assert_true(TAILQ_EMPTY(&dropin.line));
	poll_fini(&dropin);
	event_base_free(flow.base);
	return 0;
}

static struct guest *comes(unsigned n, const char *id, const char *preference)
{
	struct guest *g = &guests[n];

	prefer = (struct message_header){bytes_of("Prefer"), bytes_of(preference)};
	message = (struct message){.headers = &prefer, .n_headers = preference ? 1 : 0};
	g->visit.dropin = &dropin;
	g->visit.id = (char *)id;
	poll_begin(&g->visit);
	return g;
}

static void change(bool is_run)
{
	last_wait->on_change(last_wait->arg, &(struct store_change){.is_run = is_run});
}

static void answer(unsigned n, int result, enum outcome outcome, const char *status)
{
	struct store_job job = {.id = (char *)ops[n]->id,
		.outcome = outcome,
		.status = (char *)status,
		.size_bytes = -1};
	struct store_get_job *op = ops[n];

	op->op.result = result;
	op->jobs = &job;
	op->n_jobs = 1;
	op->op.on_done(&op->op);
}

/* ---- tests ---- */

static void test_who_does_not_wait_is_told_at_once(void **state)
{
	struct guest *g = comes(0, "u", NULL);

	(void)state;
	assert_int_equal(g->status, 0);
	answer(0, 0, OUTCOME_PENDING, NULL);
	assert_int_equal(g->status, 200);
	assert_string_equal(g->body, "{\"id\":\"u\",\"status\":\"PENDING\"}");
	assert_int_equal(n_finished, 1);
}

static void test_a_change_while_the_store_is_asked_is_not_missed(void **state)
{
	struct guest *g = comes(0, "u", "wait=30");

	(void)state;
	change(false);
	assert_int_equal(n_ops, 1);
	answer(0, 0, OUTCOME_PENDING, NULL); /* as it was before the change */
	assert_int_equal(g->status, 0);
	assert_int_equal(n_ops, 2);
	answer(1, 0, OUTCOME_SUCCESS, "COMPLETED");
	assert_int_equal(g->status, 200);
	assert_int_equal(n_ops, 2);
}

static void test_what_changes_nothing_of_the_job_asks_nothing(void **state)
{
	struct guest *g = comes(0, "u", "wait=30");

	(void)state;
	answer(0, 0, OUTCOME_PENDING, NULL);
	change(true);
	assert_int_equal(n_ops, 1);
	change(false);
	assert_int_equal(n_ops, 2);
	answer(1, 0, OUTCOME_PENDING, NULL);
	assert_int_equal(g->status, 0);
	poll_last(&g->visit);
	answer(2, 0, OUTCOME_PENDING, NULL);
	assert_int_equal(g->status, 200);
}

static void test_one_question_for_all(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		comes(i, "u", i % 2 ? "wait=30" : NULL);
	assert_int_equal(n_ops, 1);
	answer(0, 0, OUTCOME_SUCCESS, NULL);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(guests[i].status, 200);
}

static void test_who_comes_later_waits_for_another_change(void **state)
{
	struct guest *one = comes(0, "u", "wait=30"), *two;

	(void)state;
	answer(0, 0, OUTCOME_PENDING, "UPLOADING");
	two = comes(1, "u", "wait=30");
	answer(1, 0, OUTCOME_PENDING,
		"PROCESSING"); /* the feed's word is still to come */
	assert_int_equal(one->status, 200);
	assert_int_equal(two->status, 0);
	change(false);
	answer(2, 0, OUTCOME_PENDING, "PROCESSING");
	assert_int_equal(two->status, 0);
	change(false);
	answer(3, 0, OUTCOME_ERROR, "ERROR");
	assert_int_equal(two->status, 200);
}

static void test_few_ask_at_a_time(void **state)
{
	static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g"};

	(void)state;
	for (unsigned i = 0; i < 7; i++)
		comes(i, ids[i], NULL);
	assert_int_equal(n_ops, 4);
	poll_leave(&guests[4].visit); /* it leaves the line too */
	answer(0, 0, OUTCOME_SUCCESS, NULL);
	assert_int_equal(n_ops, 5);
	assert_string_equal(ops[4]->id, "f");
	for (unsigned i = 1; i < 6; i++)
		answer(i, 0, OUTCOME_SUCCESS, NULL);
	assert_int_equal(guests[6].status, 200);
	assert_int_equal(guests[4].status, 0);
}

static void test_who_leaves_while_the_store_is_asked(void **state)
{
	struct guest *g = comes(0, "u", "wait=30");

	(void)state;
	change(false);
	poll_leave(&g->visit);
	assert_int_equal(dropin.subjects.size, 1); /* the store writes to it still */
	answer(0, 0, OUTCOME_SUCCESS, NULL);
	assert_int_equal(g->status, 0);
	assert_int_equal(n_ops, 1);
}

static void test_a_store_that_does_not_answer(void **state)
{
	(void)state;
	comes(0, "u", "wait=30");
	answer(0, -ENOMEM, OUTCOME_NONE, NULL);
	assert_int_equal(guests[0].status, 503);
	submit_result = -ECANCELED;
	comes(1, "u", NULL);
	assert_int_equal(guests[1].status, 503);
}

static void test_not_known(void **state)
{
	struct guest *one = comes(0, "u", NULL), *two = comes(1, "u", "wait=30"), *three;
	const struct inquiry_answer pending = {
		.status = 200, .body = {"{}", 2}, .word = "PROCESSING"};

	(void)state;
	answer(0, -ENOENT, OUTCOME_NONE, NULL);
	three = comes(2, "u", NULL); /* shares the question */
	answer(1, -ENOENT, OUTCOME_NONE, NULL);
	assert_int_equal(one->status, 0);
	inquired(inquired_arg, &pending);
	inquired = NULL;
	assert_int_equal(one->status, 200);
	assert_int_equal(three->status, 200);
	assert_int_equal(two->status, 0); /* it may change */
	change(false);                    /* and does: a callback came */
	answer(2, 0, OUTCOME_SUCCESS, "COMPLETED");
	assert_int_equal(two->status, 200);
}

static void test_known_while_the_service_is_asked(void **state)
{
	struct guest *g = comes(0, "u", "wait=30");

	(void)state;
	answer(0, -ENOENT, OUTCOME_NONE, NULL);
	change(false);
	answer(1, 0, OUTCOME_PENDING, "PROCESSING");
	assert_int_equal(n_forgotten, 1); /* an older word must not count as a change */
	assert_null(inquired);
	poll_last(&g->visit);
	answer(2, 0, OUTCOME_PENDING, "PROCESSING");
	assert_int_equal(g->status, 200);
}

static void test_what_is_remembered_is_told(void **state)
{
	struct guest *g = comes(0, "u", "wait=30");

	(void)state;
	remembers = true;
	answer(0, -ENOENT, OUTCOME_NONE, NULL);
	assert_int_equal(g->status, 404);
	assert_null(inquired);
}

static void test_without_a_status_url_it_is_not_found(void **state)
{
	char *url = source.status_url;
	struct guest *g = comes(0, "u", "wait=30");

	(void)state;
	source.status_url = NULL;
	answer(0, -ENOENT, OUTCOME_NONE, NULL);
	source.status_url = url;
	assert_int_equal(g->status, 404);
}

static void test_so_many_wait(void **state)
{
	(void)state;
	dropin.waiting = DROPIN_WAITING_MAX;
	struct guest *g = comes(0, "u", "wait=30");
	assert_false(g->visit.waits); /* told at once: a preference may be left out */
	answer(0, 0, OUTCOME_PENDING, NULL);
	assert_int_equal(g->status, 200);
	dropin.waiting = 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_does_not_wait_is_told_at_once),
		TEST(test_a_change_while_the_store_is_asked_is_not_missed),
		TEST(test_what_changes_nothing_of_the_job_asks_nothing),
		TEST(test_one_question_for_all),
		TEST(test_who_comes_later_waits_for_another_change),
		TEST(test_few_ask_at_a_time),
		TEST(test_who_leaves_while_the_store_is_asked),
		TEST(test_a_store_that_does_not_answer),
		TEST(test_not_known),
		TEST(test_known_while_the_service_is_asked),
		TEST(test_what_is_remembered_is_told),
		TEST(test_without_a_status_url_it_is_not_found),
		TEST(test_so_many_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
