/* What dispatch asks of the store: claims, left-overs, orphans; see dispatch_private.h. */
#include "base/clock.h"
#include "flow/dispatch_private.h"
#include "io/log.h"

#include <errno.h>
#include <string.h>

/* ---- Claiming ---- */

struct claim {
	struct store_claim op;
	struct lane *lane;
};

static void end_claim(struct claim *c)
{
	c->lane->claiming--;
	store_op_fini(&c->op.op);
	free(c);
}

/*
 * The slot of each run that ends is claimed for at once, in the transaction that its end is
 * committed in: so there is one commit between two runs, whatever other claims are under way.
 * Where it counts what was started before, one claim waits for the other.
 */
bool dispatch_may_claim(const struct lane *l, const struct hook *h)
{
	return !l->claiming || (!tempo_counts_starts(h) && !l->tempo.window);
}

static void on_put_back(struct store_op *op)
{
	free(container_of(op, struct store_settle, op));
}

/* Claimed, but nothing may start any more: put back, not counted. */
void dispatch_put_back(struct lane *l, const struct store_run *record)
{
	struct store_settle *s = calloc(1, sizeof(*s));

	dispatch_give_slots(l, 1);
	if (!s)
		return; /* still `running` in the store: the next start puts it back */
	*s = (struct store_settle){.op = {.kind = STORE_SETTLE, .on_done = on_put_back},
		.run = record->number,
		.attempt = record->attempt,
		.state = RUN_WAITING,
		.uncounted = true,
		.due_usec = clock_steady_usec(),
		.exit_status = -1,
		.signal = -1};
	if (store_submit(l->dispatch->flow->store, &s->op) < 0)
		free(s);
	/* Behind the settle in the queue: where the hook is gone, it finds the run waiting. */
	if (!config_hook(l->dispatch->flow->config, bytes_of(l->name)))
		dispatch_refresh(l->dispatch);
}

static void log_merged(const struct store_claim *c)
{
	for (size_t i = 0; i < c->n_merged; i++) {
		const struct store_run *r = &c->merged[i];
		log_event(LOG_RUN_MERGED,
			&(struct log_fields){.source = r->source,
				.id = r->job,
				.status = r->status,
				.outcome = outcome_name(r->outcome),
				.hook = r->hook,
				.run = r->id},
			"Hook %s does not start for %s/%s: %s (MinInterval=)", r->hook,
			r->source, log_escapes(r->job), r->reason);
	}
}

static void on_claimed(struct store_op *op)
{
	struct claim *claim = op->arg;
	struct lane *l = claim->lane;
	struct dispatch *d = l->dispatch;
	struct store_claim *c = &claim->op;
	const struct hook *h = config_hook(d->flow->config, bytes_of(l->name));

	unsigned left = c->limit - (unsigned)(op->result == 0 ? c->n_runs : 0);
	dispatch_give_slots(l, left);
	if (h)
		tempo_give(&l->tempo, h, left);
	if (op->result == 0) {
		l->next_due_usec = c->next_due_usec;
		l->oldest_due_usec = c->next_due_usec;
		memcpy(l->after, c->after, sizeof(l->after));
		log_merged(c);
	}
	if (op->result < 0 && op->result != -ECANCELED)
		l->next_due_usec = clock_steady_usec() + (int64_t)SHORTAGE_USEC;
	if (l->woken) {
		l->next_due_usec = clock_steady_usec();
		dispatch_note_waiting(l, l->next_due_usec);
	}
	for (size_t i = 0; op->result == 0 && i < c->n_runs; i++) {
		if (h && !l->paused && !d->flow->stopping)
			dispatch_start_claimed(l, h, &c->runs[i]);
		else
			dispatch_put_back(l, &c->runs[i]);
	}
	end_claim(claim);
	dispatch_pump(d);
	dispatch_maybe_stopped(d);
}

