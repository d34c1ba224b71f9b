/*
 * A memory for each id asked about, in a map and in the order of its last use; the oldest
 * that nobody waits for give way. While a question is under way its memory stays, and those who
 * ask meanwhile wait in it.
 */
#include "flow/inquiry.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/text.h"
#include "io/log.h"
#include "rules/payload.h"
#include "rules/question.h"

#include <errno.h>
#include <sys/queue.h>

#define ANSWER_MAX_BYTES (64u << 10)
#define TIMEOUT_USEC     (10 * USEC_PER_SEC)
#define FINAL_USEC       (3600 * USEC_PER_SEC)
#define PENDING_USEC     (10 * USEC_PER_SEC)
#define PENDING_MAX_USEC (120 * USEC_PER_SEC)
#define ABSENT_USEC      (30 * USEC_PER_SEC)
#define FAILED_USEC      (5 * USEC_PER_SEC)
#define FAILED_MAX_USEC  (300 * USEC_PER_SEC) /* with Retry-After */

struct inquiry {
	TAILQ_ENTRY(inquiry) entry;
	struct memory *memory;
	void (*on_done)(void *arg, const struct inquiry_answer *answer);
	void *arg;
};

/* One id. */
struct memory {
	struct map_entry by_key;
	TAILQ_ENTRY(memory) used;
	struct inquiries *all;
	char *key; /* SOURCE/ID */
	const char *id;
	struct config *config; /* while it is asked: `source` is inside */
	const struct source *source;
	struct fetch *fetch;
	TAILQ_HEAD(, inquiry) waiting;
	/* The last answer; status 0: there was none. */
	int status;
	char *body, *error, *word;
	size_t body_size;
	bool final;
	uint64_t stale_usec; /* monotonic */
	uint64_t pause_usec; /* of the last pending answer */
	uint64_t retry_after_usec;
};

struct inquiries {
	struct flow *flow;
	struct map by_key;
	TAILQ_HEAD(used, memory) used; /* longest ago first */
	size_t bytes;
	unsigned active;
	unsigned tokens; /* questions that may still be asked */
	uint64_t filled_usec;
};

int inquiries_new(struct inquiries **ret, struct flow *flow)
{
	struct inquiries *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	if (map_init(&q->by_key) < 0) {
		free(q);
		return -ENOMEM;
	}
	q->flow = flow;
	q->tokens = INQUIRY_BURST;
	q->filled_usec = clock_mono_usec();
	TAILQ_INIT(&q->used);
	*ret = q;
	return 0;
}

static void forget_answer(struct memory *r)
{
	r->all->bytes -= r->body_size;
	free(CONSUME(r->body));
	free(CONSUME(r->error));
	free(CONSUME(r->word));
	r->body_size = 0;
	r->status = 0;
	r->final = false;
	r->retry_after_usec = 0;
}

static void memory_free(struct memory *r)
{
	struct inquiry *i;

	while ((i = TAILQ_FIRST(&r->waiting))) {
		TAILQ_REMOVE(&r->waiting, i, entry);
		free(i);
	}
	if (r->fetch)
		fetch_cancel(r->fetch);
	forget_answer(r);
	map_remove(&r->all->by_key, &r->by_key);
	TAILQ_REMOVE(&r->all->used, r, used);
	config_unref(r->config);
	free(r->key);
	free(r);
}

void inquiries_free(struct inquiries *q)
{
	struct memory *r;

	if (!q)
		return;
	while ((r = TAILQ_FIRST(&q->used)))
		memory_free(r);
	map_fini(&q->by_key);
	free(q);
}

/* ---- the memory ---- */

static void make_room(struct inquiries *q)
{
	struct memory *r = TAILQ_FIRST(&q->used), *next;

	for (; r && (q->by_key.size > INQUIRY_IDS_MAX || q->bytes > INQUIRY_BYTES_MAX);
		r = next) {
		next = TAILQ_NEXT(r, used);
		if (!r->fetch)
			memory_free(r);
	}
}

static struct memory *memory_new(
	struct inquiries *q, const struct source *s, const char *id)
{
	struct memory *r = calloc(1, sizeof(*r));

	if (r)
		r->key = text_format("%s/%s", s->name, id);
	if (!r || !r->key) {
		free(r);
		return NULL;
	}
	r->all = q;
	r->id = r->key + strlen(s->name) + 1;
	TAILQ_INIT(&r->waiting);
	map_put(&q->by_key, &r->by_key, bytes_of(r->key));
	TAILQ_INSERT_TAIL(&q->used, r, used);
	return r;
}

