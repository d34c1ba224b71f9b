/*
 * How long something took, counted by the upper bounds of a scale that never changes: a
 * few additions a sample, no memory beyond the record, which begins zeroed. One thread at a time.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS_MAX 12

struct histogram_scale {
	size_t n;
	uint64_t upper_usec[HISTOGRAM_BOUNDS_MAX]; /* rising; a sample may be equal */
};
/* Commits and answers: 500 µs to 10 s. */
extern const struct histogram_scale histogram_quick;
/* Hooks and what waits for them: 10 ms to an hour. */
extern const struct histogram_scale histogram_slow;

struct histogram {
	uint64_t counts[HISTOGRAM_BOUNDS_MAX +
			1]; /* each bound's own; the last: beyond all */
	uint64_t sum_usec;
};

void histogram_add(
	struct histogram *h, const struct histogram_scale *scale, uint64_t usec);
/* Samples up to and with bound `i`; with i = scale->n all of them. */
uint64_t histogram_up_to(const struct histogram *h, size_t i);

#endif
