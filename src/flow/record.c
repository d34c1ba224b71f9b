/* From what was read to runs; see record.h. */
#include "flow/record.h"

#include "flow/dispatch.h"
#include "flow/launch.h"
#include "flow/once.h"
#include "flow/tally.h"
#include "io/log.h"

#include <errno.h>
#include <stdio.h>

void record_init(struct record *r, struct flow *flow, struct config *config,
	const struct source *source, enum record_origin origin)
{
	*r = (struct record){.flow = flow,
		.config = config_ref(config),
		.source = source,
		.origin = origin};
}

void record_fini(struct record *r)
{
	payload_fini(&r->payload);
	store_op_fini(&r->put.op);
	free(r->fields);
	free(r->wishes);
	config_unref(r->config);
}

/* ---- Who wants it ---- */

/* 1, 0, or -ENOMEM: the body may be looked into for the first time here. */
static int hook_takes(struct record *r, const struct hook *h)
{
	struct payload *p = &r->payload;

	if (!hook_wants(h, r->source->name, p->outcome, p->status))
		return 0;
	return condition_list_holds(&h->where, &p->document);
}

/* Slots are kept for those that may start at once; on_stored gives them back or uses them. */
static int wish(struct record *r)
{
	/* Of a configuration made by hand all hooks are asked. */
	bool noted = r->source->hooks;
	struct hook **hooks = noted ? r->source->hooks : r->config->hooks;
	size_t n_hooks = noted ? r->source->n_hooks : r->config->n_hooks;
	struct store_put *put = &r->put;
	CLEANUP(freep) const struct hook **wanting = NULL;
	size_t n = 0;

	if (n_hooks == 0 || put->ignore || put->hold || r->fires_nothing)
		return 0;
	wanting = calloc(n_hooks, sizeof(struct hook *));
	r->wishes = calloc(n_hooks, sizeof(*r->wishes));
	if (!wanting || !r->wishes)
		return -ENOMEM;
	put->wishes = r->wishes;
	int error = 0;
	for (size_t i = 0; error >= 0 && i < n_hooks; i++) {
		error = hook_takes(r, hooks[i]);
		if (error > 0)
			wanting[n++] = hooks[i];
	}
	if (error >= 0)
		error = launch_keep_fields(wanting, n, &r->payload.document, &r->fields);
	if (error < 0)
		return error;
	put->n_wishes = n;
	for (size_t i = 0; i < n; i++)
		put->wishes[i] = (struct store_wish){.hook = wanting[i]->name,
			.start_now = dispatch_reserve(r->flow->dispatch, wanting[i])};
	return 0;
}

static void release_wishes(struct record *r)
{
	for (size_t i = 0; i < r->put.n_wishes; i++)
		if (r->put.wishes[i].start_now)
			dispatch_release(r->flow->dispatch, r->put.wishes[i].hook);
}

/* ---- After the commit ---- */

/* What is told of a recorded callback. */
static const struct {
	enum log_kind kind;
	const char *text;
} told[] = {
	[STORE_NEW] = {LOG_CALLBACK, "recorded"},
	[STORE_MOVED] = {LOG_CALLBACK, "recorded"},
	[STORE_REPEAT] = {LOG_CALLBACK_REPEATED, "said again, nothing to do"},
	[STORE_CHANGED] = {LOG_CALLBACK_CHANGED,
		"the same outcome with another body: recorded, fires nothing"},
	[STORE_CONTRADICTION] = {LOG_CALLBACK_CONTRADICTS,
		"another outcome than the job already has: recorded, fires "
		"nothing"},
	[STORE_LATE] = {LOG_CALLBACK_LATE,
		"after the job had ended: recorded, fires nothing"},
	[STORE_HELD] = {LOG_CALLBACK_HELD, "recorded, to be confirmed"},
};

static enum store_verdict verdict_told(const struct store_put *p)
{
	enum store_verdict verdict = p->verdict;

	/* Nobody is asked for what has ended: then it is as if it were not held. */
	if (verdict == STORE_HELD && outcome_terminal(p->outcome_before))
		switch (outcome_next(p->outcome_before, p->outcome, p->reopen)) {
		case OUTCOME_MOVES: break;
		case OUTCOME_REPEATS: verdict = STORE_REPEAT; break;
		case OUTCOME_CONTRADICTS: verdict = STORE_CONTRADICTION; break;
		case OUTCOME_LATE: verdict = STORE_LATE; break;
		}
	return verdict;
}

static bool is_unreadable(const struct record *r)
{
	return r->payload.problem && verdict_told(&r->put) == STORE_NEW;
}

static void log_callback(const struct record *r, const struct log_fields *fields)
{
	const struct store_put *p = &r->put;
	enum store_verdict verdict = verdict_told(p);

	if (is_unreadable(r))
		log_event(LOG_CALLBACK_UNREADABLE, fields,
			"Callback of %s recorded, but it cannot be read: %s", p->source,
			r->payload.problem);
	else
		log_event(told[verdict].kind, fields, "Callback %s/%s %s: %s", p->source,
			log_escapes(p->id), p->status ? log_escapes(p->status) : "",
			told[verdict].text);
}

