/*
 * A callback arrives: which job, what it means for it, which runs it makes; all in the
 * transaction of its batch, so two of one job in one batch are as two in a row.
 *
 *	token ─► job's row ─► judge ─► callback recorded, job moved or noted ─► runs
 *
 * A run arises only where a job moves: there is no other way to fire a hook twice.
 */
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>
#include <stdio.h>

/* Is the job `number` that one? 1 and what is known of it, or 0. */
static int read_found(struct store *s, uint64_t number, const char *source,
	const char *id, const char *word, struct store_found *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(
		s, SQL_JOB_FIND, &row, ARG_INT(number), ARG_TEXT(id), ARG_TEXT(source));
	if (r <= 0)
		return r;
	struct bytes have = store_sql_peek(row, 2);
	*ret = (struct store_found){
		.number = store_sql_number(row, 0),
		.outcome = (enum outcome)sqlite3_column_int(row, 1),
		.same_word = word ? have.data && bytes_equal(have, bytes_of(word))
				  : !have.data,
		.callback = store_sql_number(row, 3),
		.latest = store_sql_number(row, 4),
		.deliveries = store_sql_number(row, 5),
		.expected_usec = sqlite3_column_int64(row, 6),
		.confirmed_usec = sqlite3_column_int64(row, 7),
		.ask_at_usec = sqlite3_column_int64(row, 8),
		.ask_from_usec = sqlite3_column_int64(row, 9),
		.ask_tries = (unsigned)sqlite3_column_int64(row, 10),
	};
	return 1;
}

int store_find_job(struct store *s, const char *source, const char *id, const char *word,
	struct store_found *ret)
{
	CLEANUP(store_ids_endp) struct store_ids_walk walk = store_ids_find(s, id);
	uint64_t number;
	int r;

	*ret = (struct store_found){.outcome = OUTCOME_NONE};
	while ((r = store_ids_next(s, &walk, &number)) == 1) {
		r = read_found(s, number, source, id, word, ret);
		if (r)
			return r;
	}
	return r;
}

int store_note_change(struct store *s, uint64_t job, uint64_t run)
{
	uint64_t seq = s->next_change++;

	if (!s->first_change)
		s->first_change = seq;
	return STORE_RUN(s, SQL_CHANGE_ADD, ARG_INT(seq), ARG_INT(s->now_usec),
		ARG_INT(job), ARG_INT(run));
}

/*
 * The token must be one of this source, and of this id or of none yet: then it is this
 * one's from now on. What cannot be read has an id that we made ourselves ("sha256:…"):
 * it neither binds the token, which would lock the true id out, nor is held against it.
 * Nor does what is ignored bind it: it says nothing of this upload.
 * 1 it holds, 0 it does not.
 */
static int check_token(struct store *s, struct store_put *p)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	struct bytes hash = {(const char *)p->token_hash, 32};

	int r = STORE_ROW(s, SQL_TOKEN_GET, &row, ARG_BLOB(hash));
	if (r <= 0)
		return r;
	struct bytes source = store_sql_peek(row, 0), id = store_sql_peek(row, 1);
	if (!bytes_equal(source, bytes_of(p->source)))
		return 0;
	if (p->outcome == OUTCOME_UNREADABLE || (p->ignore && !id.data))
		return 1;
	if (!id.data) {
		r = STORE_RUN(s, SQL_TOKEN_BIND, ARG_BLOB(hash), ARG_TEXT(p->id));
		return r ? r : 1;
	}
	if (bytes_equal(id, bytes_of(p->id)))
		return 1;
	snprintf(p->token_job, sizeof(p->token_job), "%.*s", BYTES_FMT(id));
	return 0;
}

/*
 * Did a callback of this job carry this delivery id and say the same? A redelivery may
 * differ in its body (a time of sending in it); one with another outcome or word is none,
 * whatever its id says. Of held ones only held ones are repeats: they moved nothing. 1 or
 * 0.
 */
static int delivered_before(
	struct store *s, const struct store_put *p, const struct store_found *job)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	if (!p->delivery)
		return 0;
	return STORE_ROW(s, SQL_CALLBACK_DELIVERY, &row, ARG_INT(job->number),
		ARG_TEXT(p->delivery), ARG_INT(p->outcome), ARG_TEXT(p->status),
		ARG_INT(STORE_HELD), ARG_INT(p->hold));
}

