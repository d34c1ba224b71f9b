/* The base floor: what every other floor takes for granted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/random.h"
#include "base/span.h"
#include "base/tail.h"
#include "base/text.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>

static void test_bytes(void **state)
{
	struct bytes rest;

	(void)state;
	assert_true(bytes_equal_nocase(
		bytes_of("Content-Length"), bytes_of("CONTENT-length")));
	assert_false(bytes_equal_nocase(bytes_of("a["), bytes_of("a{")));
	assert_true(
		bytes_equal(bytes_split(bytes_of("a=b=c"), '=', &rest), bytes_of("a")));
	assert_true(bytes_equal(rest, bytes_of("b=c")));
	assert_true(
		bytes_equal(bytes_split(bytes_of("abc"), '=', &rest), bytes_of("abc")));
	assert_null(rest.data);
	assert_true(bytes_equal(bytes_trim(bytes_of(" \t a b\t ")), bytes_of("a b")));
	assert_int_equal(bytes_trim(bytes_of("  ")).size, 0);
}

/* Every code point is written as it is read. */
static void test_utf8_put(void **state)
{
	char text[UTF8_CHAR_MAX];
	uint32_t read = 0;

	(void)state;
	for (uint32_t c = 0; c <= 0x10ffff; c += c == 0xd7ff ? 0x801 : 1) {
		size_t n = utf8_put(c, text);
		assert_int_equal(utf8_char((struct bytes){text, n}, &read), n);
		assert_int_equal(read, c);
	}
}

static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true},
		{"\xc0\xaf", false},         /* overlong */
		{"\xe0\x80\xaf", false},     /* overlong */
		{"\xed\xa0\x80", false},     /* surrogate */
		{"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
		{"\xf0\x9f\x98", false},     /* cut */
		{"\x80", false},
		{"\xff", false},
	};
	char long_id[257];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(utf8_valid(bytes_of(cases[i].text)), cases[i].valid);
	assert_true(utf8_valid_id(bytes_of("a b/ü")));
	assert_false(utf8_valid_id(bytes_of("")));
	assert_false(utf8_valid_id(bytes_of("a\nb")));
	assert_false(utf8_valid_id(bytes_of("a\x7f")));
	assert_false(utf8_valid_id(bytes_of("a\xc2\x85")));
	memset(long_id, 'x', 256);
	assert_true(utf8_valid_id((struct bytes){long_id, 255}));
	assert_false(utf8_valid_id((struct bytes){long_id, 256}));
}

static void expect_escaped(const char *in, size_t max, const char *out)
{
	struct text t = TEXT_EMPTY;

	text_add_escaped(&t, bytes_of(in), max);
	assert_string_equal(t.data ? t.data : "", out);
	text_fini(&t);
}

static void test_escape(void **state)
{
	(void)state;
	expect_escaped("plain ü", 256, "plain ü");
	expect_escaped("a\nb\x1b[31m", 256, "a\\x0Ab\\x1B[31m");
	expect_escaped("\\x0A", 256, "\\x5Cx0A");
	expect_escaped("\xff\xc3", 256, "\\xFF\\xC3");
	expect_escaped(
		"\xe2\x80\xae", 256, "\\xE2\\x80\\xAE"); /* right-to-left override */
	expect_escaped("\xc2\x85", 256, "\\xC2\\x85");
	expect_escaped("abcdef", 3, "abc…");
	expect_escaped("ab\xc3\xa9", 3, "ab…"); /* never half a character */
}

static void expect_codec(const char *text, bool url, ptrdiff_t expected)
{
	unsigned char out[64];
	ptrdiff_t n = url ? codec_base64url_decode(bytes_of(text), out, sizeof(out))
			  : codec_base64_decode(bytes_of(text), out, sizeof(out));
	assert_int_equal(n, expected);
}

