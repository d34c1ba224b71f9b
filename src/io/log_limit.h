/*
 * At most 1,000 records a second of one kind, and of one hook's output, of which at most a
 * megabyte: the rest is counted, and the count is told when the second is over. Not locked: the
 * log does that.
 */
#ifndef IO_LOG_LIMIT_H
#define IO_LOG_LIMIT_H

#include "base/bytes.h"
#include "io/log_kinds.h"

#include <stdint.h>

#define LOG_LIMIT_PER_SEC       1000
#define LOG_LIMIT_BYTES_PER_SEC (1u << 20) /* begun: the last one may go beyond */

/* Counts one record. `hook` NULL: of this kind, whatever its size. False: leave it out. */
bool log_limit_take(enum log_kind kind, const char *hook, size_t size, uint64_t now_usec);
/* So many more of the hook were left out behind one that was. */
void log_limit_leave_out(
	enum log_kind kind, const char *hook, uint64_t n, uint64_t now_usec);

struct log_left_out {
	enum log_kind kind;
	char hook[65]; /* "" = of the kind */
	uint64_t n;
};
/* One whose second is over and that has left something out: true, which, and how many; they
 * count as told. */
bool log_limit_tell(uint64_t now_usec, bool at_once, struct log_left_out *ret) MUST_CHECK;
bool log_limit_pending(void); /* something will have to be told */
void log_limit_reset(void);

#endif
