/*
 * A few jobs are polled: each has a question under way that the daemon answers when the job
 * is over. More would be a connection each: they are fed. One watch tells of all changes, and
 * a job that something happened to is asked for; a handful of questions at a time.
 *
 *   polled:  ask with wait= ─► over: told, counted      fed:  the watch is up ─► ask all
 *                ▲  ├───────► not yet: ask again               a change ─► ask for that job
 *                │  └───────► daemon gone: a pause, then       over: told, counted
 *                └──────────────┘
 *
 * Asked without a source the daemon answers a list; one job in it names the source, and
 * the next question is for that job.
 */
#include "ctl/waiting.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/map.h"
#include "base/text.h"
#include "ctl/follow.h"

#include <errno.h>
#include <sys/queue.h>

#define POLLED_MAX    16
#define QUESTIONS_MAX 8 /* at a time, of fed jobs */
#define WAIT_MAX_USEC (3600 * USEC_PER_SEC)
#define GRACE_USEC    (2 * USEC_PER_SEC) /* for an answer that is due now */

struct job {
	TAILQ_ENTRY(job) entry;
	TAILQ_ENTRY(job) turn; /* in line, of a fed one */
	struct waiting *w;
	struct name name;
	void *tag;
	struct map_entry by_id; /* of a fed one */
	struct client_timer timer;
	uint64_t asked_usec;
	bool fed, asking, in_line, again, over;
	bool known;   /* was answered once */
	bool ran_out; /* was asked when no time was left */
};

struct waiting {
	struct ctl *ctl;
	struct waiting_options o;
	TAILQ_HEAD(, job) jobs, line;
	size_t left, n_polled, n_asking;
	struct map by_id;
	struct follow *follow;
	struct client_timer end;
	bool late;     /* until_usec has passed */
	bool reached;  /* the daemon, once */
	uint64_t away; /* since when it does not answer; 0: it does */
};

static void ask(struct job *j);

static void over(struct job *j, const json_t *result, int exit)
{
	struct waiting *w = j->w;

	if (j->over)
		return;
	j->over = true;
	w->left--;
	client_timer_stop(&j->timer);
	if (j->in_line)
		TAILQ_REMOVE(&w->line, j, turn);
	j->in_line = false;
	if (j->fed)
		map_remove(&w->by_id, &j->by_id);
	else
		w->n_polled--;
	w->o.on_over(w->o.arg, j->tag, result, exit);
}

static void not_in_time(struct job *j)
{
	ctl_complain("%s: not over in time", ctl_escape(j->name.id));
	over(j, NULL, CTL_TIMEOUT);
}

/* ---- questions of fed jobs, in turn ---- */

static void ask_next(struct waiting *w)
{
	struct job *j;

	while (w->n_asking < QUESTIONS_MAX && (j = TAILQ_FIRST(&w->line))) {
		TAILQ_REMOVE(&w->line, j, turn);
		j->in_line = false;
		ask(j);
	}
}

static void want(struct job *j)
{
	if (j->asking)
		j->again = true;
	if (j->asking || j->in_line || j->over)
		return;
	j->in_line = true;
	TAILQ_INSERT_TAIL(&j->w->line, j, turn);
	ask_next(j->w);
}

static void on_pause_over(void *arg)
{
	struct job *j = arg;

	if (j->fed)
		want(j);
	else
		ask(j);
}

static void pause_until(struct job *j, uint64_t mono_usec)
{
	client_timer_set(j->w->ctl->client, &j->timer, mono_usec);
}

/* ---- what an answer says ---- */

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
static void go_on(struct job *j)
{
	uint64_t now = clock_mono_usec();

	if (j->ran_out || now >= j->w->o.until_usec)
		not_in_time(j);
	else if (j->fed && j->again)
		want(j);
	else if (j->fed)
		return; /* the watch will tell */
	else if (now - j->asked_usec < CTL_PAUSE_USEC)
		pause_until(j, j->asked_usec + CTL_PAUSE_USEC); /* never a busy loop */
	else
		ask(j);
}

