/* Rates by slots; see meter.h. */
#include "base/meter.h"

#include <string.h>

#define SEC_USEC 1000000ull

void meter_init(struct meter *m, uint64_t now_usec)
{
	*m = (struct meter){.began_usec = now_usec, .slot = now_usec / METER_SLOT_USEC};
}

static void advance(struct meter *m, uint64_t now_usec)
{
	uint64_t slot = now_usec / METER_SLOT_USEC;

	if (slot >= m->slot + METER_SLOTS) {
		memset(m->counts, 0, sizeof(m->counts));
		m->slot = slot;
	}
	while (m->slot < slot)
		m->counts[++m->slot % METER_SLOTS] = 0;
}

void meter_count(struct meter *m, uint64_t now_usec)
{
	advance(m, now_usec);
	m->counts[m->slot % METER_SLOTS]++;
}

double meter_rate(struct meter *m, uint64_t span_usec, uint64_t now_usec)
{
	uint64_t n = span_usec / METER_SLOT_USEC;
	uint64_t covered = n * METER_SLOT_USEC + now_usec % METER_SLOT_USEC;
	uint64_t lived = now_usec - m->began_usec, sum = 0;

	advance(m, now_usec);
	for (uint64_t i = 0; i <= n && i <= m->slot; i++)
		sum += m->counts[(m->slot - i) % METER_SLOTS];
	if (lived < covered)
		covered = lived;
	/* One callback after a millisecond is no thousand a second. */
	if (covered < SEC_USEC)
		covered = SEC_USEC;
	return (double)sum * (double)SEC_USEC / (double)covered;
}
