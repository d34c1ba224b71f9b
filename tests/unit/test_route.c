/* From path to source: bytes, exact before token form, the longest first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/route.h"

static struct source sources[] = {
	{.name = (char *)"short", .path = (char *)"/c", .verify = VERIFY_TOKEN},
	{.name = (char *)"a",
		.path = (char *)"/c/a",
		.verify = VERIFY_TOKEN | VERIFY_HMAC},
	{.name = (char *)"ab", .path = (char *)"/c/a/b", .verify = VERIFY_TOKEN},
	{.name = (char *)"hmac", .path = (char *)"/h", .verify = VERIFY_HMAC},
	{.name = (char *)"deep", .path = (char *)"/h/deep", .verify = VERIFY_TOKEN},
	{.name = (char *)"exact", .path = (char *)"/c/a/tok", .verify = VERIFY_HMAC},
	{.name = (char *)"escaped", .path = (char *)"/x%2fy", .verify = VERIFY_TOKEN},
};

static void test_find(void **state)
{
	static const struct {
		const char *path, *name, *token;
	} cases[] = {
		{"/c", "short", NULL},
		{"/c/a", "a", NULL},
		{"/c/a/b", "ab", NULL},
		{"/c/a/b/t", "ab", "t"},
		{"/c/a/bt", "a", "bt"},
		{"/c/a/t", "a", "t"},
		{"/c/at", "short", "at"},
		{"/c/atx", "short", "atx"},
		{"/c/t/u", "short", "t/u"},
		{"/c/a/tok", "exact", NULL},
		{"/c/a/tok/x", "a", "tok/x"},
		{"/h", "hmac", NULL},
		{"/h/t", NULL, NULL},
		{"/h/deep/t", "deep", "t"},
		{"/c/", NULL, NULL},
		{"/c/a/", "short", "a/"},
		{"/C", NULL, NULL},
		{"/cc", NULL, NULL},
		{"/", NULL, NULL},
		{"", NULL, NULL},
		{"/%63", NULL, NULL},
		{"//c", NULL, NULL},
		{"/./c", NULL, NULL},
		{"/x%2fy", "escaped", NULL},
		{"/x%2Fy", NULL, NULL},
		{"/x/y", NULL, NULL},
		{"/x%2fy/%41", "escaped", "%41"},
	};
	struct source *order[ARRAY_SIZE(sources)];
	struct config c = {.sources = order, .n_sources = ARRAY_SIZE(sources)};

	(void)state;
	/* Whatever the order they are configured in. */
	for (size_t turn = 0; turn < ARRAY_SIZE(sources); turn++) {
		for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
			order[i] = &sources[(i + turn) % ARRAY_SIZE(sources)];
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct bytes token = {"x", 1};
			const struct source *s = route_find(
				&c, bytes_of(cases[i].path), &token);
			if ((s ? s->name : NULL) != cases[i].name &&
				(!s || !cases[i].name ||
					strcmp(s->name, cases[i].name) != 0))
				fail_msg(
					"%s: %s", cases[i].path, s ? s->name : "nothing");
			assert_int_equal(token.data != NULL, cases[i].token != NULL);
			if (cases[i].token)
				assert_true(bytes_equal(token, bytes_of(cases[i].token)));
		}
	}
}

static void test_no_sources(void **state)
{
	struct config c = {0};
	struct bytes token;

	(void)state;
	assert_null(route_find(&c, bytes_of("/c"), &token));
	assert_null(token.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_no_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
