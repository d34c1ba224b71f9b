/* Whose turn it is to be asked for; see ask.h. */
#include "flow/ask_private.h"

#include "base/clock.h"

#include <errno.h>
#include <event2/event.h>

/* callbackd(8), "Asking the source", names these numbers. */
#define INTERVAL_USEC (50 * USEC_PER_MSEC) /* 20 a second … */
#define BURST         20                   /* … and 20 at once after a rest */
#define UNDER_WAY_MAX 8                    /* of one source */
#define IN_ALL_MAX    32                   /* fewer than FETCH_MAX: uploads go on */
#define AT_A_TIME     64                   /* jobs that are given up */

/* ---- Desks ---- */

static struct desk *find_desk(const struct ask *a, const char *source)
{
	struct map_entry *e = map_find(&a->desks_by_name, bytes_of(source));

	return e ? container_of(e, struct desk, by_name) : NULL;
}

static struct desk *make_desk(struct ask *a, const char *source)
{
	struct desk *d = find_desk(a, source);

	if (d || strlen(source) >= sizeof(d->name) || !(d = calloc(1, sizeof(*d))))
		return d;
	if (map_init(&d->questions) < 0) {
		free(d);
		return NULL;
	}
	d->ask = a;
	d->since_usec = clock_steady_usec();
	strcpy(d->name, source);
	LIST_INSERT_HEAD(&a->desks, d, link);
	map_put(&a->desks_by_name, &d->by_name, bytes_of(d->name));
	return d;
}

