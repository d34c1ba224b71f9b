/* The tokenizer: systemd.syntax(7), line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/syntax.h"
#include "rules/words.h"

struct expected {
	enum syntax_kind kind;
	unsigned line;
	const char *first, *second; /* section and name, or key and value */
};

static void assert_bytes(struct bytes got, const char *wanted)
{
	if (!wanted) {
		assert_null(got.data);
		return;
	}
	assert_int_equal(got.size, strlen(wanted));
	assert_memory_equal(got.data, wanted, got.size);
}

static void assert_items(struct bytes text, const struct expected *e, size_t n)
{
	struct syntax s;
	struct syntax_item item;
	syntax_init(&s, text);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(syntax_next(&s, &item), 0);
		assert_int_equal(item.kind, e[i].kind);
		assert_int_equal(item.line, e[i].line);
		if (e[i].kind == SYNTAX_PROBLEM) {
			assert_non_null(strstr(item.problem, e[i].first));
			continue;
		}
		bool section = e[i].kind == SYNTAX_SECTION;
		assert_bytes(section ? item.kind_name : item.key, e[i].first);
		assert_bytes(section ? item.name : item.value, e[i].second);
	}
	assert_int_equal(syntax_next(&s, &item), 0);
	assert_int_equal(item.kind, SYNTAX_END);
	assert_int_equal(syntax_next(&s, &item), 0);
	assert_int_equal(item.kind, SYNTAX_END);
	syntax_fini(&s);
}

#define ITEMS(text, ...)                                     \
	assert_items((struct bytes){text, sizeof(text) - 1}, \
		(const struct expected[]){__VA_ARGS__},      \
		ARRAY_SIZE(((const struct expected[]){__VA_ARGS__})))
#define SECTION(l, a, b)                \
	{                               \
		SYNTAX_SECTION, l, a, b \
	}
#define KEY(l, a, b)                       \
	{                                  \
		SYNTAX_ASSIGNMENT, l, a, b \
	}
#define PROBLEM(l, a)                      \
	{                                  \
		SYNTAX_PROBLEM, l, a, NULL \
	}

static void test_sections_and_keys(void **state)
{
	(void)state;
	ITEMS("[Daemon]\nListen=a\n\n[Source  x.y ]\n Key = v w \nEmpty=\n",
		SECTION(1, "Daemon", NULL), KEY(2, "Listen", "a"),
		SECTION(4, "Source", "x.y"), KEY(5, "Key", "v w"), KEY(6, "Empty", ""));
	ITEMS("a=b=c", KEY(1, "a", "b=c"));
	ITEMS("\xEF\xBB\xBF[A]\n", SECTION(1, "A", NULL));
}

static void test_comments(void **state)
{
	(void)state;
	ITEMS("# one\n; two\n  # three\na=b # no comment ; at all\n",
		KEY(4, "a", "b # no comment ; at all"));
	/* Nobody reads a comment: not even its encoding. */
	ITEMS("# \xff\na=b", KEY(2, "a", "b"));
}

static void test_continuation(void **state)
{
	(void)state;
	ITEMS("a=one\\\n  two\\\nthree\nb=c\n", KEY(1, "a", "one two three"),
		KEY(4, "b", "c"));
	ITEMS("a=one\\\n# skipped\n; this too\ntwo\n", KEY(1, "a", "one two"));
	ITEMS("a=one\\\n\nb=c\n", KEY(1, "a", "one"), KEY(3, "b", "c"));
	ITEMS("a=one\\", KEY(1, "a", "one"));
	/* Escaped, or with a blank behind it, it is no continuation. */
	ITEMS("a=one\\\\\nb=c", KEY(1, "a", "one\\\\"), KEY(2, "b", "c"));
	ITEMS("a=one\\ \nb=c", KEY(1, "a", "one\\"), KEY(2, "b", "c"));
	ITEMS("a=\\\nb\\\n", KEY(1, "a", "b"));
}