/* NULL: there is none, or memory is short. */
static struct memory *find(struct inquiries *q, const struct source *s, const char *id)
{
	CLEANUP(freep) char *key = text_format("%s/%s", s->name, id);
	struct map_entry *e = key ? map_find(&q->by_key, bytes_of(key)) : NULL;
	struct memory *r = e ? container_of(e, struct memory, by_key) : NULL;

	if (r) {
		TAILQ_REMOVE(&q->used, r, used);
		TAILQ_INSERT_TAIL(&q->used, r, used);
	}
	return r;
}

static struct inquiry_answer answer_of(const struct memory *r)
{
	return (struct inquiry_answer){.status = r->status,
		.body = {r->body, r->body_size},
		.error = r->error,
		.word = r->word,
		.final = r->final,
		.retry_after_usec = r->retry_after_usec};
}

/* ---- how often ---- */

static bool may_ask(struct inquiries *q)
{
	const uint64_t each = USEC_PER_SEC / INQUIRY_PER_SEC;
	uint64_t now = clock_mono_usec(), more = (now - q->filled_usec) / each;

	if (more >= INQUIRY_BURST - q->tokens) {
		q->tokens = INQUIRY_BURST;
		q->filled_usec = now;
	} else {
		q->tokens += (unsigned)more;
		q->filled_usec += more * each;
	}
	return q->tokens > 0 && q->active < INQUIRY_ACTIVE_MAX;
}

bool inquiry_recall(struct inquiries *q, const struct source *s, const char *id,
	struct inquiry_answer *ret)
{
	const struct memory *r = find(q, s, id);

	if (r && r->status && clock_mono_usec() < r->stale_usec) {
		*ret = answer_of(r);
		return true;
	}
	if (r && r->fetch)
		return false; /* it waits with the others */
	if (may_ask(q))
		return false;
	if (r && r->status)
		*ret = answer_of(r);
	else
		*ret = (struct inquiry_answer){.status = 429,
			.error = "too many questions about uploads that are not known "
				 "here",
			.retry_after_usec = USEC_PER_SEC};
	return true;
}

/* ---- the answer ---- */

static void remember(struct memory *r, int status, struct bytes body, const char *error,
	uint64_t fresh_usec)
{
	forget_answer(r);
	r->status = status;
	r->body = bytes_dup(body);
	r->body_size = r->body ? body.size : 0;
	r->error = r->body ? NULL : text_format("%s", error ? error : "out of memory");
	r->all->bytes += r->body_size;
	r->stale_usec = clock_mono_usec() + fresh_usec;
}

static void log_asked(const struct memory *r)
{
	const struct log_fields fields = {
		.source = r->source->name, .id = r->id, .status = r->word};

	log_event(r->status == 401 || r->status == 403 ? LOG_ASK_FAILED : LOG_ASKED,
		&fields, "%s was asked about an upload that is not known here: %d%s%s",
		r->source->name, r->status, r->word ? ", " : "",
		r->word ? log_escapes(r->word) : "");
}

/* What was known before is told on; else the failure is what is remembered. */
static void fail(struct memory *r, int status, const char *error, uint64_t wait_usec)
{
	const struct log_fields fields = {.source = r->source->name, .id = r->id};
	uint64_t usec = wait_usec < FAILED_USEC       ? FAILED_USEC
			: wait_usec > FAILED_MAX_USEC ? FAILED_MAX_USEC
						      : wait_usec;

	log_event(LOG_ASK_FAILED, &fields,
		"%s cannot say what became of an upload that is not known here: %s",
		r->source->name, log_escapes(error));
	if (r->status >= 200 && r->status <= 299) {
		r->stale_usec = clock_mono_usec() + usec;
		return;
	}
	remember(r, status, BYTES_NONE, error, usec);
	r->retry_after_usec = wait_usec;
}

static uint64_t pause_of(struct memory *r)
{
	r->pause_usec = r->pause_usec ? r->pause_usec * 2 : PENDING_USEC;
	if (r->pause_usec > PENDING_MAX_USEC)
		r->pause_usec = PENDING_MAX_USEC;
	return r->pause_usec;
}

static int read_word(const struct source *s, const json_t *json, char **ret)
{
	const struct message nothing = {0};
	struct document d;
	size_t size;

	document_init_json(&d, &nothing, json);
	int r = field_list_read(&s->status, &d, ret, &size);
	document_fini(&d);
	return r;
}

static void take_status(
	struct memory *r, int status, struct bytes body, const json_t *json)
{
	CLEANUP(freep) char *word = NULL;
	bool unknown = false, final = false;

