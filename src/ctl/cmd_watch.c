/*
 * callbackctl watch: everything as it happens, by whoever wants to miss nothing of it. A line
 * is out before the cursor says so: who dies in between is told it again.
 */
#include "ctl/commands.h"
#include "ctl/cursor.h"
#include "ctl/follow.h"
#include "ctl/table.h"

enum { WATCH_AFTER, WATCH_CURSOR };
const struct ctl_option cmd_watch_options[] = {
	{"after", "SEQ", "with what happened after this number (from now)"},
	{"cursor", "FILE", "the number is kept there, and begun with if it is there"},
	{0},
};

struct watch {
	struct ctl *ctl;
	const char *path; /* of the cursor; NULL: none */
	struct cursor cursor;
	int exit;
};

static void keep(struct watch *w, uint64_t seq)
{
	w->cursor.seq = seq;
	if (!w->path)
		return;
	w->exit = cursor_write(w->path, &w->cursor);
	if (w->exit)
		client_stop(w->ctl->client);
}

/* Before anything happens, so that what comes while nobody watches is behind it. */
static void on_up(void *arg, uint64_t after, const char *store)
{
	struct watch *w = arg;

	if (strcmp(w->cursor.store, store) == 0 && w->cursor.seq == after)
		return;
	snprintf(w->cursor.store, sizeof(w->cursor.store), "%s", store);
	keep(w, after);
}

static void print_gap(const json_t *gap)
{
	json_int_t after = json_integer_value(json_object_get(gap, "after"));
	json_int_t next = json_integer_value(json_object_get(gap, "next"));

	if (after >= next)
		ctl_complain("number %lld is beyond what the daemon's store has told: it "
			     "was put back, or the number is damaged; going on at %lld",
			(long long)after, (long long)next);
	else
		ctl_complain("what happened between %lld and %lld is not kept any more",
			(long long)after, (long long)next);
}

static void print_change(const struct ctl *ctl, const json_t *change, uint64_t seq)
{
	const json_t *run = json_object_get(change, "run");
	const json_t *o = run ? run : json_object_get(change, "job");
	const char *word = ctl_text(o, run ? "state" : "outcome");
	const char *color = ctl->color ? table_color(word) : "";
	char time[CTL_TIME_SIZE];

	printf("%llu  %s  %s/%s  %s%s%s", (unsigned long long)seq,
		ctl_time(change, "time", time), ctl_escape(ctl_text(o, "source")),
		ctl_escape(ctl_text(o, "id")), color, ctl_escape(word),
		*color ? TABLE_COLOR_END : "");
	if (run)
		printf("  run %s  %s  attempt %lld\n", ctl_escape(ctl_text(o, "run")),
			ctl_escape(ctl_text(o, "hook")),
			(long long)json_integer_value(json_object_get(o, "attempt")));
	else
		printf("  %s\n", ctl_escape(ctl_text(o, "status")));
	ctl_flush();
}

static void on_change(void *arg, const json_t *change, uint64_t seq)
{
	const json_t *gap = json_object_get(change, "gap");
	struct watch *w = arg;

	if (w->exit) /* the cursor cannot be kept: no line beyond it */
		return;
	if (gap)
		print_gap(gap);
	if (w->ctl->json)
		ctl_print_json(w->ctl, change);
	else if (!gap)
		print_change(w->ctl, change, seq);
	keep(w, seq);
}

static void on_down(void *arg, const struct client_answer *a)
{
	struct watch *w = arg;

	w->exit = ctl_fail(a, NULL);
	client_stop(w->ctl->client);
}

int cmd_watch(struct ctl *ctl, const struct ctl_args *args)
{
	struct watch w = {.ctl = ctl, .path = args->option[WATCH_CURSOR]};
	struct follow_options o = {.from_number = args->option[WATCH_AFTER],
		.on_up = on_up,
		.on_change = on_change,
		.on_down = on_down,
		.arg = &w};
	struct follow *f;
	int r = 0;

	if (args->option[WATCH_AFTER])
		r = ctl_number(args->option[WATCH_AFTER], "--after", &o.after);
	if (r == 0 && w.path) {
		r = cursor_read(w.path, &w.cursor);
		if (r == 0 && w.cursor.known) {
			o.from_number = true;
			o.after = w.cursor.seq;
			o.store = w.cursor.store;
		}
	}
	if (r != 0)
		return r;
	if (follow_new(&f, ctl, &o) < 0)
		return ctl_no_memory();
	client_loop(ctl->client, UINT64_MAX);
	client_forget(ctl->client);
	follow_free(f);
	return w.exit ? w.exit : CTL_FAILED;
}
