/* The scheduler; see dispatch.h. */
#include "flow/dispatch.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/span.h"
#include "flow/run.h"
#include "io/log.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

/*
 * A run that ended with the daemon is started again at most this often beyond 1 + Retries=: a
 * hook that kills its daemon ends as dead all the same.
 */
#define EXTRA_STARTS 2
/* A claim that failed (disk full) is tried again after this. */
#define CLAIM_RETRY_USEC USEC_PER_SEC
/* One claim brings at most this many payloads into memory. */
#define CLAIM_MAX 64

/* What is known of one hook's queue. Lives as long as the dispatch: names are few. */
struct lane {
	LIST_ENTRY(lane) link;
	struct map_entry by_name;
	struct dispatch *dispatch;
	char name[65];
	unsigned used;         /* slots: running, reserved, or being claimed */
	int64_t next_due_usec; /* of the earliest waiting run, steady clock; 0 = none waits */
	bool claiming;
	bool woken; /* something was added while a claim was under way */
	struct store_claim claim;
	struct store_wish *dead_wishes;
	struct config *config; /* of the claim: its wishes point into it */
};

struct task {
	LIST_ENTRY(task) link;
	struct map_entry by_tag;
	struct run *run;
	struct lane *lane;
	struct dispatch *dispatch;
	uint64_t tag;
};

struct dispatch {
	struct flow *flow;
	LIST_HEAD(, lane) lanes;
	struct map lanes_by_name;
	LIST_HEAD(, task) tasks;
	struct map tasks_by_tag;
	unsigned used;       /* sum over the lanes */
	unsigned running;    /* tasks */
	bool ready;          /* left-overs are gone; nothing starts before */
	struct event *timer; /* the earliest due time, or the stop's end */
	struct store_due due;
	bool asking, ask_again;
	void (*on_stopped)(void *arg);
	void *stopped_arg;
};

static void pump(struct dispatch *d);
static void on_due_known(struct store_op *op);

/* ---- Lanes ---- */

static struct lane *find_lane(struct dispatch *d, const char *name)
{
	struct map_entry *e = map_find(&d->lanes_by_name, bytes_of(name));
	return e ? container_of(e, struct lane, by_name) : NULL;
}

/* NULL when memory is short: the run waits in the store until somebody looks again. */
static struct lane *make_lane(struct dispatch *d, const char *name)
{
	struct lane *l = find_lane(d, name);

	if (l || strlen(name) >= sizeof(l->name) || !(l = calloc(1, sizeof(*l))))
		return l;
	l->dispatch = d;
	strcpy(l->name, name);
	LIST_INSERT_HEAD(&d->lanes, l, link);
	map_put(&d->lanes_by_name, &l->by_name, bytes_of(l->name));
	return l;
}

static void take_slots(struct lane *l, unsigned n)
{
	l->used += n;
	l->dispatch->used += n;
}

static void give_slots(struct lane *l, unsigned n)
{
	l->used -= n;
	l->dispatch->used -= n;
}

static unsigned free_slots(const struct lane *l, const struct hook *h)
{
	const struct dispatch *d = l->dispatch;
	unsigned in_all = d->flow->config->max_concurrent;
	unsigned of_hook = h->max_concurrent > l->used ? h->max_concurrent - l->used : 0;
	unsigned of_all = in_all > d->used ? in_all - d->used : 0;
	return of_hook < of_all ? of_hook : of_all;
}

static bool is_due(const struct lane *l)
{
	return l->next_due_usec && l->next_due_usec <= clock_steady_usec();
}

/* ---- Running ---- */

static void maybe_stopped(struct dispatch *d)
{
	if (d->used || !d->on_stopped)
		return;
	void (*on_stopped)(void *) = d->on_stopped;
	d->on_stopped = NULL;
	on_stopped(d->stopped_arg);
}

static void free_task(struct task *t)
{
	LIST_REMOVE(t, link);
	map_remove(&t->dispatch->tasks_by_tag, &t->by_tag);
	run_free(t->run);
	free(t);
}

