/*
 * Many runs at once: POST /v1/runs/replay and /v1/runs/discard, by filter. A request deals
 * with one step, some hundred runs, and its answer names the cursor that the next request
 * goes on with; so an asker that goes away has asked for nothing more, and nothing here is as
 * large as what it works on.
 *
 *   {"state":"dead","hook":…,"source":…,"since":…,"until":…,"replayed":…,"all":true,
 *    "limit":N,"after":CURSOR,"dry_run":true,"reason":…}
 *   ─► {"runs":[…],"passed_over":N,"next":CURSOR|null}
 */
#include "api/control_runs.h"
#include "flow/dispatch.h"

#include <errno.h>

#define LIMIT_MAX 500

static void wake_hooks(struct call *c)
{
	const struct store_letters *l = &c->ask.letters;

	for (size_t i = 0; i < l->n_hooks; i++) {
		size_t j = 0;

		while (j < l->n_letters && strcmp(l->letters[j].hook, l->hooks[i]) != 0)
			j++;
		if (j < l->n_letters)
			dispatch_wake(c->flow->dispatch, l->hooks[i]);
	}
}

static json_t *runs_json(const struct store_letters *l)
{
	json_t *runs = json_array();

	for (size_t i = 0; i < l->n_letters; i++)
		if (json_array_append_new(runs, control_runs_json(&l->letters[i])) < 0) {
			json_decref(runs);
			return NULL;
		}
	return runs;
}

static void on_step(struct call *c)
{
	const struct store_letters *l = &c->ask.letters;
	char cursor[48];

	if (l->op.result < 0) {
		call_store_error(c, l->op.result);
		return;
	}
	if (l->verb != STORE_VERB_COUNT)
		for (size_t i = 0; i < l->n_letters; i++)
			control_runs_tell(&l->letters[i], l->reason);
	if (l->verb == STORE_VERB_REPLAY)
		wake_hooks(c);
	snprintf(cursor, sizeof(cursor), "%llu-%llu", (unsigned long long)l->next,
		(unsigned long long)l->through);
	call_json(c, 200,
		json_pack("{s:o, s:I, s:o}", "runs", runs_json(l), "passed_over",
			(json_int_t)l->n_passed_over, "next",
			l->next ? json_string(cursor) : json_null()));
}

/* The names as they are now, held by the call: a reload may come before the store's answer. */
static int take_hooks(struct call *c, struct store_letters *l)
{
	const struct config *config = c->flow->config;
	size_t n = config->n_hooks;
	const char **list = calloc(n + 1, sizeof(*list) + sizeof(l->letters->hook));
	char(*names)[sizeof(l->letters->hook)] = (void *)(list + n + 1);

	if (!list) {
		call_error(c, 503, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "%s", config->hooks[i]->name);
		list[i] = names[i];
	}
	l->hooks = list;
	l->n_hooks = n;
	c->data = list;
	return 0;
}

/* A text member. 0, 1 not there, or answered. */
static int text_of(struct call *c, const json_t *body, const char *name, const char **ret)
{
	const json_t *given = json_object_get(body, name);

	if (!given || json_is_null(given))
		return 1;
	*ret = json_string_value(given);
	if (*ret)
		return 0;
	call_error(c, 400, "%s is not a string", name);
	return -EINVAL;
}

/* A time, or so long ago. 0, 1 not there, or answered. */
static int past_of(
	struct call *c, const json_t *body, const char *name, int64_t *ret_usec)
{
	const char *text = NULL;
	int r = text_of(c, body, name, &text);

	return r != 0 ? r : call_past(c, name, text, ret_usec);
}

static int read_state(struct call *c, const json_t *body, bool replay, enum runstate *ret)
{
	const char *state = "dead";

	if (text_of(c, body, "state", &state) < 0)
		return -EINVAL;
	*ret = runstate_from_name(state);
	if (*ret == RUN_DEAD || (*ret == RUN_DONE && replay))
		return 0;
	call_error(c, 400,
		replay ? "only what is dead or done is replayed"
		       : "only what is dead is discarded");
	return -EINVAL;
}

static int read_filter(
	struct call *c, const json_t *body, bool replay, struct store_run_filter *f)
{
	const char *replayed = NULL;

	if (text_of(c, body, "hook", &f->hook) < 0 ||
		text_of(c, body, "source", &f->source) < 0 ||
		text_of(c, body, "replayed", &replayed) < 0 ||
		past_of(c, body, "since", &f->since_usec) < 0 ||
		past_of(c, body, "until", &f->until_usec) < 0)
		return -EINVAL;
	/* An empty body, sent by accident, does not set a million runs going. */
	if (!f->hook && !f->source && !replayed && !f->since_usec && !f->until_usec &&
		!json_object_get(body, "state") &&
		!json_is_true(json_object_get(body, "all"))) {
		call_error(c, 400,
			"which runs? Say a state, hook, source, since, until, or all");
		return -EINVAL;
	}
	if (replayed && control_runs_replayed(c, "replayed", replayed, &f->replayed) < 0)
		return -EINVAL;
	return read_state(c, body, replay, &f->state);
}

static int read_cursor(struct call *c, const json_t *body, struct store_letters *l)
{
	const json_t *limit = json_object_get(body, "limit");
	unsigned long long after, through;
	const char *text = NULL;
	char end;
	int r = text_of(c, body, "after", &text);

	if (r < 0)
		return r;
	if (limit && (!json_is_integer(limit) || json_integer_value(limit) < 1)) {
		call_error(c, 400, "limit is not a number above 0");
		return -EINVAL;
	}
	l->limit = LIMIT_MAX;
	if (limit && json_integer_value(limit) < LIMIT_MAX)
		l->limit = (unsigned)json_integer_value(limit);
	if (r > 0)
		return 0;
	if (sscanf(text, "%llu-%llu%c", &after, &through, &end) != 2 || !through) {
		call_error(c, 400, "after is none of our cursors");
		return -EINVAL;
	}
	l->after = after;
	l->through = through;
	return 0;
}

static void begin(struct call *c, const char *const *members, bool replay)
{
	struct store_letters *l = &c->ask.letters;
	const json_t *body, *dry;

	call_prepare(c, STORE_LETTERS);
	if (call_body(c, members, &body) < 0 ||
		read_filter(c, body, replay, &l->filter) < 0 ||
		read_cursor(c, body, l) < 0)
		return;
	dry = json_object_get(body, "dry_run");
	if (dry && !json_is_boolean(dry)) {
		call_error(c, 400, "dry_run is not true or false");
		return;
	}
	l->verb = json_is_true(dry) ? STORE_VERB_COUNT
		  : replay          ? STORE_VERB_REPLAY
				    : STORE_VERB_DISCARD;
	if (replay) {
		l->filter.replayed = STORE_NOT_REPLAYED;
		/* Without its hook a replay would be dead at once, and one more to replay. */
		if (take_hooks(c, l) < 0)
			return;
	} else if (control_runs_reason(c, body, &l->reason) < 0) {
		return;
	}
	call_ask(c, on_step);
}

void control_letters_replay(struct call *c)
{
	static const char *const members[] = {"state", "hook", "source", "since", "until",
		"all", "limit", "after", "dry_run", NULL};

	begin(c, members, true);
}

void control_letters_discard(struct call *c)
{
	static const char *const members[] = {"state", "hook", "source", "since", "until",
		"replayed", "all", "limit", "after", "dry_run", "reason", NULL};

	begin(c, members, false);
}
