/*
 * The order of an upload's steps, with a store and an outgoing HTTP that do what the test
 * says and no more: what was committed before what was sent, and what an answer leads to.
 */
#include "base/clock.h"
#include "base/text.h"
#include "flow/ask.h"
#include "flow/upload.h"
#include "io/log.h"
#include "rules/payload.h"
#include "rules/verify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- the world: one operation and one fetch under way at most ---- */

static struct store_op *op;
static char *request_body, *request_headers, *request_url;
static void (*fetch_done)(void *arg, const struct fetch_answer *answer);
static void *fetch_arg;
static int submit_result, start_result;
static struct text logged;
static unsigned n_logged[LOG_KIND_MAX];

int store_submit(struct store *s, struct store_op *o)
{
	(void)s;
	if (submit_result)
		return submit_result;
	assert_null(op);
	op = o;
	return 0;
}

void store_op_fini(struct store_op *o)
{
	(void)o;
}

static int64_t woken_usec; /* who asks was told of a job that is due then */

void ask_wake(struct ask *a, const char *source, int64_t at_usec)
{
	(void)a;
	assert_string_equal(source, "eachlabs");
	assert_null(op); /* what is to be asked for is committed */
	woken_usec = at_usec;
}

int fetch_start(struct fetch_pool *p, const struct fetch_request *request,
	void (*on_done)(void *arg, const struct fetch_answer *answer), void *arg,
	struct fetch **ret)
{
	struct text headers = TEXT_EMPTY;

	(void)p;
	if (start_result)
		return start_result;
	assert_null(op); /* what had to be committed is */
	assert_string_equal(request->method, "POST");
	for (const char *const *h = request->headers; *h; h++)
		text_addf(&headers, "%s\n", *h);
	request_headers = text_take(&headers);
	request_body = bytes_dup(request->body);
	request_url = strdup(request->url);
	fetch_done = on_done;
	fetch_arg = arg;
	*ret = NULL;
	return 0;
}

void log_event(
	enum log_kind kind, const struct log_fields *fields, const char *format, ...)
{
	va_list ap;

	n_logged[kind]++;
	text_addf(&logged, "%s ", fields->id ? fields->id : "-");
	va_start(ap, format);
	text_addv(&logged, format, ap);
	va_end(ap);
	text_addc(&logged, '\n');
}

const char *log_escapes(const char *s)
{
	return s;
}

static struct source one, two, *sources[2] = {&one, &two};
static struct config config;
static struct secret key;
static struct field id_field;
static struct flow flow;
static struct upload *upload;
static int status;
static json_t *answer;
static unsigned n_answers;

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

struct source *config_source(const struct config *c, struct bytes name)
{
	for (size_t i = 0; i < c->n_sources; i++)
		if (bytes_equal(bytes_of(c->sources[i]->name), name))
			return c->sources[i];
	return NULL;
}

static int set_up(void **state)
{
	(void)state;
	key = (struct secret){.text = (unsigned char *)"k3y", .text_size = 3};
	one = (struct source){.name = "eachlabs",
		.path = "/callback/eachlabs",
		.verify = VERIFY_TOKEN,
		.upload_url = "https://service/api/v1/uploads",
		.upload_owner = "org-1",
		.api_key = &key,
		.api_key_header = "X-API-Key",
		.expect_within_usec = 600 * USEC_PER_SEC};
	id_field = (struct field){.kind = FIELD_POINTER,
		.text = (char *)"/file_id",
		.name = (char *)"/file_id"};
	one.id = (struct field_list){&id_field, 1};
	two = (struct source){
		.name = "two", .path = "/two", .verify = VERIFY_TOKEN | VERIFY_HMAC};
	config = (struct config){.refs = 1,
		.public_url = "https://callbacks",
		.sources = sources,
		.n_sources = 2};
	flow = (struct flow){.config = &config, .base = event_base_new()};
	submit_result = start_result = 0;
	n_answers = 0;
	memset(n_logged, 0, sizeof(n_logged));
	clock_freeze(1700000000ll * 1000000, 5000000);
	return 0;
}

