/* What ends a string of a JSON text, wherever it stands: strings are read sixteen bytes at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/jsontext.h"

#include <stdio.h>
#include <string.h>

#define LENGTH_MAX 40

/* ["aaa…MIDDLE…aaa"] with `before` and `after` letters; its string must be `want`, NULL: refused. */
static void expect(size_t before, const char *middle, size_t middle_size, size_t after,
	const char *want, size_t want_size)
{
	char text[128], letters[LENGTH_MAX + 1], whole[128];
	const char *problem;
	json_t *json = NULL;

	memset(letters, 'a', sizeof(letters));
	size_t size = 0;
	memcpy(text, "[\"", 2);
	memcpy(text + (size = 2), letters, before);
	memcpy(text + (size += before), middle, middle_size);
	memcpy(text + (size += middle_size), letters, after);
	memcpy(text + (size += after), "\"]", 2);
	int r = jsontext_parse((struct bytes){text, size + 2}, 8, &json, &problem);
	if (r != !want)
		fail_msg("%zu letters, then %02x: %d", before, (unsigned char)middle[0],
			r);
	if (!want)
		return;
	const json_t *string = json_array_get(json, 0);
	memcpy(whole, letters, before);
	memcpy(whole + before, want, want_size);
	memcpy(whole + before + want_size, letters, after);
	assert_int_equal(json_string_length(string), before + want_size + after);
	assert_memory_equal(json_string_value(string), whole, before + want_size + after);
	json_decref(json);
}

static void test_each_byte(void **state)
{
	(void)state;
	for (size_t before = 0; before <= LENGTH_MAX; before++)
		for (size_t after = 0; before + after <= LENGTH_MAX; after++)
			for (int i = 0; i < 256; i++) {
				char c = (char)i;
				bool plain = i >= 0x20 && i < 0x80 && c != '"' &&
					     c != '\\';
				expect(before, &c, 1, after, plain ? &c : NULL, 1);
			}
}

static void test_escapes_and_letters(void **state)
{
	(void)state;
	for (size_t before = 0; before <= LENGTH_MAX; before++)
		for (size_t after = 0; before + after <= LENGTH_MAX; after++) {
			expect(before, "\\n", 2, after, "\n", 1);
			expect(before, "\\\"", 2, after, "\"", 1);
			expect(before, "\\\\", 2, after, "\\", 1);
			expect(before, "\xc3\xa9", 2, after, "\xc3\xa9", 2);
			expect(before, "\xc3", 1, after, NULL, 0);
			expect(before, "\\n\xc3\x28", 4, after, NULL, 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_byte),
		cmocka_unit_test(test_escapes_and_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
