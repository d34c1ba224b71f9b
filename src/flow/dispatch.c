/* The scheduler; see dispatch.h. */
#include "flow/dispatch_private.h"

#include "base/clock.h"
#include "base/span.h"
#include "flow/run.h"
#include "io/log.h"

#include <errno.h>
#include <string.h>

/* One claim brings at most this many payloads into memory. */
#define CLAIM_MAX 64

static void arm(struct dispatch *d);

/* ---- Lanes ---- */

struct lane *dispatch_find_lane(struct dispatch *d, const char *name)
{
	struct map_entry *e = map_find(&d->lanes_by_name, bytes_of(name));
	return e ? container_of(e, struct lane, by_name) : NULL;
}

struct lane *dispatch_make_lane(struct dispatch *d, const char *name)
{
	struct lane *l = dispatch_find_lane(d, name);

	if (l || strlen(name) >= sizeof(l->name) || !(l = calloc(1, sizeof(*l))))
		return l;
	l->dispatch = d;
	strcpy(l->name, name);
	LIST_INSERT_HEAD(&d->lanes, l, link);
	map_put(&d->lanes_by_name, &l->by_name, bytes_of(l->name));
	return l;
}

/* What a lane takes of the daemon's MaxConcurrent=, which counts processes. */
static unsigned weight(const struct lane *l)
{
	return l->is_worker ? l->used > 0 : l->used;
}

static void set_slots(struct lane *l, unsigned used)
{
	const struct config *c = l->dispatch->flow->config;
	const struct hook *h = l->used ? NULL : config_hook(c, bytes_of(l->name));

	l->dispatch->used -= weight(l);
	if (h) /* not while any is taken: what was added must be what is taken away */
		l->is_worker = hook_has_worker(h);
	l->used = used;
	l->dispatch->used += weight(l);
}

void dispatch_take_slots(struct lane *l, unsigned n)
{
	set_slots(l, l->used + n);
}

void dispatch_give_slots(struct lane *l, unsigned n)
{
	set_slots(l, l->used - n);
}

static unsigned free_slots(const struct lane *l, const struct hook *h)
{
	const struct dispatch *d = l->dispatch;
	unsigned in_all = d->flow->config->max_concurrent;
	unsigned of_hook = h->max_concurrent > l->used ? h->max_concurrent - l->used : 0;
	unsigned of_all = in_all > d->used ? in_all - d->used : 0;

	if (h->mode == HOOK_BATCH) /* one process after another; none is added to */
		of_hook = l->used ? 0 : h->batch_max;
	if (hook_has_worker(h) && (of_all || weight(l)))
		return of_hook;
	return of_hook < of_all ? of_hook : of_all;
}

static bool is_due(const struct lane *l)
{
	return l->next_due_usec && l->next_due_usec <= clock_steady_usec();
}

/* ---- Running ---- */

void dispatch_maybe_stopped(struct dispatch *d)
{
	if (d->used || !d->on_stopped || !workers_gone(d->workers))
		return;
	void (*on_stopped)(void *) = d->on_stopped;
	d->on_stopped = NULL;
	on_stopped(d->stopped_arg);
}

static void free_task(struct task *t)
{
	LIST_REMOVE(t, link);
	t->attempt->kind->free(t->attempt);
	free(t);
}

static void on_over(void *arg, struct attempt *attempt, const struct run_end *end)
{
	struct task *t = arg;
	struct dispatch *d = t->dispatch;
	struct lane *l = t->lane;
	bool died = end->state == RUN_DEAD;

	(void)attempt;
	if (end->state == RUN_WAITING &&
		(!l->next_due_usec || end->due_usec < l->next_due_usec))
		l->next_due_usec = end->due_usec;
	flow_moved(d->flow);
	d->running--;
	dispatch_give_slots(l, 1);
	free_task(t);
	/* Its hook went with a reload while it ran: what waits for nobody is dead. */
	if (end->state == RUN_WAITING && !config_hook(d->flow->config, bytes_of(l->name)))
		dispatch_refresh(d);
	if (died)
		dispatch_wake_mourners(d);
	dispatch_pump(d);
	dispatch_maybe_stopped(d);
}