static void test_codec(void **state)
{
	unsigned char bytes[48], out[64];
	char plain[16];

	(void)state;
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		random_bytes(bytes, size);
		char *hex = codec_hex_encode(bytes, size);
		char *b64 = codec_base64_encode(bytes, size);
		char *url = codec_base64url_encode(bytes, size);
		assert_int_equal(codec_hex_decode(bytes_of(hex), out, sizeof(out)),
			(ptrdiff_t)size);
		assert_memory_equal(out, bytes, size);
		assert_int_equal(codec_base64_decode(bytes_of(b64), out, sizeof(out)),
			(ptrdiff_t)size);
		assert_memory_equal(out, bytes, size);
		assert_int_equal(codec_base64url_decode(bytes_of(url), out, sizeof(out)),
			(ptrdiff_t)size);
		assert_memory_equal(out, bytes, size);
		free(hex);
		free(b64);
		free(url);
	}
	/* RFC 4648, 10 and 3.5 */
	expect_codec("Zm9vYmFy", false, 6);
	expect_codec("Zg==", false, 1);
	expect_codec("Zg=", false, -EINVAL);
	expect_codec("Zg", false, -EINVAL);
	expect_codec("Zh==", false, -EINVAL); /* left-over bits set */
	expect_codec("Zg==Zg==", false, -EINVAL);
	expect_codec("Z===", false, -EINVAL);
	expect_codec("Zm9v\n", false, -EINVAL);
	expect_codec("-_-_", false, -EINVAL);
	expect_codec("-_-_", true, 3);
	expect_codec("Zg==", true, -EINVAL);
	assert_int_equal(codec_hex_decode(bytes_of("abc"), out, 64), -EINVAL);
	assert_int_equal(codec_hex_decode(bytes_of("zz"), out, 64), -EINVAL);
	assert_int_equal(codec_hex_decode(bytes_of("aabb"), out, 1), -ENOSPC);
	assert_int_equal(codec_percent_decode(bytes_of("a%2Fb+c"), true, plain, 16), 5);
	assert_memory_equal(plain, "a/b c", 5);
	assert_int_equal(codec_percent_decode(bytes_of("%2"), false, plain, 16), -EINVAL);
	assert_int_equal(
		codec_percent_decode(bytes_of("%zz"), false, plain, 16), -EINVAL);
	char *encoded = codec_percent_encode(bytes_of("a/b ü~"));
	assert_string_equal(encoded, "a%2Fb%20%C3%BC~");
	free(encoded);
}

static void test_token(void **state)
{
	char one[RANDOM_TOKEN_SIZE], two[RANDOM_TOKEN_SIZE];
	unsigned char bytes[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		random_token(one);
		random_token(two);
		assert_int_equal(strlen(one), 43);
		assert_string_not_equal(one, two);
		/* canonical: a strict decoder takes it */
		assert_int_equal(codec_base64url_decode(bytes_of(one), bytes, 32), 32);
	}
}

