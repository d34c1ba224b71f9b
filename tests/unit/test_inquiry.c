/*
 * How often a service is asked about what is not known here, the clock set by hand, with an
 * outgoing HTTP that answers what the test says.
 */
#include "base/clock.h"
#include "flow/inquiry.h"
#include "io/log.h"
#include "rules/payload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- the world ---- */

struct asked {
	char url[128], headers[128];
	void (*on_done)(void *arg, const struct fetch_answer *answer);
	void *arg;
};

static struct asked
	asked[2048]; /* every question so far; those answered have no on_done */
static unsigned n_asked, n_canceled, n_logged[LOG_KIND_MAX];
static int start_result;

int fetch_start(struct fetch_pool *p, const struct fetch_request *r,
	void (*on_done)(void *arg, const struct fetch_answer *answer), void *arg,
	struct fetch **ret)
{
	(void)p;
	if (start_result)
		return start_result;
	struct asked *a = &asked[n_asked++];
	assert_string_equal(r->method, "GET");
	snprintf(a->url, sizeof(a->url), "%s", r->url);
	snprintf(
		a->headers, sizeof(a->headers), "%s", r->headers[1] ? r->headers[1] : "");
	a->on_done = on_done;
	a->arg = arg;
	*ret = (struct fetch *)a;
	return 0;
}

void fetch_cancel(struct fetch *f)
{
	struct asked *a = (struct asked *)f;

	assert_non_null(a->on_done);
	a->on_done = NULL;
	n_canceled++;
}

void log_event(
	enum log_kind kind, const struct log_fields *fields, const char *format, ...)
{
	(void)fields;
	(void)format;
	n_logged[kind]++;
}

const char *log_escapes(const char *s)
{
	return s;
}

struct config *config_ref(struct config *c)
{
	c->refs++;
	return c;
}

void config_unref(struct config *c)
{
	if (c)
		c->refs--;
}

static struct secret key = {.text = (unsigned char *)"k3y", .text_size = 3};
static char *success_words[] = {(char *)"COMPLETED"}, *error_words[] = {(char *)"ERROR"};
static struct field status_field = {
	.kind = FIELD_POINTER, .text = (char *)"/status", .name = (char *)"/status"};
static struct source source;
static struct config config;
static struct flow flow;
static struct inquiries *all;
static uint64_t now;

static void forward(uint64_t usec)
{
	now += usec;
	clock_freeze(1700000000ll * 1000000, now);
}

static int set_up(void **state)
{
	(void)state;
	source = (struct source){.name = (char *)"s",
		.status_url = (char *)"https://service/{id}/of/{id}",
		.api_key = &key,
		.api_key_header = (char *)"X-API-Key",
		.status = {&status_field, 1},
		.success = {success_words, 1},
		.error = {error_words, 1}};
	config = (struct config){.refs = 1};
	flow = (struct flow){.config = &config};
	n_asked = n_canceled = 0;
	start_result = 0;
	memset(n_logged, 0, sizeof(n_logged));
	now = 5000000;
	forward(0);
	return inquiries_new(&all, &flow);
}

static int tear_down(void **state)
{
	(void)state;
	inquiries_free(all);
	assert_int_equal(config.refs, 1);
	clock_thaw();
	return 0;
}

/* ---- who asks ---- */

static unsigned n_told;
static int told_status;
static char told_body[256];
static bool told_final;

static void note(const struct inquiry_answer *a)
{
	told_status = a->status;
	told_final = a->final;
	snprintf(told_body, sizeof(told_body), "%.*s",
		a->body.data ? (int)a->body.size : 100,
		a->body.data ? a->body.data : a->error);
}

static void on_told(void *arg, const struct inquiry_answer *a)
{
	(void)arg;
	n_told++;
	note(a);
}

/* True: it was remembered. */
static bool want(const char *id)
{
	struct inquiry_answer a;
	struct inquiry *i;

	if (inquiry_recall(all, &source, id, &a)) {
		note(&a);
		return true;
	}
	assert_int_equal(inquiry_start(all, &source, id, on_told, NULL, &i), 0);
	return false;
}

static void answer(unsigned n, const struct fetch_answer *a)
{
	void (*on_done)(void *, const struct fetch_answer *) = asked[n].on_done;

	assert_non_null(on_done);
	asked[n].on_done = NULL;
	on_done(asked[n].arg, a);
}

static void say(unsigned n, long status, const char *body)
{
	answer(n, &(struct fetch_answer){.status = status, .body = bytes_of(body)});
}

#define PENDING_TEXT "{\"status\":\"PROCESSING\"}"
#define DONE_TEXT    "{\"status\":\"completed\"}"

/* ---- tests ---- */