static void forget_request(void)
{
	free(request_body);
	free(request_headers);
	free(request_url);
	request_body = request_headers = request_url = NULL;
}

/* For the next upload of a test. */
static void again(void)
{
	forget_request();
	json_decref(answer);
	answer = NULL;
	n_answers = 0;
}

static int tear_down(void **state)
{
	(void)state;
	again();
	text_fini(&logged);
	assert_null(op);
	assert_null(flow.uploads);
	assert_int_equal(config.refs, 1);
	event_base_free(flow.base);
	clock_thaw();
	return 0;
}

static void on_done(void *arg, const struct upload_answer *a)
{
	(void)arg;
	n_answers++;
	status = a->status;
	answer = json_incref(a->json);
}

static void start(const char *text)
{
	json_t *request = json_loads(text, 0, NULL);

	assert_non_null(request);
	assert_int_equal(upload_start(&flow, request, on_done, NULL, &upload), 0);
	json_decref(request);
	assert_int_equal(n_answers, 0);
}

/* The operation under way comes back from its commit. */
static void commit(enum store_kind kind, int result)
{
	struct store_op *o = op;

	assert_non_null(o);
	assert_int_equal(o->kind, kind);
	op = NULL;
	o->result = result;
	o->on_done(o);
}

static void reply(long code, const char *body)
{
	struct fetch_answer a = {.status = code, .body = bytes_of(body)};

	assert_non_null(request_body);
	fetch_done(fetch_arg, &a);
}

static void no_reply(int error, bool sent)
{
	struct fetch_answer a = {.error = error, .error_text = "words", .sent = sent};

	fetch_done(fetch_arg, &a);
}

static struct store_bind *binding(void)
{
	assert_non_null(op);
	assert_int_equal(op->kind, STORE_BIND);
	return container_of(op, struct store_bind, op);
}

static const char *member(const char *name)
{
	return json_string_value(json_object_get(answer, name));
}

/* The token as the service was told it. */
static const char *sent_token(void)
{
	static char token[44];
	const char *at = strstr(request_body, "https://callbacks/callback/eachlabs/");

	assert_non_null(at);
	snprintf(token, sizeof(token), "%s", strrchr(at, '/') + 1);
	assert_int_equal(
		strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			      "0123456789-_"),
		43);
	return token;
}

static void expect_failure(int code, const char *words)
{
	assert_int_equal(n_answers, 1);
	assert_int_equal(status, code);
	if (!strstr(member("error"), words))
		fail_msg("\"%s\" does not say \"%s\"", member("error"), words);
}

#define REQUEST "{\"content_type\":\"audio/mp4\"}"
#define GOOD                                                                         \
	"{\"id\":\"u1\",\"upload_url\":\"https://s3/x\",\"public_url\":\"https://p/" \
	"u1\"}"

/* ---- the good road ---- */

static void test_each_step_waits_for_its_commit(void **state)
{
	unsigned char minted[VERIFY_TOKEN_HASH_SIZE], want[VERIFY_TOKEN_HASH_SIZE];
	struct store_bind *bind;

	(void)state;
	start("{\"content_type\":\"audio/mp4\",\"audio_duration_seconds\":1008.32,"
	      "\"size_bytes\":77}");
	assert_non_null(op);
	assert_null(request_body);
	memcpy(minted, container_of(op, struct store_mint, op)->token_hash,
		sizeof(minted));
	commit(STORE_MINT, 0);
	assert_int_equal(verify_hash(bytes_of(sent_token()), want), 0);
	assert_memory_equal(minted, want, sizeof(want));
	reply(200, GOOD);
	bind = binding();
	assert_memory_equal(bind->token_hash, want, sizeof(want));
	assert_string_equal(bind->source, "eachlabs");
	assert_string_equal(bind->id, "u1");
	assert_string_equal(bind->public_url, "https://p/u1");
	assert_int_equal(bind->size_bytes, 77);
	assert_int_equal(bind->ask_at_usec, 1700000600ll * 1000000);
	assert_int_equal(n_answers, 0);
	woken_usec = 0;
	commit(STORE_BIND, 0);
	assert_int_equal(n_answers, 1);
	assert_int_equal(woken_usec, 1700000600ll * 1000000);
	assert_int_equal(status, 200);
	assert_string_equal(member("id"), "u1");
	assert_string_equal(member("source"), "eachlabs");
	assert_string_equal(member("upload_url"), "https://s3/x");
	assert_int_equal(n_logged[LOG_UPLOAD_INITIATED], 1);
	assert_null(strstr(logged.data, sent_token()));
}

