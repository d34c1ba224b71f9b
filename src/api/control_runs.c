/* Runs on the control socket: list, show one, replay what ended, discard what is dead. */
#include "api/call.h"
#include "api/json.h"
#include "flow/dispatch.h"
#include "io/log.h"

#include <errno.h>

static void on_listed(struct call *c)
{
	const struct store_list_runs *l = &c->ask.list_runs;
	const char *store = store_name(c->flow->store);
	json_t *runs;

	if (l->op.result < 0) {
		call_store_error(c, l->op.result);
		return;
	}
	runs = json_array();
	for (size_t i = 0; i < l->n_runs; i++) {
		json_t *run = json_of_run(&l->runs[i], store, false);

		if (json_array_append_new(runs, run) < 0) {
			json_decref(runs);
			runs = NULL;
			break;
		}
	}
	call_page(c, "runs", runs, l->next);
}

void control_runs_list(struct call *c)
{
	struct store_list_runs *l = &c->ask.list_runs;
	const char *state = NULL;

	call_prepare(c, STORE_LIST_RUNS);
	if (call_page_query(c, &l->limit, &l->after) < 0 ||
		call_query(c, "hook", &l->hook) < 0 || call_query(c, "state", &state) < 0)
		return;
	if (state) {
		l->state = runstate_from_name(state);
		if (l->state == RUN_NONE) {
			call_error(
				c, 400, "state= is none of waiting, running, done, dead");
			return;
		}
	}
	call_ask(c, on_listed);
}

static void on_run(struct call *c)
{
	const struct store_get_run *g = &c->ask.get_run;

	if (g->op.result == -ENOENT)
		call_error(c, 404, "no such run");
	else if (g->op.result < 0)
		call_store_error(c, g->op.result);
	else
		call_json(c, 200,
			json_of_run(&g->record, store_name(c->flow->store), true));
}

void control_runs_get(struct call *c)
{
	call_prepare(c, STORE_GET_RUN);
	c->ask.get_run.run = c->names[0];
	call_ask(c, on_run);
}

static void on_replayed(struct call *c)
{
	const struct store_replay *p = &c->ask.replay;
	const struct log_fields fields = {.hook = p->hook, .run = p->new_run};

	if (p->op.result == -ENOENT) {
		call_error(c, 404, "no such run");
	} else if (p->op.result == -EBUSY) {
		call_error(c, 409, "the run is neither done nor dead");
	} else if (p->op.result < 0) {
		call_store_error(c, p->op.result);
	} else {
		log_event(LOG_RUN_REPLAYED, &fields,
			"Run %s is replayed as %s, by request.", log_escapes(p->run),
			p->new_run);
		dispatch_wake(c->flow->dispatch, p->hook);
		call_json(c, 200,
			json_pack("{s:s, s:s, s:s}", "run", p->new_run, "hook", p->hook,
				"replay_of", p->run));
	}
}

void control_runs_replay(struct call *c)
{
	call_prepare(c, STORE_REPLAY);
	c->ask.replay.run = c->names[0];
	call_ask(c, on_replayed);
}

static void on_discarded(struct call *c)
{
	const struct store_discard *d = &c->ask.discard;
	const struct log_fields fields = {.run = c->names[0]};

	if (d->op.result == -ENOENT) {
		call_error(c, 404, "no such run");
	} else if (d->op.result == -EBUSY) {
		call_error(c, 409, "the run is not dead");
	} else if (d->op.result < 0) {
		call_store_error(c, d->op.result);
	} else {
		log_event(LOG_RUN_DISCARDED, &fields, "Run is discarded, by request: %s",
			log_escapes(d->reason));
		call_json(c, 200, json_object());
	}
}

void control_runs_discard(struct call *c)
{
	static const char *const members[] = {"reason", NULL};
	const json_t *body, *reason;

	if (call_body(c, members, &body) < 0)
		return;
	reason = json_object_get(body, "reason");
	if (reason && !json_is_string(reason)) {
		call_error(c, 400, "reason is not a string");
		return;
	}
	call_prepare(c, STORE_DISCARD);
	c->ask.discard.run = c->names[0];
	c->ask.discard.reason = reason ? json_string_value(reason) : "by request";
	call_ask(c, on_discarded);
}
