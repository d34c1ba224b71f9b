/* callbackctl list, runs: what there is, newest first. */
#include "ctl/commands.h"
#include "ctl/pages.h"
#include "ctl/table.h"

#include <errno.h>

#define LIMIT_DEFAULT 100

enum { LIST_SOURCE, LIST_OUTCOME, LIST_SINCE, LIST_EXPECTED, LIST_LIMIT };
const struct ctl_option cmd_list_options[] = {
	{"source", "SOURCE", "only jobs of this source"},
	{"outcome", "OUTCOME", "pending, success, error, canceled, lost or unreadable"},
	{"since", "TIME", "updated since then: RFC 3339, or how long ago, such as 1h"},
	{"expected", NULL, "only what is expected and not over, with how long it is"},
	{"limit", "N", "at most so many (100)"},
	{0},
};

enum {
	RUNS_STATE,
	RUNS_HOOK,
	RUNS_SOURCE,
	RUNS_SINCE,
	RUNS_UNTIL,
	RUNS_REPLAYED,
	RUNS_LIMIT,
	RUNS_FOLLOW,
	RUNS_AFTER,
};
const struct ctl_option cmd_runs_options[] = {
	{"state", "STATE", "waiting, running, done or dead"},
	{"hook", "HOOK", "only runs of this hook"},
	{"source", "SOURCE", "only runs for jobs of this source"},
	{"since", "TIME", "by the column TIME: RFC 3339, or how long ago, such as 1h"},
	{"until", "TIME", "before then"},
	{"replayed", "YES|NO", "only those that were replayed, or were not"},
	{"limit", "N", "at most so many (100)"},
	{"follow", NULL, "what changes, as it changes, until interrupted"},
	{"after", "SEQ", "follow from behind this number (from now)"},
	{0},
};

struct listing {
	struct ctl *ctl;
	struct table table;
	void (*add)(struct table *t, const json_t *item);
	bool (*takes)(const json_t *item); /* NULL: all */
};

static bool takes(void *arg, const json_t *item)
{
	const struct listing *l = arg;

	return !l->takes || l->takes(item);
}

static void on_item(void *arg, const json_t *item)
{
	struct listing *l = arg;

	if (l->ctl->json)
		ctl_print_json(l->ctl, item);
	else
		l->add(&l->table, item);
}

static int print(struct listing *l, const struct text *path, const char *key,
	const char *limit_text)
{
	uint64_t limit = LIMIT_DEFAULT;
	int r = limit_text ? ctl_number(limit_text, "--limit", &limit) : 0;

	if (r == 0 && path->failed)
		r = ctl_no_memory();
	if (r == 0)
		r = pages_each(l->ctl, path->data, key, limit, takes, on_item, l);
	if (r == 0 && !l->ctl->json && table_print(&l->table, stdout) == -ENOMEM)
		r = ctl_no_memory();
	table_fini(&l->table);
	return r;
}

static void add_job(struct table *t, const json_t *job)
{
	char time[CTL_TIME_SIZE];

	table_add(t, ctl_time(job, "updated", time));
	table_add(t, ctl_text(job, "source"));
	table_add(t, ctl_text(job, "id"));
	table_add_word(t, ctl_text(job, "outcome"));
	table_add(t, ctl_text(job, "status"));
	table_addf(t, "%lld",
		(long long)json_integer_value(json_object_get(job, "deliveries")));
}

static void add_expected(struct table *t, const json_t *job)
{
	char since[CTL_AGE_SIZE];

	table_add(t, ctl_age(job, "expected", since));
	add_job(t, job);
}

static bool is_expected(const json_t *job)
{
	return json_is_string(json_object_get(job, "expected"));
}

