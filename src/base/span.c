/* Time spans, sizes, yes and no; see span.h. */
#include "base/span.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t factor;
};

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* systemd.time(7), "Parsing Time Spans"; the first of each factor is the one we write. */
static const struct unit time_units[] = {
	{"y", 31557600 * USEC_PER_SEC},
	{"year", 31557600 * USEC_PER_SEC},
	{"years", 31557600 * USEC_PER_SEC},
	{"M", 2629800 * USEC_PER_SEC},
	{"month", 2629800 * USEC_PER_SEC},
	{"months", 2629800 * USEC_PER_SEC},
	{"w", 7 * DAY},
	{"week", 7 * DAY},
	{"weeks", 7 * DAY},
	{"d", DAY},
	{"day", DAY},
	{"days", DAY},
	{"h", HOUR},
	{"hr", HOUR},
	{"hour", HOUR},
	{"hours", HOUR},
	{"min", MINUTE},
	{"m", MINUTE},
	{"minute", MINUTE},
	{"minutes", MINUTE},
	{"s", USEC_PER_SEC},
	{"sec", USEC_PER_SEC},
	{"second", USEC_PER_SEC},
	{"seconds", USEC_PER_SEC},
	{"ms", USEC_PER_MSEC},
	{"msec", USEC_PER_MSEC},
	{"us", 1},
	{"usec", 1},
	{"µs", 1},
};

static const struct unit size_units[] = {
	{"E", 1ull << 60},
	{"P", 1ull << 50},
	{"T", 1ull << 40},
	{"G", 1ull << 30},
	{"M", 1ull << 20},
	{"K", 1ull << 10},
	{"B", 1},
};

static const struct unit *find_unit(
	const struct unit *units, size_t n, const char *name, size_t size)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(units[i].name) == size &&
			memcmp(units[i].name, name, size) == 0)
			return &units[i];
	return NULL;
}

static const char *skip_blanks(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* "12.5" times a factor, in exact integers. Moves *text; 0 or -EINVAL. */
struct decimal {
	uint64_t whole;
	uint64_t fraction, scale; /* fraction / scale, at most nine digits */
};

static int read_decimal(const char **text, struct decimal *ret)
{
	const char *s = *text;
	struct decimal d = {.scale = 1};
	bool any = false;

	for (; isdigit((unsigned char)*s); s++, any = true)
		if (__builtin_mul_overflow(d.whole, 10, &d.whole) ||
			__builtin_add_overflow(d.whole, (uint64_t)(*s - '0'), &d.whole))
			return -EINVAL;
	if (*s == '.') {
		for (s++; isdigit((unsigned char)*s); s++, any = true) {
			if (d.scale < 1000000000) {
				d.fraction = d.fraction * 10 + (uint64_t)(*s - '0');
				d.scale *= 10;
			}
		}
	}
	if (!any)
		return -EINVAL;
	*text = s;
	*ret = d;
	return 0;
}

static int multiply(struct decimal d, uint64_t factor, uint64_t *ret)
{
	uint64_t value;

	if (__builtin_mul_overflow(d.whole, factor, &value))
		return -EINVAL;
	unsigned __int128 part = (unsigned __int128)d.fraction * factor / d.scale;
	if (__builtin_add_overflow(value, (uint64_t)part, &value))
		return -EINVAL;
	*ret = value;
	return 0;
}

int span_parse_usec(const char *text, uint64_t *ret_usec)
{
	uint64_t sum = 0;

	text = skip_blanks(text);
	if (strcmp(text, "infinity") == 0) {
		*ret_usec = SPAN_FOREVER;
		return 0;
	}
	if (!*text)
		return -EINVAL;
	while (*text) {
		struct decimal d;
		uint64_t part, factor = USEC_PER_SEC;
		if (read_decimal(&text, &d) < 0)
			return -EINVAL;
		text = skip_blanks(text);
		size_t size = strcspn(text, " \t0123456789.");
		if (size) {
			const struct unit *unit = find_unit(
				time_units, ARRAY_SIZE(time_units), text, size);
			if (!unit)
				return -EINVAL;
			factor = unit->factor;
			text = skip_blanks(text + size);
		}
		if (multiply(d, factor, &part) < 0 ||
			__builtin_add_overflow(sum, part, &sum))
			return -EINVAL;
	}
	if (sum == SPAN_FOREVER)
		return -EINVAL;
	*ret_usec = sum;
	return 0;
}

int span_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	struct decimal d;
	uint64_t factor = 1;

	text = skip_blanks(text);
	if (read_decimal(&text, &d) < 0)
		return -EINVAL;
	text = skip_blanks(text);
	if (*text) {
		const struct unit *unit = find_unit(
			size_units, ARRAY_SIZE(size_units), text, 1);
		if (!unit || *skip_blanks(text + 1))
			return -EINVAL;
		factor = unit->factor;
	}
	return multiply(d, factor, ret_bytes);
}

int span_parse_bool(const char *text, bool *ret)
{
	static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};
	static const char *const no[] = {"0", "no", "n", "false", "f", "off"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
		if (strcasecmp(text, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

char *span_format_usec(uint64_t usec)
{
	static const char *const units[] = {"d", "h", "min", "s", "ms", "us"};
	struct text t = TEXT_EMPTY;

	if (usec == SPAN_FOREVER)
		return text_format("infinity");
	if (usec == 0)
		return text_format("0");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		uint64_t factor = find_unit(
			time_units, ARRAY_SIZE(time_units), units[i], strlen(units[i]))
					  ->factor;
		if (usec / factor)
			text_addf(&t, "%s%llu%s", t.size ? " " : "",
				(unsigned long long)(usec / factor), units[i]);
		usec %= factor;
	}
	return text_take(&t);
}

char *span_format_bytes(uint64_t bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(size_units) - 1 && bytes; i++)
		if (bytes % size_units[i].factor == 0)
			return text_format("%llu%s",
				(unsigned long long)(bytes / size_units[i].factor),
				size_units[i].name);
	return text_format("%llu", (unsigned long long)bytes);
}
