/*
 * Jobs on the control socket: list, show, wait, expect, forget.
 *
 * A long poll subscribes first and asks the store then, so that nothing can happen in
 * between; each change that may end it asks again, and the end of its time asks a last
 * time. While it waits it holds no answer of the store.
 *
 * A whole job may be megabytes, and one change may end a thousand polls: so only a few are
 * asked for at a time, the others stand in line, and between them the loop serves the rest.
 */
#include "api/call.h"
#include "api/json.h"
#include "base/clock.h"
#include "base/span.h"
#include "base/utf8.h"
#include "flow/ask.h"
#include "flow/expect.h"
#include "flow/feed.h"
#include "io/log.h"

#include <errno.h>

#define WAIT_MAX_USEC (3600 * USEC_PER_SEC)
#define TURNS_MAX     4

/* ---- List ---- */

static void on_listed(struct call *c)
{
	const struct store_list_jobs *l = &c->ask.list_jobs;
	json_t *jobs;

	if (l->op.result < 0) {
		call_store_error(c, l->op.result);
		return;
	}
	jobs = json_array();
	for (size_t i = 0; i < l->n_jobs; i++) {
		if (json_array_append_new(jobs, json_of_job(&l->jobs[i])) < 0) {
			json_decref(jobs);
			jobs = NULL;
			break;
		}
	}
	call_page(c, "jobs", jobs, l->next);
}

static void list(struct call *c)
{
	struct store_list_jobs *l = &c->ask.list_jobs;
	const char *outcome = NULL;

	call_prepare(c, STORE_LIST_JOBS);
	if (call_page_query(c, &l->limit, &l->after) < 0 ||
		call_query(c, "source", &l->source) < 0 ||
		call_query(c, "outcome", &outcome) < 0 ||
		call_query_past(c, "since", &l->since_usec) < 0)
		return;
	if (outcome) {
		l->outcome = outcome_from_name(outcome);
		if (l->outcome == OUTCOME_NONE) {
			call_error(c, 400, "outcome= is no outcome");
			return;
		}
	}
	call_ask(c, on_listed);
}

/* ---- One job, now or when it is over ---- */

struct poll {
	const char *source, *id; /* source NULL: of any */
	bool with_hooks;         /* until its runs are over, too */
	bool last;  /* no time is left: the next answer is given, whatever it is */
	bool again; /* something changed while the store was asked */
	bool in_line;
	struct feed_wait *wait;
	struct event *timer;
};

static bool over(const struct poll *p, const struct store_job *j)
{
	if (!outcome_terminal(j->outcome))
		return false;
	for (size_t i = 0; i < j->n_runs && p->with_hooks; i++)
		if (j->runs[i].state != RUN_DONE && j->runs[i].state != RUN_DEAD)
			return false;
	return true;
}

static void answer_jobs(struct call *c, const struct store_get_job *g)
{
	json_t *jobs = json_array();

	for (size_t i = 0; i < g->n_jobs; i++) {
		if (json_array_append_new(jobs, json_of_job(&g->jobs[i])) < 0) {
			json_decref(jobs);
			jobs = NULL;
			break;
		}
	}
	call_page(c, "jobs", jobs, 0);
}

/* Of a job that waits while its source cannot be asked at all: that is why. */
static void add_trouble(struct call *c, const struct store_job *j, json_t *job)
{
	struct ask_state state;

	ask_look(c->flow->ask, j->source, &state);
	if (!j->ask_at_usec || j->ask_error || !state.trouble)
		return;
	json_t *words = json_of_text(bytes_of(state.trouble));
	if (words) /* else it is told without */
		json_object_set_new(job, "ask_error", words);
}

static void on_job(struct call *c);

