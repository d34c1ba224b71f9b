/* From path to source: bytes, exact before token form, the longest first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/config_index.h"
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
	{.name = (char *)"long", .path = (char *)"/the/longest", .verify = VERIFY_TOKEN},
};

/* Complete, or as it is while it is made. */
static void index_it(struct config *c, bool complete)
{
	config_index_free(c->index);
	c->index = NULL;
	for (size_t i = 0; i < c->n_sources; i++) {
		free(c->sources[i]->hooks);
		c->sources[i]->hooks = NULL;
		c->sources[i]->n_hooks = 0;
	}
	if (complete)
		assert_int_equal(config_index_make(c), 0);
}

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
		{"/the/longest/t", "long", "t"},
		{"/the/longest/tok/en", "long", "tok/en"},
	};
	struct source *order[ARRAY_SIZE(sources)];
	struct config c = {.sources = order, .n_sources = ARRAY_SIZE(sources)};

	(void)state;
	/* Whatever the order they are configured in. */
	for (size_t turn = 0; turn < 2 * ARRAY_SIZE(sources); turn++) {
		for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
			order[i] = &sources[(i + turn) % ARRAY_SIZE(sources)];
		index_it(&c, turn % 2);
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
	index_it(&c, false);
}

static void test_names(void **state)
{
	struct source *order[ARRAY_SIZE(sources)];
	struct hook hooks[] = {{.name = (char *)"all"}, {.name = (char *)"ab"},
		{.name = (char *)"a"}, {.name = (char *)"abc"}};
	struct hook *list[] = {&hooks[0], &hooks[1], &hooks[2], &hooks[3]};
	char *ab[] = {(char *)"ab"}, *two[] = {(char *)"deep", (char *)"ab"};
	struct config c = {.sources = order,
		.n_sources = ARRAY_SIZE(sources),
		.hooks = list,
		.n_hooks = ARRAY_SIZE(list)};

	(void)state;
	hooks[1].sources = (struct words){ab, 1};
	hooks[3].sources = (struct words){two, 2};
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		order[i] = &sources[i];
	for (int complete = 0; complete < 2; complete++) {
		index_it(&c, complete);
		for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
			assert_ptr_equal(config_source(&c, bytes_of(sources[i].name)),
				&sources[i]);
		for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
			assert_ptr_equal(
				config_hook(&c, bytes_of(hooks[i].name)), &hooks[i]);
		assert_null(config_source(&c, bytes_of("abc")));
		assert_null(config_source(&c, (struct bytes){"abx", 0}));
		assert_ptr_equal(
			config_source(&c, (struct bytes){"abx", 2}), &sources[2]);
		assert_null(config_hook(&c, bytes_of("b")));
		assert_null(config_hook(&c, bytes_of("A")));
	}
	/* Those of a source, in the order of the configuration. */
	assert_int_equal(sources[2].n_hooks, 4);
	assert_ptr_equal(sources[2].hooks[0], &hooks[0]);
	assert_ptr_equal(sources[2].hooks[1], &hooks[1]);
	assert_ptr_equal(sources[2].hooks[3], &hooks[3]);
	assert_int_equal(sources[4].n_hooks, 3);
	assert_ptr_equal(sources[4].hooks[2], &hooks[3]);
	assert_int_equal(sources[0].n_hooks, 2);
	index_it(&c, false);
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
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
