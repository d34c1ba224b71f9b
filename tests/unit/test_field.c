/* Fields: what a person may write, RFC 6901, and what is read out of a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fail_malloc.h"
#include "rules/field.h"

#include <stdio.h>

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int result;
		enum field_kind kind;
		const char *name;
	} cases[] = {
		{"/id", 0, FIELD_POINTER, "/id"},
		{"", 0, FIELD_POINTER, ""},
		{"/", 0, FIELD_POINTER, "/"},
		{"/a~0b/c~1d/0", 0, FIELD_POINTER, "/a~0b/c~1d/0"},
		{"header:webhook-id", 0, FIELD_HEADER, "webhook-id"},
		{"query:a b", 0, FIELD_QUERY, "a b"},
		{"form:id", 0, FIELD_FORM, "id"},
		{"id", 1, 0, NULL},
		{"/a~", 1, 0, NULL},
		{"/a~2", 1, 0, NULL},
		{"/\xff", 1, 0, NULL},
		{"header:", 1, 0, NULL},
		{"header:a b", 1, 0, NULL},
		{"header:a:b", 1, 0, NULL},
		{"query:", 1, 0, NULL},
		{"form:", 1, 0, NULL},
		{"Header:x", 1, 0, NULL},
		{"form:a/b/0", 0, FIELD_FORM, "a"},
		{"form:a~1b~0/", 0, FIELD_FORM, "a/b~"},
		{"form:/a", 1, 0, NULL},
		{"form:a~", 1, 0, NULL},
		{"last:/type", 0, FIELD_POINTER, "/type"},
		{"last:header:X", 0, FIELD_HEADER, "X"},
		{"last:", 0, FIELD_POINTER, ""},
		{"last:x", 1, 0, NULL},
		{"last:last:/x", 1, 0, NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct field f = {0};
		const char *reason = NULL;
		int r = field_parse(&f, cases[i].text, &reason);
		if (r != cases[i].result)
			fail_msg("<%s>: %d", cases[i].text, r);
		assert_int_equal(reason != NULL, r == 1);
		if (r == 0) {
			assert_int_equal(f.kind, cases[i].kind);
			assert_string_equal(f.name, cases[i].name);
			assert_string_equal(f.text, cases[i].text);
		}
		field_fini(&f);
	}
}

static void test_lists(void **state)
{
	struct field_list l = {0};
	struct condition_list c = {0};
	const char *reason = NULL;

	(void)state;
	assert_int_equal(field_list_add(&l, "/a", &reason), 0);
	assert_int_equal(field_list_add(&l, "header:b", &reason), 0);
	assert_int_equal(field_list_add(&l, "form:x/y", &reason), 0);
	assert_int_equal(field_list_add(&l, "x", &reason), 1);
	assert_int_equal(l.size, 3);
	field_list_fini(&l);
	assert_int_equal(l.size, 0);

	assert_int_equal(condition_list_add(&c, "/ref=refs/heads/main", &reason), 0);
	assert_int_equal(condition_list_add(&c, "header:X-A!=b=c", &reason), 0);
	assert_int_equal(condition_list_add(&c, "/a=", &reason), 0);
	assert_int_equal(c.size, 3);
	assert_string_equal(c.conditions[0].value, "refs/heads/main");
	assert_false(c.conditions[0].negated);
	assert_string_equal(c.conditions[1].value, "b=c");
	assert_string_equal(c.conditions[1].field.name, "X-A");
	assert_true(c.conditions[1].negated);
	assert_string_equal(c.conditions[2].value, "");
	assert_int_equal(condition_list_add(&c, "/a", &reason), 1);
	assert_int_equal(condition_list_add(&c, "=b", &reason), 1);
	assert_int_equal(condition_list_add(&c, "!=b", &reason), 1);
	assert_int_equal(condition_list_add(&c, "a=b", &reason), 1);
	assert_int_equal(condition_list_add(&c, "form:a=b", &reason), 0);
	assert_int_equal(c.size, 4);
	condition_list_fini(&c);
}

static json_t *parse(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	assert_non_null(json);
	return json;
}

/* RFC 6901, 5: the document and every pointer of the section. */
static void test_pointer_rfc(void **state)
{
	static const struct {
		const char *pointer, *key; /* the member it must be; NULL: the whole */
	} cases[] = {
		{"", NULL},
		{"/foo", "foo"},
		{"/", ""},
		{"/a~1b", "a/b"},
		{"/c%d", "c%d"},
		{"/e^f", "e^f"},
		{"/g|h", "g|h"},
		{"/i\\j", "i\\j"},
		{"/k\"l", "k\"l"},
		{"/ ", " "},
		{"/m~0n", "m~n"},
	};
	json_t *json = parse(
		"{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
		"\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,"
		"\"~1\":9,\"ab\":10}");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const json_t *want = cases[i].key ? json_object_get(json, cases[i].key)
						  : json;
		assert_non_null(want);
		assert_ptr_equal(field_pointer(json, cases[i].pointer), want);
	}
	assert_string_equal(json_string_value(field_pointer(json, "/foo/0")), "bar");
	assert_string_equal(json_string_value(field_pointer(json, "/foo/1")), "baz");
	/* ~01 is ~1, not /. */
	assert_int_equal(json_integer_value(field_pointer(json, "/~01")), 9);
	assert_null(field_pointer(json, "/foo/2"));
	assert_null(field_pointer(json, "/foo/-"));
	assert_null(field_pointer(json, "/foo/00"));
	assert_null(field_pointer(json, "/foo/01"));
	assert_null(field_pointer(json, "/foo/+1"));
	assert_null(field_pointer(json, "/foo/ 1"));
	assert_null(field_pointer(json, "/foo/"));
	assert_null(field_pointer(json, "/foo/4294967296"));
	assert_null(field_pointer(json, "/foo/18446744073709551616"));
	assert_null(field_pointer(json, "/foo/0/0"));
	assert_null(field_pointer(json, "/a~1"));
	assert_null(field_pointer(json, "/a~1bc"));
	assert_null(field_pointer(json, "/fo"));
	assert_null(field_pointer(json, "foo"));
	assert_null(field_pointer(json, "//"));
	assert_null(field_pointer(NULL, "/foo"));
	json_decref(json);
}