/* Is the recorded callback `number` this one, byte for byte? 1 or 0. */
static int is_same(struct store *s, const struct store_put *p, uint64_t number)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	if (!number)
		return 0;
	int r = STORE_ROW(s, SQL_CALLBACK_GET, &row, ARG_INT(number));
	if (r <= 0)
		return r;
	if ((sqlite3_column_int(row, 0) == STORE_HELD) != p->hold ||
		sqlite3_column_int(row, 1) != (int)p->outcome)
		return 0;
	struct bytes payload = store_sql_peek(row, 3);
	return !payload.data == !p->payload.data && bytes_equal(payload, p->payload);
}

/* As is_same(), of the job's current callback and of the newest: a body that was recorded
 * as changed or as a contradiction is sent again like any other. */
static int recorded_before(
	struct store *s, const struct store_put *p, const struct store_found *job)
{
	int r = is_same(s, p, job->callback);

	if (r || job->latest == job->callback)
		return r;
	return is_same(s, p, job->latest);
}

/* What the callback is to a job that we know. 0 or negative errno. */
static int judge(struct store *s, struct store_put *p, const struct store_found *job,
	bool *ret_record)
{
	enum outcome_move move = outcome_next(job->outcome, p->outcome, p->reopen);
	int r = delivered_before(s, p, job);

	*ret_record = false;
	if (r == 0 && move == OUTCOME_MOVES && !p->hold) {
		p->verdict = STORE_MOVED;
		*ret_record = true;
		return 0;
	}
	if (r == 0 && !p->hold && job->outcome == OUTCOME_PENDING &&
		p->outcome == OUTCOME_PENDING && (!job->callback || !job->same_word)) {
		p->verdict = STORE_MOVED;
		*ret_record = true;
		return 0;
	}
	if (r == 0)
		r = recorded_before(s, p, job);
	if (r < 0)
		return r;
	*ret_record = r == 0;
	if (p->hold)
		p->verdict = STORE_HELD;
	else if (r == 1)
		p->verdict = STORE_REPEAT;
	else if (move == OUTCOME_LATE)
		p->verdict = STORE_LATE;
	else if (move == OUTCOME_CONTRADICTS)
		p->verdict = STORE_CONTRADICTION;
	else
		p->verdict = STORE_CHANGED;
	return 0;
}

static int record_callback(
	struct store *s, const struct store_put *p, uint64_t job, uint64_t number)
{
	return STORE_RUN(s, SQL_CALLBACK_ADD, ARG_INT(number), ARG_INT(job),
		ARG_INT(p->received_usec), ARG_INT(p->verdict), ARG_INT(p->outcome),
		ARG_INT(p->test), ARG_TEXT(p->status), ARG_TEXT(p->delivery),
		ARG_TEXT(p->fields), ARG_BLOB(p->payload));
}

/* Of a held one the source is to be asked at once, in the same transaction: its sender's
 * word must not be lost with the daemon that was about to ask. */
static int add_job(
	struct store *s, const struct store_put *p, uint64_t number, uint64_t callback)
{
	bool hold = p->hold, delivered = p->deliveries > 0;
	enum outcome outcome = hold ? OUTCOME_PENDING : p->outcome;
	int64_t ask_at = hold ? s->steady_usec : 0;

	if (p->confirmed && outcome == OUTCOME_PENDING)
		ask_at = p->ask_at_usec;
	s->ahead.jobs++;
	if (outcome == OUTCOME_PENDING)
		s->ahead.pending++;
	store_count_asking(s, 0, ask_at);
	int r = STORE_RUN(s, SQL_JOB_ADD, ARG_INT(number), ARG_TEXT(p->source),
		ARG_TEXT(p->id), ARG_TEXT(hold ? NULL : p->status), ARG_INT(outcome),
		ARG_INT(delivered ? p->received_usec : 0), ARG_INT(s->now_usec),
		ARG_INT(0), ARG_INT(p->confirmed ? s->now_usec : 0),
		ARG_INT(p->deliveries), ARG_INT(hold ? 0 : callback), ARG_INT(callback),
		ARG_INT(ask_at), ARG_TEXT(NULL), ARG_INT(-1),
		ARG_INT(ask_at ? s->steady_usec : 0));
	return r ? r : store_ids_add(s, p->id, number);
}

static int move_job(struct store *s, const struct store_put *p, struct store_found *job,
	uint64_t callback)
{
	int64_t received = p->deliveries > job->deliveries ? p->received_usec : 0;
	bool ends = outcome_terminal(p->outcome);
	int64_t ask_at = ends ? 0 : job->ask_at_usec;

	if (job->outcome == OUTCOME_PENDING)
		s->ahead.pending--;
	if (p->outcome == OUTCOME_PENDING)
		s->ahead.pending++;
	store_count_asking(s, job->ask_at_usec, ask_at);
	job->ask_at_usec = ask_at;
	/* Why it could not be asked for is what remains of a job that is lost. */
	return STORE_RUN(s, SQL_JOB_MOVE, ARG_INT(job->number), ARG_TEXT(p->status),
		ARG_INT(p->outcome), ARG_INT(callback), ARG_INT(s->now_usec),
		ARG_INT(p->deliveries), ARG_INT(received),
		ARG_INT(p->confirmed ? s->now_usec : 0), ARG_INT(ask_at),
		ARG_INT(!ends || p->outcome == OUTCOME_LOST));
}

