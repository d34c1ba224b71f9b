/* "N/SPAN"; see rate.h. */
#include "rules/rate.h"

#include "base/span.h"

int rate_parse(const char *text, struct rate *ret, const char **ret_reason)
{
	struct rate rate = {.span_usec = USEC_PER_SEC};
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && rate.n <= RATE_N_MAX; p++)
		rate.n = rate.n * 10 + (uint64_t)(*p - '0');
	if (p == text || (*p && *p != '/' && rate.n <= RATE_N_MAX)) {
		*ret_reason = "N or N/SPAN is wanted, such as 5 (a second) or 10/1min";
		return 1;
	}
	if (rate.n < 1 || rate.n > RATE_N_MAX) {
		*ret_reason = "from 1 to 1000000 starts are wanted";
		return 1;
	}
	if (*p == '/' && span_parse_usec(p + 1, &rate.span_usec) < 0) {
		*ret_reason = "behind the / a time span such as 1s or 10min is wanted";
		return 1;
	}
	if (rate.span_usec < USEC_PER_MSEC || rate.span_usec > RATE_SPAN_MAX) {
		*ret_reason = "a span from 1ms to 1d is wanted";
		return 1;
	}
	*ret = rate;
	return 0;
}
