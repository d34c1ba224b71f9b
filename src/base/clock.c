/* Time; see clock.h. */
#include "base/clock.h"

#include "base/macros.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Atomic for tests alone, which stop the clock under threads that run. */
static atomic_bool frozen;
static _Atomic int64_t frozen_wall_usec;
static _Atomic uint64_t frozen_mono_usec;

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

int64_t clock_wall_usec(void)
{
	return frozen ? frozen_wall_usec : (int64_t)read_clock(CLOCK_REALTIME);
}

uint64_t clock_mono_usec(void)
{
	return frozen ? frozen_mono_usec : read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_kernel_usec(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_steady_usec(void)
{
	static _Atomic int64_t offset; /* wall minus monotonic; 0 = not yet taken */

	if (frozen)
		return frozen_wall_usec;
	int64_t mono = (int64_t)read_clock(CLOCK_MONOTONIC), none = 0;
	atomic_compare_exchange_strong(
		&offset, &none, (int64_t)read_clock(CLOCK_REALTIME) - mono);
	return mono + offset;
}

void clock_freeze(int64_t wall_usec, uint64_t mono_usec)
{
	frozen_wall_usec = wall_usec;
	frozen_mono_usec = mono_usec;
	frozen = true;
}

void clock_thaw(void)
{
	frozen = false;
}

const char *clock_format(int64_t wall_usec, char buffer[static CLOCK_TEXT_SIZE])
{
	int64_t usec = wall_usec % (int64_t)USEC_PER_SEC;
	time_t seconds = (time_t)(wall_usec / (int64_t)USEC_PER_SEC);
	struct tm tm;

	if (usec < 0) {
		usec += (int64_t)USEC_PER_SEC;
		seconds--;
	}
	if (!gmtime_r(&seconds, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
		memcpy(buffer, "1970-01-01T00:00:00.000000Z", 28);
		return buffer;
	}
	char date[CLOCK_TEXT_SIZE];
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buffer, CLOCK_TEXT_SIZE, "%.19s.%06dZ", date, (int)usec);
	return buffer;
}

/* Exactly `n` digits at *text, which moves behind them; -1 otherwise. */
static int digits(const char **text, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		value = value * 10 + (**text - '0');
	}
	return value;
}

static bool skip(const char **text, const char *any_of)
{
	if (!**text || !strchr(any_of, **text))
		return false;
	(*text)++;
	return true;
}

/* ".123456789" in microseconds, what is finer is cut; -1 when there is no digit. */
static int64_t fraction_usec(const char **text)
{
	int64_t usec = 0, unit = USEC_PER_SEC / 10;

	if (**text < '0' || **text > '9')
		return -1;
	for (; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
		usec += (**text - '0') * unit;
	return usec;
}

/* "Z", "+02:00": seconds east of UTC in *ret. */
static bool offset_seconds(const char **text, int *ret)
{
	*ret = 0;
	if (skip(text, "Zz"))
		return true;
	int sign = **text == '-' ? -1 : 1;
	if (!skip(text, "+-"))
		return false;
	int hours = digits(text, 2);
	if (hours < 0 || hours > 23 || !skip(text, ":"))
		return false;
	int minutes = digits(text, 2);
	if (minutes < 0 || minutes > 59)
		return false;
	*ret = sign * (hours * 3600 + minutes * 60);
	return true;
}

int clock_parse(const char *text, int64_t *ret_wall_usec)
{
	struct tm tm = {0};
	int64_t usec = 0;
	int offset;

	tm.tm_year = digits(&text, 4) - 1900;
	if (tm.tm_year < -1900 || !skip(&text, "-"))
		return -EINVAL;
	tm.tm_mon = digits(&text, 2) - 1;
	if (tm.tm_mon < 0 || tm.tm_mon > 11 || !skip(&text, "-"))
		return -EINVAL;
	tm.tm_mday = digits(&text, 2);
	if (tm.tm_mday < 1 || tm.tm_mday > 31 || !skip(&text, "Tt "))
		return -EINVAL;
	tm.tm_hour = digits(&text, 2);
	if (tm.tm_hour < 0 || tm.tm_hour > 23 || !skip(&text, ":"))
		return -EINVAL;
	tm.tm_min = digits(&text, 2);
	if (tm.tm_min < 0 || tm.tm_min > 59 || !skip(&text, ":"))
		return -EINVAL;
	tm.tm_sec = digits(&text, 2);
	if (tm.tm_sec < 0 || tm.tm_sec > 60)
		return -EINVAL;
	if (skip(&text, ".") && (usec = fraction_usec(&text)) < 0)
		return -EINVAL;
	if (!offset_seconds(&text, &offset) || *text)
		return -EINVAL;
	struct tm date = tm;
	date.tm_sec = 0; /* a leap second may turn the page, 30 February may not */
	timegm(&date);
	if (date.tm_mday != tm.tm_mday)
		return -EINVAL;
	time_t seconds = timegm(&tm);
	*ret_wall_usec = ((int64_t)seconds - offset) * (int64_t)USEC_PER_SEC + usec;
	return 0;
}
