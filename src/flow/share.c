/* The shares of hooks; see share.h. */
#include "flow/share.h"

#define SLOTS_MIN 4 /* of fewer, none is kept */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned kept(const struct share *s)
{
	return s->slots < SLOTS_MIN ? 0 : s->slots / 2;
}

unsigned share_each(const struct share *s)
{
	unsigned each = s->hooks ? kept(s) / s->hooks : 0;

	return each ? each : 1;
}

unsigned share_allows(const struct share *s, unsigned used)
{
	unsigned each = share_each(s), own = each > used ? each - used : 0;
	unsigned free = s->slots > s->used ? s->slots - s->used : 0;
	unsigned all = s->hooks * each, others = 0;

	if (all > s->filled + own)
		others = least(all - s->filled - own, kept(s));
	own = least(own, free);
	free -= own;
	return own + (free > others ? free - others : 0);
}

void share_take(struct share *s, unsigned used, unsigned n)
{
	unsigned each = share_each(s);

	s->used += n;
	s->filled += least(used + n, each) - least(used, each);
}

void share_give(struct share *s, unsigned used, unsigned n)
{
	unsigned each = share_each(s);

	s->used -= n;
	s->filled -= least(used, each) - least(used - n, each);
}