static void test_clock(void **state)
{
	char buffer[CLOCK_TEXT_SIZE];
	int64_t usec;

	(void)state;
	assert_string_equal(
		clock_format(1788256800000001, buffer), "2026-09-01T10:00:00.000001Z");
	assert_int_equal(clock_parse("2026-09-01T12:00:00.000001+02:00", &usec), 0);
	assert_int_equal(usec, 1788256800000001);
	assert_int_equal(clock_parse("2026-09-01T10:00:00Z", &usec), 0);
	assert_int_equal(usec, 1788256800000000);
	static const char *const bad[] = {"", "2026-09-01", "2026-13-01T00:00:00Z",
		"2026-02-30T00:00:00Z", "2026-02-30T00:00:01Z", "2026-09-01T10:00:00",
		"2026-09-01T10:00:00.Z", "2026-09-01T10:00:00Zx", "2026-09-01T24:00:00Z"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(clock_parse(bad[i], &usec), -EINVAL);
	clock_freeze(5, 7);
	assert_int_equal(clock_wall_usec(), 5);
	assert_int_equal(clock_mono_usec(), 7);
	clock_thaw();
	assert_true(clock_mono_usec() > 7);
}

static void test_span(void **state)
{
	static const struct {
		const char *text;
		int64_t usec; /* -1: refused */
	} times[] = {{"90", 90000000}, {"5min", 300000000}, {"1h 30min", 5400000000},
		{"1h30min", 5400000000}, {"1.5s", 1500000}, {"500ms", 500000},
		{"2 days", 172800000000}, {"1d", 86400000000}, {"", -1}, {"abc", -1},
		{"5 parsecs", -1}, {"-5", -1}, {"99999999999999999999", -1},
		{"5min!", -1}, {"0", 0}};
	static const struct {
		const char *text;
		int64_t bytes;
	} sizes[] = {{"64K", 65536}, {"1M", 1048576}, {"12", 12}, {"1.5K", 1536},
		{"", -1}, {"1X", -1}, {"K", -1}, {"1KK", -1}, {"99999999999G", -1}};
	uint64_t value;
	bool yes;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		int r = span_parse_usec(times[i].text, &value);
		assert_int_equal(r, times[i].usec < 0 ? -EINVAL : 0);
		if (r == 0) {
			assert_int_equal(value, times[i].usec);
			char *back = span_format_usec(value);
			uint64_t again;
			assert_int_equal(span_parse_usec(back, &again), 0);
			assert_int_equal(again, value);
			free(back);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int r = span_parse_bytes(sizes[i].text, &value);
		assert_int_equal(r, sizes[i].bytes < 0 ? -EINVAL : 0);
		if (r == 0)
			assert_int_equal(value, sizes[i].bytes);
	}
	assert_int_equal(span_parse_usec("infinity", &value), 0);
	assert_true(value == SPAN_FOREVER);
	char *text = span_format_usec(5400 * USEC_PER_SEC);
	assert_string_equal(text, "1h 30min");
	free(text);
	text = span_format_bytes(65536);
	assert_string_equal(text, "64K");
	free(text);
	assert_int_equal(span_parse_bool("Yes", &yes), 0);
	assert_true(yes);
	assert_int_equal(span_parse_bool("off", &yes), 0);
	assert_false(yes);
	assert_int_equal(span_parse_bool("maybe", &yes), -EINVAL);
}

static void test_heap(void **state)
{
	struct heap h = {0};
	struct heap_entry entries[500] = {0};
	uint64_t last = 0;
	size_t n = 0;

	(void)state;
	random_seed_for_tests(42);
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(heap_put(&h, &entries[i], random_below(1000)), 0);
	for (size_t i = 0; i < 500; i += 3)
		assert_int_equal(heap_put(&h, &entries[i], random_below(1000)), 0);
	for (size_t i = 0; i < 500; i += 5)
		heap_remove(&h, &entries[i]);
	heap_remove(&h, &entries[0]);
	while (heap_first(&h)) {
		struct heap_entry *e = heap_first(&h);
		assert_true(e->key >= last);
		last = e->key;
		heap_remove(&h, e);
		assert_int_equal(e->place, 0);
		n++;
	}
	assert_int_equal(n, 400);
	random_seed_for_tests(0);
	heap_fini(&h);
}

static void test_map(void **state)
{
	struct owner {
		struct map_entry entry;
		char key[16];
	} owners[1000] = {0};
	struct map_entry twin = {0};
	struct map m;

	(void)state;
	assert_int_equal(map_init(&m), 0);
	for (size_t i = 0; i < 1000; i++) {
		snprintf(owners[i].key, sizeof(owners[i].key), "key-%zu", i);
		map_put(&m, &owners[i].entry, bytes_of(owners[i].key));
	}
	for (size_t i = 0; i < 1000; i++)
		assert_ptr_equal(map_find(&m, bytes_of(owners[i].key)), &owners[i].entry);
	assert_null(map_find(&m, bytes_of("key-1000")));
	map_put(&m, &twin, bytes_of("key-7"));
	struct map_entry *first = map_find(&m, bytes_of("key-7"));
	assert_non_null(map_next(first));
	assert_null(map_next(map_next(first)));
	map_remove(&m, &twin);
	map_remove(&m, &twin);
	for (size_t i = 0; i < 1000; i += 2)
		map_remove(&m, &owners[i].entry);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(map_find(&m, bytes_of(owners[i].key)) != NULL, i % 2);
	assert_int_equal(m.size, 500);
	map_fini(&m);
}

/* Against the plainest model: keep everything, look at the end. */
static void test_tail(void **state)
{
	static char all[400000];
	struct tail t = {0};
	size_t size = 0;

	(void)state;
	random_seed_for_tests(7);
	while (size < sizeof(all) - 40000) {
		size_t n = random_below(random_below(8) ? 300 : 40000) + 1;
		for (size_t i = 0; i < n; i++)
			all[size + i] = (char)random_below(256);
		tail_add(&t, (struct bytes){all + size, n});
		size += n;
		size_t kept = size < TAIL_MAX_BYTES ? size : TAIL_MAX_BYTES;
		if (random_below(3) == 0) {
			struct bytes b = tail_bytes(&t);
			assert_int_equal(b.size, kept);
			assert_memory_equal(b.data, all + size - kept, kept);
		}
		assert_int_equal(t.truncated, size > TAIL_MAX_BYTES);
	}
	tail_fini(&t);
	tail_add(&t, (struct bytes){all, 200000});
	assert_memory_equal(
		tail_bytes(&t).data, all + 200000 - TAIL_MAX_BYTES, TAIL_MAX_BYTES);
	random_seed_for_tests(0);
	tail_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_utf8_put),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_codec),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_heap),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_tail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
