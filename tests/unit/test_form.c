/* Forms, urlencoded and multipart: what is read, and what two readers might read differently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fail_malloc.h"
#include "rules/form.h"

#define MULTIPART  "multipart/form-data; boundary=b"
#define PART(name) "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define END        "\r\n--b--\r\n"

static struct message_header header = {{"Content-Type", 12}, {NULL, 0}};

static struct message message_of(const char *type, struct bytes body)
{
	header.value = bytes_of(type);
	return (struct message){
		.headers = &header, .n_headers = type ? 1 : 0, .body = body};
}

static struct bytes find_in(
	const char *type, struct bytes body, const char *name, enum message_found *ret)
{
	struct message m = message_of(type, body);
	struct bytes value = BYTES_NONE;
	struct form f;

	form_of(&f, &m);
	*ret = form_find(&f, bytes_of(name), &value);
	return value;
}

static void expect_field(
	const char *type, const char *body, const char *name, const char *want)
{
	enum message_found found;
	struct bytes value = find_in(type, bytes_of(body), name, &found);

	if (want) {
		if (found != MESSAGE_ONCE || !bytes_equal(value, bytes_of(want)))
			fail_msg("<%s>: %s is %d <%.*s>", body, name, found,
				BYTES_FMT(value));
	} else if (found == MESSAGE_ONCE) {
		fail_msg("<%s>: %s is there: <%.*s>", body, name, BYTES_FMT(value));
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *type;
		enum form_kind kind;
	} cases[] = {
		{NULL, FORM_URLENCODED},
		{"application/x-www-form-urlencoded", FORM_URLENCODED},
		{"Application/X-WWW-Form-Urlencoded ; charset=utf-8", FORM_URLENCODED},
		{"application/json", FORM_NONE},
		{"application/x-www-form-urlencodedx", FORM_NONE},
		{"", FORM_NONE},
		{"multipart/form-data; boundary=b", FORM_MULTIPART},
		{"multipart/form-data;boundary=\"a b\"", FORM_MULTIPART},
		{"MULTIPART/FORM-DATA; charset=utf-8; Boundary=b", FORM_MULTIPART},
		{"multipart/form-data", FORM_NONE},
		{"multipart/form-data; boundary=", FORM_NONE},
		{"multipart/form-data; boundary=\"\"", FORM_NONE},
		{"multipart/form-data; boundary=\"a \"", FORM_NONE},
		{"multipart/form-data; boundary=\"a\\b\"", FORM_NONE},
		{"multipart/form-data; boundary=\"a", FORM_NONE},
		{"multipart/form-data; boundary=a b", FORM_NONE},
		{"multipart/form-data; boundary=a; boundary=b", FORM_NONE},
		{"multipart/form-data; boundary=a; x", FORM_NONE},
		{"multipart/form-data; boundary=<>", FORM_NONE},
		{"multipart/form-data; boundary="
		 "12345678901234567890123456789012345678901234567890"
		 "12345678901234567890",
			FORM_MULTIPART},
		{"multipart/form-data; boundary="
		 "12345678901234567890123456789012345678901234567890"
		 "123456789012345678901",
			FORM_NONE},
		{"multipart/mixed; boundary=b", FORM_NONE},
	};
	struct form f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct message m = message_of(cases[i].type, bytes_of("x"));
		form_of_head(&f, &m);
		if (f.kind != cases[i].kind)
			fail_msg("<%s>: %d", cases[i].type, f.kind);
		assert_int_equal(f.problem != NULL, f.kind == FORM_NONE);
	}
	const struct message_header twice[] = {header, header};
	const struct message m = {.headers = twice, .n_headers = 2};
	form_of_head(&f, &m);
	assert_int_equal(f.kind, FORM_NONE);
}

static void test_multipart(void **state)
{
	static const char body[] = PART(
		"a") "one"
		     "\r\n" PART("empty") "\r\n"
					  "--b\r\ncontent-type: application/json; "
					  "charset=x\r\n"
					  "CONTENT-DISPOSITION:form-data;name=c; "
					  "filename=\"x\\\"y; name=\\\"a\\\"\"\r\n"
					  "Content-Transfer-Encoding: "
					  "binary\r\n\r\n{\r\n}\r\n--\r\n-b--"
					  "\r\n" PART("d e") "a --bx in a line--b\r\n"
							     "\r\n--b--";
	enum message_found found;

	(void)state;
	expect_field(MULTIPART, body, "a", "one");
	expect_field(MULTIPART, body, "empty", "");
	expect_field(MULTIPART, body, "c", "{\r\n}\r\n--\r\n-b--");
	expect_field(MULTIPART, body, "d e", "a --bx in a line--b\r\n");
	expect_field(MULTIPART, body, "x", NULL);
	expect_field(MULTIPART, PART("a") "1\r\n" PART("a") "2" END, "a", NULL);
	find_in(MULTIPART, bytes_of(PART("a") "1\r\n" PART("a") "2" END), "a", &found);
	assert_int_equal(found, MESSAGE_TWICE);
	expect_field(MULTIPART, "--b--", "a", NULL);
	static const char nul[] = PART("a") "\0\xff" END;
	struct bytes value = find_in(
		MULTIPART, (struct bytes){nul, sizeof(nul) - 1}, "a", &found);
	assert_true(bytes_equal(value, (struct bytes){"\0\xff", 2}));
}

/* In each of these another reader finds another a than the one at the end, or none. */
static void test_broken(void **state)
{
	static const char *const bodies[] = {
		"",
		"x" PART("a") "1" END,
		"preamble\r\n" PART("a") "1" END,
		"\r\n" PART("a") "1" END,
		PART("a") "1",
		PART("a") "1\r\n--b",
		PART("a") "1\r\n--b-",
		PART("a") "1\r\n--b\r\n",
		PART("a") "1\r\n--b--x",
		PART("a") "1\r\n--b--\r\nepilogue",
		PART("a") "1\r\n--b--\n",
		PART("a") "1\r\n--b \r\n" END,
		PART("a") "1\r\n--bb" END,
		PART("a") "1\r\n--b\nContent-Disposition: form-data; name=x\r\n\r\n" END,
		"--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n--b--\n",
		/* No empty line of content before the next one. */
		PART("x") "--b\r\nContent-Disposition: form-data; "
			  "name=\"a\"\r\n\r\n1" END,
		/* Names: none, two, with escapes, in two headers, of something else. */
		"--b\r\n\r\n1\r\n" PART("a") "1" END,
		"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n" PART("a") "1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"; "
		"name=\"x\"\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; "
		"name=\"x\\\"a\"\r\n\r\n1\r\n" PART("a") "1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n"
		"Content-Disposition: form-data; name=\"x\"\r\n\r\n1" END,
		"--b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\" x\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"; y=\r\n\r\n1" END,
		/* Folded, without a colon, blank in front of it, bare CR, encoded. */
		"--b\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\njunk\r\n\r\n1" END,
		"--b\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nX: "
		"y\rz\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\nMQ==" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n"
		"--b: x\r\n\r\n1" END,
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n--b--\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct message m = message_of(MULTIPART, bytes_of(bodies[i]));
		struct form f;
		form_of(&f, &m);
		if (!f.problem)
			fail_msg("<%s> is taken", bodies[i]);
		expect_field(MULTIPART, bodies[i], "a", NULL);
	}
}