static const struct message_header headers[] = {
	{{"X-One", 5}, {"1", 1}},
	{{"X-Two", 5}, {"a", 1}},
	{{"x-two", 5}, {"b", 1}},
	{{"X-Empty", 7}, {"", 0}},
};

static struct message make_message(void)
{
	return (struct message){
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.query = bytes_of("a=1&b=x%20y+z&c=1&c=2&bad=%zz&d="),
		.body = bytes_of("f=%41&g=1&g=2&j={\"a\":[\"{\\\"b\\\":2}\"]}&bad=%zz"),
	};
}

static void expect_read(
	const char *field, const json_t *json, int result, const char *want)
{
	struct message m = make_message();
	struct field f = {0};
	const char *reason;
	char *value = NULL;
	size_t size = 0;

	struct document d;
	document_init_json(&d, &m, json);
	assert_int_equal(field_parse(&f, field, &reason), 0);
	int r = field_read(&f, &d, &value, &size);
	if (r != result)
		fail_msg("<%s>: %d", field, r);
	if (r == 0) {
		assert_int_equal(size, strlen(want));
		assert_string_equal(value, want);
	} else {
		assert_null(value);
	}
	free(value);
	field_fini(&f);
	document_fini(&d);
}

static void test_read(void **state)
{
	json_t *json = parse(
		"{\"s\":\"text\",\"i\":-42,\"max\":9223372036854775807,\"r\":0.1,\"one\":"
		"1.0,"
		"\"big\":1.5e300,\"third\":0.333333333333333314829616256247,\"t\":true,"
		"\"f\":false,\"n\":null,\"o\":{},\"a\":[],\"e\":\"\"}");

	(void)state;
	expect_read("/s", json, 0, "text");
	expect_read("/i", json, 0, "-42");
	expect_read("/max", json, 0, "9223372036854775807");
	expect_read("/r", json, 0, "0.1");
	expect_read("/one", json, 0, "1.0");
	expect_read("/big", json, 0, "1.5e300");
	expect_read("/third", json, 0, "0.3333333333333333");
	expect_read("/t", json, 0, "true");
	expect_read("/f", json, 0, "false");
	expect_read("/e", json, 0, "");
	expect_read("/n", json, 1, NULL);
	expect_read("/o", json, 1, NULL);
	expect_read("/a", json, 1, NULL);
	expect_read("", json, 1, NULL);
	expect_read("/none", json, 1, NULL);
	expect_read("/s", NULL, 1, NULL);
	expect_read("header:x-one", NULL, 0, "1");
	expect_read("header:X-Empty", NULL, 0, "");
	expect_read("header:X-Two", NULL, 2, NULL);
	expect_read("header:X-None", NULL, 1, NULL);
	expect_read("query:a", NULL, 0, "1");
	expect_read("query:b", NULL, 0, "x y z");
	expect_read("query:d", NULL, 0, "");
	expect_read("query:c", NULL, 2, NULL);
	expect_read("query:none", NULL, 1, NULL);
	expect_read("query:bad", NULL, 1, NULL);
	expect_read("form:f", NULL, 0, "A");
	expect_read("form:g", NULL, 2, NULL);
	json_decref(json);

	json = parse("\"top\"");
	expect_read("", json, 0, "top");
	json_decref(json);
}

