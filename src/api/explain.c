/*
 * The question after a callback: "and why did my hook not run?" Answered from the job as
 * it stands and the configuration of now: neither the headers of the callback nor the
 * configuration of then are kept, and where that matters the answer says so.
 */
#include "api/explain.h"

#include "base/text.h"
#include "rules/payload.h"

#include <strings.h>

/* The sender's words go into ours: printable, and valid UTF-8. Owned by the caller. */
static char *escaped(const char *start, const char *word)
{
	struct text t = TEXT_EMPTY;

	text_adds(&t, start);
	text_add_escaped(&t, bytes_of(word), 256);
	return text_take(&t);
}

/* A process was started, or a worker had it in hand: it runs, or its end tells of it, or nothing says that there was none. A
 * claim that was put back, and a start that failed, are no process. */
static bool has_run(const struct store_run *r)
{
	if (r->attempt == 0)
		return false;
	return r->state == RUN_RUNNING || r->exit_status >= 0 ||
	       r->signal >= STORE_NO_PROCESS || !r->reason;
}

static const struct store_run *newest_run(const struct store_job *j, const char *hook)
{
	const struct store_run *found = NULL;

	for (size_t i = 0; i < j->n_runs; i++)
		if (j->runs[i].hook && !strcmp(j->runs[i].hook, hook) &&
			(!found || has_run(&j->runs[i]) || !has_run(found)))
			found = &j->runs[i];
	return found;
}

/* Owned by the caller; NULL when memory is short. */
static char *why_not_yet(const struct store_run *r)
{
	CLEANUP(freep)
	char *start = text_format(
		"its run is %s%s", runstate_name(r->state), r->reason ? ": " : "");

	return start ? escaped(start, r->reason ? r->reason : "") : NULL;
}

static bool only_pointers(const struct condition_list *l)
{
	for (size_t i = 0; i < l->size; i++)
		if (l->conditions[i].field.kind != FIELD_POINTER)
			return false;
	return true;
}

/* Static text, or NULL when Where= is no reason. */
static const char *why_not_where(const struct hook *h, const struct store_job *j)
{
	struct message m = {.body = j->payload};
	struct document d;
	int r;

	if (h->where.size == 0)
		return NULL;
	if (!j->has_payload || !only_pointers(&h->where))
		return "Where= did not match, or the hook is newer than the callback";
	document_init(&d, &m);
	r = condition_list_holds(&h->where, &d);
	document_fini(&d);
	return r == 0 ? "Where= does not match" : NULL;
}

/* Owned by the caller; NULL when memory is short. */
static char *why_not(const struct hook *h, const struct store_job *j)
{
	const char *outcome = outcome_name(j->outcome);
	const char *where;

	if (!hook_takes_source(h, j->source ? j->source : ""))
		return strdup("Source= does not name it");
	if (j->received_usec == 0 && !j->has_payload && j->outcome != OUTCOME_LOST)
		return strdup("not called back yet");
	if (!hook_wants(h, j->source, j->outcome, j->status)) {
		if (!j->status || !strcasecmp(j->status, outcome))
			return escaped("On= does not list ", outcome);
		CLEANUP(freep)
		char *start = text_format("On= lists neither %s nor ", outcome);
		return start ? escaped(start, j->status) : NULL;
	}
	where = why_not_where(h, j);
	if (where)
		return strdup(where);
	if (j->outcome == OUTCOME_PENDING)
		return strdup(
			"not confirmed by the source yet, or the hook is newer than "
			"the callback");
	return strdup("the hook is newer than the callback, or was changed since");
}

static json_t *one(const char *name, const struct hook *h, const struct store_job *j)
{
	const struct store_run *r = newest_run(j, name);
	CLEANUP(freep) char *why = NULL;

	if (r && has_run(r))
		return json_pack("{s:s, s:b, s:n}", "hook", name, "ran", 1, "why");
	if (r)
		why = why_not_yet(r);
	else if (h)
		why = why_not(h, j);
	if (!why)
		return NULL;
	return json_pack("{s:s, s:b, s:s}", "hook", name, "ran", 0, "why", why);
}

static bool add(json_t *list, json_t *entry)
{
	return json_array_append_new(list, entry) == 0;
}

json_t *explain_hooks(const struct config *config, const struct store_job *j)
{
	json_t *list = json_array();

	for (size_t i = 0; i < config->n_hooks; i++)
		if (!add(list, one(config->hooks[i]->name, config->hooks[i], j)))
			goto failed;
	for (size_t i = 0; i < j->n_runs; i++) {
		const char *name = j->runs[i].hook;
		bool told = !name || config_hook(config, bytes_of(name));

		for (size_t k = 0; k < i && !told; k++)
			told = j->runs[k].hook && !strcmp(j->runs[k].hook, name);
		if (!told && !add(list, one(name, NULL, j)))
			goto failed;
	}
	return list;
failed:
	json_decref(list);
	return NULL;
}
