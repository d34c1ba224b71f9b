/* Hex, base64, base64url, percent encoding; see codec.h. */
#include "base/codec.h"

#include "base/text.h"

#include <errno.h>

static const char hex_digits[] = "0123456789abcdef";
static const char alphabet_base64[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_base64url[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int codec_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

ptrdiff_t codec_hex_decode(struct bytes text, unsigned char *out, size_t room)
{
	if (text.size % 2)
		return -EINVAL;
	if (text.size / 2 > room)
		return -ENOSPC;
	for (size_t i = 0; i < text.size / 2; i++) {
		int high = codec_hex_digit(text.data[2 * i]),
		    low = codec_hex_digit(text.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return -EINVAL;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return (ptrdiff_t)(text.size / 2);
}

static int base64_value(char c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	if (c == (url ? '_' : '/'))
		return 63;
	return -1;
}

static ptrdiff_t base64_digits(
	struct bytes text, bool url, unsigned char *out, size_t room)
{
	if (text.size % 4 == 1)
		return -EINVAL;
	if (text.size / 4 * 3 + (text.size % 4 ? text.size % 4 - 1 : 0) > room)
		return -ENOSPC;
	uint_fast32_t bits = 0;
	size_t n_bits = 0, n = 0;
	for (size_t i = 0; i < text.size; i++) {
		int value = base64_value(text.data[i], url);
		if (value < 0)
			return -EINVAL;
		bits = (bits << 6 | (unsigned)value) & 0xffff;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[n++] = (unsigned char)(bits >> n_bits);
		}
	}
	/* Left-over bits that are not zero would be a second spelling (RFC 4648, 3.5). */
	if (bits & ((1u << n_bits) - 1))
		return -EINVAL;
	return (ptrdiff_t)n;
}

ptrdiff_t codec_base64_decode(struct bytes text, unsigned char *out, size_t room)
{
	if (text.size % 4)
		return -EINVAL;
	for (int i = 0; i < 2 && text.size && text.data[text.size - 1] == '='; i++)
		text.size--;
	return base64_digits(text, false, out, room);
}

ptrdiff_t codec_base64url_decode(struct bytes text, unsigned char *out, size_t room)
{
	return base64_digits(text, true, out, room);
}

ptrdiff_t codec_percent_decode(
	struct bytes text, bool plus_is_space, char *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		if (c == '%') {
			if (text.size - i < 3)
				return -EINVAL;
			int high = codec_hex_digit(text.data[i + 1]);
			int low = codec_hex_digit(text.data[i + 2]);
			if (high < 0 || low < 0)
				return -EINVAL;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (n == room)
			return -ENOSPC;
		out[n++] = c;
	}
	return (ptrdiff_t)n;
}

char *codec_hex_encode(const void *data, size_t size)
{
	const unsigned char *in = data;
	char *out = malloc(size * 2 + 1);
	if (!out)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		out[2 * i] = hex_digits[in[i] >> 4];
		out[2 * i + 1] = hex_digits[in[i] & 15];
	}
	out[size * 2] = '\0';
	return out;
}

static char *base64_encode(
	const unsigned char *in, size_t size, const char *alphabet, bool pad)
{
	char *out = malloc((size + 2) / 3 * 4 + 1);
	if (!out)
		return NULL;
	size_t n = 0;
	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i < 3 ? size - i : 3;
		uint_fast32_t bits = (uint_fast32_t)in[i] << 16;
		if (left > 1)
			bits |= (uint_fast32_t)in[i + 1] << 8;
		if (left > 2)
			bits |= in[i + 2];
		for (size_t digit = 0; digit < 4; digit++) {
			if (digit <= left)
				out[n++] = alphabet[bits >> (18 - 6 * digit) & 63];
			else if (pad)
				out[n++] = '=';
		}
	}
	out[n] = '\0';
	return out;
}

char *codec_base64_encode(const void *data, size_t size)
{
	return base64_encode(data, size, alphabet_base64, true);
}

char *codec_base64url_encode(const void *data, size_t size)
{
	return base64_encode(data, size, alphabet_base64url, false);
}

char *codec_percent_encode(struct bytes b)
{
	struct text t = TEXT_EMPTY;

	for (size_t i = 0; i < b.size; i++) {
		char c = b.data[i];
		bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				  (c >= '0' && c <= '9') || c == '-' || c == '.' ||
				  c == '_' || c == '~';
		if (unreserved)
			text_addc(&t, c);
		else
			text_addf(&t, "%%%02X", (unsigned char)c);
	}
	return text_take(&t);
}
