/*
 * A recursive descent over the bytes, no deeper than it is told; see jsontext.h. Each function
 * stands on the first byte of what it reads and leaves the reader behind it; NULL means that
 * reader.problem or reader.short_of_memory says why.
 */
#include "rules/jsontext.h"

#include "base/codec.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>

#define NUMBER_MAX   64 /* longer ones are copied before they are read */
#define INT64_DIGITS 19

struct reader {
	const char *at, *end;
	unsigned depth_left;
	char *scratch; /* unescaped strings; as large as the text */
	size_t scratch_size;
	const char *problem;
	bool short_of_memory;
};

static json_t *read_value(struct reader *r);

static void *refuse(struct reader *r, const char *problem)
{
	r->problem = r->at >= r->end ? "the body's JSON is cut short" : problem;
	return NULL;
}

static void *no_json(struct reader *r)
{
	return refuse(r, "the body is no JSON");
}

static json_t *made(struct reader *r, json_t *json)
{
	r->short_of_memory |= !json;
	return json;
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end &&
		(*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
		r->at++;
}

/* ---- Strings ---- */

/* The four digits of \uHHHH; -1 when they are not there. */
static int32_t read_unit(struct reader *r)
{
	int32_t unit = 0;

	for (int i = 0; i < 4; i++) {
		int digit = r->at < r->end ? codec_hex_digit(*r->at) : -1;
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
		r->at++;
	}
	return unit;
}

/* Behind \u: one character, from two units where they are surrogates. false: it is none. */
static bool read_unicode(struct reader *r, char *out, size_t *size)
{
	int32_t high = read_unit(r), low;

	if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
		return false;
	uint32_t c = (uint32_t)high;
	if (high >= 0xd800 && high <= 0xdbff) {
		if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
			return false;
		r->at += 2;
		low = read_unit(r);
		if (low < 0xdc00 || low > 0xdfff)
			return false;
		c = 0x10000 +
		    ((uint32_t)(high - 0xd800) << 10 | (uint32_t)(low - 0xdc00));
	}
	*size += utf8_put(c, out + *size);
	return true;
}

/* Behind the backslash. */
static bool read_escape(struct reader *r, char *out, size_t *size)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *known;

	if (r->at == r->end)
		return false;
	if (*r->at == 'u') {
		r->at++;
		return read_unicode(r, out, size);
	}
	known = *r->at ? strchr(letters, *r->at) : NULL;
	if (!known)
		return false;
	r->at++;
	out[(*size)++] = meanings[known - letters];
	return true;
}

/* Sixteen bytes that are looked at together, in one register where there are such. */
typedef unsigned char sixteen __attribute__((vector_size(16)));

static uint64_t fold(sixteen bytes)
{
	uint64_t halves[2];

	memcpy(halves, &bytes, sizeof(halves));
	return halves[0] | halves[1];
}

/* What stands for itself in a string, from r->at on: most of a body is such text. */
static struct bytes plain_run(const struct reader *r, bool *ret_ascii)
{
	const char *p = r->at;
	sixteen now, all = {0};

