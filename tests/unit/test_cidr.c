/* Address ranges: what is one, and who is inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/cidr.h"

#include <errno.h>

static void test_add(void **state)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{"192.0.2.0/24", 0},
		{"192.0.2.1", 0},
		{"192.0.2.1/32", 0},
		{"0.0.0.0/0", 0},
		{"2001:db8::/32", 0},
		{"::/0", 0},
		{"::1", 0},
		{"::ffff:192.0.2.0/120", 0},
		{"unix", 0},
		{"192.0.2.1/24", -EINVAL}, /* host bits */
		{"2001:db8::1/32", -EINVAL},
		{"128.0.0.0/0", -EINVAL},
		{"192.0.2.0/33", -EINVAL},
		{"::/129", -EINVAL},
		{"192.0.2.0/", -EINVAL},
		{"192.0.2.0/024", -EINVAL},
		{"192.0.2.0/-1", -EINVAL},
		{"192.0.2.0/ 8", -EINVAL},
		{"192.0.2.0/24x", -EINVAL},
		{"192.0.2", -EINVAL},
		{"192.0.2.256", -EINVAL},
		{"unix/0", -EINVAL},
		{"localhost", -EINVAL},
		{"", -EINVAL},
		{"/8", -EINVAL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cidr_list l = {0};
		int r = cidr_list_add(&l, cases[i].text);
		if (r != cases[i].result)
			fail_msg("<%s>: %d", cases[i].text, r);
		assert_int_equal(l.size, r == 0);
		cidr_list_fini(&l);
	}
}

static void test_contains(void **state)
{
	static const struct {
		const char *range, *peer;
		bool inside;
	} cases[] = {
		{"192.0.2.0/24", "192.0.2.0", true},
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/24", "192.0.3.0", false},
		{"192.0.2.0/24", "192.0.1.255", false},
		{"192.0.2.128/25", "192.0.2.128", true},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"10.0.0.0/7", "11.255.255.255", true},
		{"10.0.0.0/7", "12.0.0.0", false},
		{"192.0.2.4/30", "192.0.2.7", true},
		{"192.0.2.4/30", "192.0.2.8", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "192.0.2.1", false},
		{"::/0", "unix", false},
		{"0.0.0.0/0", "unix", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"2001:db8::1", "2001:0db8:0:0::0001", true},
		{"192.0.2.0/24", "::ffff:192.0.2.9", true},
		{"192.0.2.0/24", "::ffff:192.0.3.9", false},
		{"::ffff:192.0.2.0/120", "192.0.2.9", true},
		{"::ffff:192.0.2.0/120", "192.0.3.9", false},
		{"fe80::/10", "fe80::1%eth0", true},
		{"unix", "unix", true},
		{"unix", "192.0.2.1", false},
		{"0.0.0.0/0", "", false},
		{"0.0.0.0/0", "192.0.2.1 ", false},
		{"0.0.0.0/0", "192.0.2.1.192.0.2.1.192.0.2.1.192.0.2.1.192.0.2.1.192.0",
			false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cidr_list l = {0};
		assert_int_equal(cidr_list_add(&l, "198.51.100.77"), 0);
		assert_int_equal(cidr_list_add(&l, cases[i].range), 0);
		if (cidr_list_contains(&l, bytes_of(cases[i].peer)) != cases[i].inside)
			fail_msg("%s in %s", cases[i].peer, cases[i].range);
		cidr_list_fini(&l);
	}
}

static void test_nobody(void **state)
{
	struct cidr_list l = {0};

	(void)state;
	assert_false(cidr_list_contains(&l, bytes_of("192.0.2.1")));
	assert_int_equal(cidr_list_add(&l, "0.0.0.0/0"), 0);
	assert_false(cidr_list_contains(&l, BYTES_NONE));
	assert_false(cidr_list_contains(&l, (struct bytes){"192.0.2.1\0x", 11}));
	cidr_list_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
