/* Requests back from text: what people keep, and what is no request. */
#include "api/captured.h"

#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct captured *take(const char *head, char *problem)
{
	json_t *request = json_pack("{s:s, s:s}", "headers", head, "body", "b");
	struct captured *c = NULL;
	int r = captured_read(request, "/callback/s", &c, problem);

	json_decref(request);
	if (r == 0)
		return c;
	assert_int_equal(r, 1);
	captured_free(c);
	return NULL;
}

static void assert_bytes(struct bytes b, const char *text)
{
	assert_int_equal(b.size, strlen(text));
	assert_memory_equal(b.data, text, b.size);
}

static void reads_what_people_keep(void **state)
{
	static const char *const heads[] = {
		"POST /p?q=1 HTTP/1.1\r\nHost: h\r\nX-A:  b c \r\n\r\n",
		"POST /p?q=1 HTTP/1.1\nHost: h\nX-A: b c",
		"POST /p?q=1 HTTP/1.1\n\nHost:h\n\nX-A:b c\n",
		"POST http://h/p?q=1 HTTP/1.1\nHost: h\nX-A:\tb c\n"};
	char problem[CAPTURED_PROBLEM_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		struct captured *c = take(heads[i], problem);
		assert_non_null(c);
		assert_true(c->has_target);
		assert_bytes(c->message.target, "/p?q=1");
		assert_bytes(c->message.path, "/p");
		assert_bytes(c->message.query, "q=1");
		assert_int_equal(c->message.n_headers, 2);
		assert_bytes(c->message.headers[1].name, "X-A");
		assert_bytes(c->message.headers[1].value, "b c");
		assert_bytes(c->message.body, "b");
		captured_free(c);
	}
	struct captured *c = take("X-A: POST / HTTP/1.1\n", problem);
	assert_non_null(c);
	assert_false(c->has_target);
	assert_bytes(c->message.path, "/callback/s");
	assert_bytes(c->message.headers[0].value, "POST / HTTP/1.1");
	captured_free(c);
}

static void says_which_line_is_none(void **state)
{
	static const struct {
		const char *head, *words;
	} cases[] = {{"X-A: b\nnonsense\n", "line 2"}, {": x\n", "line 1"},
		{"X A: b\n", "line 1"}, {"{\"a\":1}\n", "line 1"},
		{"X-A : b\n", "line 1"}, {"POST nowhere HTTP/1.1\n", "request line"},
		{"A: b\nPOST / HTTP/1.1\n", "line 2"}};
	char problem[CAPTURED_PROBLEM_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (take(cases[i].head, problem))
			fail_msg("taken: %s", cases[i].head);
		if (!strstr(problem, cases[i].words))
			fail_msg("<%s>, not <%s>", problem, cases[i].words);
	}
}

static void has_a_limit(void **state)
{
	static char head[CAPTURED_HEADERS_MAX * 5 + 6];
	char problem[CAPTURED_PROBLEM_SIZE];

	(void)state;
	for (size_t i = 0; i < CAPTURED_HEADERS_MAX; i++)
		memcpy(head + i * 5, "A: b\n", 5);
	struct captured *c = take(head, problem);
	assert_non_null(c);
	captured_free(c);
	memcpy(head + CAPTURED_HEADERS_MAX * 5, "A: b\n", 6);
	assert_null(take(head, problem));
	assert_non_null(strstr(problem, "more than"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_people_keep),
		cmocka_unit_test(says_which_line_is_none),
		cmocka_unit_test(has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
