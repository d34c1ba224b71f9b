/*
 *   ask with wait= ─► over: told, counted
 *        ▲  ├───────► not yet: ask again
 *        │  └───────► daemon gone: a pause, then
 *        └──────────────┘
 *
 * Asked without a source the daemon answers a list; one job in it names the source, and
 * the next question is for that job.
 */
#include "ctl/waiting.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/text.h"

#include <time.h>

#define WAIT_MAX_USEC (3600 * USEC_PER_SEC)
#define PAUSE_USEC    (500 * USEC_PER_MSEC)
#define PATIENCE_USEC (60 * USEC_PER_SEC) /* with a daemon that is away */
#define GRACE_USEC    (2 * USEC_PER_SEC)  /* for an answer that is due now */

struct group {
	struct ctl *ctl;
	const struct waiting_options *options;
	bool reached;  /* the daemon, once */
	uint64_t away; /* since when it does not answer; 0: it does */
	int exit;
	bool decided;
	size_t left;
};

struct waiting {
	struct group *group;
	struct name name;
	uint64_t asked_usec;
	uint64_t again_usec; /* ask then; 0: is asked, or over */
	bool over, ran_out;
};

static void on_answer(void *arg, const struct client_answer *a);

static void over(struct waiting *w, int exit)
{
	struct group *g = w->group;

	w->over = true;
	w->again_usec = 0;
	g->left--;
	if (g->decided)
		return;
	g->exit = ctl_worse(g->exit, exit);
	if (g->options->any || exit == CTL_UNREACHABLE)
		g->decided = true;
	if (g->decided || g->left == 0)
		client_stop(g->ctl->client);
}

/* The loop is left, so that it goes on with the new time to come back at. */
static void pause_until(struct waiting *w, uint64_t mono_usec)
{
	w->again_usec = mono_usec;
	client_stop(w->group->ctl->client);
}

static char *path_for(const struct waiting *w, uint64_t wait_usec)
{
	CLEANUP(freep) char *path = NULL;
	double seconds = (double)wait_usec / 1e6;

	if (w->name.source) {
		path = name_path(&w->name);
		return path ? text_format("%s?wait=%.3f%s", path, seconds,
				      w->group->options->with_hooks ? "&hooks=yes" : "")
			    : NULL;
	}
	path = codec_percent_encode(bytes_of(w->name.id));
	return path ? text_format("/v1/jobs?id=%s&wait=%.3f", path, seconds) : NULL;
}

static void ask(struct waiting *w)
{
	uint64_t now = clock_mono_usec(), until = w->group->options->until_usec;
	uint64_t left = until > now ? until - now : 0;
	CLEANUP(freep)
	char *path = path_for(w, left < WAIT_MAX_USEC ? left : WAIT_MAX_USEC);

	w->asked_usec = now;
	w->again_usec = 0;
	w->ran_out = left == 0;
	if (!path ||
		client_begin(w->group->ctl->client, "GET", path, NULL, on_answer, w)) {
		over(w, ctl_no_memory());
	}
}

/* A dead run that was replayed is the new run's business. */
static bool replayed(const json_t *runs, const json_t *run)
{
	const json_t *other;
	size_t i;

	json_array_foreach(runs, i,
		other) if (ctl_is(other, "replay_of", ctl_text(run, "run"))) return true;
	return false;
}

static bool is_over(const json_t *job, bool with_hooks, int *ret_exit)
{
	const json_t *runs = json_object_get(job, "runs"), *run;
	size_t i;

	if (ctl_is(job, "outcome", "pending"))
		return false;
	*ret_exit = ctl_is(job, "outcome", "success") ? CTL_DONE : CTL_JOB;
	if (!with_hooks)
		return true;
	json_array_foreach(runs, i, run)
	{
		bool dead = ctl_is(run, "state", "dead");

		if (!dead && !ctl_is(run, "state", "done"))
			return false;
		if (dead && !replayed(runs, run))
			*ret_exit = CTL_JOB;
	}
	return true;
}

/* Not over yet, or not there yet. */
static void ask_again(struct waiting *w)
{
	uint64_t now = clock_mono_usec();

	if (w->ran_out || now >= w->group->options->until_usec) {
		ctl_complain("%s: not over in time", ctl_escape(w->name.id));
		over(w, CTL_TIMEOUT);
	} else if (now - w->asked_usec < PAUSE_USEC) {
		pause_until(w, w->asked_usec + PAUSE_USEC); /* never a busy loop */
	} else {
		ask(w);
	}
}

