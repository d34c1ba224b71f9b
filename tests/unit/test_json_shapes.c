/* The JSON of jobs, runs and changes as the contract names it, and what bytes may do to it. */
#include "api/json.h"

#include "rules/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TIME 1788256800000001 /* 2026-09-01T10:00:00.000001Z */

static char source[] = "src", id[] = "a/b", status[] = "COMPLETED", hook[] = "publish";

static struct store_run a_run(void)
{
	return (struct store_run){.number = 7,
		.id = "store123-7",
		.hook = hook,
		.source = source,
		.job = id,
		.status = status,
		.outcome = OUTCOME_SUCCESS,
		.state = RUN_DONE,
		.attempt = 2,
		.started_usec = TIME,
		.exit_status = 0,
		.signal = -1,
		.stdout_tail = {"out\n", 4},
		.stderr_tail = {"\xff\x00z", 3},
		.replay_of = 3};
}

static struct store_job a_job(void)
{
	return (struct store_job){.source = source,
		.id = id,
		.status = status,
		.outcome = OUTCOME_SUCCESS,
		.received_usec = TIME,
		.updated_usec = TIME,
		.deliveries = 3,
		.payload = {"{}\0", 3},
		.has_payload = true,
		.size_bytes = -1};
}

static const char *string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	assert_non_null(s);
	return s;
}

static void assert_null_member(const json_t *o, const char *key)
{
	assert_true(json_is_null(json_object_get(o, key)));
}

static void assert_keys(const json_t *o, const char *const *keys, bool there)
{
	for (; *keys; keys++)
		if ((json_object_get(o, *keys) != NULL) != there)
			fail_msg("%s %s", *keys, there ? "is missing" : "is there");
}

static void a_run_has_its_fields(void **state)
{
	static const char *const keys[] = {"run", "hook", "source", "id", "outcome",
		"state", "attempt", "due", "started", "finished", "exit_status", "signal",
		"truncated", "replay_of", NULL};
	static const char *const output[] = {"stdout", "stderr", "stderr_base64", NULL};
	static const char *const plain[] = {"stdout_base64", NULL};
	struct store_run r = a_run();
	json_t *json = json_of_run(&r, "store123", true);

	(void)state;
	assert_keys(json, keys, true);
	assert_keys(json, output, true);
	assert_keys(json, plain, false);
	assert_string_equal(string(json, "run"), "store123-7");
	assert_string_equal(string(json, "replay_of"), "store123-3");
	assert_string_equal(string(json, "id"), "a/b");
	assert_string_equal(string(json, "started"), "2026-09-01T10:00:00.000001Z");
	assert_null_member(json, "finished");
	assert_null_member(json, "signal");
	assert_int_equal(json_integer_value(json_object_get(json, "exit_status")), 0);
	assert_int_equal(json_integer_value(json_object_get(json, "attempt")), 2);
	assert_string_equal(string(json, "stdout"), "out\n");
	assert_memory_equal(string(json, "stderr"), "\xef\xbf\xbd\0z", 5);
	assert_string_equal(string(json, "stderr_base64"), "/wB6");
	json_decref(json);

	r.exit_status = -1;
	r.signal = 9;
	r.replay_of = 0;
	json = json_of_run(&r, "store123", false);
	assert_keys(json, output, false);
	assert_null_member(json, "exit_status");
	assert_null_member(json, "replay_of");
	assert_int_equal(json_integer_value(json_object_get(json, "signal")), 9);
	json_decref(json);
}

static void a_listed_job_has_no_payload(void **state)
{
	static const char *const keys[] = {"source", "id", "status", "outcome",
		"received", "updated", "expected", "confirmed", "deliveries", NULL};
	static const char *const left_out[] = {"payload", "payload_base64", "runs", NULL};
	struct store_job j = a_job();
	json_t *json = json_of_job(&j);

	(void)state;
	assert_keys(json, keys, true);
	assert_keys(json, left_out, false);
	assert_null_member(json, "expected");
	assert_int_equal(json_integer_value(json_object_get(json, "deliveries")), 3);
	json_decref(json);
}

static void an_expected_job_is_pending_without_status(void **state)
{
	struct store_job j = {.source = source,
		.id = id,
		.outcome = OUTCOME_PENDING,
		.expected_usec = TIME,
		.size_bytes = -1};
	struct config config = {0};
	json_t *json = json_of_job_in_full(&j, &config, "store123");

	(void)state;
	assert_null_member(json, "status");
	assert_null_member(json, "received");
	assert_null_member(json, "payload");
	assert_string_equal(string(json, "outcome"), "pending");
	assert_string_equal(string(json, "expected"), "2026-09-01T10:00:00.000001Z");
	assert_int_equal(json_array_size(json_object_get(json, "runs")), 0);
	json_decref(json);
}

static void payloads_are_text_or_base64(void **state)
{
	struct store_job j = a_job();
	struct config config = {0};
	json_t *json = json_of_job_in_full(&j, &config, "store123");

	(void)state;
	assert_int_equal(json_string_length(json_object_get(json, "payload")), 3);
	assert_memory_equal(string(json, "payload"), "{}\0", 3);
	assert_null(json_object_get(json, "payload_base64"));
	json_decref(json);
	j.payload = (struct bytes){"\xc3(", 2};
	json = json_of_job_in_full(&j, &config, "store123");
	assert_null(json_object_get(json, "payload"));
	assert_string_equal(string(json, "payload_base64"), "wyg=");
	json_decref(json);
	j.payload = BYTES_NONE; /* an empty body */
	json = json_of_job_in_full(&j, &config, "store123");
	assert_string_equal(string(json, "payload"), "");
	json_decref(json);
}