	if (read_word(r->source, json, &word) < 0) {
		fail(r, 503, "out of memory", 0);
		return;
	}
	if (word)
		final = outcome_terminal(
			payload_outcome(r->source, bytes_of(word), &unknown));
	remember(r, status, body, NULL, final ? FINAL_USEC : pause_of(r));
	r->final = final;
	r->word = CONSUME(word);
	log_asked(r);
}

static void take_answer(struct memory *r, const struct fetch_answer *a)
{
	const char *problem = NULL;
	CLEANUP(freep) char *said = bytes_dup(a->body);
	const struct bytes body = {said, a->body.size};

	if (!said) {
		fail(r, 503, "out of memory", 0);
		return;
	}
	/* Who asks here is not to know our key, nor is the journal. */
	source_hide_key(r->source, said, body.size);
	json_t *json = payload_parse(body, &problem);
	bool object = json_is_object(json);
	CLEANUP(freep)
	char *words = text_format("the service answered with status %ld%s", a->status,
		object ? "" : " and no JSON object");
	const char *why = words ? words : "out of memory";

	if (a->status >= 200 && a->status <= 299 && object) {
		take_status(r, (int)a->status, body, json);
	} else if (a->status >= 400 && a->status <= 499 && a->status != 429) {
		remember(r, (int)a->status, object ? body : BYTES_NONE, why, ABSENT_USEC);
		log_asked(r);
	} else {
		fail(r, a->status >= 500 || a->status == 429 ? (int)a->status : 502, why,
			a->retry_after_usec);
	}
	json_decref(json);
}

static void tell(struct memory *r)
{
	struct inquiry *i;

	while ((i = TAILQ_FIRST(&r->waiting))) {
		const struct inquiry_answer answer = answer_of(r);

		TAILQ_REMOVE(&r->waiting, i, entry);
		i->on_done(i->arg, &answer);
		free(i);
	}
}

static void on_answer(void *arg, const struct fetch_answer *a)
{
	struct memory *r = arg;
	struct inquiries *q = r->all;

	q->active--;
	if (a->error)
		fail(r, a->error == -ETIMEDOUT ? 504 : 502, a->error_text, 0);
	else
		take_answer(r, a);
	tell(r); /* r->fetch keeps the memory meanwhile */
	r->fetch = NULL;
	r->source = NULL;
	config_unref(CONSUME(r->config));
	make_room(q);
}

/* ---- the question ---- */

/* 0, -ENOMEM, or -EINVAL: this cannot be asked. */
static int ask(struct memory *m, const struct source *s)
{
	CLEANUP(freep) char *url = NULL;
	char *key = NULL;
	int r = question_url(s, m->id, &url);

	if (r == 0)
		r = source_key_header(s, &key);
	const char *const headers[] = {"Accept: application/json", key, NULL};
	const struct fetch_request request = {.method = "GET",
		.url = url,
		.headers = headers,
		.ca_file = s->ca_file,
		.timeout_usec = TIMEOUT_USEC,
		.max_bytes = ANSWER_MAX_BYTES};
	if (r == 0)
		r = fetch_start(m->all->flow->fetch, &request, on_answer, m, &m->fetch);
	bytes_wipe(key, key ? strlen(key) : 0);
	if (r < 0)
		return r;
	m->config = config_ref(m->all->flow->config);
	m->source = s;
	m->all->active++;
	if (m->all->tokens > 0)
		m->all->tokens--;
	return 0;
}

int inquiry_start(struct inquiries *q, const struct source *s, const char *id,
	void (*on_done)(void *arg, const struct inquiry_answer *answer), void *arg,
	struct inquiry **ret)
{
	struct memory *r = find(q, s, id);
	struct inquiry *i = calloc(1, sizeof(*i));
	int e = i ? 0 : -ENOMEM;

	if (e == 0 && !r && !(r = memory_new(q, s, id)))
		e = -ENOMEM;
	if (e == 0 && !r->fetch)
		e = ask(r, s);
	if (e < 0) {
		if (r && !r->fetch && !r->status) /* nothing to remember */
			memory_free(r);
		free(i);
		return e;
	}
	i->memory = r;
	i->on_done = on_done;
	i->arg = arg;
	TAILQ_INSERT_TAIL(&r->waiting, i, entry);
	*ret = i;
	make_room(q);
	return 0;
}

void inquiry_forget(struct inquiry *i)
{
	TAILQ_REMOVE(&i->memory->waiting, i, entry);
	free(i);
}