static void on_over(void *arg, struct run *run, const struct run_end *end)
{
	struct task *t = arg;
	struct dispatch *d = t->dispatch;
	struct lane *l = t->lane;
	bool died = end->state == RUN_DEAD;

	(void)run;
	if (end->state == RUN_WAITING &&
		(!l->next_due_usec || end->due_usec < l->next_due_usec))
		l->next_due_usec = end->due_usec;
	d->running--;
	give_slots(l, 1);
	free_task(t);
	for (size_t i = 0; died && i < d->flow->config->n_hooks; i++)
		if (d->flow->config->hooks[i]->on_dead)
			dispatch_wake(d, d->flow->config->hooks[i]->name);
	pump(d);
	maybe_stopped(d);
}

/* A slot is taken. Without memory the run stays `running` in the store until the next start. */
static void start(struct lane *l, const struct hook *h, const struct store_run *record)
{
	struct dispatch *d = l->dispatch;
	struct task *t = calloc(1, sizeof(*t));

	if (!t || run_start(d->flow, h, record, on_over, t, &t->run) < 0) {
		free(t);
		give_slots(l, 1);
		return;
	}
	t->lane = l;
	t->dispatch = d;
	t->tag = run_tag(t->run);
	LIST_INSERT_HEAD(&d->tasks, t, link);
	map_put(&d->tasks_by_tag, &t->by_tag,
		(struct bytes){(const char *)&t->tag, sizeof(t->tag)});
	d->running++;
}

static struct run *find_run(struct dispatch *d, uint64_t tag)
{
	struct map_entry *e = map_find(
		&d->tasks_by_tag, (struct bytes){(const char *)&tag, sizeof(tag)});
	return e ? container_of(e, struct task, by_tag)->run : NULL;
}

void dispatch_on_started(void *dispatch, uint64_t tag, int error)
{
	struct run *r = find_run(dispatch, tag);
	if (r)
		run_on_started(r, error);
}

void dispatch_on_exit(
	void *dispatch, uint64_t tag, int status, int exec_error, const char *failed_step)
{
	struct run *r = find_run(dispatch, tag);
	if (r)
		run_on_exit(r, status, exec_error, failed_step);
}

void dispatch_on_swept(void *dispatch, uint64_t tag, unsigned n_ended)
{
	struct dispatch *d = dispatch;
	struct run *r = find_run(d, tag);

	if (r) {
		run_on_swept(r);
	} else if (tag == 0) {
		if (n_ended)
			log_event(LOG_RUN_RECOVERED, NULL,
				"%u processes that a former life of this daemon had left "
				"were ended",
				n_ended);
		d->ready = true;
		dispatch_refresh(d);
	}
}

/* ---- Claiming ---- */

static void wish_for_the_dead(struct lane *l, const struct config *c)
{
	l->dead_wishes = calloc(c->n_hooks ? c->n_hooks : 1, sizeof(*l->dead_wishes));
	l->claim.dead_wishes = l->dead_wishes;
	for (size_t i = 0; l->dead_wishes && i < c->n_hooks; i++)
		if (c->hooks[i]->on_dead && strcmp(c->hooks[i]->name, l->name) != 0)
			l->dead_wishes[l->claim.n_dead_wishes++] = (struct store_wish){
				.hook = c->hooks[i]->name};
}

static void end_claim(struct lane *l)
{
	store_op_fini(&l->claim.op);
	free(l->dead_wishes);
	l->dead_wishes = NULL;
	config_unref(l->config);
	l->config = NULL;
	l->claiming = false;
}

