/*
 * How the slots of MaxConcurrent= of [Daemon] are shared among hooks. Half of them is kept,
 * in equal shares of at least one, for hooks that run less than their share: so hooks that are
 * slow, or have a backlog, cannot take all of them, and the next callback of another hook starts
 * at once. The rest goes to whoever comes first.
 *
 *	MaxConcurrent=32, three hooks:   |  kept: 16, a share is 5  |  16 for whoever comes  |
 *
 * A pure computation; dispatch keeps the numbers up to date. Below 4 slots nothing is kept.
 */
#ifndef FLOW_SHARE_H
#define FLOW_SHARE_H

struct share {
	unsigned slots; /* MaxConcurrent= */
	unsigned hooks; /* that may start something */
	unsigned used;  /* by all of them */
	/* Of the shares: each hook's used slots, up to its share, summed up. */
	unsigned filled;
};

/* What a hook can always have, as long as there are not more hooks than slots kept. */
unsigned share_each(const struct share *s);
/* How many slots more a hook may take that uses `used` now. */
unsigned share_allows(const struct share *s, unsigned used);
/* It takes or gives back so many. */
void share_take(struct share *s, unsigned used, unsigned n);
void share_give(struct share *s, unsigned used, unsigned n);

#endif