static int start(struct dispatch *d, const struct hook *h, const struct store_run *record,
	struct task *t)
{
	if (hook_has_worker(h))
		return workers_start(d->workers, h, record, on_over, t, &t->attempt);
	return run_start(d->flow, h, record, on_over, t, &t->attempt);
}

/* A slot is taken. */
void dispatch_start_claimed(
	struct lane *l, const struct hook *h, const struct store_run *record)
{
	struct dispatch *d = l->dispatch;
	struct task *t = calloc(1, sizeof(*t));

	if (!t || start(d, h, record, t) < 0) {
		free(t);
		dispatch_put_back(l, record);
		l->next_due_usec = clock_steady_usec() + (int64_t)SHORTAGE_USEC;
		arm(d);
		return;
	}
	t->lane = l;
	t->dispatch = d;
	LIST_INSERT_HEAD(&d->tasks, t, link);
	d->running++;
}

void dispatch_on_swept(struct dispatch *d, unsigned n_ended)
{
	if (n_ended)
		log_event(LOG_RUN_RECOVERED, NULL,
			"%u processes that a former life of this daemon had left "
			"were ended",
			n_ended);
	d->ready = true;
	dispatch_refresh(d);
}

int64_t dispatch_latest_usec(const struct hook *h)
{
	return clock_steady_usec() + (int64_t)h->retry_delay_max_usec +
	       (int64_t)USEC_PER_SEC;
}

static void arm(struct dispatch *d)
{
	int64_t next = 0;
	struct lane *l;

	if (d->flow->stopping)
		return; /* the timer is the stop's end now */
	if (d->ask_later)
		next = clock_steady_usec() + (int64_t)SHORTAGE_USEC;

	LIST_FOREACH (l, &d->lanes, link) {
		if (!l->next_due_usec || l->claiming || is_due(l))
			continue; /* what is due waits for a slot, not for the time */
		if (!next || l->next_due_usec < next)
			next = l->next_due_usec;
	}
	if (!next) {
		evtimer_del(d->timer);
		return;
	}
	int64_t wait = next - clock_steady_usec();
	struct timeval tv = {(time_t)(wait > 0 ? wait / (int64_t)USEC_PER_SEC : 0),
		(suseconds_t)(wait > 0 ? wait % (int64_t)USEC_PER_SEC : 0)};
	evtimer_add(d->timer, &tv);
}

/* Starts what may start. Lanes take turns: the one that claims goes behind the others. */
void dispatch_pump(struct dispatch *d)
{
	struct lane *l, *next;
	LIST_HEAD(, lane) served = LIST_HEAD_INITIALIZER(served);

	if (!d->ready || d->flow->stopping)
		return;
	for (l = LIST_FIRST(&d->lanes); l; l = next) {
		next = LIST_NEXT(l, link);
		const struct hook *h = config_hook(d->flow->config, bytes_of(l->name));
		if (!h || l->claiming || !l->next_due_usec)
			continue;
		if (l->next_due_usec > dispatch_latest_usec(h))
			l->next_due_usec = clock_steady_usec();
		unsigned n = is_due(l) ? free_slots(l, h) : 0;
		if (!n)
			continue;
		dispatch_claim(
			l, h, n < CLAIM_MAX || h->mode == HOOK_BATCH ? n : CLAIM_MAX);
		LIST_REMOVE(l, link);
		LIST_INSERT_HEAD(&served, l, link);
	}
	struct lane *last = NULL;
	LIST_FOREACH (l, &d->lanes, link)
		last = l;
	for (l = LIST_FIRST(&served); l; l = next) {
		next = LIST_NEXT(l, link);
		LIST_REMOVE(l, link);
		if (last)
			LIST_INSERT_AFTER(last, l, link);
		else
			LIST_INSERT_HEAD(&d->lanes, l, link);
		last = l;
	}
	arm(d);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch *d = arg;
	struct task *t, *next;

	(void)fd;
	(void)what;
	if (!d->flow->stopping) {
		if (d->ask_later)
			dispatch_refresh(d);
		dispatch_pump(d);
		return;
	}
	for (t = LIST_FIRST(&d->tasks); t; t = next) {
		next = LIST_NEXT(t, link);
		t->attempt->kind->interrupt(t->attempt);
	}
	workers_end(d->workers);
}

