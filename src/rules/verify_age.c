/*
 * Is a message fresh? Whatever the time it names was written like, it may lie as far from ours
 * as Tolerance= says, in the past or in the future.
 */
#include "rules/verify_scheme.h"

#include "base/span.h"

#include <stdio.h>

#define SECONDS_DIGITS_MAX 11 /* beyond year 5000 it is milliseconds */
#define MILLIS_DIGITS_MAX  14
#define AGE_SIZE           32

/* Decimal seconds or milliseconds since the Unix epoch; false when it is neither. */
static bool parse_timestamp(struct bytes text, int64_t *ret_usec)
{
	int64_t value = 0;

	if (text.size == 0 || text.size > MILLIS_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (text.data[i] - '0');
	}
	int64_t unit = text.size > SECONDS_DIGITS_MAX ? USEC_PER_MSEC : USEC_PER_SEC;
	*ret_usec = value * unit; /* 10^14 ms and 10^11 s are both 10^17 usec */
	return true;
}

static const char *format_age(uint64_t usec, char buffer[static AGE_SIZE])
{
	static const struct {
		uint64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	uint64_t seconds = usec / USEC_PER_SEC;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (seconds >= 2 * units[i].seconds || units[i].seconds == 1) {
			snprintf(buffer, AGE_SIZE, "%llu %s",
				(unsigned long long)(seconds / units[i].seconds),
				units[i].unit);
			break;
		}
	return buffer;
}

int scheme_age_text(const struct scheme_input *in, struct bytes text,
	char reason[static SCHEME_REASON_SIZE])
{
	int64_t then;

	if (!parse_timestamp(text, &then))
		return scheme_refuse(reason, "timestamp is not a number of seconds");
	return scheme_age(in, then, reason);
}

int scheme_age(const struct scheme_input *in, int64_t then,
	char reason[static SCHEME_REASON_SIZE])
{
	uint64_t tolerance = in->source->signature.tolerance_usec;
	int64_t now = in->message->received_usec;
	char age[AGE_SIZE];

	bool past = then <= now;
	uint64_t apart = past ? (uint64_t)(now - then) : (uint64_t)(then - now);
	bool fresh = tolerance == SPAN_FOREVER || apart <= tolerance;
	trace_timestamp(in->trace, then, fresh);
	if (fresh && !in->trace)
		return 0;
	CLEANUP(freep) char *allowed = span_format_usec(tolerance);
	if (fresh) {
		trace_say(in->trace, TRACE_GOOD,
			"timestamp is %s %s, within Tolerance=%s", format_age(apart, age),
			past ? "old" : "ahead", allowed ? allowed : "");
		return 0;
	}
	return scheme_refuse(reason, "timestamp is %s %s, Tolerance=%s",
		format_age(apart, age), past ? "old" : "ahead", allowed ? allowed : "");
}