static void test_what_is_sent_is_exact(void **state)
{
	json_t *sent;
	char *url;

	(void)state;
	start("{\"content_type\":\"audio/mp4\",\"audio_duration_seconds\":1008.32,"
	      "\"size_bytes\":77,\"source\":\"eachlabs\",\"other\":1}");
	commit(STORE_MINT, 0);
	assert_string_equal(request_url, "https://service/api/v1/uploads");
	assert_non_null(strstr(request_headers, "X-API-Key: k3y\n"));
	assert_non_null(strstr(request_headers, "Content-Type: application/json\n"));
	sent = json_loads(request_body, 0, NULL);
	assert_int_equal(json_object_size(sent), 6);
	assert_string_equal(json_string_value(json_object_get(sent, "owner")), "org-1");
	assert_string_equal(
		json_string_value(json_object_get(sent, "uploader")), "customer");
	assert_string_equal(
		json_string_value(json_object_get(sent, "file_type")), "audio");
	assert_string_equal(
		json_string_value(json_object_get(sent, "content_type")), "audio/mp4");
	assert_true(json_real_value(json_object_get(sent, "audio_duration_seconds")) ==
		    1008.32);
	url = text_format("https://callbacks/callback/eachlabs/%s", sent_token());
	assert_string_equal(
		json_string_value(json_object_get(sent, "callback_url")), url);
	free(url);
	json_decref(sent);
	reply(200, GOOD);
	commit(STORE_BIND, 0);
}

static void test_tokens_differ(void **state)
{
	char first[44];

	(void)state;
	start(REQUEST);
	commit(STORE_MINT, 0);
	snprintf(first, sizeof(first), "%s", sent_token());
	reply(200, GOOD);
	commit(STORE_BIND, 0);
	again();
	start(REQUEST);
	commit(STORE_MINT, 0);
	assert_string_not_equal(first, sent_token());
	reply(200, GOOD);
	commit(STORE_BIND, 0);
}

