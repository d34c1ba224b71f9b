/* When to try again: exponential with full jitter, so that what failed together does not
 * come back together. */
#ifndef RULES_BACKOFF_H
#define RULES_BACKOFF_H

#include <stdint.h>

/*
 * A uniform delay up to min(max, base * 2^(failures-1)): the first retry comes within `base`
 * (RetryDelay=), each later one within twice as long, never past `max`. `failures` so far, 1
 * or more. Never below a millisecond, so that nothing spins, and never so long that a wall
 * clock could not hold it.
 */
uint64_t backoff_usec(uint64_t base_usec, uint64_t max_usec, unsigned failures);

/*
 * The same bounds, but never less than half of what full jitter may come to: for what is asked of
 * somebody who is well, where sooner is no kindness. A uniform delay from half of
 * min(max, base * 2^(failures-1)) to all of it.
 */
uint64_t backoff_half_usec(uint64_t base_usec, uint64_t max_usec, unsigned failures);

#endif
