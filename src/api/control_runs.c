/* Runs on the control socket, one or a list: what is there, replay what ended, discard the dead. */
#include "api/control_runs.h"

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

int control_runs_replayed(
	struct call *c, const char *name, const char *word, enum store_replayed *ret)
{
	if (strcmp(word, "yes") == 0)
		*ret = STORE_REPLAYED;
	else if (strcmp(word, "no") == 0)
		*ret = STORE_NOT_REPLAYED;
	else
		call_error(c, 400, "%s is yes or no", name);
	return *ret == STORE_REPLAYED_OR_NOT ? -EINVAL : 0;
}

void control_runs_list(struct call *c)
{
	struct store_list_runs *l = &c->ask.list_runs;
	struct store_run_filter *f = &l->filter;
	const char *state = NULL, *replayed = NULL;

	call_prepare(c, STORE_LIST_RUNS);
	if (call_page_query(c, &l->limit, &l->after) < 0 ||
		call_query(c, "hook", &f->hook) < 0 ||
		call_query(c, "source", &f->source) < 0 ||
		call_query(c, "state", &state) < 0 ||
		call_query(c, "replayed", &replayed) < 0 ||
		call_query_past(c, "since", &f->since_usec) < 0 ||
		call_query_past(c, "until", &f->until_usec) < 0)
		return;
	if (state) {
		f->state = runstate_from_name(state);
		if (f->state == RUN_NONE) {
			call_error(
				c, 400, "state= is none of waiting, running, done, dead");
			return;
		}
	}
	if (replayed && control_runs_replayed(c, "replayed=", replayed, &f->replayed) < 0)
		return;
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

json_t *control_runs_json(const struct store_letter *l)
{
	bool replayed = l->new_run[0];

	return json_pack("{s:s, s:s, s:s, s:s, s:s?}", "run",
		replayed ? l->new_run : l->run, "hook", l->hook, "source", l->source,
		"id", l->job, "replay_of", replayed ? l->run : NULL);
}

void control_runs_tell(const struct store_letter *l, const char *reason)
{
	const struct log_fields fields = {.source = l->source,
		.id = l->job,
		.hook = l->hook,
		.run = l->new_run[0] ? l->new_run : l->run};

	if (l->new_run[0])
		log_event(LOG_RUN_REPLAYED, &fields,
			"Run %s is replayed as %s, by request", l->run, l->new_run);
	else
		log_event(LOG_RUN_DISCARDED, &fields, "Run %s is %s, by request", l->run,
			log_escapes(reason));
}

static void on_replayed(struct call *c)
{
	const struct store_replay *p = &c->ask.replay;

	if (p->op.result == -ENOENT) {
		call_error(c, 404, "no such run");
	} else if (p->op.result == -EBUSY) {
		call_error(c, 409, "the run is neither done nor dead");
	} else if (p->op.result < 0) {
		call_store_error(c, p->op.result);
	} else {
		control_runs_tell(&p->letter, NULL);
		dispatch_wake(c->flow->dispatch, p->letter.hook);
		call_json(c, 200, control_runs_json(&p->letter));
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

	if (d->op.result == -ENOENT) {
		call_error(c, 404, "no such run");
	} else if (d->op.result == -EBUSY) {
		call_error(c, 409, "the run is not dead");
	} else if (d->op.result < 0) {
		call_store_error(c, d->op.result);
	} else {
		control_runs_tell(&d->letter, d->reason);
		call_json(c, 200, json_object());
	}
}

int control_runs_reason(struct call *c, const json_t *body, const char **ret)
{
	const json_t *given = json_object_get(body, "reason");
	char *reason;

	if (given && !json_is_string(given)) {
		call_error(c, 400, "reason is not a string");
		return -EINVAL;
	}
	reason = given ? text_format("discarded: %s", json_string_value(given))
		       : strdup("discarded");
	if (!reason) {
		call_error(c, 503, "out of memory");
		return -ENOMEM;
	}
	return call_keep(c, reason, ret);
}

void control_runs_discard(struct call *c)
{
	static const char *const members[] = {"reason", NULL};
	const char *reason;
	const json_t *body;

	if (call_body(c, members, &body) < 0 || control_runs_reason(c, body, &reason) < 0)
		return;
	call_prepare(c, STORE_DISCARD);
	c->ask.discard.run = c->names[0];
	c->ask.discard.reason = reason;
	call_ask(c, on_discarded);
}
