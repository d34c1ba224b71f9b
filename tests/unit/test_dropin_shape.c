/* What the drop-in says of a job, in the service's words; what a client may prefer. */
#include "api/dropin_shape.h"
#include "rules/payload.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_shape(
	const struct store_job *j, const char *text, const char *word, bool final)
{
	struct shape s;

	assert_int_equal(shape_job(j, &s), 0);
	assert_int_equal(s.size, strlen(text));
	assert_memory_equal(s.text, text, s.size);
	assert_string_equal(s.word, word);
	assert_int_equal(s.final, final);
	shape_fini(&s);
}

#define PAYLOAD(t) .payload = {t, sizeof(t) - 1}, .has_payload = true
#define JOB(size, ...) \
	(&(struct store_job){.id = (char *)"u-1", .size_bytes = (size), __VA_ARGS__})

static void test_before_the_end(void **state)
{
	(void)state;
	assert_shape(JOB(-1, .outcome = OUTCOME_PENDING),
		"{\"id\":\"u-1\",\"status\":\"PENDING\"}", "PENDING", false);
	assert_shape(JOB(7, .outcome = OUTCOME_PENDING, .status = (char *)"uploading",
			     .public_url = (char *)"https://p/u-1"),
		"{\"id\":\"u-1\",\"status\":\"UPLOADING\",\"public_url\":\"https://p/"
		"u-1\"}",
		"UPLOADING", false);
	assert_shape(JOB(-1, .outcome = OUTCOME_PENDING, .status = (char *)"running",
			     PAYLOAD("{\"status\":\"running\",\"file_type\":\"audio\"}")),
		"{\"status\":\"PROCESSING\",\"file_type\":\"audio\",\"id\":\"u-1\"}",
		"PROCESSING", false);
	/* No word that a pending job has may end a client. */
	assert_shape(JOB(-1, .outcome = OUTCOME_PENDING, .status = (char *)"COMPLETED"),
		"{\"id\":\"u-1\",\"status\":\"PROCESSING\"}", "PROCESSING", false);
}

static void test_the_end(void **state)
{
	(void)state;
#define WHOLE "{ \"id\": \"u-1\", \"status\": \"COMPLETED\", \"size_bytes\": 5 }"
	assert_shape(JOB(-1, .outcome = OUTCOME_SUCCESS, .status = (char *)"COMPLETED",
			     PAYLOAD(WHOLE)),
		WHOLE, "COMPLETED", true);
	assert_shape(JOB(9, .outcome = OUTCOME_SUCCESS, .status = (char *)"success",
			     PAYLOAD("{\"status\":\"success\"}")),
		"{\"status\":\"COMPLETED\",\"id\":\"u-1\",\"size_bytes\":9}", "COMPLETED",
		true);
	assert_shape(JOB(-1, .outcome = OUTCOME_SUCCESS, PAYLOAD("no json")),
		"{\"id\":\"u-1\",\"status\":\"COMPLETED\"}", "COMPLETED", true);
	assert_shape(
		JOB(-1, .outcome = OUTCOME_ERROR, .status = (char *)"ERROR",
			PAYLOAD("{\"id\":1,\"status\":\"ERROR\",\"error\":\"why\"}")),
		"{\"id\":\"u-1\",\"status\":\"ERROR\",\"error\":\"why\"}", "ERROR", true);
	assert_shape(JOB(-1, .outcome = OUTCOME_CANCELED, .status = (char *)"canceled"),
		"{\"id\":\"u-1\",\"status\":\"ERROR\",\"error\":\"the upload was "
		"canceled\"}",
		"ERROR", true);
}

/* A client that polls must come to an end, whatever the last word was. */
static void test_lost_ends_it(void **state)
{
	struct shape s;

	(void)state;
	assert_int_equal(
		shape_job(JOB(-1, .outcome = OUTCOME_LOST, .status = (char *)"PROCESSING",
				  .confirmed_usec = 1,
				  PAYLOAD("{\"id\":\"u-1\",\"status\":\"PROCESSING\"}")),
			&s),
		0);
	assert_string_equal(s.word, "ERROR");
	assert_true(s.final);
	assert_non_null(memmem(s.text, s.size, "\"status\":\"ERROR\"", 16));
	shape_fini(&s);
}