/* Claimed, but nothing may start any more: put back, the attempt stays counted. */
static void put_back(struct lane *l, const struct store_run *record)
{
	struct store_settle *s = calloc(1, sizeof(*s));

	give_slots(l, 1);
	if (!s)
		return; /* still `running` in the store: the next start puts it back */
	*s = (struct store_settle){.op = {.kind = STORE_SETTLE,
					   .on_done = (void (*)(struct store_op *))free},
		.run = record->number,
		.attempt = record->attempt,
		.state = RUN_WAITING,
		.due_usec = clock_steady_usec(),
		.exit_status = -1,
		.signal = -1};
	if (store_submit(l->dispatch->flow->store, &s->op) < 0)
		free(s);
}

static void on_claimed(struct store_op *op)
{
	struct lane *l = op->arg;
	struct dispatch *d = l->dispatch;
	struct store_claim *c = &l->claim;
	const struct hook *h = config_hook(d->flow->config, bytes_of(l->name));

	give_slots(l, c->limit - (unsigned)(op->result == 0 ? c->n_runs : 0));
	if (op->result == 0)
		l->next_due_usec = c->next_due_usec;
	else if (op->result != -ECANCELED)
		l->next_due_usec = clock_steady_usec() + (int64_t)CLAIM_RETRY_USEC;
	if (l->woken)
		l->next_due_usec = clock_steady_usec();
	for (size_t i = 0; op->result == 0 && i < c->n_runs; i++) {
		if (h && !d->flow->stopping)
			start(l, h, &c->runs[i]);
		else
			put_back(l, &c->runs[i]);
	}
	bool died = op->result == 0 && c->n_died;
	if (died)
		log_event(LOG_RUN_DEAD, &(struct log_fields){.hook = l->name},
			"%zu runs of hook %s are dead: each of their last processes "
			"ended "
			"with the daemon",
			c->n_died, l->name);
	end_claim(l);
	for (size_t i = 0; died && i < d->flow->config->n_hooks; i++)
		if (d->flow->config->hooks[i]->on_dead)
			dispatch_wake(d, d->flow->config->hooks[i]->name);
	pump(d);
	maybe_stopped(d);
}

static void claim(struct lane *l, const struct hook *h, unsigned limit)
{
	struct dispatch *d = l->dispatch;

	l->claiming = true;
	l->woken = false;
	l->config = config_ref(d->flow->config);
	l->claim = (struct store_claim){
		.op = {.kind = STORE_CLAIM, .on_done = on_claimed, .arg = l},
		.hook = l->name,
		.limit = limit,
		.max_attempts = h->retries + 1 + EXTRA_STARTS,
		.now_usec = clock_steady_usec()};
	wish_for_the_dead(l, l->config);
	take_slots(l, limit);
	if (store_submit(d->flow->store, &l->claim.op) < 0) {
		give_slots(l, limit);
		end_claim(l);
	}
}

/*
 * A due time far beyond any delay this hook could have chosen was written under a clock that was
 * wrong: it is due when the longest delay has passed.
 */
static void mend_due(struct lane *l, const struct hook *h)
{
	int64_t latest = clock_steady_usec() + (int64_t)h->retry_delay_max_usec +
			 (int64_t)USEC_PER_SEC;
	if (l->next_due_usec > latest)
		l->next_due_usec = latest;
}

static void arm(struct dispatch *d)
{
	int64_t next = 0;
	struct lane *l;

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
static void pump(struct dispatch *d)
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
		mend_due(l, h);
		unsigned n = is_due(l) ? free_slots(l, h) : 0;
		if (!n)
			continue;
		claim(l, h, n < CLAIM_MAX ? n : CLAIM_MAX);
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
		pump(d);
		return;
	}
	for (t = LIST_FIRST(&d->tasks); t; t = next) {
		next = LIST_NEXT(t, link);
		run_interrupt(t->run);
	}
}

/* ---- What waits ---- */

static void on_orphans_buried(struct store_op *op)
{
	struct store_orphans *o = container_of(op, struct store_orphans, op);

	if (op->result == 0 && o->n_died)
		log_event(LOG_HOOK_GONE, &(struct log_fields){.hook = op->arg},
			"Hook %s is not configured any more; its %llu waiting runs are "
			"dead and "
			"can be replayed",
			(char *)op->arg, (unsigned long long)o->n_died);
	free(op->arg);
	store_op_fini(op);
	free(o);
}

