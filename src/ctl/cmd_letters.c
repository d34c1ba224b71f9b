/*
 * callbackctl replay, discard: runs by their ids, or all that a filter takes. The daemon deals
 * with some hundred at a time and says where to go on; interrupted, nothing is half done, and a
 * replay that begins anew passes over what was replayed.
 */
#include "base/codec.h"
#include "base/text.h"
#include "ctl/commands.h"

#include <inttypes.h>

#define STEP_MAX 500

/* What both take, in this order; then what is of one of them. */
enum {
	LETTERS_ALL,
	LETTERS_STATE,
	LETTERS_HOOK,
	LETTERS_SOURCE,
	LETTERS_SINCE,
	LETTERS_UNTIL,
	LETTERS_LIMIT,
	LETTERS_DRY_RUN,
	LETTERS_REPLAYED,
	LETTERS_REASON,
};
#define FILTER_OPTIONS(state_help)                                                  \
	{"all", NULL, "all that are dead"}, {"state", "STATE", (state_help)},       \
		{"hook", "HOOK", "only of this hook"},                              \
		{"source", "SOURCE", "only of this source"},                        \
		{"since", "TIME",                                                   \
			"ended since then: RFC 3339, or how long ago, such as 1h"}, \
		{"until", "TIME", "ended before then"},                             \
		{"limit", "N", "at most so many, the oldest first"},                \
	{                                                                           \
		"dry-run", NULL, "only say how many there are"                      \
	}
const struct ctl_option cmd_replay_options[] = {
	FILTER_OPTIONS("dead (the default) or done"),
	{0},
};
const struct ctl_option cmd_discard_options[] = {
	FILTER_OPTIONS("dead"),
	{"replayed", "YES|NO", "only those that were replayed, or were not"},
	{"reason", "TEXT", "kept with the run"},
	{0},
};

struct verb {
	const char *name, *past;
	bool replays;
};
static const struct verb replaying = {"replay", "replayed", true};
static const struct verb discarding = {"discard", "discarded", false};

static void print_one(struct ctl *ctl, const struct verb *v, const json_t *run)
{
	const char *old = ctl_text(run, v->replays ? "replay_of" : "run");

	if (ctl->json)
		ctl_print_json(ctl, run);
	else if (v->replays)
		printf("%s is replayed as %s\n", ctl_escape(old),
			ctl_escape(ctl_text(run, "run")));
	else
		printf("%s is discarded\n", ctl_escape(old));
}

/* ---- By their ids ---- */

static int one(struct ctl *ctl, const struct verb *v, const char *run, const json_t *body)
{
	CLEANUP(freep) char *encoded = codec_percent_encode(bytes_of(run));
	CLEANUP(freep)
	char *path = encoded ? text_format("/v1/runs/%s/%s", encoded, v->name) : NULL;
	struct client_answer a = {0};
	int r = ctl_ask(ctl, "POST", path, body, run, &a);

	if (r == 0 && (v->replays || ctl->json))
		print_one(ctl, v, a.json);
	else if (r == 0)
		printf("%s is discarded\n", ctl_escape(run));
	client_answer_fini(&a);
	return r;
}

/* All are tried; the first that failed says the exit status. */
static int each(struct ctl *ctl, const struct verb *v, const struct ctl_args *args,
	const json_t *body)
{
	int exit = CTL_DONE;

	for (int i = 0; i < args->n_operands; i++) {
		int r = one(ctl, v, args->operands[i], body);

		if (exit == CTL_DONE)
			exit = r;
		if (r == CTL_UNREACHABLE || r == CTL_NO_ACCESS)
			break;
	}
	return exit;
}

/* ---- By a filter ---- */

struct tally {
	uint64_t n, n_passed_over;
	uint64_t left; /* of --limit */
	bool dry;
};

static const char *plural(uint64_t n)
{
	return n == 1 ? "run is" : "runs are";
}

static void print_tally(const struct verb *v, const struct tally *t)
{
	if (t->dry)
		printf("%" PRIu64 " %s would be %s\n", t->n, t->n == 1 ? "run" : "runs",
			v->past);
	else
		printf("%" PRIu64 " %s %s\n", t->n, plural(t->n), v->past);
	ctl_flush();
	if (t->n_passed_over)
		ctl_complain("%" PRIu64 " %s left as they are: their hook is not "
			     "configured",
			t->n_passed_over, plural(t->n_passed_over));
}

