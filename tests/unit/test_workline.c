/* A run as a line, and what is an answer and what is none. */
#include "rules/workline.h"

#include "base/utf8.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct workline_run plain = {.run = "abcdefgh-7",
	.hook = "h",
	.source = "s",
	.id = "a \"quoted\\\" id",
	.status = NULL,
	.outcome = "success",
	.received_usec = 1788256800000001,
	.attempt = 3};

static char *written(const struct workline_run *run)
{
	struct text t = TEXT_EMPTY;

	workline_write(&t, run);
	char *line = text_take(&t);
	assert_non_null(line);
	return line;
}

static void expect_line(const struct workline_run *run, const char *line)
{
	char *have = written(run);

	assert_string_equal(have, line);
	free(have);
}

static void test_write(void **state)
{
	struct workline_run run = plain;

	(void)state;
	run.payload = bytes_of("{\"x\":\t\"\xc3\xa9\x01\"}\r\n");
	expect_line(&run,
		"{\"run\":\"abcdefgh-7\",\"hook\":\"h\",\"source\":\"s\","
		"\"id\":\"a \\\"quoted\\\\\\\" "
		"id\",\"status\":null,\"outcome\":\"success\","
		"\"received\":\"2026-09-01T10:00:00.000001Z\",\"attempt\":3,"
		"\"payload\":\"{\\\"x\\\":\\t\\\"\xc3\xa9\\u0001\\\"}\\r\\n\"}\n");
	run.payload = (struct bytes){"\xff\x00", 2};
	run.status = "ok";
	run.test = true;
	run.has_exports = true;
	expect_line(&run, "{\"run\":\"abcdefgh-7\",\"hook\":\"h\",\"source\":\"s\","
			  "\"id\":\"a \\\"quoted\\\\\\\" "
			  "id\",\"status\":\"ok\",\"outcome\":\"success\","
			  "\"received\":\"2026-09-01T10:00:00.000001Z\",\"attempt\":3,"
			  "\"test\":true,"
			  "\"export\":{},\"payload_base64\":\"/wA=\"}\n");
}

static void test_exports(void **state)
{
	static const struct workline_export exports[] = {
		{"CALLBACK_BAD", {"\xff", 1}},
		{"CALLBACK_URL", {"http://x/\"", 10}},
		{"CALLBACK_EMPTY", {"", 0}},
	};
	struct workline_run run = plain;

	(void)state;
	run.payload = bytes_of("");
	run.exports = exports;
	run.n_exports = 3;
	run.has_exports = true;
	char *line = written(&run);
	assert_non_null(strstr(line, ",\"export\":{\"URL\":\"http://x/"
				     "\\\"\",\"EMPTY\":\"\"},\"payload\":\"\"}\n"));
	free(line);
}

/* Whatever the payload is, the line is one line of JSON and holds it byte for byte. */
static void test_every_byte(void **state)
{
	struct workline_run run = plain;
	char payload[128];

	(void)state;
	for (int i = 0; i < 128; i++)
		payload[i] = (char)i;
	run.payload = (struct bytes){payload, sizeof(payload)};
	char *line = written(&run);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	json_t *json = json_loads(line, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	const json_t *have = json_object_get(json, "payload");
	assert_int_equal(json_string_length(have), sizeof(payload));
	assert_memory_equal(json_string_value(have), payload, sizeof(payload));
	json_decref(json);
	free(line);
}

static void test_answers(void **state)
{
	static const struct {
		const char *line, *run, *reason;
		bool ok;
	} good[] = {
		{"a-1 ok", "a-1", NULL, true},
		{"a-1 ok\r", "a-1", NULL, true},
		{"  a-1 \t ok  ", "a-1", NULL, true},
		{"a-1 fail", "a-1", NULL, false},
		{"a-1 fail ", "a-1", NULL, false},
		{"a-1 fail disk is full", "a-1", "disk is full", false},
		{"a-1 fail ok", "a-1", "ok", false},
	};
	static const char *const bad[] = {"", " ", "ok", "a-1", "a-1 ", "a-1 okay",
		"a-1 ok done", "a-1 OK", "a-1 failed", "a_1 ok", "a-1\x01 ok", "a-1ok",
		"{\"run\":\"a-1\"}", "\xff ok",
		"12345678901234567890123456789012345678901234567890123456789012345 ok"};
	struct workline_answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(workline_parse(bytes_of(good[i].line), &a));
		assert_true(bytes_equal(a.run, bytes_of(good[i].run)));
		assert_int_equal(a.ok, good[i].ok);
		assert_int_equal(a.reason.data != NULL, good[i].reason != NULL);
		if (good[i].reason)
			assert_true(bytes_equal(a.reason, bytes_of(good[i].reason)));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(workline_parse(bytes_of(bad[i]), &a));
	assert_false(workline_parse((struct bytes){"a-1\0 ok", 7}, &a));
}

static void test_long_reasons_are_cut(void **state)
{
	struct workline_answer a;
	char line[1000] = "a-1 fail x";

	(void)state;
	for (size_t i = strlen(line); i + 2 < sizeof(line); i += 2)
		memcpy(line + i, "\xc3\xa9", 2);
	assert_true(workline_parse((struct bytes){line, sizeof(line) - 2}, &a));
	assert_int_equal(a.reason.size, WORKLINE_REASON_MAX - 1);
	assert_true(utf8_valid(a.reason));
}

/* All lines of `stream`, given in pieces of `step` bytes, joined by |. */
static char *split(const char *stream, size_t size, size_t step)
{
	struct workline_reader r = {.size = 0};
	struct text t = TEXT_EMPTY;
	struct bytes line;

	for (size_t i = 0; i < size; i += step) {
		struct bytes piece = {stream + i, size - i < step ? size - i : step};
		while (workline_next(&r, &piece, &line)) {
			text_add(&t, line);
			text_addc(&t, '|');
		}
		assert_int_equal(piece.size, 0);
	}
	if (workline_last(&r, &line))
		text_add(&t, line);
	assert_false(workline_last(&r, &line));
	return text_take(&t);
}

static void test_reader(void **state)
{
	static const char stream[] = "a-1 ok\n\nb-2 fail why\nlast";

	(void)state;
	for (size_t step = 1; step < sizeof(stream); step++) {
		char *lines = split(stream, sizeof(stream) - 1, step);
		assert_string_equal(lines, "a-1 ok||b-2 fail why|last");
		free(lines);
	}
}

static void test_reader_is_bounded(void **state)
{
	static char stream[3 * WORKLINE_MAX];

	(void)state;
	memset(stream, 'x', sizeof(stream));
	memcpy(stream, "a-1 fail ", 9);
	memcpy(stream + sizeof(stream) - 8, "\nb-2 ok\n", 8);
	for (size_t step = 1; step < sizeof(stream); step = step * 3 + 1) {
		char *lines = split(stream, sizeof(stream), step);
		assert_int_equal(strlen(lines), WORKLINE_MAX + strlen("|b-2 ok|"));
		assert_string_equal(lines + WORKLINE_MAX, "|b-2 ok|");
		free(lines);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_exports),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_long_reasons_are_cut),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_reader_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
