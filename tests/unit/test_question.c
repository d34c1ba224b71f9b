/* What a source is asked, how often, and what its answer's status means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bucket.h"
#include "base/random.h"
#include "rules/question.h"

#include <errno.h>

static void expect_url(const char *template, const char *id, const char *want)
{
	struct source s = {.status_url = (char *)template};
	CLEANUP(freep) char *url = NULL;

	assert_int_equal(question_url(&s, id, &url), 0);
	assert_string_equal(url, want);
}

/* RFC 3986, 2.3: the unreserved stay, nothing else does. */
static void test_urls(void **state)
{
	struct source s = {.status_url = (char *)"https://h/{id}"};
	char *url = NULL;

	(void)state;
	expect_url("https://h/u/{id}", "aZ09-._~", "https://h/u/aZ09-._~");
	expect_url("https://h/{id}/x?job={id}&y", "a/b?c&d=#%",
		"https://h/a%2Fb%3Fc%26d%3D%23%25/x?job=a%2Fb%3Fc%26d%3D%23%25&y");
	expect_url("{id}{id}", "\xc3\xa4 +", "%C3%A4%20%2B%C3%A4%20%2B");
	expect_url("https://h/{id}", "{id}", "https://h/%7Bid%7D");
	expect_url("https://h/{id}", "...", "https://h/...");
	expect_url("https://h/{id}", "../x", "https://h/..%2Fx");
	assert_int_equal(question_url(&s, "..", &url), -EINVAL);
	assert_int_equal(question_url(&s, ".", &url), -EINVAL);
}

static void test_verdicts(void **state)
{
	static const struct {
		long status;
		enum question_verdict want;
		bool general;
	} cases[] = {
		{200, QUESTION_ANSWERED, false},
		{202, QUESTION_ANSWERED, false},
		{299, QUESTION_ANSWERED, false},
		{301, QUESTION_FAILED, true},
		{400, QUESTION_ODD, false},
		{401, QUESTION_REFUSED, true},
		{403, QUESTION_REFUSED, true},
		{404, QUESTION_NO_SUCH, false},
		{408, QUESTION_FAILED, true},
		{410, QUESTION_NO_SUCH, false},
		{422, QUESTION_ODD, false},
		{429, QUESTION_TOO_OFTEN, true},
		{500, QUESTION_FAILED, true},
		{503, QUESTION_TOO_OFTEN, true},
		{599, QUESTION_FAILED, true},
		{0, QUESTION_FAILED, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(question_judge(cases[i].status), cases[i].want);
		assert_int_equal(question_is_general(cases[i].want), cases[i].general);
	}
	assert_true(question_is_general(QUESTION_UNHEARD));
}

static void expect_delay(uint64_t within, unsigned tries, uint64_t least, uint64_t most)
{
	struct source s = {.expect_within_usec = within};

	for (int i = 0; i < 200; i++) {
		uint64_t delay = question_delay_usec(&s, tries);
		assert_true(delay >= least && delay <= most);
	}
}

static void test_delays(void **state)
{
	const uint64_t second = USEC_PER_SEC;

	(void)state;
	random_seed_for_tests(1);
	expect_delay(600 * second, 1, second, 2 * second);
	expect_delay(600 * second, 2, 2 * second, 4 * second);
	expect_delay(600 * second, 9, 256 * second, 512 * second);
	expect_delay(600 * second, 10, 300 * second, 600 * second);
	expect_delay(600 * second, 4000000000u, 300 * second, 600 * second);
	expect_delay(200000, 1, 100000, 200000);
	expect_delay(200000, 3, 400000, 800000);
	struct source s = {.give_up_usec = 86400 * second};
	for (unsigned n = 1; n < 100; n++)
		assert_true(question_pause_usec(&s, n) >= second / 2 &&
			    question_pause_usec(&s, n) <= 60 * second);
	assert_true(question_pause_usec(&s, 1) <= second);
	assert_true(question_pause_usec(&s, 20) >= 30 * second);
	s.give_up_usec = 40 * second;
	assert_true(question_pause_usec(&s, 20) <= 10 * second);
	s.give_up_usec = 1;
	assert_true(question_pause_usec(&s, 20) > 0);
	random_seed_for_tests(0);
}

static void test_keys(void **state)
{
	unsigned char text[] = "k3y and more";
	struct secret key = {.text = text, .text_size = 3};
	struct source s = {.api_key_header = (char *)"X-Key"};
	char *header = (char *)"";

	(void)state;
	assert_int_equal(source_key_header(&s, &header), 0);
	assert_null(header);
	s.api_key = &key;
	assert_int_equal(source_key_header(&s, &header), 0);
	assert_string_equal(header, "X-Key: k3y");
	free(header);
	text[1] = '\0';
	assert_int_equal(source_key_header(&s, &header), -EINVAL);
	assert_null(header);
}

static void test_who_answers(void **state)
{
	struct source s = {0};

	(void)state;
	assert_false(source_answers(&s));
	s.status_url = (char *)"https://h/{id}";
	assert_false(source_answers(&s));
	s.status.size = 1;
	assert_true(source_answers(&s));
}

/* 20 a second, 5 at once after a rest. */
static void test_pace(void **state)
{
	const uint64_t each = 50000, burst = 5;
	uint64_t now = 1000 * USEC_PER_SEC, n = 0;
	struct bucket p = {0};

	(void)state;
	assert_int_equal(bucket_level(&p, each, burst, now), 5);
	bucket_take(&p, each, 3, now);
	assert_int_equal(bucket_level(&p, each, burst, now), 2);
	assert_true(bucket_next_usec(&p, each, burst) <= now);
	bucket_take(&p, each, 2, now);
	assert_int_equal(bucket_level(&p, each, burst, now), 0);
	assert_int_equal(bucket_next_usec(&p, each, burst), now + each);
	assert_int_equal(bucket_level(&p, each, burst, now + each - 1), 0);
	assert_int_equal(bucket_level(&p, each, burst, now + each), 1);
	/* Whoever takes all that there is gets the pace, and no more. */
	for (uint64_t t = now; t < now + 10 * USEC_PER_SEC; t += 777) {
		uint64_t free = bucket_level(&p, each, burst, t);
		bucket_take(&p, each, free, t);
		n += free;
	}
	assert_true(n >= 198 && n <= 200);
	now += 60 * USEC_PER_SEC;
	assert_int_equal(bucket_level(&p, each, burst, now), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_who_answers),
		cmocka_unit_test(test_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
