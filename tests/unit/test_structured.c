/* Structured fields: what is read, how it is written again, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/structured.h"

#include <stdio.h>

static struct structured s;

static void test_round_trips(void **state)
{
	/* As read; as the first member is written (RFC 8941, 4.1). */
	static const struct {
		const char *text, *written;
	} cases[] = {
		{"a=1", "1"},
		{"a=-0", "0"},
		{"a=-999999999999999", "-999999999999999"},
		{"a", "?1"},
		{"a=?0", "?0"},
		{"a=?1;x=?1;y;z=?0", "?1;x;y;z=?0"},
		{"a=tok:en/x*", "tok:en/x*"},
		{"a=*t", "*t"},
		{"a=\"x \\\" \\\\\"", "\"x \\\" \\\\\""},
		{"a=\"\"", "\"\""},
		{"a=::", "::"},
		{"a=:YWJj+/==:", ":YWJj+/==:"},
		{"a=()", "()"},
		{"a=( )", "()"},
		{"a=(  1  \"b\";k=:Y: tok   )  ", "(1 \"b\";k=:Y: tok)"},
		{"a=(1 2);created=5;  keyid=\"x\"", "(1 2);created=5;keyid=\"x\""},
		{" a=1 ,\t b=2", "1"},
		{"*a_-.*9=1", "1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct text out = TEXT_EMPTY;
		const char *problem;
		if (structured_parse(bytes_of(cases[i].text), &s, &problem) != 0)
			fail_msg("%s: %s", cases[i].text, problem);
		structured_write(&s, &s.members[0], &out);
		assert_string_equal(out.data, cases[i].written);
		text_fini(&out);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"A=1",
		"1=1",
		"=1",
		"a=",
		"a= 1",
		"a =1",
		"a=1,",
		"a=1, ",
		"a=1,,b=1",
		",a=1",
		"a=1 b=2",
		"a=1;",
		"a=1;B",
		"a=1;b=",
		"a=1;b;b",
		"a=1;b=1;b=1",
		"a=1, a=1",
		"a, b, a",
		"a=--1",
		"a=-",
		"a=1234567890123456",
		"a=1.5",
		"a=1.",
		"a=\"x",
		"a=\"x\\\"",
		"a=\"x\\y\"",
		"a=\"\x7f\"",
		"a=\"\xc3\xa9\"",
		"a=\"\t\"",
		"a=:YQ",
		"a=:Y-Q:",
		"a=:Y Q:",
		"a=?2",
		"a=?",
		"a=(",
		"a=(1",
		"a=(1,2)",
		"a=(1 2",
		"a=(\"x\"\"y\")",
		"a=((1))",
		"a=)",
		"a=@1",
		"a=\xc3\xa9",
		"a=1\n",
		"\ta=1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *problem = NULL;
		if (structured_parse(bytes_of(texts[i]), &s, &problem) != 1)
			fail_msg("<%s> is taken", texts[i]);
		assert_non_null(problem);
	}
	/* NUL is a byte like any other that has no place there. */
	const char *problem;
	assert_int_equal(structured_parse((struct bytes){"a=1\0,b", 6}, &s, &problem), 1);
	assert_int_equal(structured_parse((struct bytes){"a\0", 2}, &s, &problem), 1);
	assert_int_equal(
		structured_parse((struct bytes){"a=\"x\0\"", 6}, &s, &problem), 1);
	assert_int_equal(structured_parse(BYTES_NONE, &s, &problem), 0);
	assert_int_equal(s.n_members, 0);
}

/* One more of anything than there is room for. */
static void test_limits(void **state)
{
	static const struct {
		const char *start, *item, *end;
		int max;
	} cases[] = {
		{"", "a%d=1,", "z", STRUCTURED_MEMBERS_MAX - 1},
		{"a=(", "%d ", ")", STRUCTURED_ITEMS_MAX},
		{"a=1", ";p%d", "", STRUCTURED_PARAMETERS_MAX},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int more = 0; more <= 1; more++) {
			struct text t = TEXT_EMPTY;
			const char *problem;
			text_adds(&t, cases[i].start);
			for (int k = 0; k < cases[i].max + more; k++)
				text_addf(&t, cases[i].item, k);
			text_adds(&t, cases[i].end);
			assert_int_equal(
				structured_parse(text_bytes(&t), &s, &problem), more);
			text_fini(&t);
		}
}

static void test_look_ups(void **state)
{
	const char *problem;

	(void)state;
	assert_int_equal(structured_parse(bytes_of("a=(\"x\";k=\"v\" y);n=7, bb=:Q:"), &s,
				 &problem),
		0);
	const struct structured_item *a = structured_member(&s, bytes_of("a"));
	assert_non_null(a);
	assert_null(structured_member(&s, bytes_of("b")));
	assert_int_equal(a->value.n, 2);
	assert_int_equal(structured_parameter(&s, a, "n")->integer, 7);
	assert_null(structured_parameter(&s, a, "k"));
	assert_true(
		bytes_equal(structured_parameter(&s, &s.items[a->value.first], "k")->text,
			bytes_of("v")));
	assert_int_equal(s.items[a->value.first + 1].value.type, STRUCTURED_TOKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_look_ups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