	for (; r->end - p >= (ptrdiff_t)sizeof(now); p += sizeof(now)) {
		memcpy(&now, p, sizeof(now));
		if (fold((sixteen)(now < 0x20) | (sixteen)(now == '"') |
			    (sixteen)(now == '\\')))
			break;
		all |= now;
	}
	unsigned char seen = fold(all) & UINT64_C(0x8080808080808080) ? 0x80 : 0;
	while (p < r->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
		seen |= (unsigned char)*p++;
	*ret_ascii = seen < 0x80;
	return (struct bytes){r->at, (size_t)(p - r->at)};
}

/* The rest of a string with escapes, into the scratch behind `size` bytes that are there. */
static bool unescape(struct reader *r, size_t *size)
{
	bool ascii;

	while (r->at < r->end && *r->at == '\\') {
		r->at++;
		if (!read_escape(r, r->scratch, size))
			return no_json(r);
		struct bytes run = plain_run(r, &ascii);
		if (!ascii && !utf8_valid(run))
			return refuse(r, "the body is not UTF-8");
		memcpy(r->scratch + *size, run.data, run.size);
		*size += run.size;
		r->at += run.size;
	}
	return true;
}

/* A string, less its quotes: a slice of the text, or of the scratch until the next call. */
static bool read_string(struct reader *r, struct bytes *ret)
{
	bool ascii;

	r->at++; /* the quote */
	struct bytes run = plain_run(r, &ascii);
	if (!ascii && !utf8_valid(run))
		return refuse(r, "the body is not UTF-8");
	r->at += run.size;
	if (r->at < r->end && *r->at == '\\') {
		size_t size = run.size;
		if (!r->scratch)
			r->scratch = malloc(r->scratch_size);
		if (!r->scratch) {
			r->short_of_memory = true;
			return false;
		}
		memcpy(r->scratch, run.data, run.size);
		if (!unescape(r, &size))
			return false;
		run = (struct bytes){r->scratch, size};
	}
	if (r->at == r->end || *r->at != '"')
		return no_json(r); /* cut short, or a control character */
	r->at++;
	*ret = run;
	return true;
}

static json_t *read_text(struct reader *r)
{
	struct bytes s;

	if (!read_string(r, &s))
		return NULL;
	return made(r, json_stringn_nocheck(s.data, s.size));
}

/* ---- Numbers ---- */

static bool is_digit(const struct reader *r)
{
	return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool skip_digits(struct reader *r)
{
	const char *start = r->at;

	while (is_digit(r))
		r->at++;
	return r->at > start;
}

static json_t *make_integer(struct reader *r, struct bytes text)
{
	bool negative = text.data[0] == '-';
	struct bytes digits = {text.data + negative, text.size - negative};
	const char *most = negative ? "9223372036854775808" : "9223372036854775807";
	uint64_t value = 0;

	if (digits.size > INT64_DIGITS ||
		(digits.size == INT64_DIGITS &&
			memcmp(digits.data, most, INT64_DIGITS) > 0))
		return made(r, json_stringn_nocheck(text.data, text.size));
	for (size_t i = 0; i < digits.size; i++)
		value = value * 10 + (uint64_t)(digits.data[i] - '0');
	return made(r, json_integer((json_int_t)(negative ? 0 - value : value)));
}

static json_t *make_real(struct reader *r, struct bytes text)
{
	char buffer[NUMBER_MAX];
	char *copy = text.size < sizeof(buffer) ? buffer : malloc(text.size + 1);

	if (!copy) {
		r->short_of_memory = true;
		return NULL;
	}
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	double value = strtod(copy, NULL); /* both programs keep LC_NUMERIC C */
	if (copy != buffer)
		free(copy);
	return made(r, isinf(value) ? json_stringn_nocheck(text.data, text.size)
				    : json_real(value));
}

static json_t *read_number(struct reader *r)
{
	const char *start = r->at;
	bool real = false;

	if (*r->at == '-')
		r->at++;
	if (r->at < r->end && *r->at == '0')
		r->at++; /* and no digit behind it */
	else if (!skip_digits(r))
		return no_json(r);
	if (r->at < r->end && *r->at == '.') {
		real = true;
		r->at++;
		if (!skip_digits(r))
			return no_json(r);
	}
	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
		real = true;
		r->at++;
		if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
			r->at++;
		if (!skip_digits(r))
			return no_json(r);
	}
	struct bytes text = {start, (size_t)(r->at - start)};
	return real ? make_real(r, text) : make_integer(r, text);
}

/* ---- Objects, lists, words ---- */

/* Moves past `c` behind blanks; false, and a problem, when something else stands there. */
static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != c)
		return no_json(r);
	r->at++;
	return true;
}

/* Behind a value: is there another one? 1, 0 at the end, -1 neither. */
static int take_comma(struct reader *r, char close)
{
	skip_blanks(r);
	if (r->at < r->end && (*r->at == ',' || *r->at == close))
		return *r->at++ == ',';
	no_json(r);
	return -1;
}