static void bury_orphans(struct dispatch *d, const char *hook)
{
	struct store_orphans *o = calloc(1, sizeof(*o));
	char *name = o ? bytes_dup(bytes_of(hook)) : NULL;

	if (name) {
		o->op = (struct store_op){
			.kind = STORE_ORPHANS, .on_done = on_orphans_buried, .arg = name};
		o->hook = name;
		if (store_submit(d->flow->store, &o->op) == 0)
			return;
	}
	free(name);
	free(o);
}

static void ask_what_waits(struct dispatch *d)
{
	d->due = (struct store_due){
		.op = {.kind = STORE_DUE, .on_done = on_due_known, .arg = d}};
	d->asking = store_submit(d->flow->store, &d->due.op) == 0;
	d->ask_again = false;
}

static void on_due_known(struct store_op *op)
{
	struct dispatch *d = op->arg;

	d->asking = false;
	for (size_t i = 0; op->result == 0 && i < d->due.n_hooks; i++) {
		const struct store_due_hook *h = &d->due.hooks[i];
		if (!config_hook(d->flow->config, bytes_of(h->hook))) {
			bury_orphans(d, h->hook);
			continue;
		}
		struct lane *l = make_lane(d, h->hook);
		if (l && (!l->next_due_usec || h->next_due_usec < l->next_due_usec))
			l->next_due_usec = h->next_due_usec;
	}
	store_op_fini(op);
	if (d->ask_again)
		ask_what_waits(d);
	pump(d);
}

void dispatch_refresh(struct dispatch *d)
{
	if (!d->ready || d->flow->stopping)
		return;
	if (d->asking)
		d->ask_again = true;
	else
		ask_what_waits(d);
}

/* ---- The doors ---- */

bool dispatch_reserve(struct dispatch *d, const struct hook *h)
{
	struct lane *l = make_lane(d, h->name);

	if (!l || !d->ready || d->flow->stopping || l->claiming || is_due(l) ||
		!free_slots(l, h))
		return false;
	take_slots(l, 1);
	return true;
}

void dispatch_release(struct dispatch *d, const char *hook)
{
	struct lane *l = find_lane(d, hook);

	if (!l)
		return;
	give_slots(l, 1);
	pump(d);
	maybe_stopped(d);
}

void dispatch_start(struct dispatch *d, const struct store_run *record)
{
	struct lane *l = find_lane(d, record->hook);
	const struct hook *h = config_hook(d->flow->config, bytes_of(record->hook));

	if (!l)
		return;
	if (h && !d->flow->stopping)
		start(l, h, record);
	else
		put_back(l, record);
	maybe_stopped(d);
}

void dispatch_wake(struct dispatch *d, const char *hook)
{
	struct lane *l = make_lane(d, hook);

	if (!l)
		return;
	l->woken = true;
	l->next_due_usec = clock_steady_usec();
	pump(d);
}

void dispatch_stop(struct dispatch *d, uint64_t timeout_usec,
	void (*on_stopped)(void *arg), void *arg)
{
	struct timeval tv = {(time_t)(timeout_usec / USEC_PER_SEC),
		(suseconds_t)(timeout_usec % USEC_PER_SEC)};

	d->on_stopped = on_stopped;
	d->stopped_arg = arg;
	if (timeout_usec == SPAN_FOREVER)
		evtimer_del(d->timer);
	else
		evtimer_add(d->timer, &tv);
	maybe_stopped(d);
}

unsigned dispatch_running(const struct dispatch *d)
{
	return d->running;
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
		map_init(&d->tasks_by_tag) < 0) {
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
	map_fini(&d->tasks_by_tag);
	if (d->timer)
		event_free(d->timer);
	free(d);
}
