/*
 * Questions about one upload. All who ask for the same id share one subject: it subscribes
 * to the feed first and asks the store then, so that nothing can happen in between, and each
 * change asks again. Only a few subjects ask at a time, for a whole job may be megabytes; the
 * others stand in line.
 *
 *   visit ─► subject ─► store ─┬─ known ─► told
 *              ▲ change, time  └─ not known ─► inquiry ─► told
 *
 * Whoever waits is told when the status is another than the one it found, when it is final, or
 * when its time is up.
 */
#include "api/dropin_private.h"
#include "flow/feed.h"
#include "io/log.h"

#include <errno.h>

#define TURNS_MAX 4

struct subject {
	struct map_entry by_key;
	struct dropin *dropin;
	char *key;    /* SOURCE/ID */
	char *source; /* a name */
	const char *id;
	TAILQ_HEAD(, visit) visits;
	TAILQ_ENTRY(subject) turn;
	bool in_line;
	struct feed_wait *wait;
	struct store_get_job ask;
	bool asking;
	bool again;    /* something changed, or somebody's time was up, meanwhile */
	unsigned held; /* by functions that go on with it */
	struct inquiry *inquiry;
};

/* What is to be told. */
struct told {
	int status;
	struct bytes body; /* BYTES_NONE: `error`, in the service's form */
	const char *error;
	const char *word; /* or NULL */
	bool final;
	uint64_t retry_after_usec;
};

static void look(struct subject *s);

/* ---- a subject's life ---- */

static void subject_free(struct subject *s)
{
	if (s->in_line)
		TAILQ_REMOVE(&s->dropin->line, s, turn);
	if (s->inquiry)
		inquiry_forget(s->inquiry);
	feed_wait_free(s->wait);
	map_remove(&s->dropin->subjects, &s->by_key);
	free(s->source);
	free(s->key);
	free(s);
}

/* It goes with its last visit, unless the store has its question. */
static void settle(struct subject *s)
{
	if (TAILQ_EMPTY(&s->visits) && !s->asking && s->held == 0)
		subject_free(s);
}

static void on_change(void *arg, const struct store_change *change)
{
	if (!change->is_run)
		look(arg);
}

static struct subject *subject_new(struct dropin *d, const char *source, char *key)
{
	struct subject *s = calloc(1, sizeof(*s));

	if (!s) {
		free(key);
		return NULL;
	}
	s->dropin = d;
	s->key = key;
	s->id = key + strlen(source) + 1;
	s->source = bytes_dup(bytes_of(source));
	TAILQ_INIT(&s->visits);
	if (!s->source ||
		feed_wait_new(d->flow->feed, source, s->id, on_change, s, &s->wait) < 0) {
		free(s->source);
		free(s->key);
		free(s);
		return NULL;
	}
	map_put(&d->subjects, &s->by_key, bytes_of(s->key));
	return s;
}

static struct subject *subject_of(struct dropin *d, const char *source, const char *id)
{
	char *key = text_format("%s/%s", source, id);
	struct map_entry *e = key ? map_find(&d->subjects, bytes_of(key)) : NULL;

	if (!key)
		return NULL;
	if (!e)
		return subject_new(d, source, key);
	free(key);
	return container_of(e, struct subject, by_key);
}

/* ---- telling ---- */

static void reply(struct visit *v, const struct told *t)
{
	visit_retry_after(v, t->retry_after_usec);
	if (t->body.data)
		visit_reply(v, t->status, t->body);
	else
		visit_error(v, t->status, t->error);
}

/* Is this what it waits for? Notes the first status it finds. */
static bool ends_wait(struct visit *v, const struct told *t)
{
	const char *word = t->word ? t->word : "";

	if (!v->waits || v->last || t->final || t->status < 200 || t->status > 299)
		return true;
	if (v->seen)
		return strcmp(v->seen, word) != 0;
	v->seen = bytes_dup(bytes_of(word));
	return !v->seen;
}

static void tell(struct subject *s, const struct told *t)
{
	struct visit *v, *next;

	s->held++;
	for (v = TAILQ_FIRST(&s->visits); v; v = next) {
		next = TAILQ_NEXT(v, among);
		if (ends_wait(v, t))
			reply(v, t);
	}
	s->held--;
}

static void tell_inquired(struct subject *s, const struct inquiry_answer *a)
{
	tell(s, &(struct told){.status = a->status,
			.body = a->body,
			.error = a->error,
			.word = a->word,
			.final = a->final,
			.retry_after_usec = a->retry_after_usec});
}

static void tell_error(struct subject *s, int status, const char *error)
{
	tell(s, &(struct told){.status = status, .error = error});
}

/* ---- asking ---- */

static void on_inquired(void *arg, const struct inquiry_answer *answer)
{
	struct subject *s = arg;

	s->inquiry = NULL;
	tell_inquired(s, answer);
	settle(s);
}