static void count_step(struct ctl *ctl, const json_t *answer, struct tally *t)
{
	const json_t *runs = json_object_get(answer, "runs"), *run;
	size_t i;

	t->n += json_array_size(runs);
	t->left -= json_array_size(runs) < t->left ? json_array_size(runs) : t->left;
	t->n_passed_over += (uint64_t)json_integer_value(
		json_object_get(answer, "passed_over"));
	if (ctl->json)
		json_array_foreach(runs, i, run) ctl_print_json(ctl, run);
}

/* Step by step; `body` is ours to write the cursor into. */
static int all(struct ctl *ctl, const struct verb *v, json_t *body, struct tally *t)
{
	CLEANUP(freep) char *path = text_format("/v1/runs/%s", v->name);
	bool more = true;
	int r = 0;

	while (r == 0 && more && t->left) {
		uint64_t limit = t->left < STEP_MAX ? t->left : STEP_MAX;
		struct client_answer a = {0};
		json_t *next;

		if (json_object_set_new(body, "limit", json_integer((json_int_t)limit)))
			return ctl_no_memory();
		r = ctl_ask(ctl, "POST", path, body, NULL, &a);
		if (r == 0)
			count_step(ctl, a.json, t);
		next = json_object_get(a.json, "next");
		more = json_is_string(next);
		if (more && json_object_set(body, "after", next))
			r = ctl_no_memory();
		client_answer_fini(&a);
	}
	/* Also what a failure came too late to stop. */
	if (!ctl->json && (r == 0 || t->n))
		print_tally(v, t);
	return r;
}

/* What is given of the options, as the daemon calls it. NULL: no memory. */
static json_t *body_of(const struct ctl_args *args)
{
	static const struct {
		int option;
		const char *name;
	} texts[] = {
		{LETTERS_STATE, "state"},
		{LETTERS_HOOK, "hook"},
		{LETTERS_SOURCE, "source"},
		{LETTERS_SINCE, "since"},
		{LETTERS_UNTIL, "until"},
		{LETTERS_REPLAYED, "replayed"},
		{LETTERS_REASON, "reason"},
	};
	json_t *body = json_object();
	bool bad = !body;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *text = args->option[texts[i].option];

		if (text)
			bad |= json_object_set_new(
				       body, texts[i].name, json_string(text)) < 0;
	}
	if (args->option[LETTERS_ALL])
		bad |= json_object_set_new(body, "all", json_true()) < 0;
	if (args->option[LETTERS_DRY_RUN])
		bad |= json_object_set_new(body, "dry_run", json_true()) < 0;
	if (!bad)
		return body;
	json_decref(body);
	return NULL;
}

static bool has_filter(const struct ctl_args *args)
{
	for (int i = LETTERS_ALL; i <= LETTERS_REPLAYED; i++)
		if (args->option[i])
			return true;
	return false;
}

static int letters(struct ctl *ctl, const struct verb *v, const struct ctl_args *args)
{
	const char *limit = args->option[LETTERS_LIMIT];
	struct tally t = {.left = UINT64_MAX, .dry = args->option[LETTERS_DRY_RUN]};
	int r = limit ? ctl_number(limit, "--limit", &t.left) : 0;
	json_t *body;

	if (r != 0)
		return r;
	if (has_filter(args) == (args->n_operands > 0)) {
		ctl_complain("%s takes runs, or a filter, or --all; see callbackctl %s "
			     "--help",
			v->name, v->name);
		return CTL_USAGE;
	}
	body = body_of(args);
	if (!body)
		return ctl_no_memory();
	r = args->n_operands ? each(ctl, v, args, body) : all(ctl, v, body, &t);
	json_decref(body);
	return r;
}

int cmd_replay(struct ctl *ctl, const struct ctl_args *args)
{
	return letters(ctl, &replaying, args);
}

int cmd_discard(struct ctl *ctl, const struct ctl_args *args)
{
	return letters(ctl, &discarding, args);
}
