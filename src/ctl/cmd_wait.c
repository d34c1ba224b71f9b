/* callbackctl wait: until jobs are over. */
#include "base/clock.h"
#include "ctl/commands.h"
#include "ctl/progress.h"
#include "ctl/table.h"
#include "ctl/waiting.h"

#define TICK_USEC USEC_PER_SEC

enum { WAIT_ANY, WAIT_HOOKS, WAIT_TIMEOUT };
const struct ctl_option cmd_wait_options[] = {
	{"any", NULL, "until the first of them is over"},
	{"hooks", NULL,
		"until their runs are over, too; a dead one makes the exit status 1"},
	{"timeout", "SPAN", "at most so long; then the exit status is 124"},
	{0},
};

struct wait {
	struct ctl *ctl;
	struct waiting *waiting;
	bool any, decided;
	size_t n;
	int exit;
	uint64_t began_usec;
	struct client_timer tick;
};

static void print_job(const struct ctl *ctl, const json_t *job)
{
	const char *outcome = ctl_text(job, "outcome");
	const char *color = ctl->color ? table_color(outcome) : "";

	progress_clear();
	if (ctl->json) {
		ctl_print_json(ctl, job);
		return;
	}
	printf("%s/%s  %s%s%s  %s\n", ctl_escape(ctl_text(job, "source")),
		ctl_escape(ctl_text(job, "id")), color, ctl_escape(outcome),
		*color ? TABLE_COLOR_END : "", ctl_escape(ctl_text(job, "status")));
	ctl_flush();
}

static void show_progress(const struct wait *w)
{
	const char *since = progress_span(clock_mono_usec() - w->began_usec);

	if (w->n == 1)
		progress_show("waiting, %s", since);
	else
		progress_show("waiting for %zu of %zu jobs, %s", waiting_left(w->waiting),
			w->n, since);
}

static void on_tick(void *arg)
{
	struct wait *w = arg;

	show_progress(w);
	client_timer_set(w->ctl->client, &w->tick, clock_mono_usec() + TICK_USEC);
}

/* The first to end decides with --any; what ends all others, too, decides in any case. */
static void on_over(void *arg, void *tag, const json_t *job, int exit)
{
	struct wait *w = arg;

	(void)tag;
	if (w->decided)
		return;
	if (job)
		print_job(w->ctl, job);
	w->exit = ctl_worse(w->exit, exit);
	w->decided = w->any || waiting_left(w->waiting) == 0 || exit == CTL_UNREACHABLE ||
		     (exit == CTL_NO_ACCESS && !job);
	if (w->decided)
		client_stop(w->ctl->client);
	else if (w->tick.at_usec)
		show_progress(w);
}

/* All are read before the first is waited for: reading may ask, and so run the loop. */
static int add_all(struct wait *w, const struct ctl_args *args)
{
	struct name *names = calloc(w->n, sizeof(*names));
	int r = names ? 0 : ctl_no_memory();

	for (size_t i = 0; r == 0 && i < w->n; i++)
		r = name_read(w->ctl, args->operands[i], &names[i]);
	for (size_t i = 0; r == 0 && i < w->n; i++)
		if (waiting_add(w->waiting, &names[i], NULL) < 0)
			r = ctl_no_memory();
	for (size_t i = 0; names && i < w->n; i++)
		name_fini(&names[i]);
	free(names);
	return r;
}

static int wait_for_all(struct wait *w, const struct ctl_args *args)
{
	int r = add_all(w, args);

	if (r != 0)
		return r;
	if (progress_wanted())
		client_timer_set(w->ctl->client, &w->tick, w->began_usec + TICK_USEC);
	client_loop(w->ctl->client, UINT64_MAX);
	client_timer_stop(&w->tick);
	progress_clear();
	return w->decided ? w->exit : CTL_FAILED;
}

int cmd_wait(struct ctl *ctl, const struct ctl_args *args)
{
	struct wait w = {
		.ctl = ctl,
		.any = args->option[WAIT_ANY],
		.n = (size_t)args->n_operands,
		.began_usec = clock_mono_usec(),
		.tick = {.on_time = on_tick, .arg = &w},
	};
	struct waiting_options o = {
		.with_hooks = args->option[WAIT_HOOKS],
		.until_usec = UINT64_MAX,
		.on_over = on_over,
		.arg = &w,
	};
	uint64_t span;
	int r = 0;

	if (args->option[WAIT_TIMEOUT]) {
		r = ctl_span(args->option[WAIT_TIMEOUT], "--timeout", &span);
		if (r != 0)
			return r;
		if (span < UINT64_MAX - w.began_usec)
			o.until_usec = w.began_usec + span;
	}
	if (waiting_new(&w.waiting, ctl, &o) < 0)
		return ctl_no_memory();
	r = wait_for_all(&w, args);
	client_forget(ctl->client);
	waiting_free(w.waiting);
	return r;
}
