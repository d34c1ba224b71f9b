/*
 * How many a second, over the last minutes: a ring of counts of five seconds each. Nothing
 * has to wake up for it; what is old is cleared when somebody counts or looks. Times are
 * clock_mono_usec(), passed in.
 */
#ifndef BASE_METER_H
#define BASE_METER_H

#include <stdint.h>

#define METER_SLOT_USEC 5000000ull
#define METER_SPAN_USEC (900 * 1000000ull) /* the longest that can be asked for */
#define METER_SLOTS     (METER_SPAN_USEC / METER_SLOT_USEC + 1)

struct meter {
	uint64_t began_usec;
	uint64_t slot; /* the newest: time by METER_SLOT_USEC */
	uint32_t counts[METER_SLOTS];
};

void meter_init(struct meter *m, uint64_t now_usec);
void meter_count(struct meter *m, uint64_t now_usec);
/*
 * Events a second over the last `span_usec` (a multiple of a slot, at most METER_SPAN_USEC) and
 * what has passed of the slot that is not full; since the beginning where that is less.
 */
double meter_rate(struct meter *m, uint64_t span_usec, uint64_t now_usec);

#endif