static void note_due(struct desk *d, int64_t due_usec)
{
	if (due_usec && (!d->next_due_usec || due_usec < d->next_due_usec))
		d->next_due_usec = due_usec;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many may be put now. One that fails as a whole is tried with one at a time. */
static size_t free_slots(const struct desk *d, const struct source *s)
{
	size_t most = d->trouble ? 1 : UNDER_WAY_MAX;
	uint64_t now = clock_mono_usec();

	if (!source_answers(s))
		return AT_A_TIME - least(AT_A_TIME, d->questions.size);
	if (now < d->paused_until_usec)
		return 0;
	most -= least(most, d->under_way);
	most = least(most, IN_ALL_MAX - least(IN_ALL_MAX, d->ask->under_way));
	return least(most, bucket_level(&d->bucket, INTERVAL_USEC, BURST, now));
}

/* When the oldest is given up although its source cannot be asked; 0 = that is not so. */
static int64_t sweep_usec(const struct desk *d, const struct source *s)
{
	int64_t at;

	if (!d->trouble || !d->oldest_usec || d->questions.size >= AT_A_TIME ||
		!source_answers(s))
		return 0;
	at = question_give_up_usec(d, s, d->oldest_usec);
	if (at == INT64_MAX)
		return 0;
	return at > d->swept_usec ? at : d->swept_usec;
}

/* ---- What is due ---- */

static void start_one(
	struct desk *d, const struct source *s, struct store_question *waiting, bool lost)
{
	if (!lost)
		bucket_take(&d->bucket, INTERVAL_USEC, 1, clock_mono_usec());
	question_start(d, s, waiting, lost);
	free(waiting->id); /* taken: the next look at the list passes it over */
	waiting->id = NULL;
}

/* The first of its lane that is not under way. */
static struct store_question *next_of_lane(const struct desk *d, enum store_lane lane)
{
	for (size_t i = 0; i < d->look.n_questions; i++) {
		struct store_question *q = &d->look.questions[i];
		if (q->lane == lane && q->id && !map_find(&d->questions, bytes_of(q->id)))
			return q;
	}
	return NULL;
}

/* The lanes take turns, and one that has nothing gives its turn away. */
static struct store_question *next_waiting(struct desk *d)
{
	for (unsigned i = 0; i < STORE_LANES; i++) {
		unsigned lane = (d->turn + i) % STORE_LANES;
		struct store_question *q = next_of_lane(d, (enum store_lane)lane);
		if (q) {
			d->turn = lane + 1;
			return q;
		}
	}
	return NULL;
}

static void take_due(struct desk *d, const struct source *s)
{
	size_t n = free_slots(d, s);
	struct store_question *waiting;

	for (; n && (waiting = next_waiting(d)); n--)
		start_one(d, s, waiting, !source_answers(s));
	if (next_waiting(d))
		note_due(d, clock_steady_usec());
}

/* The source cannot be asked, and their time is up. */
static void take_overdue(struct desk *d, const struct source *s)
{
	int64_t now = clock_steady_usec();
	struct store_question *waiting;

	if (!d->trouble)
		return;
	/* Nothing to be done: what is overdue is under way, and may be for a while. */
	d->swept_usec = now + (int64_t)SHORTAGE_USEC;
	while (d->questions.size < AT_A_TIME && (waiting = next_waiting(d))) {
		if (question_give_up_usec(d, s, waiting->from_usec) > now)
			break;
		start_one(d, s, waiting, true);
		d->swept_usec = 0;
	}
}

static void on_looked(struct store_op *op)
{
	struct desk *d = op->arg;
	struct flow *flow = d->ask->flow;
	const struct source *s = config_source(flow->config, bytes_of(d->name));

	if (op->result == 0 && s && !flow->stopping) {
		d->oldest_usec = d->look.oldest_usec;
		if (d->sweeping) {
			take_overdue(d, s);
		} else {
			note_due(d, d->look.next_due_usec);
			take_due(d, s);
		}
	} else if (op->result < 0 && op->result != -ECANCELED) {
		ask_rest(d);
	}
	store_op_fini(op);
	d->looking = false; /* not before: what was started may have pumped */
	ask_pump(d->ask);
}

/* What comes meanwhile is noted beside: next_due_usec is what the look does not know of. */
static void look(struct desk *d, size_t n, int64_t from_usec)
{
	d->looking = true;
	d->sweeping = from_usec != 0;
	d->look = (struct store_asks){
		.op = {.kind = STORE_ASKS, .on_done = on_looked, .arg = d},
		.source = d->name,
		/* Those that are under way come again: they are due as long as nothing is
		 * written. */
		.limit = (unsigned)(n + d->questions.size),
		.now_usec = clock_steady_usec(),
		.from_usec = from_usec,
	};
	if (!d->sweeping)
		d->next_due_usec = 0;
	if (store_submit(d->ask->flow->store, &d->look.op) < 0) {
		d->looking = false;
		ask_rest(d);
	}
}

void ask_finished(struct desk *d)
{
	note_due(d, clock_steady_usec());
	ask_pump(d->ask);
}

void ask_rest(struct desk *d)
{
	uint64_t until = clock_mono_usec() + SHORTAGE_USEC;

	if (d->paused_until_usec < until)
		d->paused_until_usec = until;
	note_due(d, clock_steady_usec() + (int64_t)SHORTAGE_USEC);
}

/* ---- Time ---- */

static void pump(struct desk *d, const struct source *s)
{
	int64_t now = clock_steady_usec(), sweep = sweep_usec(d, s);

	if (sweep && sweep <= now) {
		look(d, AT_A_TIME, now - (int64_t)s->give_up_usec);
		return;
	}
	if (!d->next_due_usec || d->next_due_usec > now)
		return;
	size_t n = free_slots(d, s);
	if (n)
		look(d, n, 0);
}

/* From now until this desk is to be looked at; INT64_MAX: somebody will say. */
static int64_t wait_usec(const struct desk *d, const struct source *s)
{
	int64_t now = clock_steady_usec(), sweep = sweep_usec(d, s), wait = INT64_MAX;
	uint64_t mono = clock_mono_usec();
	uint64_t next = bucket_next_usec(&d->bucket, INTERVAL_USEC, BURST);
	bool full = source_answers(s)
			    ? d->under_way >= (d->trouble ? 1 : UNDER_WAY_MAX) ||
				      d->ask->under_way >= IN_ALL_MAX
			    : d->questions.size >= AT_A_TIME;

	if (d->next_due_usec && !full) {
		wait = d->next_due_usec - now;
		if (next < d->paused_until_usec)
			next = d->paused_until_usec;
		if (source_answers(s) && next > mono && (int64_t)(next - mono) > wait)
			wait = (int64_t)(next - mono);
	}
	if (sweep && sweep - now < wait)
		wait = sweep - now;
	return wait < 0 ? 0 : wait;
}

static void arm(struct ask *a)
{
	int64_t wait = INT64_MAX;
	struct desk *d;

	LIST_FOREACH (d, &a->desks, link) {
		const struct source *s = config_source(
			a->flow->config, bytes_of(d->name));
		int64_t mine = s && !d->looking ? wait_usec(d, s) : INT64_MAX;
		if (mine < wait)
			wait = mine;
	}
	if (wait == INT64_MAX) {
		evtimer_del(a->timer);
		return;
	}
	/* While the store cannot write, no question is worth its answer. */
	if (!store_healthy(a->flow->store) && wait < (int64_t)SHORTAGE_USEC)
		wait = (int64_t)SHORTAGE_USEC;
	struct timeval tv = {(time_t)(wait / (int64_t)USEC_PER_SEC),
		(suseconds_t)(wait % (int64_t)USEC_PER_SEC)};
	evtimer_add(a->timer, &tv);
}

void ask_pump(struct ask *a)
{
	struct desk *d;

	if (a->flow->stopping)
		return;
	if (store_healthy(a->flow->store))
		LIST_FOREACH (d, &a->desks, link) {
			const struct source *s = config_source(
				a->flow->config, bytes_of(d->name));
			if (s && !d->looking)
				pump(d, s);
		}
	/* Whoever is first takes what there is in all: the next time another is. */
	d = LIST_FIRST(&a->desks);
	if (d && LIST_NEXT(d, link) && a->under_way >= IN_ALL_MAX) {
		struct desk *last = d;
		while (LIST_NEXT(last, link))
			last = LIST_NEXT(last, link);
		LIST_REMOVE(d, link);
		LIST_INSERT_AFTER(last, d, link);
	}
	arm(a);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ask_pump(arg);
}

/* ---- The doors ---- */

void ask_refresh(struct ask *a)
{
	const struct config *c = a->flow->config;
	struct desk *d;

	/* One that comes back is as new: nobody was asked meanwhile. */
	LIST_FOREACH (d, &a->desks, link)
		if (!config_source(c, bytes_of(d->name)))
			d->since_usec = 0;
	for (size_t i = 0; i < c->n_sources; i++) {
		d = make_desk(a, c->sources[i]->name);
		if (!d)
			continue;
		if (!d->since_usec)
			d->since_usec = clock_steady_usec();
		health_reset(d);
		note_due(d, clock_steady_usec());
	}
	ask_pump(a);
}

void ask_wake(struct ask *a, const char *source, int64_t at_usec)
{
	struct desk *d = at_usec ? make_desk(a, source) : NULL;

	if (!d)
		return;
	/* A source that fails may fail for long: what is new is given up as well. */
	if (!d->oldest_usec)
		d->oldest_usec = clock_steady_usec();
	if (d->next_due_usec && d->next_due_usec <= at_usec)
		return;
	note_due(d, at_usec);
	ask_pump(a);
}

void ask_settled(struct ask *a, const char *source, const char *id)
{
	struct desk *d = find_desk(a, source);
	struct map_entry *e = d ? map_find(&d->questions, bytes_of(id)) : NULL;
	struct question *q = e ? container_of(e, struct question, by_id) : NULL;

	/* One whose answer is on its way to the store is judged there. */
	if (!q || !q->fetch)
		return;
	fetch_cancel(q->fetch);
	question_free(q);
	ask_finished(d);
}

void ask_look(const struct ask *a, const char *source, struct ask_state *ret)
{
	const struct desk *d = find_desk(a, source);

	*ret = (struct ask_state){0};
	if (!d)
		return;
	*ret = (struct ask_state){
		.asked = d->n_asked,
		.failed = d->n_failed,
		.under_way = d->under_way,
		.next_usec = d->next_due_usec,
		.oldest_usec = d->oldest_usec,
		.trouble = d->trouble,
	};
}

int ask_new(struct ask **ret, struct flow *flow)
{
	struct ask *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->flow = flow;
	LIST_INIT(&a->desks);
	LIST_INIT(&a->questions);
	a->timer = evtimer_new(flow->base, on_timer, a);
	if (!a->timer || map_init(&a->desks_by_name) < 0) {
		ask_free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

void ask_free(struct ask *a)
{
	struct question *q;
	struct desk *d;

	if (!a)
		return;
	while ((q = LIST_FIRST(&a->questions)))
		question_free(q);
	while ((d = LIST_FIRST(&a->desks))) {
		LIST_REMOVE(d, link);
		map_fini(&d->questions);
		health_fini(d);
		free(d);
	}
	map_fini(&a->desks_by_name);
	if (a->timer)
		event_free(a->timer);
	free(a);
}
