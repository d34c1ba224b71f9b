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

/* ---- Running ---- */

void dispatch_maybe_stopped(struct dispatch *d)
{
	if (d->share.used || d->running || !d->on_stopped || !workers_gone(d->workers))
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

/* The next of its job may stand behind the run that ends. A claim that is under way went before
 * that end and knows nothing of it: it must not have the last word. */
static void look_behind(struct lane *l)
{
	l->woken = true;
	l->next_due_usec = clock_steady_usec();
}

/* Its slot is free before its end is committed, which is a commit sooner. */
static void on_ended(void *arg)
{
	struct task *t = arg;

	t->ended = true;
	dispatch_give_slots(t->lane, 1);
	if (t->lane->serial)
		look_behind(t->lane);
	dispatch_pump(t->dispatch);
}

static void on_over(void *arg, struct attempt *attempt, const struct run_end *end)
{
	struct task *t = arg;
	struct dispatch *d = t->dispatch;
	struct lane *l = t->lane;
	bool died = end->state == RUN_DEAD;

	(void)attempt;
	if (end->state == RUN_WAITING)
		dispatch_note_waiting(l, end->due_usec);
	if (end->state == RUN_WAITING &&
		(!l->next_due_usec || end->due_usec < l->next_due_usec))
		l->next_due_usec = end->due_usec;
	if (l->serial && !t->ended)
		look_behind(l);
	flow_moved(d->flow);
	d->running--;
	l->running--;
	if (!t->ended)
		dispatch_give_slots(l, 1);
	dispatch_note_end(l, end);
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
	attempt_tell_end(t->attempt, on_ended);
	tempo_started(&l->tempo, clock_steady_usec());
	t->lane = l;
	t->dispatch = d;
	LIST_INSERT_HEAD(&d->tasks, t, link);
	d->running++;
	l->running++;
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

/* When a lane is to be looked at again; 0: not for the time's sake. */
static int64_t wake_at(const struct lane *l)
{
	if (!l->next_due_usec || l->claiming || l->paused)
		return 0;
	/* What is due waits for a slot, or for its hook's pace. */
	return dispatch_is_due(l) ? l->not_before_usec : l->next_due_usec;
}

static void arm(struct dispatch *d)
{
	int64_t next = 0, at;
	struct lane *l;

	if (d->flow->stopping)
		return; /* the timer is the stop's end now */
	if (d->ask_later)
		next = clock_steady_usec() + (int64_t)SHORTAGE_USEC;

	LIST_FOREACH (l, &d->lanes, link) {
		at = wake_at(l);
		if (at && (!next || at < next))
			next = at;
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

	if (!dispatch_may_work(d))
		return;
	for (l = LIST_FIRST(&d->lanes); l; l = next) {
		next = LIST_NEXT(l, link);
		const struct hook *h = config_hook(d->flow->config, bytes_of(l->name));
		if (!h) /* what waits is being buried; should it come back, a refresh finds it */
			l->next_due_usec = 0;
		if (!h || !l->next_due_usec || !dispatch_may_claim(l, h))
			continue;
		if (l->next_due_usec > dispatch_latest_usec(h))
			l->next_due_usec = clock_steady_usec();
		unsigned n = dispatch_is_due(l) ? dispatch_free_slots(l, h) : 0;
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

/* `waits`: a run surely does, and not perhaps. */
static void wake(struct dispatch *d, const char *hook, bool waits)
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
	if (waits)
		dispatch_note_waiting(l, l->next_due_usec);
	dispatch_pump(d);
}

void dispatch_wake_mourners(struct dispatch *d)
{
	for (size_t i = 0; i < d->flow->config->n_hooks; i++)
		if (d->flow->config->hooks[i]->on_dead)
			wake(d, d->flow->config->hooks[i]->name, false);
}

/* ---- The doors ---- */

void dispatch_refresh(struct dispatch *d)
{
	d->ask_later = false;
	dispatch_reckon(d);
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

	/* Who is before whom, and how many there were, is for a claim to find out. */
	if (!l || h->serialize || tempo_counts_starts(h))
		return false;
	if (!dispatch_may_work(d) || l->claiming || dispatch_is_due(l) ||
		!dispatch_free_slots(l, h))
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
	if (h && !l->paused && !d->flow->stopping)
		dispatch_start_claimed(l, h, record);
	else
		dispatch_put_back(l, record);
	dispatch_maybe_stopped(d);
}

void dispatch_wake(struct dispatch *d, const char *hook)
{
	wake(d, hook, true);
}

void dispatch_pause(struct dispatch *d, const char *hook, bool paused)
{
	struct lane *l = dispatch_make_lane(d, hook);

	if (!l)
		return;
	l->paused = paused;
	dispatch_reckon(d);
	if (!paused)
		wake(d, hook, false);
	dispatch_pump(
		d); /* the others have its share of the slots now, or not any more */
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

unsigned dispatch_slots_used(const struct dispatch *d)
{
	return d->share.used;
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
		workers_new(&d->workers, flow, on_workers_gone, d) < 0 ||
		dispatch_remember(d) < 0) {
		dispatch_free(d);
		return -ENOMEM;
	}
	dispatch_reckon(d);
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
