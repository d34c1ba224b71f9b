/* Durations by bounds; see histogram.h. */
#include "base/histogram.h"

#include "base/macros.h"

const struct histogram_scale histogram_quick = {.n = 12,
	.upper_usec = {500, 1 * USEC_PER_MSEC, 2500, 5 * USEC_PER_MSEC,
		10 * USEC_PER_MSEC, 25 * USEC_PER_MSEC, 50 * USEC_PER_MSEC,
		100 * USEC_PER_MSEC, 250 * USEC_PER_MSEC, 1 * USEC_PER_SEC,
		2500 * USEC_PER_MSEC, 10 * USEC_PER_SEC}};

const struct histogram_scale histogram_slow = {.n = 10,
	.upper_usec = {10 * USEC_PER_MSEC, 50 * USEC_PER_MSEC, 250 * USEC_PER_MSEC,
		1 * USEC_PER_SEC, 5 * USEC_PER_SEC, 15 * USEC_PER_SEC, 60 * USEC_PER_SEC,
		300 * USEC_PER_SEC, 900 * USEC_PER_SEC, 3600 * USEC_PER_SEC}};

void histogram_add(
	struct histogram *h, const struct histogram_scale *scale, uint64_t usec)
{
	size_t i = 0;

	while (i < scale->n && usec > scale->upper_usec[i])
		i++;
	h->counts[i]++;
	h->sum_usec += usec;
}

uint64_t histogram_up_to(const struct histogram *h, size_t i)
{
	uint64_t n = 0;

	for (size_t k = 0; k <= i; k++)
		n += h->counts[k];
	return n;
}
