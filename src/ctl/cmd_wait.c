/* callbackctl wait: until jobs are over. */
#include "base/clock.h"
#include "ctl/commands.h"
#include "ctl/table.h"
#include "ctl/waiting.h"

enum { WAIT_ANY, WAIT_HOOKS, WAIT_TIMEOUT };
const struct ctl_option cmd_wait_options[] = {
	{"any", NULL, "until the first of them is over"},
	{"hooks", NULL,
		"until their runs are over, too; a dead one makes the exit status 1"},
	{"timeout", "SPAN", "at most so long; then the exit status is 124"},
	{0},
};

static void on_over(void *arg, const json_t *job, int exit)
{
	const struct ctl *ctl = arg;
	const char *outcome = ctl_text(job, "outcome");
	const char *color = ctl->color ? table_color(outcome) : "";

	(void)exit;
	if (ctl->json) {
		ctl_print_json(ctl, job);
		return;
	}
	printf("%s/%s  %s%s%s  %s\n", ctl_escape(ctl_text(job, "source")),
		ctl_escape(ctl_text(job, "id")), color, ctl_escape(outcome),
		*color ? TABLE_COLOR_END : "", ctl_escape(ctl_text(job, "status")));
	ctl_flush();
}

int cmd_wait(struct ctl *ctl, const struct ctl_args *args)
{
	size_t n = (size_t)args->n_operands;
	struct name *names = calloc(n, sizeof(*names));
	struct waiting_options o = {
		.any = args->option[WAIT_ANY],
		.with_hooks = args->option[WAIT_HOOKS],
		.until_usec = UINT64_MAX,
		.on_over = on_over,
		.arg = ctl,
	};
	uint64_t span, now = clock_mono_usec();
	int r = names ? 0 : ctl_no_memory();

	if (r == 0 && args->option[WAIT_TIMEOUT]) {
		r = ctl_span(args->option[WAIT_TIMEOUT], "--timeout", &span);
		if (r == 0 && span < UINT64_MAX - now)
			o.until_usec = now + span;
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		r = name_read(ctl, args->operands[i], &names[i]);
	if (r == 0)
		r = waiting_for(ctl, names, n, &o);
	for (size_t i = 0; names && i < n; i++)
		name_fini(&names[i]);
	free(names);
	return r;
}