/* May the source have news of a job, now that this came? */
static bool is_open(const struct store_put *p, const struct store_found *job)
{
	if (job->outcome == OUTCOME_PENDING || job->outcome == OUTCOME_LOST)
		return true;
	return p->reopen && p->outcome == OUTCOME_PENDING &&
	       job->outcome != OUTCOME_UNREADABLE;
}

static int note_job(struct store *s, const struct store_put *p, struct store_found *job,
	uint64_t callback)
{
	int64_t received = p->deliveries > job->deliveries ? p->received_usec : 0;
	int64_t ask_at = job->ask_at_usec;

	/* As in add_job(). */
	if (p->hold && is_open(p, job)) {
		if (!ask_at || ask_at > s->steady_usec)
			ask_at = s->steady_usec;
		if (!job->ask_from_usec)
			job->ask_from_usec = s->steady_usec;
		job->ask_tries = 0;
	}
	store_count_asking(s, job->ask_at_usec, ask_at);
	job->ask_at_usec = ask_at;
	return STORE_RUN(s, SQL_JOB_NOTE, ARG_INT(job->number), ARG_INT(callback),
		ARG_INT(s->now_usec), ARG_INT(p->deliveries), ARG_INT(received),
		ARG_INT(p->confirmed && !job->confirmed_usec ? s->now_usec : 0),
		ARG_INT(ask_at), ARG_INT(job->ask_from_usec), ARG_INT(job->ask_tries));
}

/*
 * A hook runs once for each pending word and once for each terminal outcome: the job may come
 * by the same word again, and by the same outcome where it was opened again (Reopen=yes).
 */
static int ran_before(
	struct store *s, const struct store_put *p, uint64_t job, const char *hook)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	if (p->outcome_before == OUTCOME_NONE)
		return 0;
	if (p->outcome != OUTCOME_PENDING)
		return STORE_ROW(s, SQL_RUN_FOR_OUTCOME, &row, ARG_INT(job),
			ARG_TEXT(hook), ARG_INT(p->outcome));
	return STORE_ROW(s, SQL_RUN_FOR_WORD, &row, ARG_INT(job), ARG_TEXT(hook),
		ARG_INT(p->outcome), ARG_TEXT(p->status));
}

static int make_runs(
	struct store *s, struct store_put *p, uint64_t job, uint64_t callback)
{
	for (size_t i = 0; i < p->n_wishes; i++) {
		struct store_wish *wish = &p->wishes[i];
		int r = ran_before(s, p, job, wish->hook);
		if (r < 0)
			return r;
		if (r)
			continue;
		struct store_new_run run = {
			.job = job,
			.callback = callback,
			.hook = wish->hook,
			.status = p->status,
			.outcome = p->outcome,
			.start_now = wish->start_now,
		};
		r = store_add_run(s, &run, &wish->run);
		if (r)
			return r;
	}
	return 0;
}

static int put_new(struct store *s, struct store_put *p)
{
	uint64_t job = s->next_job++, callback = s->next_callback++;

	p->verdict = p->hold ? STORE_HELD : STORE_NEW;
	int r = record_callback(s, p, job, callback);
	if (!r)
		r = add_job(s, p, job, callback);
	if (!r)
		r = store_note_change(s, job, 0);
	return r || p->hold ? r : make_runs(s, p, job, callback);
}

/* Had a callback that is held for confirmation another end to tell than the source has? */
static int find_disagreement(
	struct store *s, struct store_put *p, const struct store_found *job)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_CALLBACK_HELD, &row, ARG_INT(job->number),
		ARG_INT(STORE_HELD), ARG_INT(job->callback), ARG_INT(p->outcome));
	if (r <= 0)
		return r;
	struct bytes status = store_sql_peek(row, 1);
	p->held_outcome = (enum outcome)sqlite3_column_int(row, 0);
	snprintf(p->held_status, sizeof(p->held_status), "%.*s", BYTES_FMT(status));
	return 0;
}

/* Is the newest of the job's callbacks one that is held? 1 or 0. */
static int is_held(struct store *s, const struct store_found *job)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	if (job->latest == job->callback)
		return 0;
	int r = STORE_ROW(s, SQL_CALLBACK_GET, &row, ARG_INT(job->latest));
	return r == 1 ? sqlite3_column_int(row, 0) == STORE_HELD : r;
}

