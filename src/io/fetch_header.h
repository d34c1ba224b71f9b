/*
 * What the headers of an answer say of time: text to durations. For fetch.c, and for tests.
 */
#ifndef IO_FETCH_HEADER_H
#define IO_FETCH_HEADER_H

#include <stdint.h>

/* Retry-After (RFC 9110, 10.2.3), at most a day; what is neither form of it is 0, absent. */
uint64_t fetch_retry_after_usec(const char *value);
/* Cache-Control (RFC 9111, 5.2.2): its max-age; 0 with no-store or no-cache; -1: it says
 * nothing of it. */
int64_t fetch_max_age_usec(const char *value);

#endif