static void test_line_ends(void **state)
{
	(void)state;
	ITEMS("[A]\r\na=b\r\nc=d\\\r\ne\r\n", SECTION(1, "A", NULL), KEY(2, "a", "b"),
		KEY(3, "c", "d e"));
	ITEMS("a=b", KEY(1, "a", "b"));
	assert_items(BYTES_NONE, NULL, 0);
	assert_items(bytes_of("\n\n \t\n"), NULL, 0);
}

static void test_problems(void **state)
{
	(void)state;
	ITEMS("nonsense\n[A\n[]\n=v\na=\xff\nb=c\0d\ne=f\n", PROBLEM(1, "neither"),
		PROBLEM(2, "ends with ]"), PROBLEM(3, "without a name"),
		PROBLEM(4, "without a key"), PROBLEM(5, "UTF-8"), PROBLEM(6, "NUL"),
		KEY(7, "e", "f"));
}

static void test_long_lines(void **state)
{
	(void)state;
	size_t size = SYNTAX_LINE_MAX_BYTES + 16;
	char *text = malloc(size);
	assert_non_null(text);
	memset(text, 'x', size);
	memcpy(text, "a=", 2);
	struct expected fits = KEY(1, "a", NULL);
	char *value = malloc(SYNTAX_LINE_MAX_BYTES);
	assert_non_null(value);
	memcpy(value, text + 2, SYNTAX_LINE_MAX_BYTES - 2);
	value[SYNTAX_LINE_MAX_BYTES - 2] = '\0';
	fits.second = value;
	assert_items((struct bytes){text, SYNTAX_LINE_MAX_BYTES}, &fits, 1);
	memcpy(text + SYNTAX_LINE_MAX_BYTES + 1, "\nb=c", 4);
	const struct expected after[] = {PROBLEM(1, "1 MiB"), KEY(2, "b", "c")};
	assert_items((struct bytes){text, SYNTAX_LINE_MAX_BYTES + 5}, after, 2);
	/* A continuation counts with what it continues. */
	memset(text, 'x', size);
	memcpy(text, "a=", 2);
	memcpy(text + size / 2, "\\\n", 2);
	const struct expected joined[] = {PROBLEM(1, "1 MiB")};
	assert_items((struct bytes){text, size}, joined, 1);
	free(value);
	free(text);
}

static void assert_words(const char *line, size_t n, const char *const *wanted)
{
	struct words w = {0};
	const char *reason = NULL;
	assert_int_equal(words_split(line, &w, &reason), 0);
	assert_int_equal(w.size, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(w.list[i], wanted[i]);
	words_fini(&w);
}

static void test_words(void **state)
{
	(void)state;
	assert_words("", 0, NULL);
	assert_words(" a  b\tc ", 3, (const char *[]){"a", "b", "c"});
	assert_words("\"A=one two\" B='x \"y\"' C=a\"b c\"d", 3,
		(const char *[]){"A=one two", "B=x \"y\"", "C=ab cd"});
	assert_words("\\101 \\u00e4\\U0001F600", 2,
		(const char *[]){"A", "\xc3\xa4\xf0\x9f\x98\x80"});
	assert_words("a\\sb \\x41\\x42 \"q\\\"q\" '' \\\\", 5,
		(const char *[]){"a b", "AB", "q\"q", "", "\\"});
}

static void test_word_problems(void **state)
{
	static const struct {
		const char *line, *reason;
	} cases[] = {{"a \"b", "never closed"}, {"'", "never closed"}, {"\\q", "escape"},
		{"\\x00", "escape"}, {"\\x4", "escape"}, {"\\", "escape"},
		{"\\xff", "UTF-8"}, {"\\377", "UTF-8"}, {"\\ud800", "hex digits"},
		{"\\18", "octal"}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct words w = {0};
		const char *reason = NULL;
		assert_int_equal(words_split(cases[i].line, &w, &reason), 1);
		assert_non_null(strstr(reason, cases[i].reason));
		words_fini(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections_and_keys),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_continuation),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_word_problems),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