static void test_the_question(void **state)
{
	(void)state;
	assert_false(want("a/b c"));
	assert_string_equal(asked[0].url, "https://service/a%2Fb%20c/of/a%2Fb%20c");
	assert_string_equal(asked[0].headers, "X-API-Key: k3y");
	assert_int_equal(config.refs, 2); /* a reload does not take the source away */
	say(0, 200, DONE_TEXT);
	assert_int_equal(config.refs, 1);
	assert_int_equal(n_logged[LOG_ASKED], 1);
}

static void test_a_final_answer_is_kept_an_hour(void **state)
{
	(void)state;
	want("u");
	n_told = 0;
	say(0, 200, DONE_TEXT);
	assert_int_equal(n_told, 1);
	assert_true(told_final);
	assert_string_equal(told_body, DONE_TEXT);
	forward(3599 * USEC_PER_SEC);
	assert_true(want("u"));
	assert_string_equal(told_body, DONE_TEXT);
	forward(USEC_PER_SEC);
	assert_false(want("u"));
}

static void test_a_pending_answer_is_kept_ever_longer(void **state)
{
	static const unsigned seconds[] = {10, 20, 40, 80, 120, 120};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(seconds); i++) {
		assert_false(want("u"));
		say(i, 200, PENDING_TEXT);
		assert_false(told_final);
		forward(seconds[i] * USEC_PER_SEC - 1);
		assert_true(want("u"));
		forward(1);
	}
}

static void test_that_there_is_none_is_kept_a_while(void **state)
{
	(void)state;
	want("u");
	say(0, 404, "{\"code\":\"NOT_FOUND\"}");
	assert_int_equal(told_status, 404);
	forward(30 * USEC_PER_SEC - 1);
	assert_true(want("u"));
	assert_string_equal(told_body, "{\"code\":\"NOT_FOUND\"}");
	forward(1);
	assert_false(want("u"));
	say(1, 404, "<html>");
	assert_int_equal(told_status, 404);
	assert_string_equal(
		told_body, "the service answered with status 404 and no JSON object");
}

static void test_failures_are_kept_a_moment(void **state)
{
	(void)state;
	want("u");
	answer(0,
		&(struct fetch_answer){.error = -ECONNREFUSED, .error_text = "refused"});
	assert_int_equal(told_status, 502);
	assert_string_equal(told_body, "refused");
	assert_true(want("u"));
	forward(5 * USEC_PER_SEC);
	assert_false(want("u"));
	answer(1, &(struct fetch_answer){.error = -ETIMEDOUT, .error_text = "late"});
	assert_int_equal(told_status, 504);
	forward(5 * USEC_PER_SEC);
	assert_false(want("u"));
	say(2, 302, "{}");
	assert_int_equal(told_status, 502);
	forward(5 * USEC_PER_SEC);
	assert_false(want("u"));
	say(3, 200, "[]");
	assert_int_equal(told_status, 502);
	forward(5 * USEC_PER_SEC);
	assert_false(want("u"));
	answer(4, &(struct fetch_answer){.status = 503,
			  .body = bytes_of("{}"),
			  .retry_after_usec = 60 * USEC_PER_SEC});
	assert_int_equal(told_status, 503);
	forward(59 * USEC_PER_SEC);
	assert_true(want("u"));
	forward(USEC_PER_SEC);
	assert_false(want("u"));
	assert_int_equal(n_logged[LOG_ASK_FAILED], 5);
	assert_int_equal(n_logged[LOG_ASKED], 0);
}

static void test_what_was_known_outlives_a_failure(void **state)
{
	(void)state;
	want("u");
	say(0, 200, PENDING_TEXT);
	forward(10 * USEC_PER_SEC);
	assert_false(want("u"));
	say(1, 500, "{}");
	assert_int_equal(told_status, 200);
	assert_string_equal(told_body, PENDING_TEXT);
	forward(5 * USEC_PER_SEC);
	assert_false(want("u"));
	say(2, 200, DONE_TEXT);
	assert_true(told_final);
}

static void test_a_refused_key_is_a_failure_for_the_journal(void **state)
{
	(void)state;
	want("u");
	say(0, 401, "{\"error\":\"key\"}");
	assert_int_equal(told_status, 401);
	assert_int_equal(n_logged[LOG_ASK_FAILED], 1);
}

static void test_one_question_for_all(void **state)
{
	(void)state;
	n_told = 0;
	for (int i = 0; i < 5; i++)
		assert_false(want("u"));
	assert_int_equal(n_asked, 1);
	say(0, 200, DONE_TEXT);
	assert_int_equal(n_told, 5);
}

static void test_who_leaves_is_not_told(void **state)
{
	struct inquiry *one, *two;

	(void)state;
	n_told = 0;
	assert_int_equal(inquiry_start(all, &source, "u", on_told, NULL, &one), 0);
	assert_int_equal(inquiry_start(all, &source, "u", on_told, NULL, &two), 0);
	inquiry_forget(one);
	say(0, 200, DONE_TEXT);
	assert_int_equal(n_told, 1);
	assert_true(want("u"));
}