/* The source has spoken: whether, and when, it is asked again. */
static int note_answer(
	struct store *s, const struct store_put *p, struct store_found *job)
{
	enum outcome now = p->verdict == STORE_MOVED ? p->outcome : job->outcome;
	int64_t ask_at = p->ask_at_usec ? p->ask_at_usec : job->ask_at_usec;

	if (now != OUTCOME_PENDING && now != OUTCOME_LOST)
		ask_at = 0;
	if (now == OUTCOME_LOST && !job->ask_at_usec)
		ask_at = 0;
	return store_note_asked(s, job, p->ask_tries, ask_at, NULL);
}

static int change_known(struct store *s, struct store_put *p, struct store_found *job,
	bool record, bool held)
{
	uint64_t callback = held ? job->callback : job->latest;
	int r = 0;

	if (record) {
		callback = s->next_callback++;
		r = record_callback(s, p, job->number, callback);
	}
	bool moves = p->verdict == STORE_MOVED;
	if (!r)
		r = moves ? move_job(s, p, job, callback) : note_job(s, p, job, callback);
	if (!r)
		r = store_note_change(s, job->number, 0);
	return r || !moves ? r : make_runs(s, p, job->number, callback);
}

static int put_known(struct store *s, struct store_put *p, struct store_found *job)
{
	bool record;
	int held = p->confirmed ? is_held(s, job) : 0;

	int r = held < 0 ? held : judge(s, p, job, &record);
	if (!r && held)
		r = find_disagreement(s, p, job);
	if (r)
		return r;
	/* A repeat counts and nothing else, unless it is the first word of the source
	 * itself for what was believed so far, or it is the reason to ask for what is not
	 * asked for any more. */
	bool asks = p->hold && !job->ask_at_usec && is_open(p, job);
	if (record || held || asks || (p->confirmed && !job->confirmed_usec))
		r = change_known(s, p, job, record, held);
	else
		r = STORE_RUN(
			s, SQL_JOB_REPEAT, ARG_INT(job->number), ARG_INT(p->deliveries));
	return r || !p->confirmed ? r : note_answer(s, p, job);
}

/* Is it for a job that is there and wants it no more? */
static bool is_late_loss(const struct store_put *p, const struct store_found *job)
{
	return p->known && p->outcome == OUTCOME_LOST && job->outcome != OUTCOME_PENDING;
}

/* A question is given up: of a job that was lost already, its second one. */
static int end_asking(struct store *s, struct store_put *p, struct store_found *job)
{
	p->verdict = STORE_REPEAT;
	if (!job->ask_at_usec)
		return 0;
	store_count_asking(s, job->ask_at_usec, 0);
	return STORE_RUN(s, SQL_JOB_NOTE, ARG_INT(job->number), ARG_INT(job->latest),
		ARG_INT(s->now_usec), ARG_INT(job->deliveries), ARG_INT(0), ARG_INT(0),
		ARG_INT(0), ARG_INT(0), ARG_INT(0));
}

int store_exec_put(struct store *s, struct store_op *op)
{
	struct store_put *p = container_of(op, struct store_put, op);
	struct store_found job;

	p->outcome_before = OUTCOME_NONE;
	p->token_job[0] = p->held_status[0] = '\0';
	p->held_outcome = OUTCOME_NONE;
	p->deliveries = 0;
	for (size_t i = 0; i < p->n_wishes; i++)
		p->wishes[i].run = 0;
	if (!p->ignore && (p->outcome <= OUTCOME_NONE || p->outcome >= OUTCOME_MAX)) {
		op->result = -EINVAL;
		return 0;
	}
	int r = p->token_hash ? check_token(s, p) : 1;
	if (r < 0)
		return r;
	if (r == 0) {
		p->verdict = STORE_UNVERIFIED;
		return 0;
	}
	if (p->ignore) {
		p->verdict = STORE_IGNORED;
		return 0;
	}
	r = store_find_job(s, p->source, p->id, p->status, &job);
	if (r < 0)
		return r;
	if (r == 0 && p->known) {
		op->result = -ENOENT;
		return 0;
	}
	p->outcome_before = job.outcome;
	if (is_late_loss(p, &job))
		return end_asking(s, p, &job);
	/* What the source answered when asked, or did not, was not delivered by it. */
	bool delivered = !p->confirmed && p->outcome != OUTCOME_LOST;
	p->deliveries = job.deliveries + delivered;
	s->ahead.callbacks += delivered;
	return r ? put_known(s, p, &job) : put_new(s, p);
}
