/* What dispatch asks of the store: claims, left-overs, orphans; see dispatch_private.h. */
#include "base/clock.h"
#include "flow/dispatch_private.h"
#include "io/log.h"

#include <errno.h>
#include <string.h>

/* A claim that failed (disk full) is tried again after this. */
#define CLAIM_RETRY_USEC USEC_PER_SEC
/* ---- Claiming ---- */

static void end_claim(struct lane *l)
{
	store_op_fini(&l->claim.op);
	config_unref(l->config);
	l->config = NULL;
	l->claiming = false;
}

/* Claimed, but nothing may start any more: put back, the attempt stays counted. */
void dispatch_put_back(struct lane *l, const struct store_run *record)
{
	struct store_settle *s = calloc(1, sizeof(*s));

	dispatch_give_slots(l, 1);
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
	/* Behind the settle in the queue: where the hook is gone, it finds the run waiting. */
	if (!config_hook(l->dispatch->flow->config, bytes_of(l->name)))
		dispatch_refresh(l->dispatch);
}

static void on_claimed(struct store_op *op)
{
	struct lane *l = op->arg;
	struct dispatch *d = l->dispatch;
	struct store_claim *c = &l->claim;
	const struct hook *h = config_hook(d->flow->config, bytes_of(l->name));

	dispatch_give_slots(l, c->limit - (unsigned)(op->result == 0 ? c->n_runs : 0));
	if (op->result == 0)
		l->next_due_usec = c->next_due_usec;
	else if (op->result != -ECANCELED)
		l->next_due_usec = clock_steady_usec() + (int64_t)CLAIM_RETRY_USEC;
	if (l->woken)
		l->next_due_usec = clock_steady_usec();
	for (size_t i = 0; op->result == 0 && i < c->n_runs; i++) {
		if (h && !d->flow->stopping)
			dispatch_start_claimed(l, h, &c->runs[i]);
		else
			dispatch_put_back(l, &c->runs[i]);
	}
	end_claim(l);
	dispatch_pump(d);
	dispatch_maybe_stopped(d);
}

void dispatch_claim(struct lane *l, const struct hook *h, unsigned limit)
{
	struct dispatch *d = l->dispatch;

	l->claiming = true;
	l->woken = false;
	l->config = config_ref(d->flow->config);
	l->claim = (struct store_claim){
		.op = {.kind = STORE_CLAIM, .on_done = on_claimed, .arg = l},
		.hook = l->name,
		.limit = limit,
		.now_usec = clock_steady_usec(),
		.latest_usec = clock_steady_usec() + (int64_t)h->retry_delay_max_usec +
			       (int64_t)USEC_PER_SEC};
	dispatch_take_slots(l, limit);
	if (store_submit(d->flow->store, &l->claim.op) < 0) {
		dispatch_give_slots(l, limit);
		end_claim(l);
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
		if (l && (!l->next_due_usec || h->next_due_usec < l->next_due_usec))
			l->next_due_usec = h->next_due_usec;
	}
	store_op_fini(op);
	if (d->ask_again)
		dispatch_ask_what_waits(d);
	dispatch_pump(d);
}
