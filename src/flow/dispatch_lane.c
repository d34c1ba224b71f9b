/* What is known of each hook's queue, and how many of it may start; see dispatch_private.h. */
#include "base/clock.h"
#include "flow/dispatch_private.h"
#include "io/log.h"

#include <errno.h>
#include <string.h>

struct lane *dispatch_find_lane(struct dispatch *d, const char *name)
{
	struct map_entry *e = map_find(&d->lanes_by_name, bytes_of(name));
	return e ? container_of(e, struct lane, by_name) : NULL;
}

struct lane *dispatch_make_lane(struct dispatch *d, const char *name)
{
	struct lane *l = dispatch_find_lane(d, name);
	const struct hook *h = config_hook(d->flow->config, bytes_of(name));

	if (l || strlen(name) >= sizeof(l->name) || !(l = calloc(1, sizeof(*l))))
		return l;
	l->dispatch = d;
	l->is_worker = h && hook_has_worker(h);
	strcpy(l->name, name);
	LIST_INSERT_HEAD(&d->lanes, l, link);
	map_put(&d->lanes_by_name, &l->by_name, bytes_of(l->name));
	return l;
}

int dispatch_remember(struct dispatch *d)
{
	size_t n;
	const struct store_hook *hooks = store_hooks(d->flow->store, &n);

	for (size_t i = 0; i < n; i++) {
		struct lane *l = dispatch_make_lane(d, hooks[i].name);
		if (!l)
			return -ENOMEM;
		l->paused = hooks[i].paused;
		tempo_restore(&l->tempo, hooks[i].started_usec, clock_steady_usec());
	}
	return 0;
}

/* What a lane takes of the daemon's MaxConcurrent=, which counts processes. */
static unsigned weight(const struct lane *l)
{
	return l->is_worker ? l->used > 0 : l->used;
}

static void set_slots(struct lane *l, unsigned used)
{
	struct dispatch *d = l->dispatch;
	unsigned before = weight(l);

	l->used = used;
	if (weight(l) > before)
		share_take(&d->share, before, weight(l) - before);
	else
		share_give(&d->share, before, before - weight(l));
}

void dispatch_note_waiting(struct lane *l, int64_t due_usec)
{
	if (!l->oldest_due_usec || due_usec < l->oldest_due_usec)
		l->oldest_due_usec = due_usec;
}

void dispatch_take_slots(struct lane *l, unsigned n)
{
	set_slots(l, l->used + n);
}

void dispatch_give_slots(struct lane *l, unsigned n)
{
	set_slots(l, l->used - n);
}

void dispatch_reckon(struct dispatch *d)
{
	const struct config *c = d->flow->config;
	struct lane *l;

	d->share = (struct share){
		.slots = c->max_concurrent, .hooks = (unsigned)c->n_hooks};
	LIST_FOREACH (l, &d->lanes, link) {
		const struct hook *h = config_hook(c, bytes_of(l->name));
		if (h)
			l->is_worker = hook_has_worker(h);
		if (h && l->paused && d->share.hooks)
			d->share.hooks--;
	}
	LIST_FOREACH (l, &d->lanes, link)
		share_take(&d->share, 0, weight(l));
}

bool dispatch_may_work(const struct dispatch *d)
{
	return d->ready && !d->flow->stopping;
}

bool dispatch_is_due(const struct lane *l)
{
	return l->next_due_usec && l->next_due_usec <= clock_steady_usec();
}

unsigned dispatch_free_slots(struct lane *l, const struct hook *h)
{
	l->not_before_usec = 0;
	if (l->paused)
		return 0;
	/* However many wait for a worker that is down: a line and two commits for each, every
	 * time that it is tried, would be all that the daemon does. */
	if (l->is_worker)
		l->not_before_usec = workers_not_before(l->dispatch->workers, l->name);
	if (l->not_before_usec)
		return 0;
	unsigned of_hook = tempo_allows(
		&l->tempo, h, l->used, clock_steady_usec(), &l->not_before_usec);
	unsigned of_all = share_allows(&l->dispatch->share, weight(l));
	if (l->is_worker && (of_all || weight(l)))
		return of_hook;
	return of_hook < of_all ? of_hook : of_all;
}

void dispatch_note_end(struct lane *l, const struct run_end *end)
{
	const struct hook *h = config_hook(l->dispatch->flow->config, bytes_of(l->name));
	const struct log_fields fields = {.hook = l->name};

	/* What was ended by us, or never began, says nothing about the hook. */
	if (!h || (end->state == RUN_WAITING && !end->failed))
		return;
	switch (tempo_end(&l->tempo, h, end->failed, clock_steady_usec())) {
	case TEMPO_SLOWED:
		log_event(LOG_HOOK_SLOWED, &fields,
			"Hook %s failed %u times in a row: it is slowed down until it "
			"succeeds again",
			l->name, l->tempo.failures);
		break;
	case TEMPO_WELL:
		log_event(LOG_HOOK_WELL, &fields,
			"Hook %s succeeds again: it is not slowed down any more",
			l->name);
		break;
	case TEMPO_SAME: break;
	}
}

struct dispatch_look dispatch_look(struct dispatch *d, const char *hook)
{
	const struct lane *l = dispatch_find_lane(d, hook);

	return l ? (struct dispatch_look){.running = l->running,
			   .window = l->tempo.window,
			   .paused = l->paused,
			   .oldest_due_usec = l->oldest_due_usec}
		 : (struct dispatch_look){.paused = false};
}
