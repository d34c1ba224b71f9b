/*
 * One question, from the request to what it came to. Its invariant: until that is committed the
 * job is due in the store as it was, so whatever ends this process, it is asked again.
 */
#include "flow/ask_private.h"

#include "base/clock.h"
#include "base/span.h"
#include "base/text.h"
#include "io/log.h"

#include <errno.h>

#define RETRY_AFTER_MAX_USEC (3600 * USEC_PER_SEC)
/* After a start, before jobs are given up whose time went by while nobody could ask. */
#define GRACE_USEC (60 * USEC_PER_SEC)

static void leave_wire(struct question *q)
{
	if (!q->fetch)
		return;
	q->fetch = NULL;
	q->desk->under_way--;
	q->desk->ask->under_way--;
}

void question_free(struct question *q)
{
	leave_wire(q);
	LIST_REMOVE(q, link);
	map_remove(&q->desk->questions, &q->by_id);
	record_fini(&q->record);
	free(q->id);
	free(q->type);
	free(q->body);
	free(q->error);
	free(q->problem);
	free(q);
}

static void finish(struct question *q)
{
	struct desk *d = q->desk;

	question_free(q);
	ask_finished(d);
}

/* It is not known what became of it: it is due still. */
static void finish_for_shortage(struct question *q)
{
	ask_rest(q->desk);
	finish(q);
}

/* ---- How long ---- */

int64_t question_give_up_usec(
	const struct desk *d, const struct source *s, int64_t from_usec)
{
	uint64_t after = s->give_up_usec;
	uint64_t grace = after < GRACE_USEC ? after : GRACE_USEC;
	int64_t earliest = d->since_usec + (int64_t)grace;

	if (after > (uint64_t)(INT64_MAX - from_usec))
		return INT64_MAX;
	int64_t at = from_usec + (int64_t)after;
	return at > earliest ? at : earliest;
}

static bool is_overdue(const struct question *q)
{
	return question_give_up_usec(q->desk, q->record.source, q->from_usec) <=
	       clock_steady_usec();
}

/* The last question is when its time is up, not a long interval before. */
static int64_t next_usec(const struct question *q, uint64_t retry_after_usec)
{
	const struct source *s = q->record.source;
	int64_t last = question_give_up_usec(q->desk, s, q->from_usec);
	uint64_t delay = question_delay_usec(s, q->tries + 1);

	if (retry_after_usec > RETRY_AFTER_MAX_USEC)
		retry_after_usec = RETRY_AFTER_MAX_USEC;
	if (delay < retry_after_usec)
		delay = retry_after_usec;
	int64_t at = clock_steady_usec() + (int64_t)delay;
	return at < last ? at : last;
}

/* ---- Lost ---- */

static void on_lost(struct record *r)
{
	struct question *q = container_of(r, struct question, record);

	if (r->put.op.result < 0 && r->put.op.result != -ENOENT)
		finish_for_shortage(q);
	else
		finish(q);
}

/* A record of its own: the one before may have carried an answer. */
static void give_up(struct question *q)
{
	struct record *r = &q->record;
	struct flow *flow = r->flow;
	struct config *config = config_ref(r->config);
	const struct source *s = r->source;

	record_fini(r);
	record_init(r, flow, config, s, RECORD_LOST);
	config_unref(config);
	q->message = (struct message){.body = bytes_of("")};
	document_init(&r->payload.document, &q->message);
	r->payload.id = bytes_dup(bytes_of(q->id));
	r->payload.outcome = OUTCOME_LOST;
	r->why = q->problem ? q->problem : q->desk->trouble;
	r->put.received_usec = clock_wall_usec();
	r->put.known = true;
	if (!r->payload.id || flow->stopping || record_put(r, on_lost) < 0)
		finish_for_shortage(q);
}

/* ---- It told nothing ---- */

static void on_asked(struct store_op *op)
{
	struct question *q = op->arg;

	if (op->result < 0 && op->result != -ENOENT)
		finish_for_shortage(q);
	else
		finish(q);
}

static void ask_later(struct question *q, uint64_t retry_after_usec)
{
	q->asked = (struct store_asked){
		.op = {.kind = STORE_ASKED, .on_done = on_asked, .arg = q},
		.source = q->desk->name,
		.id = q->id,
		.error = q->problem,
		.ask_at_usec = next_usec(q, retry_after_usec),
		.tries = q->tries,
	};
	if (store_submit(q->record.flow->store, &q->asked.op) < 0)
		finish_for_shortage(q);
}

/* `problem` is the question's, in words. */
static void fail(struct question *q, enum question_verdict verdict, char *problem,
	uint64_t retry_after_usec)
{
	struct desk *d = q->desk;

	q->problem = problem;
	if (!problem) {
		finish_for_shortage(q);
		return;
	}
	d->n_failed++;
	health_failed(d, q, verdict, retry_after_usec);
	if (is_overdue(q))
		give_up(q);
	else
		ask_later(q, retry_after_usec);
}