static void ask_for_job(struct call *c)
{
	struct control *control = c->control;
	struct poll *p = c->data;

	if (c->asking)
		p->again = true;
	if (c->asking || p->in_line || !c->request || c->answered)
		return;
	if (control->turns >= TURNS_MAX) {
		p->in_line = true;
		TAILQ_INSERT_TAIL(&control->line, c, turn);
		return;
	}
	control->turns++;
	call_prepare(c, STORE_GET_JOB);
	c->ask.get_job.source = p->source;
	c->ask.get_job.id = p->id;
	call_ask(c, on_job);
	if (!c->asking) /* it does not even take the question, and none in line */
		control->turns--;
}

static void leave_line(struct call *c)
{
	struct poll *p = c->data;

	if (p->in_line)
		TAILQ_REMOVE(&c->control->line, c, turn);
	p->in_line = false;
}

static void end_turn(struct control *control)
{
	struct call *next;

	control->turns--;
	while (control->turns < TURNS_MAX && (next = TAILQ_FIRST(&control->line))) {
		leave_line(next);
		ask_for_job(next);
	}
}

static void answer(struct call *c, const struct store_get_job *g)
{
	struct poll *p = c->data;
	bool ended = p->last;

	if (c->answered || !c->request)
		return;
	if (g->op.result < 0 && g->op.result != -ENOENT) {
		call_store_error(c, g->op.result);
		return;
	}
	for (size_t i = 0; i < g->n_jobs; i++)
		ended = ended || over(p, &g->jobs[i]);
	if (g->n_jobs > 1)
		ended = true; /* an id of several sources: the asker has to choose */
	if (!ended && p->again) {
		p->again = false;
		ask_for_job(c);
	} else if (!ended) {
		return;
	} else if (!p->source) {
		answer_jobs(c, g);
	} else if (g->n_jobs == 0) {
		call_error(c, 404, "no such job");
	} else {
		json_t *job = json_of_job_in_full(
			&g->jobs[0], c->flow->config, store_name(c->flow->store));
		add_trouble(c, &g->jobs[0], job);
		call_json(c, 200, job);
	}
}

static void on_job(struct call *c)
{
	answer(c, &c->ask.get_job);
	end_turn(c->control);
}

static void on_change(void *arg, const struct store_change *change)
{
	struct call *c = arg;

	if (outcome_terminal(change->job.outcome))
		ask_for_job(c);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct call *c = arg;
	struct poll *p = c->data;

	(void)fd;
	(void)what;
	p->last = true;
	ask_for_job(c);
}

static void on_poll_over(struct call *c)
{
	struct poll *p = c->data;

	leave_line(c);
	feed_wait_free(p->wait);
	p->wait = NULL;
	if (p->timer)
		event_free(p->timer);
	p->timer = NULL;
}

static int begin_to_wait(struct call *c, uint64_t usec)
{
	struct poll *p = c->data;
	struct timeval tv;

	if (usec > WAIT_MAX_USEC)
		usec = WAIT_MAX_USEC;
	tv.tv_sec = (time_t)(usec / USEC_PER_SEC);
	tv.tv_usec = (suseconds_t)(usec % USEC_PER_SEC);
	p->timer = evtimer_new(c->flow->base, on_time, c);
	if (!p->timer || evtimer_add(p->timer, &tv) < 0)
		return -ENOMEM;
	return feed_wait_new(c->flow->feed, p->source, p->id, on_change, c, &p->wait);
}

static void get(struct call *c, const char *source, const char *id)
{
	struct poll *p = calloc(1, sizeof(*p));
	const char *hooks = NULL;
	uint64_t wait_usec = 0;

	c->data = p;
	if (!p) {
		call_error(c, 503, "out of memory");
		return;
	}
	p->source = source;
	p->id = id;
	c->on_over = on_poll_over;
	if (call_query_span(c, "wait", &wait_usec) < 0 ||
		call_query(c, "hooks", &hooks) < 0)
		return;
	if (hooks && span_parse_bool(hooks, &p->with_hooks) < 0) {
		call_error(c, 400, "hooks= is neither yes nor no");
		return;
	}
	p->last = wait_usec == 0;
	if (!p->last && call_last(c) < 0)
		return;
	if (!p->last && begin_to_wait(c, wait_usec) < 0) {
		call_error(c, 503, "out of memory");
		return;
	}
	ask_for_job(c);
}

