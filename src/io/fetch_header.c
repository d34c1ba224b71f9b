/* Durations out of headers; see fetch_header.h. */
#include "io/fetch_header.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <curl/curl.h>
#include <errno.h>

#define RETRY_AFTER_MAX_SEC 86400l
#define MAX_AGE_MAX_SEC     INT32_MAX /* RFC 9111, 1.2.2: as good as any that is more */

uint64_t fetch_retry_after_usec(const char *value)
{
	time_t date;
	int64_t left;
	char *end;

	if (value[0] >= '0' && value[0] <= '9') {
		errno = 0;
		left = strtol(value, &end, 10);
		if (*end != '\0')
			return 0;
	} else {
		date = curl_getdate(value, NULL);
		if (date == -1)
			return 0;
		left = date - clock_wall_usec() / (int64_t)USEC_PER_SEC;
	}
	if (left <= 0)
		return 0;
	if (left > RETRY_AFTER_MAX_SEC)
		left = RETRY_AFTER_MAX_SEC;
	return (uint64_t)left * USEC_PER_SEC;
}

/* Digits, and nothing else; -1: they are none. */
static int64_t seconds_of(struct bytes digits)
{
	int64_t value = 0;

	if (digits.size == 0)
		return -1;
	for (size_t i = 0; i < digits.size; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return -1;
		if (value < MAX_AGE_MAX_SEC)
			value = value * 10 + (digits.data[i] - '0');
	}
	return value < MAX_AGE_MAX_SEC ? value : MAX_AGE_MAX_SEC;
}

int64_t fetch_max_age_usec(const char *value)
{
	struct bytes rest = bytes_of(value), directive;
	int64_t seconds = -1;

	while (rest.data) {
		directive = bytes_trim(bytes_split(rest, ',', &rest));
		if (bytes_equal_nocase(directive, bytes_of("no-store")) ||
			bytes_equal_nocase(directive, bytes_of("no-cache")))
			return 0;
		struct bytes digits, name = bytes_split(directive, '=', &digits);
		if (digits.data && seconds < 0 &&
			bytes_equal_nocase(name, bytes_of("max-age")))
			seconds = seconds_of(digits);
	}
	return seconds < 0 ? -1 : seconds * (int64_t)USEC_PER_SEC;
}
