/* Thousands of sections and of mistakes: no time that grows with their square. */
#include "config_world.h"

#include <time.h>

/* CPU time: on a busy machine the clock on the wall tells nothing. */
static struct config *build_in_time(
	const struct text *text, struct text *said, int wanted, double seconds)
{
	const struct config_text one = {"f", text_bytes(text)};
	clock_t before = clock();
	struct config *c = build_all(&one, 1, said, wanted);
	double took = (double)(clock() - before) / CLOCKS_PER_SEC;
	if (took > seconds)
		fail_msg("%.2f s, at most %.2f", took, seconds);
	return c;
}

static void test_many_sections(void **state)
{
	struct text text = TEXT_EMPTY, said = TEXT_EMPTY;
	(void)state;
	for (unsigned i = 0; i < 4000; i++)
		text_addf(&text,
			"[Source n%u]\nVerify=none\n[Hook n%u]\nSource=n%u\n"
			"Exec=/bin/true\n",
			i, i, i);
	text_adds(&text, "[Source n17]\nAllowFrom=::1\n[Hook n17]\nRetries=1\n");
	struct config *c = build_in_time(&text, &said, 0, 5);
	assert_int_equal(c->n_sources, 4000);
	assert_int_equal(c->n_hooks, 4000);
	assert_int_equal(c->sources[17]->allow.size, 1);
	assert_int_equal(c->hooks[17]->retries, 1);
	assert_string_equal(c->hooks[3999]->sources.list[0], "n3999");
	assert_int_equal(said.size, 0);
	config_unref(c);
	text_fini(&said);
	text_fini(&text);
}

static void test_paths_of_many(void **state)
{
	struct text text = TEXT_EMPTY, said = TEXT_EMPTY;
	(void)state;
	for (unsigned i = 0; i < 4000; i++)
		text_addf(&text, "[Source n%u]\nVerify=none\n", i);
	text_adds(&text, "[Source x]\nVerify=none\nPath=/callback/n5\n"
			 "[Source y]\nVerify=none\nPath=/callback/n5\n");
	assert_null(build_in_time(&text, &said, 1, 5));
	assert_string_equal(said.data,
		"f:8003: Path=/callback/n5 is that of [Source n5] already\n"
		"f:8006: Path=/callback/n5 is that of [Source n5] already\n");
	text_fini(&said);
	text_fini(&text);
}

static size_t count_lines(const struct text *t)
{
	size_t n = 0;
	for (const char *p = t->data; p && (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

static void test_many_mistakes(void **state)
{
	struct text text = TEXT_EMPTY, said = TEXT_EMPTY;
	(void)state;
	text_adds(&text, "[Source a]\nVerify=none\n");
	for (unsigned i = 0; i < 300; i++)
		text_addf(&text,
			"[Hook h%u]\nExec=/bin/true ${CALLBACK_NONE}\nSource=a\n", i);
	for (unsigned i = 0; i < 100000; i++)
		text_addf(&text, "Unknown%u=\n", i);
	assert_null(build_in_time(&text, &said, 1, 20));
	assert_int_equal(count_lines(&said), 202);
	assert_non_null(strstr(said.data, "f:903: unknown key Unknown0= in [Hook]\n"));
	assert_non_null(strstr(said.data, "unknown key Unknown99= in [Hook]\n"));
	assert_null(strstr(said.data, "Unknown100="));
	assert_non_null(strstr(said.data, "configuration: 99900 more errors\n"));
	/* 300 unset variables, each at the beginning of an argument too */
	assert_non_null(strstr(said.data, "configuration: 500 more warnings\n"));
	text_fini(&said);
	text_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_sections),
		cmocka_unit_test(test_paths_of_many),
		cmocka_unit_test(test_many_mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