static void test_so_many_and_no_more(void **state)
{
	char id[32];
	unsigned n = 0;

	(void)state;
	/* Under way at a time. */
	while (n < 100) {
		snprintf(id, sizeof(id), "u%u", n);
		if (want(id))
			break;
		n++;
	}
	assert_int_equal(n, INQUIRY_ACTIVE_MAX);
	assert_int_equal(told_status, 429);
	for (unsigned i = 0; i < n; i++)
		say(i, 200, PENDING_TEXT);
	/* In all. */
	while (n < 200) {
		snprintf(id, sizeof(id), "u%u", n);
		if (want(id))
			break;
		say(n++, 200, PENDING_TEXT);
	}
	assert_int_equal(n, INQUIRY_BURST);
	/* What is stale is better than nothing. */
	forward(30 * USEC_PER_SEC);
	for (unsigned i = 0; i < INQUIRY_BURST; i++) {
		snprintf(id, sizeof(id), "v%u", i);
		assert_false(want(id));
		say(n++, 404, "{}");
	}
	assert_true(want("u0"));
	assert_int_equal(told_status, 200);
	assert_true(want("w"));
	assert_int_equal(told_status, 429);
	/* And so many a second. */
	forward(USEC_PER_SEC);
	for (unsigned i = 0; i < INQUIRY_PER_SEC; i++) {
		snprintf(id, sizeof(id), "x%u", i);
		assert_false(want(id));
		say(n++, 404, "{}");
	}
	assert_true(want("w"));
	assert_int_equal(told_status, 429);
}

static void test_the_memory_has_an_end(void **state)
{
	static char big[60 << 10];
	char id[32];
	unsigned n = 0, kept = 0;

	(void)state;
	snprintf(big, sizeof(big), "{\"status\":\"COMPLETED\",\"x\":\"%*s\"}",
		(int)sizeof(big) - 64, "");
	for (; n < 200; n++) {
		snprintf(id, sizeof(id), "u%u", n);
		assert_false(want(id));
		say(n, 200, big);
		forward(USEC_PER_SEC);
	}
	for (unsigned i = 0; i < n; i++) {
		struct inquiry_answer a;
		snprintf(id, sizeof(id), "u%u", i);
		kept += inquiry_recall(all, &source, id, &a);
	}
	assert_in_range(kept, 60, (4u << 20) / (59u << 10));
	assert_true(want("u199")); /* the newest */
	assert_false(want("u0"));  /* not the oldest */
}

static void test_so_many_ids_are_remembered(void **state)
{
	char id[32];
	unsigned n = 0, kept = 0;

	(void)state;
	for (; n < INQUIRY_IDS_MAX + 100; n++) {
		snprintf(id, sizeof(id), "u%u", n);
		assert_false(want(id));
		say(n, 200, DONE_TEXT);
		forward(USEC_PER_SEC);
	}
	for (unsigned i = 0; i < n; i++) {
		struct inquiry_answer a;
		snprintf(id, sizeof(id), "u%u", i);
		kept += inquiry_recall(all, &source, id, &a);
	}
	assert_int_equal(kept, INQUIRY_IDS_MAX);
}

static void test_the_end_cancels(void **state)
{
	(void)state;
	n_told = 0;
	want("u");
	want("v");
	inquiries_free(all);
	assert_int_equal(n_canceled, 2);
	assert_int_equal(n_told, 0);
	assert_int_equal(inquiries_new(&all, &flow), 0);
}

static void test_a_question_that_cannot_be_put(void **state)
{
	struct inquiry *i;

	(void)state;
	start_result = -ENOMEM;
	assert_int_equal(inquiry_start(all, &source, "u", on_told, NULL, &i), -ENOMEM);
	start_result = 0;
	assert_false(want("u"));
	say(0, 200, DONE_TEXT);
	/* RFC 3986, 5.2.4: that would be another resource. */
	assert_int_equal(inquiry_start(all, &source, "..", on_told, NULL, &i), -EINVAL);
	assert_int_equal(n_asked, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_question),
		TEST(test_a_final_answer_is_kept_an_hour),
		TEST(test_a_pending_answer_is_kept_ever_longer),
		TEST(test_that_there_is_none_is_kept_a_while),
		TEST(test_failures_are_kept_a_moment),
		TEST(test_what_was_known_outlives_a_failure),
		TEST(test_a_refused_key_is_a_failure_for_the_journal),
		TEST(test_one_question_for_all),
		TEST(test_who_leaves_is_not_told),
		TEST(test_so_many_and_no_more),
		TEST(test_the_memory_has_an_end),
		TEST(test_so_many_ids_are_remembered),
		TEST(test_the_end_cancels),
		TEST(test_a_question_that_cannot_be_put),
	};

	payload_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