/* Through strings that hold JSON, as text and in base64, and into a form's fields. */
static void test_embedded(void **state)
{
	json_t *json = parse(
		"{\"Message\":\" "
		"{\\\"detail\\\":{\\\"jobId\\\":7,\\\"type\\\":\\\"a.b\\\"}}\","
		"\"data\":\"eyJldmVudCI6eyJpZCI6IngifX0=\",\"open\":\"eyJpZCI6MX0\","
		"\"twice\":\"{\\\"a\\\":1,\\\"a\\\":2}\",\"list\":\"[[1],[2]]\","
		"\"deep\":\"{\\\"in\\\":\\\"{\\\\\\\"id\\\\\\\":3}\\\"}\","
		"\"word\":\"eyes\",\"s\":\"a.b.c\",\"e\":\"a.\",\"n\":1.5}");

	(void)state;
	expect_read("/Message/detail/jobId", json, 0, "7");
	expect_read("/Message/detail", json, 1, NULL);
	expect_read("/Message/none", json, 1, NULL);
	expect_read("/Message/", json, 1, NULL);
	expect_read("last:/Message/detail/type", json, 0, "b");
	expect_read("/data/event/id", json, 0, "x");
	expect_read("/data", json, 0, "eyJldmVudCI6eyJpZCI6IngifX0=");
	expect_read("/open/id", json, 0, "1"); /* base64url, without padding */
	expect_read("/twice/a", json, 1, NULL);
	expect_read("/list/1/0", json, 0, "2");
	expect_read("/deep/in/id", json, 0, "3");
	expect_read("/word/x", json, 1, NULL);
	expect_read("/s/x", json, 1, NULL);
	expect_read("last:/s", json, 0, "c");
	expect_read("last:/e", json, 0, "a."); /* nothing behind the dot */
	expect_read("last:/n", json, 0, "5");
	expect_read("last:query:d", json, 0, "");
	expect_read("form:j/a/0", NULL, 0, "{\"b\":2}");
	expect_read("form:j/a/0/b", NULL, 0, "2");
	expect_read("form:j/none", NULL, 1, NULL);
	expect_read("form:f/a", NULL, 1, NULL);
	expect_read("form:g/a", NULL, 2, NULL);
	expect_read("form:none/a", NULL, 1, NULL);
	expect_read("form:bad/a", NULL, 1, NULL);
	json_decref(json);

	json = parse("\"{\\\"id\\\":\\\"whole\\\"}\"");
	expect_read("/id", json, 0, "whole");
	json_decref(json);
}

/* A field that is asked for twice is parsed once; of too many texts the later ones are none. */
static void test_kept(void **state)
{
	struct message m = {0};
	struct field f;
	struct document d;
	const json_t *first, *again;
	const char *reason;
	char name[16];
	json_t *json = json_array();

	(void)state;
	for (int i = 0; i <= DOCUMENT_INNER_MAX; i++)
		json_array_append_new(json, json_sprintf("{\"a\":%d}", i));
	document_init_json(&d, &m, json);
	for (int i = 0; i <= DOCUMENT_INNER_MAX; i++) {
		snprintf(name, sizeof(name), "/%d/a", i);
		assert_int_equal(field_parse(&f, name, &reason), 0);
		int r = field_json(&f, &d, &first);
		assert_int_equal(r, i < DOCUMENT_INNER_MAX ? 0 : 1);
		if (r == 0) {
			assert_int_equal(json_integer_value(first), i);
			assert_int_equal(field_json(&f, &d, &again), 0);
			assert_ptr_equal(first, again);
		}
		field_fini(&f);
	}
	document_fini(&d);
	json_decref(json);
}