/* What changes nothing is no news: a job may be asked for a hundred times. */
static void log_answer(const struct record *r, const struct log_fields *fields)
{
	const struct store_put *p = &r->put;

	if (p->held_outcome != OUTCOME_NONE)
		log_event(LOG_DISAGREEMENT, fields,
			"A callback for %s/%s said %s, and its source says %s: that "
			"counts",
			p->source, log_escapes(p->id), log_escapes(p->held_status),
			log_escapes(p->status));
	if (p->verdict == STORE_MOVED)
		log_event(LOG_ASKED, fields, "Answer for %s/%s %s: recorded", p->source,
			log_escapes(p->id), log_escapes(p->status));
	else if (p->verdict == STORE_CONTRADICTION)
		log_event(LOG_CALLBACK_CONTRADICTS, fields,
			"Answer for %s/%s %s: another outcome than the job already has: "
			"recorded, fires nothing",
			p->source, log_escapes(p->id), log_escapes(p->status));
	else
		log_debug("Answer for %s/%s %s: nothing new", p->source,
			log_escapes(p->id), log_escapes(p->status));
}

static void log_stored(const struct record *r)
{
	const struct store_put *p = &r->put;

	/* Nothing is made ready that would be left out: this is on the way of every callback. */
	if (r->origin == RECORD_CALLBACK && !is_unreadable(r) &&
		!log_wants(told[verdict_told(p)].kind))
		return;
	CLEANUP(freep) char *peer = bytes_dup(r->peer);
	const struct log_fields fields = {.source = p->source,
		.id = p->id,
		.status = p->status,
		.outcome = outcome_name(p->outcome),
		.remote = peer};

	switch (r->origin) {
	case RECORD_CALLBACK: log_callback(r, &fields); break;
	case RECORD_ANSWER: log_answer(r, &fields); break;
	case RECORD_LOST:
		if (p->verdict == STORE_MOVED)
			log_event(LOG_LOST, &fields,
				"Job %s/%s is lost: nothing settled it in time%s%s",
				p->source, log_escapes(p->id), r->why ? "; " : "",
				r->why ? log_escapes(r->why) : "");
		break;
	}
}

static void log_unknown_word(const struct record *r)
{
	const struct store_put *p = &r->put;

	if (!r->payload.unknown_word ||
		!once_first(r->flow->warned, p->source, p->status))
		return;
	log_event(LOG_UNKNOWN_STATUS,
		&(struct log_fields){.source = p->source,
			.id = p->id,
			.status = p->status,
			.outcome = outcome_name(p->outcome)},
		"Status %s of %s stands in no list (SuccessValues= and so on) and counts "
		"as pending; this is said once",
		log_escapes(p->status), p->source);
}

static void start_runs(struct record *r)
{
	const struct store_put *p = &r->put;
	struct dispatch *d = r->flow->dispatch;

	for (size_t i = 0; i < p->n_wishes; i++) {
		const struct store_wish *w = &p->wishes[i];
		if (!w->run) {
			if (w->start_now)
				dispatch_release(d, w->hook);
			continue;
		}
		if (!w->start_now) {
			dispatch_wake(d, w->hook);
			continue;
		}
		/* Borrowed strings: dispatch_start() copies what it needs. */
		struct store_run run = {.number = w->run,
			.hook = (char *)w->hook,
			.source = (char *)p->source,
			.job = (char *)p->id,
			.status = (char *)p->status,
			.outcome = p->outcome,
			.state = RUN_RUNNING,
			.attempt = 1,
			.received_usec = p->received_usec,
			.payload = p->payload,
			.fields = r->fields,
			.test = p->test};
		snprintf(run.id, sizeof(run.id), "%s-%llu", store_name(r->flow->store),
			(unsigned long long)w->run);
		dispatch_start(d, &run);
	}
}

/* Was anything recorded, or counted? */
static bool is_stored(const struct store_put *p)
{
	return p->op.result == 0 && p->verdict != STORE_UNVERIFIED &&
	       p->verdict != STORE_IGNORED;
}

static void count(const struct record *r)
{
	const struct store_put *p = &r->put;

	if (p->verdict == STORE_NEW || p->verdict == STORE_MOVED)
		tally_source(r->flow->tally, p->source)->outcomes[p->outcome]++;
}

static void on_put(struct store_op *op)
{
	struct record *r = op->arg;

	flow_moved(r->flow);
	if (is_stored(&r->put)) {
		count(r);
		log_stored(r);
		log_unknown_word(r);
		start_runs(r);
	} else {
		release_wishes(r);
	}
	r->on_stored(r);
}

int record_put(struct record *r, void (*on_stored)(struct record *r))
{
	struct store_put *p = &r->put;

	r->on_stored = on_stored;
	p->op = (struct store_op){.kind = STORE_PUT, .on_done = on_put, .arg = r};
	p->source = r->source->name;
	p->id = r->payload.id;
	p->status = r->payload.status;
	p->outcome = r->payload.outcome;
	p->delivery = r->payload.delivery;
	p->reopen = r->source->reopen;
	int error = wish(r);
	p->fields = r->fields;
	if (error == 0)
		error = store_submit(r->flow->store, &p->op);
	if (error < 0)
		release_wishes(r);
	return error;
}