static void test_answers_of_other_shapes_are_read(void **state)
{
	static const char *const bodies[][2] = {
		{"{\"id\":12,\"upload_url\":\"http://s3/"
		 "x\",\"required_headers\":{\"a\":null}}",
			"12"},
		{"{\"file_id\":\"f1\",\"upload_url\":\"https://s3/"
		 "x\",\"public_url\":null}",
			"f1"},
		{"{\"id\":null,\"file_id\":\"f2\",\"upload_url\":\"https://s3/x\"}",
			"f2"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		start(REQUEST);
		commit(STORE_MINT, 0);
		reply(201, bodies[i][0]);
		assert_string_equal(binding()->id, bodies[i][1]);
		assert_null(binding()->public_url);
		assert_int_equal(binding()->size_bytes, -1);
		commit(STORE_BIND, 0);
		assert_int_equal(status, 200);
		assert_string_equal(member("id"), bodies[i][1]);
		again();
	}
}

/* ---- the service refuses ---- */

static void test_refusal_in_its_own_words_takes_the_token_back(void **state)
{
	(void)state;
	start(REQUEST);
	commit(STORE_MINT, 0);
	reply(401, "{\"status\":401,\"error\":\"invalid key\",\"code\":\"UNAUTHORIZED\","
		   "\"request_id\":\"req-9\",\"details\":{}}");
	assert_null(binding()->id);
	assert_int_equal(n_answers, 0);
	commit(STORE_BIND, 0);
	expect_failure(502, "invalid key");
	assert_string_equal(member("code"), "UNAUTHORIZED");
	assert_string_equal(member("request_id"), "req-9");
	assert_int_equal(
		json_integer_value(json_object_get(answer, "upstream_status")), 401);
	assert_int_equal(n_logged[LOG_UPLOAD_REFUSED], 1);
	assert_non_null(strstr(logged.data, "invalid key"));
	assert_non_null(strstr(logged.data, "req-9"));
}

static void test_unusable_answers_take_the_token_back(void **state)
{
	static const struct {
		long code;
		const char *body, *words;
	} cases[] = {
		{200, "{\"upload_url\":\"https://s3/x\"}", "id"},
		{200, "{\"id\":\"\",\"upload_url\":\"https://s3/x\"}", "id"},
		{200, "{\"id\":\"a\\u0007\",\"upload_url\":\"https://s3/x\"}", "id"},
		{200, "{\"id\":\"u1\"}", "upload_url"},
		{200, "{\"id\":\"u1\",\"upload_url\":\"file:///etc/passwd\"}",
			"upload_url"},
		{200, "[]", "object"},
		{200, "<html>", "JSON"},
		{204, "", "JSON"},
		{302, "", "redirect"},
		{404, "<html>", "HTTP 404"},
		{503, "", "HTTP 503"},
		{400, "{\"error\":{\"message\":\"nested\"}}", "nested"},
		{422, "{\"detail\":\"fastapi\"}", "fastapi"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		start(REQUEST);
		commit(STORE_MINT, 0);
		reply(cases[i].code, cases[i].body);
		assert_null(binding()->id);
		commit(STORE_BIND, 0);
		expect_failure(502, cases[i].words);
		again();
	}
}

static void test_token_is_cut_out_of_what_the_service_says(void **state)
{
	char *body;

	(void)state;
	start(REQUEST);
	commit(STORE_MINT, 0);
	body = text_format(
		"{\"error\":\"cannot reach https://callbacks/callback/eachlabs/%s\"}",
		sent_token());
	reply(400, body);
	free(body);
	commit(STORE_BIND, 0);
	expect_failure(502, "cannot reach");
	assert_null(strstr(member("error"), sent_token()));
	assert_null(strstr(logged.data, sent_token()));
}

static void test_without_an_answer_the_token_stays(void **state)
{
	(void)state;
	start(REQUEST);
	commit(STORE_MINT, 0);
	no_reply(-ETIMEDOUT, true);
	assert_null(op);
	expect_failure(504, "words");
	assert_int_equal(n_logged[LOG_UPLOAD_REFUSED], 1);
}

static void test_what_was_never_sent_takes_the_token_back(void **state)
{
	(void)state;
	start(REQUEST);
	commit(STORE_MINT, 0);
	no_reply(-ECONNREFUSED, false);
	assert_null(binding()->id);
	commit(STORE_BIND, -ENOSPC);
	expect_failure(504, "words");
}

static void test_bound_to_another_id_is_an_error(void **state)
{
	(void)state;
	start(REQUEST);
	commit(STORE_MINT, 0);
	reply(200, GOOD);
	snprintf(binding()->bound, sizeof(binding()->bound), "other");
	commit(STORE_BIND, -EEXIST);
	expect_failure(502, "another id");
	assert_int_equal(n_logged[LOG_TOKEN_MISMATCH], 1);
	assert_int_equal(n_logged[LOG_UPLOAD_INITIATED], 0);
	assert_non_null(strstr(logged.data, "u1"));
	assert_non_null(strstr(logged.data, "other"));
}

/* ---- the store, and the end ---- */

static void test_store_that_cannot_commit(void **state)
{
	(void)state;
	start(REQUEST);
	commit(STORE_MINT, -ENOSPC);
	assert_null(request_body); /* nothing was sent */
	expect_failure(503, "full");
	again();
	start(REQUEST);
	commit(STORE_MINT, 0);
	reply(200, GOOD);
	commit(STORE_BIND, -EIO);
	expect_failure(503, "store");
	again();
	submit_result = -EAGAIN;
	start(REQUEST);
	event_base_loop(flow.base, EVLOOP_NONBLOCK);
	expect_failure(503, "store");
}

static void test_asker_who_is_gone_gets_nothing_and_the_work_is_done(void **state)
{
	(void)state;
	start(REQUEST);
	upload_forget(upload);
	commit(STORE_MINT, 0);
	reply(200, GOOD);
	commit(STORE_BIND, 0);
	assert_int_equal(n_answers, 0);
	assert_int_equal(n_logged[LOG_UPLOAD_INITIATED], 1);
}

static void test_stopping(void **state)
{
	(void)state;
	start(REQUEST);
	flow.stopping = true;
	commit(STORE_MINT, 0);
	assert_null(request_body);
	expect_failure(503, "stopping");
	again();
	start(REQUEST);
	assert_null(op);
	event_base_loop(flow.base, EVLOOP_NONBLOCK);
	expect_failure(503, "stopping");
	again();
	flow.stopping = false;
	start(REQUEST);
	op = NULL; /* the store is closed */
	upload_end(&flow);
	assert_int_equal(n_answers, 0);
}

static void test_key_that_no_header_can_carry(void **state)
{
	(void)state;
	key = (struct secret){.text = (unsigned char *)"k\0y", .text_size = 3};
	start(REQUEST);
	commit(STORE_MINT, 0);
	assert_null(request_body);
	commit(STORE_BIND, 0);
	expect_failure(409, "APIKeyFile");
	again();
	start_result = -EINVAL; /* as fetch_start() answers a line end */
	key.text = (unsigned char *)"k\ny";
	start(REQUEST);
	commit(STORE_MINT, 0);
	commit(STORE_BIND, 0);
	expect_failure(409, "APIKeyFile");
}

/* ---- what cannot be begun ---- */

static void refused(const char *request, int code, const char *words)
{
	start(request);
	assert_null(op);
	event_base_loop(flow.base, EVLOOP_NONBLOCK);
	expect_failure(code, words);
	again();
}

static void test_requests_that_are_not_sound(void **state)
{
	(void)state;
	refused("[]", 400, "object");
	refused("{}", 400, "content_type");
	refused("{\"content_type\":\"\"}", 400, "content_type");
	refused("{\"content_type\":\"a/b\",\"source\":1}", 400, "source");
	refused("{\"content_type\":\"a/b\",\"owner\":1}", 400, "owner");
	refused("{\"content_type\":\"a/b\",\"file_type\":\"text\"}", 400, "file_type");
	refused("{\"content_type\":\"a/b\",\"size_bytes\":-1}", 400, "size_bytes");
	refused("{\"content_type\":\"a/b\",\"size_bytes\":1.5}", 400, "size_bytes");
	refused("{\"content_type\":\"a/b\",\"video_bitrate_kbps\":\"1\"}", 400,
		"video_bitrate_kbps");
	refused("{\"content_type\":\"a/b\",\"source\":\"none\"}", 404, "none");
}

static void test_what_is_not_configured(void **state)
{
	(void)state;
	refused("{\"content_type\":\"a/b\",\"source\":\"two\"}", 409, "UploadURL=");
	one.upload_owner = NULL;
	refused(REQUEST, 409, "UploadOwner=");
	one.verify = VERIFY_HMAC;
	refused(REQUEST, 409, "Verify=token");
	config.public_url = NULL;
	refused(REQUEST, 409, "PublicURL=");
	two.upload_url = one.upload_url;
	refused(REQUEST, 409, "several");
	one.upload_url = two.upload_url = NULL;
	refused(REQUEST, 409, "no source");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_step_waits_for_its_commit),
		TEST(test_what_is_sent_is_exact),
		TEST(test_tokens_differ),
		TEST(test_answers_of_other_shapes_are_read),
		TEST(test_refusal_in_its_own_words_takes_the_token_back),
		TEST(test_unusable_answers_take_the_token_back),
		TEST(test_token_is_cut_out_of_what_the_service_says),
		TEST(test_without_an_answer_the_token_stays),
		TEST(test_what_was_never_sent_takes_the_token_back),
		TEST(test_bound_to_another_id_is_an_error),
		TEST(test_store_that_cannot_commit),
		TEST(test_asker_who_is_gone_gets_nothing_and_the_work_is_done),
		TEST(test_stopping),
		TEST(test_key_that_no_header_can_carry),
		TEST(test_requests_that_are_not_sound),
		TEST(test_what_is_not_configured),
	};

	payload_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