static char *words_for(enum question_verdict verdict, long status)
{
	static const char *const words[] = {
		[QUESTION_NO_SUCH] = "it does not know the job",
		[QUESTION_ODD] = "it does not take the question",
		[QUESTION_REFUSED] = "it does not take our key",
		[QUESTION_FAILED] = "it fails",
		[QUESTION_TOO_OFTEN] = "it wants to be asked less",
	};

	return text_format("StatusURL= answered %ld: %s", status,
		status >= 300 && status <= 399 ? "redirects are not followed"
					       : words[verdict]);
}

/* ---- It answered ---- */

static void on_stored(struct record *r)
{
	struct question *q = container_of(r, struct question, record);
	int result = r->put.op.result;

	if (result < 0 && result != -ENOENT)
		finish_for_shortage(q);
	else if (result == 0 && r->put.outcome == OUTCOME_PENDING && is_overdue(q))
		give_up(q);
	else
		finish(q);
}

static int read_answer(struct question *q, const struct fetch_answer *answer)
{
	struct record *r = &q->record;

	q->body = bytes_dup(answer->body);
	q->type = bytes_dup(bytes_of(answer->content_type ? answer->content_type : ""));
	if (!q->body || !q->type)
		return -ENOMEM;
	/* The status is logged, the rest goes to hooks. */
	source_hide_key(r->source, q->body, answer->body.size);
	q->content_type = (struct message_header){
		bytes_of("Content-Type"), bytes_of(q->type)};
	q->message = (struct message){
		.method = bytes_of("GET"),
		.headers = &q->content_type,
		.n_headers = 1,
		.body = {q->body, answer->body.size},
		.received_usec = clock_wall_usec(),
	};
	return payload_read_answer(r->source, &q->message, q->id, &r->payload);
}

static void on_2xx(struct question *q, const struct fetch_answer *answer)
{
	struct record *r = &q->record;
	int error = read_answer(q, answer);

	if (error > 0) {
		fail(q, QUESTION_ODD,
			text_format("the answer of StatusURL= cannot be used: %s",
				r->payload.problem),
			answer->retry_after_usec);
		return;
	}
	r->put.received_usec = q->message.received_usec;
	r->put.payload = q->message.body;
	r->put.confirmed = r->put.known = true;
	r->put.ask_tries = q->tries;
	r->put.ask_at_usec = next_usec(q, answer->retry_after_usec);
	if (error < 0 || record_put(r, on_stored) < 0)
		finish_for_shortage(q);
}

static void on_answer(void *arg, const struct fetch_answer *answer)
{
	struct question *q = arg;
	enum question_verdict verdict = QUESTION_UNHEARD;

	leave_wire(q);
	if (q->record.flow->stopping) { /* the next life asks again */
		question_free(q);
	} else if (answer->error == -ENOMEM) {
		finish_for_shortage(q);
	} else if (answer->error == -EMSGSIZE) {
		health_answered(q->desk, q);
		fail(q, QUESTION_ODD,
			text_format("the answer of StatusURL= is too large"), 0);
	} else if (answer->error) {
		fail(q, verdict, text_format("no answer: %s", answer->error_text), 0);
	} else {
		verdict = question_judge(answer->status);
		if (!question_is_general(verdict))
			health_answered(q->desk, q);
		if (verdict == QUESTION_ANSWERED)
			on_2xx(q, answer);
		else
			fail(q, verdict, words_for(verdict, answer->status),
				answer->retry_after_usec);
	}
}

/* ---- It is put ---- */

/* 0, -ENOMEM, or -EINVAL: this cannot be asked. */
static int put_question(struct question *q)
{
	const struct source *s = q->record.source;
	CLEANUP(freep) char *url = NULL;
	char *key = NULL;

	int r = question_url(s, q->id, &url);
	if (r == 0)
		r = source_key_header(s, &key);
	const char *const headers[] = {"Accept: application/json", key, NULL};
	const struct fetch_request request = {
		.method = "GET",
		.url = url,
		.headers = headers,
		.ca_file = s->ca_file,
		.max_bytes = q->record.config->limits.max_body_bytes,
	};
	if (r == 0)
		r = fetch_start(q->record.flow->fetch, &request, on_answer, q, &q->fetch);
	bytes_wipe(key, key ? strlen(key) : 0);
	if (r < 0)
		return r;
	q->desk->under_way++;
	q->desk->ask->under_way++;
	q->desk->n_asked++;
	return 0;
}

void question_start(struct desk *d, const struct source *s,
	const struct store_question *waiting, bool lost)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q) {
		ask_rest(d);
		return;
	}
	q->desk = d;
	q->epoch = d->epoch;
	q->from_usec = waiting->from_usec;
	q->tries = waiting->tries;
	record_init(&q->record, d->ask->flow, d->ask->flow->config, s, RECORD_ANSWER);
	LIST_INSERT_HEAD(&d->ask->questions, q, link);
	q->id = bytes_dup(bytes_of(waiting->id));
	q->error = bytes_dup(bytes_of(waiting->error));
	if (!q->id || (waiting->error && !q->error)) {
		ask_rest(d);
		question_free(q);
		return;
	}
	map_put(&d->questions, &q->by_id, bytes_of(q->id));
	if (lost) {
		give_up(q);
		return;
	}
	int r = put_question(q);
	if (r == -EINVAL)
		fail(q, QUESTION_ODD,
			text_format("the id or the key cannot stand in a request"), 0);
	else if (r < 0)
		finish_for_shortage(q);
}