/* What the service itself said is not bettered. */
static void test_confirmed_is_verbatim(void **state)
{
	(void)state;
#define SAID "{\"id\":\"u-1\",\"status\":\"CANCELED\"}"
	assert_shape(JOB(-1, .outcome = OUTCOME_CANCELED, .confirmed_usec = 1,
			     .public_url = (char *)"https://p", PAYLOAD(SAID)),
		SAID, "ERROR", true);
}

static void test_errors(void **state)
{
	static const struct {
		int status;
		const char *code;
	} codes[] = {{400, "BAD_REQUEST"}, {401, "UNAUTHORIZED"}, {403, "UNAUTHORIZED"},
		{404, "NOT_FOUND"}, {405, "BAD_REQUEST"}, {429, "BAD_REQUEST"},
		{500, "INTERNAL_ERROR"}, {504, "INTERNAL_ERROR"}};
	char one[SHAPE_REQUEST_ID_SIZE], two[SHAPE_REQUEST_ID_SIZE];

	(void)state;
	shape_request_id(one);
	shape_request_id(two);
	assert_int_equal(strlen(one), SHAPE_REQUEST_ID_SIZE - 1);
	assert_string_not_equal(one, two);
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		char *text = shape_error(codes[i].status, "w\"hy", one);
		json_t *json = json_loads(text, 0, NULL);
		assert_int_equal(json_integer_value(json_object_get(json, "status")),
			codes[i].status);
		assert_string_equal(
			json_string_value(json_object_get(json, "code")), codes[i].code);
		assert_string_equal(
			json_string_value(json_object_get(json, "error")), "w\"hy");
		assert_string_equal(
			json_string_value(json_object_get(json, "request_id")), one);
		assert_true(json_is_object(json_object_get(json, "details")));
		json_decref(json);
		free(text);
	}
}

/* RFC 7240, 2. -1: nobody waits. */
static const struct {
	const char *first, *second;
	int seconds;
} preferences[] = {
	{"wait=30", NULL, 30},
	{"WAIT = 30", NULL, 30},
	{"wait=\"30\"", NULL, 30},
	{"wait=30; foo=\"a,b\"", NULL, 30},
	{"respond-async, wait=10", NULL, 10},
	{"respond-async,,wait=10,", NULL, 10},
	{"foo=\"x, wait=9\", wait=3", NULL, 3},
	{"foo=\"\\\", wait=9\", wait=3", NULL, 3},
	{"foo; wait=9", NULL, -1},
	{"wait=3, wait=9", NULL, 3},
	{"handling=lenient", "wait=8", 8},
	{"wait=8", "wait=9", 8},
	{"wait=0", NULL, 0},
	{"wait=99999999999999999999", NULL, 9999999},
	{"wait", NULL, -1},
	{"wait=", NULL, -1},
	{"wait=\"\"", NULL, -1},
	{"wait=\"", NULL, -1},
	{"wait=-1", NULL, -1},
	{"wait=1.5", NULL, -1},
	{"wait=5s", NULL, -1},
	{"await=5", NULL, -1},
	{"", NULL, -1},
	{"foo=\"wait=3", NULL, -1},
	{"foo=\"x\\", NULL, -1},
};

static void test_prefer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(preferences); i++) {
		const struct message_header headers[] = {
			{bytes_of("Host"), bytes_of("wait=77")},
			{bytes_of("prefer"), bytes_of(preferences[i].first)},
			{bytes_of("Prefer"), bytes_of(preferences[i].second)}};
		const struct message m = {
			.headers = headers, .n_headers = preferences[i].second ? 3 : 2};
		unsigned seconds = 12345;
		bool waits = shape_prefers_wait(&m, &seconds);
		if ((waits ? (int)seconds : -1) != preferences[i].seconds)
			fail_msg("Prefer: %s: %d, %u", preferences[i].first, waits,
				seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_the_end),
		cmocka_unit_test(test_the_end),
		cmocka_unit_test(test_lost_ends_it),
		cmocka_unit_test(test_confirmed_is_verbatim),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_prefer),
	};

	payload_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