static void inquire(struct subject *s)
{
	struct dropin *d = s->dropin;
	const struct source *source = config_source(d->flow->config, bytes_of(s->source));
	struct inquiry_answer answer;
	int r = 0;

	if (s->inquiry)
		return;
	if (!source || !source_answers(source))
		r = -EINVAL;
	else if (inquiry_recall(d->inquiries, source, s->id, &answer))
		tell_inquired(s, &answer);
	else
		r = inquiry_start(
			d->inquiries, source, s->id, on_inquired, s, &s->inquiry);
	if (r == -EINVAL) /* nobody can be asked for it */
		tell_error(s, 404, "no such upload");
	else if (r < 0)
		tell_error(s, 503, "out of memory");
}

static void tell_job(struct subject *s, const struct store_job *j)
{
	struct shape shape;

	if (s->inquiry)
		inquiry_forget(CONSUME(s->inquiry)); /* it is known by now */
	if (shape_job(j, &shape) < 0)
		tell_error(s, 503, "out of memory");
	else
		tell(s, &(struct told){.status = 200,
				.body = {shape.text, shape.size},
				.word = shape.word,
				.final = shape.final});
	shape_fini(&shape);
}

static void end_turn(struct dropin *d)
{
	struct subject *next;

	d->turns--;
	while (d->turns < TURNS_MAX && (next = TAILQ_FIRST(&d->line))) {
		TAILQ_REMOVE(&d->line, next, turn);
		next->in_line = false;
		look(next);
	}
}

static void on_job(struct store_op *op)
{
	struct subject *s = op->arg;
	struct dropin *d = s->dropin;

	s->asking = false;
	s->held++;
	if (op->result == 0)
		tell_job(s, &s->ask.jobs[0]);
	else if (op->result == -ENOENT)
		inquire(s);
	else
		tell_error(s, 503, "the store does not answer");
	store_op_fini(op);
	if (s->again && !TAILQ_EMPTY(&s->visits))
		look(s);
	s->held--;
	settle(s);
	end_turn(d);
}

/* The subject may be gone afterwards, if nobody holds it. */
static void look(struct subject *s)
{
	struct dropin *d = s->dropin;

	s->again = s->asking;
	if (s->asking || s->in_line)
		return;
	if (d->turns >= TURNS_MAX) {
		s->in_line = true;
		TAILQ_INSERT_TAIL(&d->line, s, turn);
		return;
	}
	s->ask = (struct store_get_job){
		.op = {.kind = STORE_GET_JOB, .on_done = on_job, .arg = s},
		.source = s->source,
		.id = s->id};
	if (store_submit(d->flow->store, &s->ask.op) < 0) {
		tell_error(s, 503, "the store takes no questions");
		settle(s);
		return;
	}
	s->asking = true;
	d->turns++;
}

/* ---- visits ---- */

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	poll_last(arg);
}

/* What a client prefers may be left out (RFC 7240, 2): then it is answered at once. */
static void begin_to_wait(struct visit *v)
{
	struct timeval tv = {0};
	unsigned seconds;

	if (!shape_prefers_wait(http_message(v->request), &seconds) ||
		v->dropin->waiting >= DROPIN_WAITING_MAX)
		return;
	if (seconds > DROPIN_WAIT_MAX_SEC)
		seconds = DROPIN_WAIT_MAX_SEC;
	v->timer = evtimer_new(v->dropin->flow->base, on_time, v);
	tv.tv_sec = (time_t)seconds;
	if (!v->timer || evtimer_add(v->timer, &tv) < 0)
		return;
	v->dropin->waiting++;
	v->waits = true;
	v->wait_sec = seconds;
	v->last = seconds == 0;
}

void poll_begin(struct visit *v)
{
	struct dropin *d = v->dropin;
	const struct source *source = d->flow->config->status_served;
	struct subject *s = source ? subject_of(d, source->name, v->id) : NULL;

	if (!s) {
		visit_error(
			v, 503, source ? "out of memory" : "no source is served here");
		return;
	}
	v->subject = s;
	TAILQ_INSERT_TAIL(&s->visits, v, among);
	begin_to_wait(v);
	/* A question that is under way will show all that anybody was told of so far. */
	if (!s->asking)
		look(s);
}

void poll_leave(struct visit *v)
{
	struct subject *s = v->subject;

	if (v->timer)
		event_free(CONSUME(v->timer));
	if (v->waits)
		v->dropin->waiting--;
	v->waits = false;
	free(CONSUME(v->seen));
	if (!s)
		return;
	v->subject = NULL;
	TAILQ_REMOVE(&s->visits, v, among);
	settle(s);
}

void poll_last(struct visit *v)
{
	v->last = true;
	if (v->subject)
		look(v->subject);
}

void poll_fini(struct dropin *d)
{
	/* The visits' leave has freed them all, and the store has given every question back. */
	map_fini(&d->subjects);
}
