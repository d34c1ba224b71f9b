/* UTF-8 as RFC 3629, 4 has it; see utf8.h. */
#include "base/utf8.h"

size_t utf8_char(struct bytes b, uint32_t *ret_code_point)
{
	if (b.size == 0)
		return 0;
	const unsigned char *s = (const unsigned char *)b.data;
	if (s[0] < 0x80) {
		*ret_code_point = s[0];
		return 1;
	}
	size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || b.size < length)
		return 0;
	uint32_t code_point = s[0] & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code_point = code_point << 6 | (s[i] & 0x3fu);
	}
	bool overlong = (length == 3 && code_point < 0x800) ||
			(length == 4 && code_point < 0x10000);
	bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
	if (overlong || surrogate || code_point > 0x10ffff)
		return 0;
	*ret_code_point = code_point;
	return length;
}

size_t utf8_put(uint32_t code_point, char out[static UTF8_CHAR_MAX])
{
	if (code_point < 0x80) {
		out[0] = (char)code_point;
		return 1;
	}
	size_t n = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, code_point >>= 6)
		out[i] = (char)(0x80 | (code_point & 0x3f));
	out[0] = (char)((0xf00u >> n & 0xff) | code_point);
	return n;
}

bool utf8_valid(struct bytes b)
{
	uint32_t code_point;

	while (b.size) {
		size_t n = utf8_char(b, &code_point);
		if (n == 0)
			return false;
		b.data += n;
		b.size -= n;
	}
	return true;
}

bool utf8_valid_id(struct bytes b)
{
	uint32_t code_point;

	if (b.size < 1 || b.size > 255)
		return false;
	while (b.size) {
		size_t n = utf8_char(b, &code_point);
		if (n == 0 || code_point < 0x20 ||
			(code_point >= 0x7f && code_point <= 0x9f))
			return false;
		b.data += n;
		b.size -= n;
	}
	return true;
}
