/* Which addresses somebody else's word may lead to: each block at both of its borders. */
#include "base/macros.h"
#include "rules/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool is_public_at(const char *text, uint16_t port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		return address_is_public((const struct sockaddr *)&four, sizeof(four));
	assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
	return address_is_public((const struct sockaddr *)&six, sizeof(six));
}

static void test_what_is_kept_is_not_public(void **state)
{
	static const char *const kept[] = {"0.0.0.0", "0.255.255.255", "10.0.0.0",
		"10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
		"127.255.255.255", "169.254.0.0", "169.254.169.254", "172.16.0.0",
		"172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.1", "192.31.196.1",
		"192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
		"192.175.48.1", "198.18.0.0", "198.19.255.255", "198.51.100.1",
		"203.0.113.1", "224.0.0.0", "239.255.255.255", "240.0.0.0",
		"255.255.255.255", "::", "::1", "::7f00:1", "::ffff:8.8.8.8",
		"::ffff:10.0.0.1", "64:ff9b::", "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1",
		"64:ff9b:1::1", "64:ff9b:0:0:0:1:808:808", "100::1", "1fff:ffff::1",
		"2001::", "2001:1ff:ffff::1", "2001:db8::1", "2001:db8:ffff::1",
		"2002::1", "2002:808:808::1", "3fff::1", "3fff:fff:ffff::1", "4000::1",
		"5f00::1", "fc00::1", "fdff::1", "fe80::1", "fec0::1", "ff02::1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (is_public_at(kept[i], 443))
			fail_msg("%s counts as public", kept[i]);
}

static void test_what_lies_beside_it_is_public(void **state)
{
	static const char *const public[] = {"1.0.0.0", "9.255.255.255", "11.0.0.0",
		"100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
		"191.255.255.255", "192.0.1.0", "192.0.3.0", "192.167.255.255",
		"192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255",
		"203.0.114.0", "223.255.255.255", "54.239.1.1", "64:ff9b::8.8.8.8",
		"2000::1", "2001:200::1", "2001:db7:ffff::1", "2001:db9::1", "2003::1",
		"2600::1", "2a00:1450::1", "3fff:1000::1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(public); i++)
		if (!is_public_at(public[i], 443))
			fail_msg("%s does not count as public", public[i]);
}

static void test_port_family_and_length(void **state)
{
	const struct sockaddr_in four = {.sin_family = AF_INET,
		.sin_port = htons(443),
		.sin_addr.s_addr = htonl(0x08080808)};
	const struct sockaddr unix_socket = {.sa_family = AF_UNIX};

	(void)state;
	assert_true(is_public_at("8.8.8.8", 443));
	assert_false(is_public_at("8.8.8.8", 80));
	assert_false(is_public_at("8.8.8.8", 0));
	assert_false(is_public_at("2600::1", 444));
	assert_false(address_is_public((const struct sockaddr *)&four, sizeof(four) - 1));
	assert_false(address_is_public(&unix_socket, sizeof(unix_socket)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept_is_not_public),
		cmocka_unit_test(test_what_lies_beside_it_is_public),
		cmocka_unit_test(test_port_family_and_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