static void on_away(struct job *j, const struct client_answer *a)
{
	struct waiting *w = j->w;
	uint64_t now = clock_mono_usec();

	if (w->away == 0)
		w->away = now;
	if (a->failure == CLIENT_NO_ACCESS || !w->reached ||
		now - w->away > CTL_PATIENCE_USEC)
		over(j, NULL, ctl_fail(a, NULL));
	else if (now >= w->o.until_usec)
		not_in_time(j);
	else if (!j->fed ||
		 follow_is_up(w->follow)) /* else it is asked when that is up */
		pause_until(j, now + CTL_PAUSE_USEC);
}

static void on_job(struct job *j, const json_t *result)
{
	int exit;

	if (is_over(result, j->w->o.with_hooks, &exit))
		over(j, result, exit);
	else
		go_on(j);
}

static void on_list(struct job *j, const json_t *jobs)
{
	if (json_array_size(jobs) == 0) {
		go_on(j);
	} else if (json_array_size(jobs) > 1) {
		name_complain_several(j->name.id, jobs);
		over(j, NULL, CTL_USAGE);
	} else {
		j->name.source = strdup(ctl_text(json_array_get(jobs, 0), "source"));
		if (!j->name.source)
			over(j, NULL, ctl_no_memory());
		else if (j->fed)
			want(j);
		else
			ask(j);
	}
}

static void take(struct job *j, const struct client_answer *a)
{
	struct waiting *w = j->w;

	if (a->failure == CLIENT_OK)
		w->reached = true;
	if (a->failure != CLIENT_OK || a->status == 503) {
		on_away(j, a);
		return;
	}
	w->away = 0;
	j->known = true;
	if (a->status == 404)
		go_on(j);
	else if (a->status != 200 || !a->json)
		over(j, NULL, ctl_fail(a, j->name.id));
	else if (j->name.source)
		on_job(j, a->json);
	else
		on_list(j, json_object_get(a->json, "jobs"));
}

static void on_answer(void *arg, const struct client_answer *a)
{
	struct job *j = arg;
	struct waiting *w = j->w;

	j->asking = false;
	if (j->fed)
		w->n_asking--;
	if (!j->over)
		take(j, a);
	if (j->fed)
		ask_next(w);
}

/* ---- asking ---- */

static char *path_for(const struct job *j, uint64_t wait_usec)
{
	double seconds = (double)wait_usec / 1e6;
	CLEANUP(freep) char *path = NULL;

	if (j->name.source) {
		path = name_path(&j->name);
		return path ? text_format("%s?wait=%.3f%s", path, seconds,
				      j->w->o.with_hooks ? "&hooks=yes" : "")
			    : NULL;
	}
	path = codec_percent_encode(bytes_of(j->name.id));
	return path ? text_format("/v1/jobs?id=%s&wait=%.3f", path, seconds) : NULL;
}

static void ask(struct job *j)
{
	struct waiting *w = j->w;
	uint64_t now = clock_mono_usec(), until = w->o.until_usec;
	uint64_t left = until > now ? until - now : 0;
	uint64_t wait = j->fed ? 0 : left < WAIT_MAX_USEC ? left : WAIT_MAX_USEC;
	CLEANUP(freep) char *path = path_for(j, wait);

	j->asked_usec = now;
	j->ran_out = left == 0;
	j->again = false;
	if (!path || client_begin(w->ctl->client, "GET", path, NULL, on_answer, j)) {
		over(j, NULL, ctl_no_memory());
		return;
	}
	j->asking = true;
	w->n_asking += j->fed;
}

/* ---- the watch that feeds ---- */

static void want_all(struct waiting *w)
{
	struct job *j;

	TAILQ_FOREACH (j, &w->jobs, entry)
		if (j->fed && !j->over)
			want(j);
}

static void on_up(void *arg, uint64_t after, const char *store)
{
	struct waiting *w = arg;

	(void)after;
	(void)store;
	w->reached = true; /* long polls have no answer yet that would say so */
	want_all(w);
}

