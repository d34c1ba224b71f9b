/* Who is given which run, and what became of it; see worker.h. */
#include "flow/tally.h"
#include "flow/worker_private.h"

#include "base/clock.h"
#include "io/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A daemon that stops does not wait longer than this for a worker that has nothing to do to see
 * the end of its input. */
#define STOP_GRACE_USEC (2 * USEC_PER_SEC)

struct workers {
	struct flow *flow;
	LIST_HEAD(, worker) list;
	void (*on_gone)(void *arg);
	void *arg;
};

/* ---- The clock ---- */

static void arm(struct worker *w)
{
	const struct heap_entry *first = heap_first(&w->deadlines);
	uint64_t at = w->grace_usec, now = clock_mono_usec();

	if (first && w->state != WORKER_ENDING && (!at || first->key < at))
		at = first->key;
	if (!at) {
		evtimer_del(w->timer);
		return;
	}
	uint64_t wait = at > now ? at - now : 0;
	struct timeval tv = {
		(time_t)(wait / USEC_PER_SEC), (suseconds_t)(wait % USEC_PER_SEC)};
	evtimer_add(w->timer, &tv);
}

static void kick(struct worker *w)
{
	static const struct timeval now = {0, 0};

	evtimer_add(w->kick, &now);
}

static void set_back_queue(
	struct worker *w, enum attempt_result result, int64_t due_usec, const char *why)
{
	struct errand *e, *next;

	for (e = TAILQ_FIRST(&w->queue); e; e = next) {
		next = TAILQ_NEXT(e, link);
		attempt_blame(&e->attempt, "%s", why);
		worker_settle_plain(e, result, -1, due_usec);
	}
}

static void interrupt(struct attempt *a)
{
	struct errand *e = container_of(a, struct errand, attempt);

	/* What is in flight goes with its worker: workers_end(). */
	if (!e->worker || !e->line)
		return;
	attempt_blame(a, "the daemon stopped before it was started");
	worker_settle_plain(e, ATTEMPT_STOPPED, -1, 0);
}

static void free_errand(struct attempt *a)
{
	worker_errand_free(container_of(a, struct errand, attempt));
}

/* ---- Up: the queue is given ---- */

static void fly(struct worker *w, struct errand *e)
{
	const struct hook *h = e->attempt.hook;

	if (attempt_is_spent(&e->attempt)) {
		worker_settle_plain(e, ATTEMPT_FAILED, -1, 0);
		return;
	}
	if (heap_put(&w->deadlines, &e->deadline, clock_mono_usec() + h->timeout_usec) <
			0 ||
		worker_link_add(w, e) < 0) {
		attempt_blame(&e->attempt, "could not be given to its worker: %s",
			strerrordesc_np(ENOMEM));
		worker_settle_plain(e, ATTEMPT_SHORT, -1, 0);
		return;
	}
	TAILQ_REMOVE(&w->queue, e, link);
	TAILQ_INSERT_TAIL(&w->flying, e, link);
	map_put(&w->by_run, &e->by_run, bytes_of(e->attempt.id));
	attempt_started(&e->attempt);
}

static void give_queue(struct worker *w)
{
	struct errand *e, *next;

	for (e = TAILQ_FIRST(&w->queue); e; e = next) {
		next = TAILQ_NEXT(e, link);
		fly(w, e);
	}
	arm(w);
	worker_link_flush(w);
	if (w->state == WORKER_UP && w->hook->mode == HOOK_BATCH) {
		w->state = WORKER_CLOSING;
		worker_link_close_input(w);
	}
}

/* Two of one hook are never at work at once: the new one waits for the old one's end. */
static bool waits_for_older(const struct worker *w)
{
	const struct worker *other;

	LIST_FOREACH (other, &w->workers->list, link)
		if (other != w && other->state != WORKER_DOWN &&
			strcmp(other->hook->name, w->hook->name) == 0)
			return true;
	return false;
}

#define WHY_SIZE 280

static const char *why_down(const struct worker *w, char buffer[static WHY_SIZE])
{
	snprintf(buffer, WHY_SIZE, "its worker %s", w->trouble);
	return buffer;
}

static void go_up(struct worker *w)
{
	char why[WHY_SIZE];

	if (worker_link_open(w) < 0) {
		worker_back_off(w);
		log_event(LOG_WORKER_FAILED, &w->fields,
			"Worker of hook %s %s; again in %.1f s", w->hook->name,
			w->trouble, worker_seconds_left(w));
		set_back_queue(w, ATTEMPT_SET_BACK, w->not_before_usec, why_down(w, why));
		return;
	}
	w->state = WORKER_UP;
	w->ended_by = BY_ITSELF;
	w->deaf = NULL;
	w->grace_usec = 0;
	w->fields.run = w->id[0] ? w->id : NULL;
	log_event(LOG_WORKER_STARTED, &w->fields,
		w->hook->mode == HOOK_SOCKET ? "Worker of hook %s is connected"
					     : "Worker of hook %s starts",
		w->hook->name);
	give_queue(w);
}