static void a_word_that_is_no_utf8_is_shown(void **state)
{
	struct store_job j = a_job();
	char word[] = "a\xff";
	json_t *json;

	(void)state;
	j.status = word;
	json = json_of_job(&j);
	assert_string_equal(string(json, "status"), "a\xef\xbf\xbd");
	json_decref(json);
}

static void a_change_names_one_of_both(void **state)
{
	struct store_change c = {
		.seq = 41, .time_usec = TIME, .job = a_job(), .run = a_run()};
	json_t *json = json_of_change(&c, "store123");

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(json, "seq")), 41);
	assert_string_equal(string(json, "time"), "2026-09-01T10:00:00.000001Z");
	assert_string_equal(string(json_object_get(json, "job"), "source"), "src");
	assert_null(json_object_get(json, "run"));
	json_decref(json);
	c.is_run = true;
	json = json_of_change(&c, "store123");
	assert_string_equal(string(json_object_get(json, "run"), "state"), "done");
	assert_null(json_object_get(json, "job"));
	assert_null(json_object_get(json_object_get(json, "run"), "stdout"));
	json_decref(json);
}

/* ---- Why a hook did not run ---- */

static void assert_why(const struct store_job *j, struct hook *h, const char *why)
{
	struct hook *hooks[] = {h};
	struct config config = {.hooks = hooks, .n_hooks = 1};
	json_t *json = json_of_job_in_full(j, &config, "store123");
	const json_t *hook_json = json_array_get(json_object_get(json, "hooks"), 0);

	assert_string_equal(string(hook_json, "hook"), h->name);
	if (why) {
		assert_true(json_is_false(json_object_get(hook_json, "ran")));
		assert_string_equal(string(hook_json, "why"), why);
	} else {
		assert_true(json_is_true(json_object_get(hook_json, "ran")));
		assert_null_member(hook_json, "why");
	}
	json_decref(json);
}

static void hooks_say_why_they_did_not_run(void **state)
{
	char other[] = "other", *others[] = {other};
	char error[] = "ERROR";
	struct hook h = {.name = hook, .on_outcomes = 1u << OUTCOME_SUCCESS};
	struct store_job j = a_job();
	struct store_run r = a_run();
	const char *reason;

	(void)state;
	j.runs = &r;
	j.n_runs = 1;
	assert_why(&j, &h, NULL);
	r.attempt = 0;
	r.state = RUN_WAITING;
	assert_why(&j, &h, "its run is waiting");
	r.state = RUN_DEAD;
	r.reason = (char[]){"no such hook"};
	assert_why(&j, &h, "its run is dead: no such hook");
	r.attempt = 1;
	r.exit_status = -1; /* counted, and no process came of it */
	r.reason = (char[]){"could not be started: \033"};
	assert_why(&j, &h, "its run is dead: could not be started: \\x1B");
	r.state = RUN_WAITING;
	assert_why(&j, &h, "its run is waiting: could not be started: \\x1B");
	r.state = RUN_RUNNING;
	assert_why(&j, &h, NULL);
	r.state = RUN_DEAD;
	r.signal = 9;
	r.reason = (char[]){"Timeout= passed"};
	assert_why(&j, &h, NULL);
	r.signal = -1;
	r.exit_status = 3;
	assert_why(&j, &h, NULL);
	r.attempt = 0; /* ended by a stop of the daemon: put back, not counted */
	r.state = RUN_WAITING;
	r.exit_status = -1;
	r.signal = 15;
	r.reason = (char[]){"ended because the daemon stopped"};
	assert_why(&j, &h, "its run is waiting: ended because the daemon stopped");
	j.n_runs = 0;
	j.outcome = OUTCOME_ERROR;
	j.status = error;
	assert_why(&j, &h, "On= does not list error");
	j.status = (char[]){"FAI\033LED"};
	assert_why(&j, &h, "On= lists neither error nor FAI\\x1BLED");
	h.sources = (struct words){others, 1};
	assert_why(&j, &h, "Source= does not name it");
	h.sources = (struct words){0};
	j = a_job();
	j.payload = bytes_of("{\"ref\":\"dev\"}");
	assert_int_equal(condition_list_add(&h.where, "/ref=main", &reason), 0);
	assert_why(&j, &h, "Where= does not match");
	assert_int_equal(condition_list_add(&h.where, "header:X=y", &reason), 0);
	assert_why(
		&j, &h, "Where= did not match, or the hook is newer than the callback");
	condition_list_fini(&h.where);
	j = (struct store_job){.source = source,
		.id = id,
		.outcome = OUTCOME_PENDING,
		.expected_usec = 1};
	assert_why(&j, &h, "not called back yet");
}

static void a_hook_that_is_gone_is_told(void **state)
{
	struct config config = {0};
	struct store_job j = a_job();
	struct store_run runs[] = {a_run(), a_run()};
	json_t *json;

	(void)state;
	j.runs = runs;
	j.n_runs = 2;
	json = json_of_job_in_full(&j, &config, "store123");
	assert_int_equal(json_array_size(json_object_get(json, "hooks")), 1);
	assert_int_equal(json_array_size(json_object_get(json, "runs")), 2);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_has_its_fields),
		cmocka_unit_test(a_listed_job_has_no_payload),
		cmocka_unit_test(an_expected_job_is_pending_without_status),
		cmocka_unit_test(payloads_are_text_or_base64),
		cmocka_unit_test(a_word_that_is_no_utf8_is_shown),
		cmocka_unit_test(a_change_names_one_of_both),
		cmocka_unit_test(hooks_say_why_they_did_not_run),
		cmocka_unit_test(a_hook_that_is_gone_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