static void on_change(void *arg, const json_t *change, uint64_t seq)
{
	const json_t *job = json_object_get(change, "job");
	const json_t *o = job ? job : json_object_get(change, "run");
	struct waiting *w = arg;
	struct map_entry *e;

	(void)seq;
	if (json_object_get(change, "gap"))
		want_all(w);
	if (!o || ctl_is(job, "outcome", "pending"))
		return;
	for (e = map_find(&w->by_id, bytes_of(ctl_text(o, "id"))); e; e = map_next(e)) {
		struct job *j = container_of(e, struct job, by_id);

		if (!j->name.source || ctl_is(o, "source", j->name.source))
			want(j);
	}
}

/* Told once for all. */
static void on_down(void *arg, const struct client_answer *a)
{
	struct waiting *w = arg;
	int exit = ctl_fail(a, NULL);
	struct job *j;

	TAILQ_FOREACH (j, &w->jobs, entry)
		if (j->fed && !j->over)
			over(j, NULL, exit);
}

static int feed(struct waiting *w, struct job *j)
{
	const struct follow_options o = {
		.on_up = on_up, .on_change = on_change, .on_down = on_down, .arg = w};
	int r = w->follow ? 0 : follow_new(&w->follow, w->ctl, &o);

	if (r < 0)
		return r;
	j->fed = true;
	map_put(&w->by_id, &j->by_id, bytes_of(j->name.id));
	if (follow_is_up(w->follow))
		want(j);
	return 0;
}

/* ---- the end of the time ---- */

/* Who was never answered, or has a question under way, gets a moment: its answer decides. */
static void on_late(void *arg)
{
	struct waiting *w = arg;
	struct job *j;

	TAILQ_FOREACH (j, &w->jobs, entry) {
		bool due = j->asking || j->in_line || !j->known;

		if (!j->over && (w->late || !due))
			not_in_time(j);
	}
	if (!w->late)
		client_timer_set(w->ctl->client, &w->end, w->o.until_usec + GRACE_USEC);
	w->late = true;
}

/* ---- outward ---- */

int waiting_new(
	struct waiting **ret, struct ctl *ctl, const struct waiting_options *options)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	if (map_init(&w->by_id) < 0) {
		free(w);
		return -ENOMEM;
	}
	w->ctl = ctl;
	w->o = *options;
	TAILQ_INIT(&w->jobs);
	TAILQ_INIT(&w->line);
	w->end.on_time = on_late;
	w->end.arg = w;
	*ret = w;
	return 0;
}

int waiting_add(struct waiting *w, struct name *name, void *tag)
{
	struct job *j = calloc(1, sizeof(*j));
	int r = 0;

	if (!j) {
		name_fini(name);
		*name = (struct name){0};
		return -ENOMEM;
	}
	j->w = w;
	j->tag = tag;
	j->name = *name;
	*name = (struct name){0};
	j->timer.on_time = on_pause_over;
	j->timer.arg = j;
	if (w->n_polled < POLLED_MAX) {
		w->n_polled++;
		pause_until(j, 1); /* from the loop */
	} else {
		r = feed(w, j);
	}
	if (r < 0) {
		name_fini(&j->name);
		free(j);
		return r;
	}
	if (TAILQ_EMPTY(&w->jobs) && w->o.until_usec < UINT64_MAX - GRACE_USEC)
		client_timer_set(w->ctl->client, &w->end, w->o.until_usec);
	TAILQ_INSERT_TAIL(&w->jobs, j, entry);
	w->left++;
	return 0;
}

size_t waiting_left(const struct waiting *w)
{
	return w->left;
}

void waiting_free(struct waiting *w)
{
	struct job *j;

	if (!w)
		return;
	while ((j = TAILQ_FIRST(&w->jobs))) {
		TAILQ_REMOVE(&w->jobs, j, entry);
		client_timer_stop(&j->timer);
		if (j->fed && !j->over)
			map_remove(&w->by_id, &j->by_id);
		name_fini(&j->name);
		free(j);
	}
	client_timer_stop(&w->end);
	follow_free(w->follow);
	map_fini(&w->by_id);
	free(w);
}
