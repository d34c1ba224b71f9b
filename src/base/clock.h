/*
 * The only source of time. Due times are wall clock (they survive a restart), waits are
 * monotonic (they survive a clock that jumps). Tests stand the clock still and move it by
 * hand.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_usec(void);  /* since the Unix epoch, UTC */
uint64_t clock_mono_usec(void); /* CLOCK_MONOTONIC */
/*
 * The wall clock as it was at the first call, carried on by the monotonic one: due times are
 * written and compared in it, so that a wall clock set a day forward or back moves none of them
 * while we live, and yet they mean something to the next life.
 */
int64_t clock_steady_usec(void);
/* The kernel's CLOCK_MONOTONIC even while ours stand still: for what waits for processes. */
uint64_t clock_kernel_usec(void);

/* Freezes the clocks at these values; clock_thaw() undoes it. For tests alone. */
void clock_freeze(int64_t wall_usec, uint64_t mono_usec);
void clock_thaw(void);

#define CLOCK_TEXT_SIZE 32
/* RFC 3339, UTC, microseconds: 2026-09-01T10:00:00.000000Z. Returns `buffer`. */
const char *clock_format(int64_t wall_usec, char buffer[static CLOCK_TEXT_SIZE]);
/* RFC 3339 with any fraction and any offset -> usec. 0 or -EINVAL. */
int clock_parse(const char *text, int64_t *ret_wall_usec);

#endif
