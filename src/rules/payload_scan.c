/*
 * The one pass over a body that is ours. The parser recurses, so the depth is looked at
 * first; and it gives a whole document up for one number that is too large, so such numbers
 * become strings: their decimal text is all that anyone here wants of them.
 */
#include "rules/payload_scan.h"

#include <jansson.h>

/* The place behind the string that opens at `i`, or the end. */
static size_t skip_string(struct bytes b, size_t i)
{
	for (i++; i < b.size && b.data[i] != '"'; i++)
		if (b.data[i] == '\\')
			i++;
	return i < b.size ? i + 1 : b.size;
}

bool payload_scan_depth(struct bytes body, unsigned max)
{
	unsigned depth = 0;

	for (size_t i = 0; i < body.size;) {
		char c = body.data[i];
		if (c == '"') {
			i = skip_string(body, i);
			continue;
		}
		if ((c == '{' || c == '[') && ++depth > max)
			return false;
		if ((c == '}' || c == ']') && depth > 0)
			depth--;
		i++;
	}
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* All that a number may hold, in any order. */
static bool is_number_char(char c)
{
	return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

static size_t skip_digits(struct bytes b, size_t i)
{
	while (i < b.size && is_digit(b.data[i]))
		i++;
	return i;
}

/*
 * The place behind the number (RFC 8259, 6) at `i`, or `i` when there is none. A number is not
 * torn out of something longer: 1.2.3 and 0123 are none.
 */
static size_t skip_number(struct bytes b, size_t i, bool *ret_integer)
{
	size_t start = i, digits;

	if (i < b.size && b.data[i] == '-')
		i++;
	digits = i;
	i = skip_digits(b, i);
	if (i == digits || (b.data[digits] == '0' && i > digits + 1))
		return start;
	*ret_integer = true;
	if (i < b.size && b.data[i] == '.') {
		*ret_integer = false;
		digits = ++i;
		i = skip_digits(b, i);
		if (i == digits)
			return start;
	}
	if (i < b.size && (b.data[i] == 'e' || b.data[i] == 'E')) {
		*ret_integer = false;
		i++;
		if (i < b.size && (b.data[i] == '+' || b.data[i] == '-'))
			i++;
		digits = i;
		i = skip_digits(b, i);
		if (i == digits)
			return start;
	}
	return i < b.size && is_number_char(b.data[i]) ? start : i;
}

/*
 * Behind what is neither string nor number: one byte, or all of what looks like a number and
 * is none. No part of that is looked at twice: else a megabyte of digits takes hours.
 */
static size_t skip_other(struct bytes b, size_t i)
{
	bool numeric = is_number_char(b.data[i]);

	do
		i++;
	while (numeric && i < b.size && is_number_char(b.data[i]));
	return i;
}

static bool too_large(struct bytes number, bool integer)
{
	json_error_t error;

	if (integer) {
		bool negative = number.data[0] == '-';
		struct bytes digits = {number.data + negative, number.size - negative};
		const char *most = negative ? "9223372036854775808"
					    : "9223372036854775807";
		return digits.size > 19 ||
		       (digits.size == 19 && memcmp(digits.data, most, 19) > 0);
	}
	if (number.size < 300 && !memchr(number.data, 'e', number.size) &&
		!memchr(number.data, 'E', number.size))
		return false;
	json_t *json = json_loadb(number.data, number.size, JSON_DECODE_ANY, &error);
	json_decref(json);
	return !json && json_error_code(&error) == json_error_numeric_overflow;
}

/* In quotes a number in a key's place would become a key. */
static bool is_key(struct bytes b, size_t end)
{
	while (end < b.size && strchr(" \t\r\n", b.data[end]) && b.data[end])
		end++;
	return end < b.size && b.data[end] == ':';
}

void payload_scan_quote_numbers(struct bytes body, struct text *out)
{
	size_t copied = 0; /* up to here the body is in `out` */

	for (size_t i = 0; i < body.size;) {
		size_t end = i;
		bool integer = false;
		if (body.data[i] == '"') {
			i = skip_string(body, i);
			continue;
		}
		if (body.data[i] == '-' || is_digit(body.data[i]))
			end = skip_number(body, i, &integer);
		if (end == i) {
			i = skip_other(body, i);
			continue;
		}
		struct bytes number = {body.data + i, end - i};
		if (too_large(number, integer) && !is_key(body, end)) {
			text_add(out, (struct bytes){body.data + copied, i - copied});
			text_addc(out, '"');
			text_add(out, number);
			text_addc(out, '"');
			copied = end;
		}
		i = end;
	}
	text_add(out, (struct bytes){body.data + copied, body.size - copied});
}