static bool is_empty(struct reader *r, char close)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != close)
		return false;
	r->at++;
	return true;
}

static bool read_member(struct reader *r, json_t *object)
{
	char small[64];
	char *large = NULL;
	struct bytes key;
	bool done = false;

	skip_blanks(r);
	if (r->at == r->end || *r->at != '"')
		return no_json(r);
	if (!read_string(r, &key))
		return false;
	if (memchr(key.data, '\0', key.size))
		return refuse(r, "a key of the body's JSON holds a NUL");
	if (json_object_getn(object, key.data, key.size)) {
		r->problem = "the body's JSON holds a key twice";
		return false;
	}
	/* The scratch is used again by the value. */
	if (key.data == r->scratch) {
		large = key.size > sizeof(small) ? malloc(key.size) : NULL;
		if (key.size > sizeof(small) && !large) {
			r->short_of_memory = true;
			return false;
		}
		memcpy(large ? large : small, key.data, key.size);
		key.data = large ? large : small;
	}
	json_t *value = take(r, ':') ? read_value(r) : NULL;
	if (value) {
		done = json_object_setn_new_nocheck(object, key.data, key.size, value) ==
		       0;
		r->short_of_memory |= !done;
	}
	free(large);
	return done;
}

static json_t *read_object(struct reader *r)
{
	json_t *object = made(r, json_object());
	int more = 1;

	r->at++;
	if (!object || is_empty(r, '}'))
		return object;
	while (more > 0)
		more = read_member(r, object) ? take_comma(r, '}') : -1;
	if (more == 0)
		return object;
	json_decref(object);
	return NULL;
}

static bool read_element(struct reader *r, json_t *array)
{
	json_t *value = read_value(r);

	if (!value)
		return false;
	if (json_array_append_new(array, value) == 0)
		return true;
	r->short_of_memory = true;
	return false;
}

static json_t *read_array(struct reader *r)
{
	json_t *array = made(r, json_array());
	int more = 1;

	r->at++;
	if (!array || is_empty(r, ']'))
		return array;
	while (more > 0)
		more = read_element(r, array) ? take_comma(r, ']') : -1;
	if (more == 0)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *read_nested(struct reader *r)
{
	if (r->depth_left == 0)
		return refuse(r, "the body's JSON is nested too deeply");
	r->depth_left--;
	json_t *json = *r->at == '{' ? read_object(r) : read_array(r);
	r->depth_left++;
	return json;
}

static json_t *read_word(struct reader *r)
{
	static const struct bytes words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
	const struct bytes rest = {r->at, (size_t)(r->end - r->at)};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!bytes_starts(rest, words[i]))
			continue;
		r->at += words[i].size;
		return i == 0 ? json_true() : i == 1 ? json_false() : json_null();
	}
	return no_json(r);
}

static json_t *read_value(struct reader *r)
{
	skip_blanks(r);
	if (r->at == r->end)
		return no_json(r);
	switch (*r->at) {
	case '{':
	case '[': return read_nested(r);
	case '"': return read_text(r);
	case '-':
	case '0' ... '9': return read_number(r);
	default: return read_word(r);
	}
}

int jsontext_parse(
	struct bytes text, unsigned depth, json_t **ret, const char **ret_problem)
{
	if (text.size == 0) {
		*ret_problem = "the body is empty";
		return 1;
	}
	struct reader r = {.at = text.data,
		.end = text.data + text.size,
		.depth_left = depth,
		.scratch_size = text.size};
	json_t *json = read_value(&r);
	free(r.scratch);
	if (json) {
		skip_blanks(&r);
		if (r.at < r.end) {
			json_decref(json);
			json = NULL;
			r.problem = "the body is no JSON";
		}
	}
	if (json) {
		*ret = json;
		return 0;
	}
	if (r.short_of_memory)
		return -ENOMEM;
	*ret_problem = r.problem;
	return 1;
}