static void worker_free(struct worker *w)
{
	LIST_REMOVE(w, link);
	worker_link_fini(w);
	event_free(w->timer);
	event_free(w->kick);
	map_fini(&w->by_run);
	heap_fini(&w->deadlines);
	config_unref(w->config);
	free(w);
}

static void pump(struct worker *w)
{
	char why[WHY_SIZE];

	if (w->flow->stopping)
		set_back_queue(w, ATTEMPT_STOPPED, 0,
			"the daemon stopped before it was started");
	else if (w->retired)
		set_back_queue(
			w, ATTEMPT_SET_BACK, 0, "its hook changed before it was started");
	if (w->state == WORKER_DOWN && w->retired && TAILQ_EMPTY(&w->flying)) {
		worker_free(w);
		return;
	}
	if (TAILQ_EMPTY(&w->queue))
		return;
	if (w->state == WORKER_UP)
		give_queue(w);
	if (w->state != WORKER_DOWN || waits_for_older(w))
		return; /* its end, or that of the older one, comes back here */
	if (w->not_before_usec > clock_steady_usec())
		set_back_queue(w, ATTEMPT_SET_BACK, w->not_before_usec, why_down(w, why));
	else
		go_up(w);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump(arg);
}

/* ---- Answers ---- */

/* Nothing more is wanted of it: it sees the end of its input, and has a while to go. */
static void rest(struct worker *w)
{
	uint64_t grace = w->hook->kill_after_usec;

	if (w->state != WORKER_UP && w->state != WORKER_CLOSING)
		return;
	if (!TAILQ_EMPTY(&w->flying))
		return;
	if (w->state == WORKER_UP && !w->retired)
		return;
	if (w->flow->stopping && grace > STOP_GRACE_USEC)
		grace = STOP_GRACE_USEC;
	w->state = WORKER_CLOSING;
	w->grace_usec = clock_mono_usec() + grace;
	worker_link_close_input(w);
}

static void warn_of_answer(struct worker *w, const char *what, struct bytes line)
{
	log_event(LOG_WORKER_ANSWER, &w->fields, "Worker of hook %s %s: %s",
		w->hook->name, what, log_escape(line));
}

void worker_on_line(struct worker *w, struct bytes line)
{
	struct workline_answer answer;
	struct text reason = TEXT_EMPTY;

	if (!workline_parse(line, &answer)) {
		warn_of_answer(w, "wrote what is no answer", line);
		return;
	}
	struct map_entry *entry = map_find(&w->by_run, answer.run);
	if (!entry) {
		warn_of_answer(w, "answers a run that it does not have", line);
		return;
	}
	struct errand *e = container_of(entry, struct errand, by_run);
	if (e->timed_out)
		return; /* too late: the worker is being ended for it */
	w->failures = 0;
	if (!answer.ok) {
		text_add_clean(&reason, answer.reason);
		attempt_blame(&e->attempt, "its worker answered: fail%s%s",
			reason.size ? " " : "", reason.size ? reason.data : "");
		text_fini(&reason);
	}
	worker_settle_plain(
		e, answer.ok ? ATTEMPT_SUCCEEDED : ATTEMPT_FAILED, STORE_NO_PROCESS, 0);
	rest(w);
	arm(w);
}

void worker_on_deaf(struct worker *w, const char *what)
{
	/* Of a batch the exit status answers, whatever it reads and writes. */
	if (w->hook->mode == HOOK_BATCH ||
		(w->state != WORKER_UP && w->state != WORKER_CLOSING) || w->grace_usec)
		return;
	w->deaf = what;
	w->state = WORKER_CLOSING;
	w->grace_usec = clock_mono_usec() + STOP_GRACE_USEC;
	worker_link_close_input(w);
	arm(w);
}

/* ---- Down ---- */

void worker_on_down(struct worker *w, const struct process_end *end)
{
	struct worker *other;

	worker_judge(w, end);
	w->state = WORKER_DOWN;
	w->grace_usec = 0;
	arm(w);
	LIST_FOREACH (other, &w->workers->list, link)
		kick(other); /* one of them may have waited for this end */
	if (w->flow->stopping)
		w->workers->on_gone(w->workers->arg);
}

static void end_worker(struct worker *w, enum worker_end why)
{
	if (w->state != WORKER_UP && w->state != WORKER_CLOSING)
		return;
	w->state = WORKER_ENDING;
	w->ended_by = why;
	w->grace_usec = 0;
	arm(w);
	worker_link_end(w, w->hook->kill_after_usec);
}

/* The oldest alone is to blame: who works on one after another was at that one, and the
 * others only waited behind it. */