int cmd_list(struct ctl *ctl, const struct ctl_args *args)
{
	static const char *const titles[] = {
		"EXPECTED", "UPDATED", "SOURCE", "ID", "OUTCOME", "STATUS", "DELIVERIES"};
	bool expected = args->option[LIST_EXPECTED];
	const char *outcome = args->option[LIST_OUTCOME];
	struct listing l = {.ctl = ctl,
		.add = expected ? add_expected : add_job,
		.takes = expected ? is_expected : NULL};
	struct text path = TEXT_EMPTY;
	size_t first = expected ? 0 : 1;
	int r;

	if (expected && outcome) {
		ctl_complain("--expected is of pending jobs alone: not with --outcome");
		return CTL_USAGE;
	}
	table_init(&l.table, ARRAY_SIZE(titles) - first, titles + first, ctl->color);
	text_adds(&path, "/v1/jobs");
	pages_query(&path, "source", args->option[LIST_SOURCE]);
	pages_query(&path, "outcome", expected ? "pending" : outcome);
	pages_query(&path, "since", args->option[LIST_SINCE]);
	r = print(&l, &path, "jobs", args->option[LIST_LIMIT]);
	text_fini(&path);
	return r;
}

static void add_run(struct table *t, const json_t *run)
{
	const json_t *status = json_object_get(run, "exit_status");
	const json_t *signal = json_object_get(run, "signal");
	const char *reason = json_string_value(json_object_get(run, "reason"));
	char time[CTL_TIME_SIZE];
	bool waits = ctl_is(run, "state", "waiting");

	table_add(t, ctl_text(run, "run"));
	table_add(t, ctl_text(run, "hook"));
	table_addf(t, "%s/%s", ctl_text(run, "source"), ctl_text(run, "id"));
	table_add_word(t, ctl_text(run, "outcome"));
	table_add_word(t, ctl_text(run, "state"));
	table_addf(t, "%lld",
		(long long)json_integer_value(json_object_get(run, "attempt")));
	if (json_is_integer(signal))
		table_addf(t, "signal %lld", (long long)json_integer_value(signal));
	else if (json_is_integer(status))
		table_addf(t, "%lld", (long long)json_integer_value(status));
	else
		table_add(t, NULL);
	table_addf(t, "%s%s", waits ? "due " : "",
		ctl_time(run,
			waits ? "due"
			      : (json_is_string(json_object_get(run, "finished"))
						? "finished"
						: "started"),
			time));
	if (json_is_string(json_object_get(run, "replayed_by")))
		table_addf(t, "%s%sreplayed as %s", reason ? reason : "",
			reason ? "; " : "", ctl_text(run, "replayed_by"));
	else
		table_add(t, reason);
}

int cmd_runs(struct ctl *ctl, const struct ctl_args *args)
{
	static const char *const titles[] = {"RUN", "HOOK", "JOB", "OUTCOME", "STATE",
		"ATTEMPT", "EXIT", "TIME", "REASON"};
	const struct follow follow = {args->option[RUNS_STATE], args->option[RUNS_HOOK],
		args->option[RUNS_SOURCE], args->option[RUNS_AFTER]};
	struct listing l = {.ctl = ctl, .add = add_run};
	struct text path = TEXT_EMPTY;
	int r;

	if (args->option[RUNS_AFTER] && !args->option[RUNS_FOLLOW]) {
		ctl_complain("--after goes with --follow");
		return CTL_USAGE;
	}
	if (args->option[RUNS_FOLLOW])
		return follow_runs(ctl, &follow);
	table_init(&l.table, ARRAY_SIZE(titles), titles, ctl->color);
	text_adds(&path, "/v1/runs");
	pages_query(&path, "state", args->option[RUNS_STATE]);
	pages_query(&path, "hook", args->option[RUNS_HOOK]);
	pages_query(&path, "source", args->option[RUNS_SOURCE]);
	pages_query(&path, "since", args->option[RUNS_SINCE]);
	pages_query(&path, "until", args->option[RUNS_UNTIL]);
	pages_query(&path, "replayed", args->option[RUNS_REPLAYED]);
	r = print(&l, &path, "runs", args->option[RUNS_LIMIT]);
	text_fini(&path);
	return r;
}
