/*
 * callbackctl runs --follow: a line for each change of a run, told by the daemon as it happens
 * (GET /v1/watch). Every change has a number; a daemon that is restarted is waited for, and its
 * next life asked for what came after the last number seen, so no change is missed or told twice.
 *
 * What is told of the past is told as it is now: of a run that has gone on since, several changes
 * would be the same line. Such a line is printed once.
 */
#include "base/clock.h"
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/table.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define TOLD_MAX   1024
#define PAUSE_USEC (500 * USEC_PER_MSEC)
#define PATIENCE_USEC \
	(60 * USEC_PER_SEC) /* with a daemon that is away, as `wait` has it */

struct following {
	struct ctl *ctl;
	const struct follow *filter;
	uint64_t seq; /* of the last change that came; 0: none */
	bool reached;
	uint64_t heard_usec;
	struct told { /* of some of the last runs, by a number made of their ids */
		uint64_t run;
		char state;
		json_int_t attempt;
	} told[TOLD_MAX];
};

/* Where to go on, told when ^C ends us; two, so that the handler finds one that is whole. */
static char hints[2][80];
static volatile sig_atomic_t hint;

static void on_interrupt(int number)
{
	const char *text = hints[hint];

	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		text = NULL; /* nobody is there to be told */
	/* As if there were no handler: a shell's loop around us ends, too. */
	signal(number, SIG_DFL);
	raise(number);
}

static void note(struct following *f, const json_t *change)
{
	int other = !hint;

	f->seq = (uint64_t)json_integer_value(json_object_get(change, "seq"));
	f->heard_usec = clock_mono_usec();
	snprintf(hints[other], sizeof(hints[other]),
		"callbackctl: to go on from here: runs --follow --after %llu\n",
		(unsigned long long)f->seq);
	hint = other;
}

static bool fits(const json_t *run, const char *key, const char *want)
{
	return !want || ctl_is(run, key, want);
}

static bool is_told(struct following *f, const json_t *run)
{
	struct told now = {.run = 14695981039346656037u, /* FNV-1a */
		.state = ctl_text(run, "state")[1],      /* they differ there */
		.attempt = json_integer_value(json_object_get(run, "attempt"))};

	for (const char *c = ctl_text(run, "run"); *c; c++)
		now.run = (now.run ^ (unsigned char)*c) * 1099511628211u;
	struct told *last = &f->told[now.run % TOLD_MAX];
	bool same = last->run == now.run && last->state == now.state &&
		    last->attempt == now.attempt;
	*last = now;
	return same;
}

static void print_end(const json_t *run)
{
	const json_t *status = json_object_get(run, "exit_status");
	const json_t *signal_number = json_object_get(run, "signal");
	const char *reason = json_string_value(json_object_get(run, "reason"));

	if (json_is_integer(signal_number))
		printf("  signal %lld", (long long)json_integer_value(signal_number));
	else if (json_is_integer(status))
		printf("  exit %lld", (long long)json_integer_value(status));
	if (reason)
		printf("  %s", ctl_escape(reason));
}

static void print_change(const struct ctl *ctl, const json_t *change, const json_t *run)
{
	const char *state = ctl_text(run, "state");
	const char *color = ctl->color ? table_color(state) : "";
	char time[CTL_TIME_SIZE];

	printf("%s  %s  %s  %s/%s", ctl_time(change, "time", time),
		ctl_escape(ctl_text(run, "run")), ctl_escape(ctl_text(run, "hook")),
		ctl_escape(ctl_text(run, "source")), ctl_escape(ctl_text(run, "id")));
	printf("  %s%-7s%s  attempt %lld", color, ctl_escape(state),
		*color ? TABLE_COLOR_END : "",
		(long long)json_integer_value(json_object_get(run, "attempt")));
	if (ctl_is(run, "state", "waiting"))
		printf("  due %s", ctl_time(run, "due", time));
	print_end(run);
	putchar('\n');
	ctl_flush();
}

static void on_line(void *arg, struct bytes line)
{
	struct following *f = arg;
	json_t *change = json_loadb(line.data, line.size, 0, NULL);
	const json_t *run = json_object_get(change, "run");

	f->reached = true;
	if (run && fits(run, "state", f->filter->state) &&
		fits(run, "hook", f->filter->hook) &&
		fits(run, "source", f->filter->source) && !is_told(f, run)) {
		if (f->ctl->json)
			ctl_print_json(f->ctl, change);
		else
			print_change(f->ctl, change, run);
	}
	if (change)
		note(f, change);
	json_decref(change);
}

/* True: it was there and may be back soon. */
static bool may_return(struct following *f, const struct client_answer *a)
{
	uint64_t now = clock_mono_usec();

	if (a->failure == CLIENT_OK && a->status == 200) {
		f->reached = true; /* it has ended the watch in order */
		f->heard_usec = now;
	}
	return f->reached && a->failure != CLIENT_NO_ACCESS &&
	       a->failure != CLIENT_NO_MEMORY && now - f->heard_usec < PATIENCE_USEC &&
	       (a->failure != CLIENT_OK || a->status == 200 || a->status == 503);
}

static int stream(struct following *f, struct client_answer *a)
{
	CLEANUP(freep)
	char *path = f->seq || f->filter->after ? text_format("/v1/watch?after=%llu",
							  (unsigned long long)f->seq)
						: strdup("/v1/watch");

	if (!path)
		return ctl_no_memory();
	client_stream(f->ctl->client, path, on_line, f, a);
	return 0;
}

static bool is_state(const char *word)
{
	static const char *const states[] = {"waiting", "running", "done", "dead"};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (strcmp(word, states[i]) == 0)
			return true;
	ctl_complain(
		"--state is none of waiting, running, done, dead: %s", ctl_escape(word));
	return false;
}

int follow_runs(struct ctl *ctl, const struct follow *filter)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_USEC * 1000};
	struct following f = {.ctl = ctl, .filter = filter};
	int r = filter->after ? ctl_number(filter->after, "--after", &f.seq) : 0;

	if (r != 0)
		return r;
	if (filter->state && !is_state(filter->state))
		return CTL_USAGE;
	signal(SIGINT, on_interrupt);
	for (;;) {
		struct client_answer a = {0};

		r = stream(&f, &a);
		bool again = r == 0 && may_return(&f, &a);
		if (r == 0 && !again)
			r = ctl_fail(&a, NULL);
		client_answer_fini(&a);
		if (!again)
			return r;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
}