static void test_read_nul(void **state)
{
	struct message m = make_message();
	json_t *json = parse("{\"s\":\"a\\u0000b\"}");
	struct field f = {0};
	const char *reason;
	char *value;
	size_t size;

	(void)state;
	struct document d;
	document_init_json(&d, &m, json);
	assert_int_equal(field_parse(&f, "/s", &reason), 0);
	assert_int_equal(field_read(&f, &d, &value, &size), 0);
	assert_int_equal(size, 3);
	assert_memory_equal(value, "a\0b", 4);
	free(value);
	field_fini(&f);
	document_fini(&d);
	json_decref(json);
}

static void test_list_read(void **state)
{
	struct message m = make_message();
	json_t *json = parse("{\"a\":null,\"b\":\"B\",\"c\":\"C\"}");
	struct field_list l = {0};
	const char *reason;
	char *value = NULL;
	size_t size;

	(void)state;
	struct document d;
	document_init_json(&d, &m, json);
	assert_int_equal(field_list_add(&l, "/a", &reason), 0);
	assert_int_equal(field_list_read(&l, &d, &value, &size), 1);
	assert_int_equal(field_list_add(&l, "/b", &reason), 0);
	assert_int_equal(field_list_add(&l, "/c", &reason), 0);
	assert_int_equal(field_list_read(&l, &d, &value, &size), 0);
	assert_string_equal(value, "B");
	free(value);
	field_list_fini(&l);
	/* What stands twice ends the search: the next field is no way around it. */
	assert_int_equal(field_list_add(&l, "header:x-two", &reason), 0);
	assert_int_equal(field_list_add(&l, "/b", &reason), 0);
	assert_int_equal(field_list_read(&l, &d, &value, &size), 2);
	field_list_fini(&l);
	document_fini(&d);
	json_decref(json);
}

static void test_conditions(void **state)
{
	static const struct {
		const char *a, *b;
		int holds;
	} cases[] = {
		{NULL, NULL, 1},
		{"/s=x", NULL, 1},
		{"/s=X", NULL, 0},
		{"/s!=x", NULL, 0},
		{"/s!=y", NULL, 1},
		{"/none=x", NULL, 0},
		{"/none=", NULL, 0},
		{"/none!=x", NULL, 1},
		{"/i=7", "header:X-One=1", 1},
		{"/i=7", "header:X-One=2", 0},
		{"/i=8", "header:X-One=1", 0},
		{"header:X-Two=a", NULL, 0},
		{"/b=true", NULL, 1},
		{"/e=", NULL, 1},
	};
	struct message m = make_message();
	json_t *json = parse("{\"s\":\"x\",\"i\":7,\"b\":true,\"e\":\"\"}");
	const char *reason;
	struct document d;

	(void)state;
	document_init_json(&d, &m, json);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct condition_list l = {0};
		if (cases[i].a)
			assert_int_equal(condition_list_add(&l, cases[i].a, &reason), 0);
		if (cases[i].b)
			assert_int_equal(condition_list_add(&l, cases[i].b, &reason), 0);
		if (condition_list_holds(&l, &d) != cases[i].holds)
			fail_msg("case %zu", i);
		condition_list_fini(&l);
	}
	document_fini(&d);
	json_decref(json);
}

static int use_everything(const json_t *json)
{
	struct message m = make_message();
	struct field_list l = {0};
	struct condition_list c = {0};
	const char *reason;
	char *value = NULL;
	size_t size;

	struct document d;
	document_init_json(&d, &m, json);
	int r = field_list_add(&l, "/none", &reason);
	if (r == 0)
		r = field_list_add(&l, "/r", &reason);
	if (r == 0)
		r = condition_list_add(&c, "query:b!=1", &reason);
	if (r == 0)
		r = field_list_read(&l, &d, &value, &size);
	if (r == 0)
		r = condition_list_holds(&c, &d) < 0 ? -ENOMEM : 0;
	free(value);
	field_list_fini(&l);
	condition_list_fini(&c);
	document_fini(&d);
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	json_t *json = parse("{\"r\":0.1}");
	for (long n = 1;; n++) {
		fail_malloc_at(n);
		int r = use_everything(json);
		if (!fail_malloc_end()) {
			assert_int_equal(r, 0);
			assert_true(n > 5);
			break;
		}
		assert_int_equal(r, -ENOMEM);
	}
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_pointer_rfc),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_embedded),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_read_nul),
		cmocka_unit_test(test_list_read),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
