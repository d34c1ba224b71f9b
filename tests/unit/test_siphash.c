/* The vectors of the paper: key 00 to 0f, text 00 01 02 …; its appendix, and the authors' table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/siphash.h"

#include <endian.h>
#include <string.h>

static void test_vectors(void **state)
{
	static const struct {
		size_t size;
		uint64_t want;
	} vectors[] = {
		{0, 0x726fdb47dd0e0e31},
		{1, 0x74f839c593dc67fd},
		{7, 0xab0200f58b01d137},
		{8, 0x93f5f5799a932462},
		{15, 0xa129ca6149be45e5},
	};
	unsigned char bytes[16];
	uint64_t key[2];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	memcpy(key, bytes, sizeof(key));
	key[0] = le64toh(key[0]);
	key[1] = le64toh(key[1]);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
		assert_int_equal(
			siphash(key, (struct bytes){(char *)bytes, vectors[i].size}),
			vectors[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
