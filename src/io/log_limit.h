/*
 * At most 1,000 records a second of one kind, and of one hook's output: the rest is
 * counted, and the count is told when the second is over. Not locked: the log does that.
 */
#ifndef IO_LOG_LIMIT_H
#define IO_LOG_LIMIT_H

#include "base/bytes.h"
#include "io/log_kinds.h"

#include <stdint.h>

#define LOG_LIMIT_PER_SEC 1000

/* Counts one record. `hook` NULL: of this kind. False: leave it out. */
bool log_limit_take(enum log_kind kind, const char *hook, uint64_t now_usec);
/* One whose second is over and that has left something out: true, what it is ("REFUSED",
 * "hook publish") and how many; they count as told. */
bool log_limit_tell(uint64_t now_usec, bool at_once, char *ret_what, size_t size,
	uint64_t *ret_n) MUST_CHECK;
bool log_limit_pending(void); /* something will have to be told */
void log_limit_reset(void);

#endif