static void on_away(struct waiting *w, const struct client_answer *a)
{
	struct group *g = w->group;
	uint64_t now = clock_mono_usec();

	if (g->away == 0)
		g->away = now;
	if (a->failure == CLIENT_NO_ACCESS || !g->reached ||
		now - g->away > PATIENCE_USEC) {
		over(w, ctl_fail(a, NULL));
	} else if (now >= g->options->until_usec) {
		ctl_complain("%s: not over in time", ctl_escape(w->name.id));
		over(w, CTL_TIMEOUT);
	} else {
		pause_until(w, now + PAUSE_USEC);
	}
}

static void on_job(struct waiting *w, const json_t *job)
{
	const struct waiting_options *o = w->group->options;
	int exit;

	if (!is_over(job, o->with_hooks, &exit)) {
		ask_again(w);
		return;
	}
	if (o->on_over && !w->group->decided)
		o->on_over(o->arg, job, exit);
	over(w, exit);
}

static void on_list(struct waiting *w, const json_t *jobs)
{
	if (json_array_size(jobs) == 0) {
		ask_again(w);
	} else if (json_array_size(jobs) > 1) {
		name_complain_several(w->name.id, jobs);
		over(w, CTL_USAGE);
	} else {
		w->name.source = strdup(ctl_text(json_array_get(jobs, 0), "source"));
		ask(w);
	}
}

static void on_answer(void *arg, const struct client_answer *a)
{
	struct waiting *w = arg;

	if (a->failure == CLIENT_OK)
		w->group->reached = true;
	if (a->failure != CLIENT_OK || a->status == 503) {
		on_away(w, a);
		return;
	}
	w->group->away = 0;
	if (a->status == 404)
		ask_again(w);
	else if (a->status != 200 || !a->json)
		over(w, ctl_fail(a, w->name.id));
	else if (w->name.source)
		on_job(w, a->json);
	else
		on_list(w, json_object_get(a->json, "jobs"));
}

/* When the loop has to come back: the first pause that ends, or the end of all. */
static uint64_t next_usec(const struct waiting *list, size_t n, uint64_t until)
{
	uint64_t next = until < UINT64_MAX - GRACE_USEC ? until + GRACE_USEC : UINT64_MAX;

	for (size_t i = 0; i < n; i++)
		if (list[i].again_usec && list[i].again_usec < next)
			next = list[i].again_usec;
	return next;
}

/* Nothing may be under way while all pause, and then the loop would not wait. */
static void sleep_until(uint64_t mono_usec)
{
	const struct timespec ts = {.tv_sec = (time_t)(mono_usec / USEC_PER_SEC),
		.tv_nsec = (long)(mono_usec % USEC_PER_SEC) * 1000};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static bool all_pause(const struct waiting *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!list[i].over && !list[i].again_usec)
			return false;
	return true;
}

static void wake(struct waiting *w, uint64_t until, uint64_t now)
{
	bool late = until < UINT64_MAX - GRACE_USEC && now >= until + GRACE_USEC;

	if (!w->over && late) {
		ctl_complain("%s: not over in time", ctl_escape(w->name.id));
		over(w, CTL_TIMEOUT);
	} else if (w->again_usec && now >= w->again_usec) {
		ask(w);
	}
}

static void run(struct group *g, struct waiting *list, size_t n)
{
	while (g->left > 0 && !g->decided) {
		uint64_t until = g->options->until_usec;
		uint64_t next = next_usec(list, n, until), now;

		if (all_pause(list, n))
			sleep_until(next);
		else
			client_loop(g->ctl->client, next);
		now = clock_mono_usec();
		for (size_t i = 0; i < n && !g->decided; i++)
			wake(&list[i], until, now);
	}
}

int waiting_for(struct ctl *ctl, struct name *names, size_t n,
	const struct waiting_options *options)
{
	struct group g = {.ctl = ctl, .options = options, .left = n};
	struct waiting *list = calloc(n, sizeof(*list));

	if (!list) {
		g.left = 0;
		g.exit = ctl_no_memory();
	}
	for (size_t i = 0; list && i < n; i++) {
		list[i].group = &g;
		list[i].name = names[i];
		names[i] = (struct name){0};
	}
	for (size_t i = 0; list && i < n && !g.decided; i++)
		ask(&list[i]);
	if (list)
		run(&g, list, n);
	client_forget(ctl->client);
	for (size_t i = 0; list && i < n; i++)
		name_fini(&list[i].name);
	free(list);
	return g.exit;
}
