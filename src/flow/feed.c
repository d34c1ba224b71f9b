/*
 * Waits for one job hang in a map under the job's id (several under one), watchers of
 * everything in a list. Delivery may end any wait and begin new ones: while it goes on
 * nothing is unlinked or linked, the dead are marked and the born stand apart, and both
 * are settled when the last delivery is over.
 */
#include "flow/feed.h"

#include "base/map.h"

#include <errno.h>
#include <sys/queue.h>

struct feed_wait {
	struct feed *feed;
	char *source, *id; /* NULL: any */
	void (*on_change)(void *arg, const struct store_change *change);
	void *arg;
	bool dead;
	bool born;                    /* stands in feed->born, not yet among the others */
	struct map_entry by_id;       /* when id */
	TAILQ_ENTRY(feed_wait) entry; /* of watchers when not id; of born */
	SLIST_ENTRY(feed_wait) grave; /* of dead */
};

struct feed {
	struct flow *flow;
	struct map by_id;
	TAILQ_HEAD(, feed_wait) watchers, born;
	SLIST_HEAD(, feed_wait) dead;
	unsigned n; /* alive */
	unsigned depth;
};

int feed_new(struct feed **ret, struct flow *flow)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	if (map_init(&f->by_id) < 0) {
		free(f);
		return -ENOMEM;
	}
	f->flow = flow;
	TAILQ_INIT(&f->watchers);
	TAILQ_INIT(&f->born);
	SLIST_INIT(&f->dead);
	*ret = f;
	return 0;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	map_fini(&f->by_id);
	free(f);
}

static void link_wait(struct feed *f, struct feed_wait *w)
{
	if (w->id)
		map_put(&f->by_id, &w->by_id, bytes_of(w->id));
	else
		TAILQ_INSERT_TAIL(&f->watchers, w, entry);
}

static void unlink_wait(struct feed *f, struct feed_wait *w)
{
	if (w->born)
		TAILQ_REMOVE(&f->born, w, entry);
	else if (w->id)
		map_remove(&f->by_id, &w->by_id);
	else
		TAILQ_REMOVE(&f->watchers, w, entry);
}

static void destroy(struct feed_wait *w)
{
	free(w->source);
	free(w->id);
	free(w);
}

static void settle(struct feed *f)
{
	struct feed_wait *w;

	while ((w = SLIST_FIRST(&f->dead))) {
		SLIST_REMOVE_HEAD(&f->dead, grave);
		unlink_wait(f, w);
		destroy(w);
	}
	while ((w = TAILQ_FIRST(&f->born))) {
		TAILQ_REMOVE(&f->born, w, entry);
		w->born = false;
		link_wait(f, w);
	}
}

static void tell(struct feed_wait *w, const struct store_change *change)
{
	if (w->dead)
		return;
	if (w->source && (!change->job.source || strcmp(w->source, change->job.source)))
		return;
	w->on_change(w->arg, change);
}

void feed_on_changes(void *feed, const struct store_change *changes, size_t n)
{
	struct feed *f = feed;

	f->depth++;
	for (size_t i = 0; i < n; i++) {
		struct map_entry *e = NULL;
		struct feed_wait *w;

		if (changes[i].job.id)
			e = map_find(&f->by_id, bytes_of(changes[i].job.id));
		for (; e; e = map_next(e))
			tell(container_of(e, struct feed_wait, by_id), &changes[i]);
		TAILQ_FOREACH (w, &f->watchers, entry)
			tell(w, &changes[i]);
	}
	if (--f->depth == 0)
		settle(f);
}

int feed_wait_new(struct feed *f, const char *source, const char *id,
	void (*on_change)(void *arg, const struct store_change *change), void *arg,
	struct feed_wait **ret)
{
	struct feed_wait *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->feed = f;
	w->on_change = on_change;
	w->arg = arg;
	if ((source && !(w->source = strdup(source))) || (id && !(w->id = strdup(id)))) {
		destroy(w);
		return -ENOMEM;
	}
	if (f->depth > 0) {
		w->born = true;
		TAILQ_INSERT_TAIL(&f->born, w, entry);
	} else {
		link_wait(f, w);
	}
	if (f->n++ == 0)
		store_watch(f->flow->store, true);
	*ret = w;
	return 0;
}

void feed_wait_free(struct feed_wait *w)
{
	struct feed *f;

	if (!w)
		return;
	f = w->feed;
	if (--f->n == 0 && f->flow->store) /* at the end it is closed first */
		store_watch(f->flow->store, false);
	if (f->depth > 0) {
		w->dead = true;
		SLIST_INSERT_HEAD(&f->dead, w, grave);
		return;
	}
	unlink_wait(f, w);
	destroy(w);
}

unsigned feed_waiting(const struct feed *f)
{
	return f->n;
}