static void on_timeout(struct worker *w, struct heap_entry *first)
{
	struct errand *e = container_of(first, struct errand, deadline);

	e->timed_out = true;
	w->flow->counters.runs_timed_out++;
	tally_hook(w->flow->tally, w->hook->name)->timed_out++;
	log_event(LOG_RUN_TIMEOUT, &e->attempt.fields,
		"Hook %s ran into Timeout=; its worker is ended", w->hook->name);
	end_worker(w, BY_TIMEOUT);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct heap_entry *first = heap_first(&w->deadlines);
	uint64_t now = clock_mono_usec();

	(void)fd;
	(void)what;
	if (w->grace_usec && w->grace_usec <= now)
		end_worker(w, BY_PATIENCE);
	else if (first && first->key <= now && w->state != WORKER_ENDING)
		on_timeout(w, first);
	else
		arm(w);
}

static void retire(struct worker *w)
{
	w->retired = true;
	rest(w);
	arm(w);
	kick(w);
}

/* ---- The doors ---- */

static struct worker *find(const struct workers *all, const char *hook)
{
	struct worker *w;

	LIST_FOREACH (w, &all->list, link)
		if (!w->retired && strcmp(w->hook->name, hook) == 0)
			return w;
	return NULL;
}

static struct worker *make(struct workers *all, const struct hook *hook)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct worker){.workers = all,
		.flow = all->flow,
		.config = config_ref(all->flow->config),
		.hook = hook,
		.in = -1,
		.out = -1,
		.err.fd = -1,
		.fields.hook = hook->name};
	TAILQ_INIT(&w->queue);
	TAILQ_INIT(&w->flying);
	w->timer = evtimer_new(all->flow->base, on_timer, w);
	w->kick = evtimer_new(all->flow->base, on_kick, w);
	if (w->timer && w->kick && map_init(&w->by_run) == 0) {
		LIST_INSERT_HEAD(&all->list, w, link);
		return w;
	}
	if (w->timer)
		event_free(w->timer);
	if (w->kick)
		event_free(w->kick);
	config_unref(w->config);
	free(w);
	return NULL;
}

int workers_start(struct workers *all, const struct hook *hook,
	const struct store_run *record, attempt_on_over *on_over, void *arg,
	struct attempt **ret)
{
	static const struct attempt_kind kind = {
		.interrupt = interrupt, .free = free_errand};
	struct worker *w = find(all, hook->name);
	struct errand *e;

	/* A changed one was retired when the configuration came. */
	if (!w && !(w = make(all, hook)))
		return -ENOMEM;
	if (worker_errand_new(&e, all->flow, &kind, hook, record, on_over, arg) < 0)
		return -ENOMEM;
	e->worker = w;
	TAILQ_INSERT_TAIL(&w->queue, e, link);
	kick(w);
	*ret = &e->attempt;
	return 0;
}

int64_t workers_not_before(const struct workers *all, const char *hook)
{
	const struct worker *w = find(all, hook);

	if (!w || w->state != WORKER_DOWN || w->not_before_usec <= clock_steady_usec())
		return 0;
	return w->not_before_usec;
}

/* It stays, by the words of the new configuration: the old one can go. */
static void use(struct worker *w, const struct hook *h)
{
	struct config *old = w->config;

	w->config = config_ref(w->flow->config);
	w->hook = h;
	w->fields.hook = h->name;
	config_unref(old);
}

void workers_refresh(struct workers *all)
{
	const struct config *c = all->flow->config;
	struct worker *w;

	LIST_FOREACH (w, &all->list, link) {
		const struct hook *h = config_hook(c, bytes_of(w->hook->name));
		if (w->retired)
			continue;
		if (h && hook_same_worker(h, w->hook))
			use(w, h);
		else
			retire(w);
	}
}

void workers_stop(struct workers *all)
{
	struct worker *w;

	LIST_FOREACH (w, &all->list, link) {
		retire(w);
		if (w->state == WORKER_UP) {
			w->state = WORKER_CLOSING;
			worker_link_close_input(w);
		}
	}
}

void workers_end(struct workers *all)
{
	struct worker *w;

	LIST_FOREACH (w, &all->list, link)
		end_worker(w, BY_STOP);
}

bool workers_gone(const struct workers *all)
{
	const struct worker *w;

	LIST_FOREACH (w, &all->list, link)
		if (w->state != WORKER_DOWN)
			return false;
	return true;
}

int workers_new(
	struct workers **ret, struct flow *flow, void (*on_gone)(void *arg), void *arg)
{
	struct workers *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	*all = (struct workers){.flow = flow, .on_gone = on_gone, .arg = arg};
	LIST_INIT(&all->list);
	*ret = all;
	return 0;
}

void workers_free(struct workers *all)
{
	struct worker *w;

	if (!all)
		return;
	while ((w = LIST_FIRST(&all->list)))
		worker_free(w);
	free(all);
}