void control_jobs_get(struct call *c)
{
	get(c, c->names[0], c->names[1]);
}

void control_jobs_list(struct call *c)
{
	const char *id = NULL, *source = NULL;

	if (call_query(c, "id", &id) < 0)
		return;
	if (!id)
		list(c);
	else if (call_query(c, "source", &source) == 0)
		call_error(
			c, 400, "source= and id= together: ask for /v1/jobs/SOURCE/ID");
	else
		get(c, NULL, id);
}

/* ---- Expect, forget ---- */

static struct log_fields fields_of(const struct call *c)
{
	return (struct log_fields){.source = c->names[0], .id = c->names[1]};
}

static void on_expected(struct call *c)
{
	const struct log_fields fields = fields_of(c);
	struct poll *p = c->data;

	if (c->ask.op.result < 0) {
		call_store_error(c, c->ask.op.result);
		return;
	}
	log_event(LOG_EXPECTED, &fields, "Job %s/%s is expected, by request",
		fields.source, log_escapes(fields.id));
	ask_wake(c->flow->ask, c->names[0], c->ask.expect.ask_at_usec);
	p->source = c->names[0];
	p->id = c->names[1];
	p->last = true;
	ask_for_job(c);
}

/* body {"within": "10min" | SECONDS}. 0, 1 not there, or answered. */
static int body_within(struct call *c, uint64_t *ret_usec)
{
	static const char *const members[] = {"within", NULL};
	const json_t *body, *within;
	int r = call_body(c, members, &body);

	if (r < 0)
		return r;
	within = json_object_get(body, "within");
	if (!within)
		return 1;
	if (json_is_string(within) &&
		span_parse_usec(json_string_value(within), ret_usec) == 0)
		return 0;
	if (json_is_number(within) && json_number_value(within) >= 0 &&
		json_number_value(within) < 1e9) {
		*ret_usec = (uint64_t)(json_number_value(within) * 1e6);
		return 0;
	}
	call_error(c, 400, "within is not a time span");
	return -EINVAL;
}

void control_jobs_expect(struct call *c)
{
	struct store_expect *e = &c->ask.expect;
	const struct source *s = config_source(c->flow->config, bytes_of(c->names[0]));
	uint64_t within;

	if (!s) {
		call_error(c, 404, "no such source");
		return;
	}
	if (!utf8_valid_id(bytes_of(c->names[1]))) {
		call_error(c, 400,
			"not a job id: 1 to 255 bytes of UTF-8 without control "
			"characters");
		return;
	}
	within = s->expect_within_usec;
	if (body_within(c, &within) < 0)
		return;
	c->data = calloc(1, sizeof(struct poll));
	if (!c->data) {
		call_error(c, 503, "out of memory");
		return;
	}
	c->on_over = on_poll_over;
	call_prepare(c, STORE_EXPECT);
	e->source = c->names[0];
	e->id = c->names[1];
	e->now_usec = clock_wall_usec();
	e->ask_at_usec = expect_ask_at_usec(within);
	call_ask(c, on_expected);
}

static void on_forgotten(struct call *c)
{
	const struct log_fields fields = fields_of(c);

	if (c->ask.op.result == -ENOENT) {
		call_error(c, 404, "no such job");
	} else if (c->ask.op.result == -EBUSY) {
		call_error(c, 409, "a run of this job is running");
	} else if (c->ask.op.result < 0) {
		call_store_error(c, c->ask.op.result);
	} else {
		log_event(LOG_CONTROL, &fields, "Job %s/%s is forgotten, by request",
			fields.source, log_escapes(fields.id));
		call_json(c, 200, json_object());
	}
}

void control_jobs_forget(struct call *c)
{
	call_prepare(c, STORE_FORGET);
	c->ask.forget.source = c->names[0];
	c->ask.forget.id = c->names[1];
	call_ask(c, on_forgotten);
}
