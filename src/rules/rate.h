/* How often something may happen, as a person writes it: "10/1min", or "5" for five a second. */
#ifndef RULES_RATE_H
#define RULES_RATE_H

#include "base/macros.h"

#include <stdint.h>

#define RATE_N_MAX    1000000u
#define RATE_SPAN_MAX (24ull * 3600 * USEC_PER_SEC)

struct rate {
	uint64_t n; /* 0: no limit */
	uint64_t span_usec;
};

/* 0 and *ret, or 1 and *ret_reason (static text). n * span_usec never overflows. */
int rate_parse(const char *text, struct rate *ret, const char **ret_reason) MUST_CHECK;

#endif