void dispatch_claim(struct lane *l, const struct hook *h, unsigned limit)
{
	struct dispatch *d = l->dispatch;
	struct claim *c = calloc(1, sizeof(*c));

	if (!c) {
		l->next_due_usec = clock_steady_usec() + (int64_t)SHORTAGE_USEC;
		return;
	}
	c->lane = l;
	c->op = (struct store_claim){
		.op = {.kind = STORE_CLAIM, .on_done = on_claimed, .arg = c},
		.hook = l->name,
		.limit = limit,
		.now_usec = clock_steady_usec(),
		.latest_usec = dispatch_latest_usec(h),
		.serialize = h->serialize,
		.merge = h->min_interval_usec != 0,
		.paced = tempo_counts_starts(h)};
	memcpy(c->op.after, l->after, sizeof(l->after));
	l->claiming++;
	l->woken = false;
	l->serial = h->serialize;
	dispatch_take_slots(l, limit);
	tempo_take(&l->tempo, h, limit, clock_steady_usec());
	/* Claims are never refused for a full queue. */
	int ignored = store_submit(d->flow->store, &c->op.op);
	(void)ignored;
}

/* ---- What waits ---- */

/* The death of all that waits for a hook that is gone, some hundred runs at a time. */
struct burial {
	struct store_orphans op;
	struct dispatch *dispatch;
	struct config *config; /* holds the names of `mourners` */
	struct store_wish *mourners;
	char *hook;
	uint64_t n_died;
};

static void free_burial(struct burial *b)
{
	config_unref(b->config);
	free(b->mourners);
	free(b->hook);
	free(b);
}

/* Each death belongs to the story of its job. */
static void log_deaths(const struct burial *b)
{
	for (size_t i = 0; i < b->op.n_died; i++) {
		const struct store_letter *l = &b->op.died[i];
		const struct log_fields fields = {.source = l->source,
			.id = l->job,
			.hook = l->hook,
			.run = l->run};
		log_event(LOG_RUN_DEAD, &fields,
			"Hook %s is dead for %s/%s: no such hook; replay it with: "
			"callbackctl replay %s",
			l->hook, l->source, log_escapes(l->job), l->run);
	}
}

static void on_buried(struct store_op *op)
{
	struct burial *b = op->arg;

	if (op->result == 0 && b->op.n_died) {
		log_deaths(b);
		b->n_died += b->op.n_died;
		dispatch_wake_mourners(b->dispatch);
	}
	store_op_fini(op);
	/* A reload may have brought the hook back: the rest of its runs have somebody again. */
	if (op->result == 0 && b->op.more &&
		!config_hook(b->dispatch->flow->config, bytes_of(b->hook)) &&
		store_submit(b->dispatch->flow->store, &b->op.op) == 0)
		return;
	if (b->n_died)
		log_event(LOG_HOOK_GONE, &(struct log_fields){.hook = b->hook},
			"Hook %s is not configured any more; its %llu waiting runs are "
			"dead and can be replayed",
			b->hook, (unsigned long long)b->n_died);
	free_burial(b);
}

static bool choose_mourners(struct burial *b)
{
	const struct config *c = b->config;

	b->mourners = calloc(c->n_hooks ? c->n_hooks : 1, sizeof(*b->mourners));
	if (!b->mourners)
		return false;
	b->op.dead_wishes = b->mourners;
	for (size_t i = 0; i < c->n_hooks; i++) {
		const struct hook *h = c->hooks[i];
		if (h->on_dead)
			b->mourners[b->op.n_dead_wishes++] = (struct store_wish){
				.hook = h->name,
				.sources = h->sources.list,
				.n_sources = h->sources.size};
	}
	return true;
}

static void bury_orphans(struct dispatch *d, const char *hook)
{
	struct burial *b = calloc(1, sizeof(*b));

	if (!b)
		return;
	b->dispatch = d;
	b->config = config_ref(d->flow->config);
	b->hook = bytes_dup(bytes_of(hook));
	b->op.op = (struct store_op){
		.kind = STORE_ORPHANS, .on_done = on_buried, .arg = b};
	b->op.hook = b->hook;
	if (!b->hook || !choose_mourners(b) ||
		store_submit(d->flow->store, &b->op.op) < 0)
		free_burial(b);
}

static void on_due_known(struct store_op *op);

void dispatch_ask_what_waits(struct dispatch *d)
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
		struct lane *l = dispatch_make_lane(d, h->hook);
		if (l)
			dispatch_note_waiting(l, h->next_due_usec);
		if (l && (!l->next_due_usec || h->next_due_usec < l->next_due_usec))
			l->next_due_usec = h->next_due_usec;
	}
	store_op_fini(op);
	if (op->result < 0 && op->result != -ECANCELED)
		dispatch_ask_later(d);
	else if (d->ask_again)
		dispatch_ask_what_waits(d);
	dispatch_pump(d);
}
