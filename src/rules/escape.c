/* Reads one escape; see escape.h. */
#include "rules/escape.h"

#include "base/codec.h"
#include "base/utf8.h"

#include <stdint.h>

/* `digits` digits of `base`; -1 when they are not there. */
static int64_t read_number(const char **p, int base, int digits)
{
	int64_t value = 0;

	for (int i = 0; i < digits; i++, ++*p) {
		int digit = codec_hex_digit(**p);
		if (digit < 0 || digit >= base)
			return -1;
		value = value * base + digit;
	}
	return value;
}

/* \xHH, \nnn, \uHHHH, \UHHHHHHHH; *p stands behind the letter (on the octal's first). */
static const char *read_numbered(const char **p, char letter, struct text *out)
{
	int64_t value;
	char utf8[UTF8_CHAR_MAX];

	if (letter == 'u' || letter == 'U') {
		value = read_number(p, 16, letter == 'u' ? 4 : 8);
		if (value <= 0 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
			return "\\u and \\U need 4 and 8 hex digits of a character";
		text_add(out, (struct bytes){utf8, utf8_put((uint32_t)value, utf8)});
		return NULL;
	}
	value = letter == 'x' ? read_number(p, 16, 2) : read_number(p, 8, 3);
	if (value <= 0 || value > 255)
		return "\\x needs two hex digits, an octal escape three digits up to "
		       "\\377, and neither may be zero";
	text_addc(out, (char)value);
	return NULL;
}

const char *escape_read(const char **p, struct text *out)
{
	static const char letters[] = "abfnrtv\\\"'s";
	static const char meanings[] = "\a\b\f\n\r\t\v\\\"' ";
	char letter = **p;
	const char *known = letter ? strchr(letters, letter) : NULL;

	if (letter == '\0')
		return "a backslash at the end escapes nothing";
	if (known) {
		++*p;
		text_addc(out, meanings[known - letters]);
		return NULL;
	}
	if (letter == 'x' || letter == 'u' || letter == 'U') {
		++*p;
		return read_numbered(p, letter, out);
	}
	if (letter >= '0' && letter <= '7')
		return read_numbered(p, letter, out);
	return "there is no such escape; a backslash is written \\\\";
}