void dispatch_ask_later(struct dispatch *d)
{
	d->ask_later = true;
	arm(d);
}

void dispatch_wake_mourners(struct dispatch *d)
{
	for (size_t i = 0; i < d->flow->config->n_hooks; i++)
		if (d->flow->config->hooks[i]->on_dead)
			dispatch_wake(d, d->flow->config->hooks[i]->name);
}

/* ---- The doors ---- */

void dispatch_refresh(struct dispatch *d)
{
	d->ask_later = false;
	workers_refresh(d->workers);
	if (!d->ready || d->flow->stopping)
		return;
	if (d->asking)
		d->ask_again = true;
	else
		dispatch_ask_what_waits(d);
}

bool dispatch_reserve(struct dispatch *d, const struct hook *h)
{
	struct lane *l = dispatch_make_lane(d, h->name);

	if (!l || !d->ready || d->flow->stopping || l->claiming || is_due(l) ||
		!free_slots(l, h))
		return false;
	dispatch_take_slots(l, 1);
	return true;
}

void dispatch_release(struct dispatch *d, const char *hook)
{
	struct lane *l = dispatch_find_lane(d, hook);

	if (!l)
		return;
	dispatch_give_slots(l, 1);
	dispatch_pump(d);
	dispatch_maybe_stopped(d);
}

void dispatch_start(struct dispatch *d, const struct store_run *record)
{
	struct lane *l = dispatch_find_lane(d, record->hook);
	const struct hook *h = config_hook(d->flow->config, bytes_of(record->hook));

	if (!l)
		return;
	if (h && !d->flow->stopping)
		dispatch_start_claimed(l, h, record);
	else
		dispatch_put_back(l, record);
	dispatch_maybe_stopped(d);
}

void dispatch_wake(struct dispatch *d, const char *hook)
{
	struct lane *l;

	/* It went with a reload, or before a replay: what waits for nobody is dead. */
	if (!config_hook(d->flow->config, bytes_of(hook))) {
		dispatch_refresh(d);
		return;
	}
	l = dispatch_make_lane(d, hook);
	if (!l)
		return;
	l->woken = true;
	l->next_due_usec = clock_steady_usec();
	dispatch_pump(d);
}

void dispatch_stop(struct dispatch *d, uint64_t timeout_usec,
	void (*on_stopped)(void *arg), void *arg)
{
	struct timeval tv = {(time_t)(timeout_usec / USEC_PER_SEC),
		(suseconds_t)(timeout_usec % USEC_PER_SEC)};

	d->on_stopped = on_stopped;
	d->stopped_arg = arg;
	workers_stop(d->workers);
	if (timeout_usec == SPAN_FOREVER)
		evtimer_del(d->timer);
	else
		evtimer_add(d->timer, &tv);
	dispatch_maybe_stopped(d);
}

unsigned dispatch_running(const struct dispatch *d)
{
	return d->running;
}

static void on_workers_gone(void *arg)
{
	dispatch_maybe_stopped(arg);
}

int dispatch_new(struct dispatch **ret, struct flow *flow)
{
	struct dispatch *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->flow = flow;
	LIST_INIT(&d->lanes);
	LIST_INIT(&d->tasks);
	d->timer = evtimer_new(flow->base, on_timer, d);
	if (!d->timer || map_init(&d->lanes_by_name) < 0 ||
		workers_new(&d->workers, flow, on_workers_gone, d) < 0) {
		dispatch_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void dispatch_free(struct dispatch *d)
{
	struct task *t;
	struct lane *l;

	if (!d)
		return;
	while ((t = LIST_FIRST(&d->tasks)))
		free_task(t);
	while ((l = LIST_FIRST(&d->lanes))) {
		LIST_REMOVE(l, link);
		free(l);
	}
	map_fini(&d->lanes_by_name);
	workers_free(d->workers);
	if (d->timer)
		event_free(d->timer);
	free(d);
}