static void test_limits(void **state)
{
	struct text t = TEXT_EMPTY;
	struct form f;
	struct message m;

	(void)state;
	for (size_t parts = 0; parts <= MULTIPART_PARTS_MAX; parts++)
		text_adds(&t, parts ? "\r\n" PART("x") : PART("x"));
	size_t one_too_many = t.size;
	text_adds(&t, END);
	m = message_of(MULTIPART, text_bytes(&t));
	form_of(&f, &m);
	assert_string_equal(f.problem, "the form has too many parts");
	t.size = one_too_many - strlen("\r\n" PART("x"));
	text_adds(&t, END);
	m.body = text_bytes(&t);
	form_of(&f, &m);
	assert_null(f.problem);

	for (int more = 0; more < 2; more++) {
		text_clear(&t);
		text_adds(&t, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\nX: ");
		while (t.size < 5 + MULTIPART_HEAD_MAX - 4 + (size_t)more)
			text_addc(&t, 'x');
		text_adds(&t, "\r\n\r\n1" END);
		m.body = text_bytes(&t);
		form_of(&f, &m);
		assert_int_equal(f.problem != NULL, more);
	}
	text_fini(&t);
}

static void test_urlencoded(void **state)
{
	static const char type[] = "application/x-www-form-urlencoded";
	struct form f = {.kind = FORM_URLENCODED};
	char *value = NULL;
	size_t size;

	(void)state;
	expect_field(type, "a=1&b=%41+c&%61b=2", "b", "%41+c");
	expect_field(type, "a=1&b=%41+c&%61b=2", "ab", "2");
	expect_field(type, "a=1&%61=2", "a", NULL);
	expect_field("application/json", "a=1", "a", NULL);
	assert_int_equal(form_decode(&f, bytes_of("%41+c"), &value, &size), 0);
	assert_string_equal(value, "A c");
	free(value);
	assert_int_equal(form_decode(&f, bytes_of("%4"), &value, &size), 1);
	f.kind = FORM_MULTIPART;
	assert_int_equal(form_decode(&f, bytes_of("%41+c"), &value, &size), 0);
	assert_string_equal(value, "%41+c");
	free(value);
}

static void test_sorted(void **state)
{
	static const struct {
		const char *body, *sorted, *problem;
	} cases[] = {
		{"", "", NULL},
		{"&", "", NULL},
		{"b=2&a=1", "a1b2", NULL},
		{"b=2&a=1&a=1&a=0", "a0a1b2", NULL},
		{"a=&ab=1&a+=x", "aa xab1", NULL},
		{"%7A=%26&Z=+", "Z z&", NULL},
		{"a", "a", NULL},
		{"a=b=c", "ab=c", NULL},
		{"a=%", NULL, "a field of the form has a broken escape"},
		{"%zz=a", NULL, "a field of the form has a broken escape"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct form f = {
			.kind = FORM_URLENCODED, .body = bytes_of(cases[i].body)};
		struct text out = TEXT_EMPTY;
		const char *problem = NULL;
		int r = form_add_sorted(&f, &out, &problem);
		assert_int_equal(r, cases[i].problem ? 1 : 0);
		if (cases[i].problem)
			assert_string_equal(problem, cases[i].problem);
		else if (!bytes_equal(text_bytes(&out), bytes_of(cases[i].sorted)))
			fail_msg("<%s>: <%s>", cases[i].body, out.data);
		text_fini(&out);
	}
	struct text many = TEXT_EMPTY, out = TEXT_EMPTY;
	const char *problem;
	for (int i = 0; i <= FORM_FIELDS_MAX; i++)
		text_adds(&many, "a=1&");
	struct form f = {.kind = FORM_URLENCODED, .body = text_bytes(&many)};
	assert_int_equal(form_add_sorted(&f, &out, &problem), 1);
	f.body.size -= 4;
	assert_int_equal(form_add_sorted(&f, &out, &problem), 0);
	assert_string_equal(out.data, "a1");
	text_fini(&many);
	text_fini(&out);
}

static void test_memory(void **state)
{
	struct form f = {.kind = FORM_URLENCODED, .body = bytes_of("b=2&a=1")};
	const char *problem;

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (long n = 1;; n++) {
		struct text out = TEXT_EMPTY;
		fail_malloc_at(n);
		int r = form_add_sorted(&f, &out, &problem);
		bool fired = fail_malloc_end();
		text_fini(&out);
		assert_int_equal(r, fired ? -ENOMEM : 0);
		if (!fired)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_multipart),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_urlencoded),
		cmocka_unit_test(test_sorted),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
