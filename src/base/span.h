/*
 * Time spans and sizes as systemd writes them (systemd.time(7): "90", "5min", "1h 30min";
 * sizes: "64K", "1M", powers of 1024), and the words for yes and no.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

#define SPAN_FOREVER UINT64_MAX

/* A bare number is seconds; fractions are allowed; "infinity" is SPAN_FOREVER. 0 or
 * -EINVAL. */
int span_parse_usec(const char *text, uint64_t *ret_usec) MUST_CHECK;
int span_parse_bytes(const char *text, uint64_t *ret_bytes) MUST_CHECK;
int span_parse_bool(const char *text, bool *ret) MUST_CHECK;
/* The shortest exact text, e.g. "1h 30min", "64M"; owned by the caller. */
char *span_format_usec(uint64_t usec) MUST_CHECK;
char *span_format_bytes(uint64_t bytes) MUST_CHECK;

#endif
