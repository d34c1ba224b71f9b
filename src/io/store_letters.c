/*
 * Dead letters: what is done or dead runs again or is laid aside, one at a time or all that
 * a filter takes. However many those are, a step deals with some hundred of them in one
 * short transaction and says where the next one goes on:
 *
 *	after ──► the oldest that fit, at most `limit` ──► next      … up to `through`
 *
 * Runs made by a replay are newer than `through`: no operation meets its own. Whether a run
 * was replayed stands in its replay (replay_of), so a replay that was cut short anywhere
 * and begins anew goes on where it was.
 */
#include "base/clock.h"
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>

#define STEP_MAX 500
/* Looking for what fits; the rest of a step is in proportion to what it found. */
#define LOOK_USEC (10 * USEC_PER_MSEC)
/* A row is written anew with all its output: so much of that in one step. */
#define STEP_BYTES (4u * 1024 * 1024)

/* What the verb says is done to one run. 0; 1: its state forbids it; negative errno. */
static int deal_with(struct store *s, enum store_verb verb, const char *reason,
	uint64_t number, struct store_letter *letter)
{
	uint64_t new_number = 0;
	int r = 0;

	if (verb == STORE_VERB_DISCARD)
		r = store_discard_run(s, number, reason);
	else if (verb == STORE_VERB_REPLAY)
		r = store_replay_run(s, number, &new_number);
	if (r == 0 && new_number)
		store_run_id(s, new_number, letter->new_run);
	return r;
}

static int deal_with_one(struct store *s, struct store_op *op, enum store_verb verb,
	const char *run, const char *reason, struct store_letter *letter)
{
	uint64_t number = store_run_number(s, run);

	int r = store_read_letter(s, number, letter);
	if (r == 0)
		op->result = -ENOENT;
	if (r <= 0)
		return r;
	r = deal_with(s, verb, reason, number, letter);
	if (r > 0)
		op->result = -EBUSY;
	return r < 0 ? r : 0;
}

int store_exec_replay(struct store *s, struct store_op *op)
{
	struct store_replay *o = container_of(op, struct store_replay, op);

	return deal_with_one(s, op, STORE_VERB_REPLAY, o->run, NULL, &o->letter);
}

int store_exec_discard(struct store *s, struct store_op *op)
{
	struct store_discard *o = container_of(op, struct store_discard, op);

	return deal_with_one(s, op, STORE_VERB_DISCARD, o->run, o->reason, &o->letter);
}

static bool has_hook(const struct store_letters *o, struct bytes hook)
{
	bool known = !o->hooks;

	for (size_t i = 0; !known && i < o->n_hooks; i++)
		known = bytes_equal(hook, bytes_of(o->hooks[i]));
	return known;
}

struct found {
	uint64_t numbers[STEP_MAX];
	size_t n;
};

/* What the step deals with; all of it before the first row is changed, for rows move in the
 * index that is walked. 1: there is more behind o->next, 0: there is not. */
static int look(struct store *s, struct store_letters *o, struct found *f)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	enum store_sql which = o->filter.state == RUN_DEAD ? SQL_RUNS_UP_IN_STATE
							   : SQL_RUNS_UP;
	unsigned limit = o->limit < STEP_MAX ? o->limit : STEP_MAX;
	uint64_t began = clock_mono_usec(), bytes = 0, rows = 0;

	int r = STORE_ROW(s, which, &row, ARG_INT(o->filter.state), ARG_INT(o->after),
		ARG_INT(o->through));
	for (; r == 1; r = store_sql_next(s, row)) {
		if (f->n == limit || bytes >= STEP_BYTES ||
			(++rows % 16 == 0 && clock_mono_usec() - began >= LOOK_USEC))
			return 1;
		o->next = store_sql_number(row, 0);
		r = store_run_fits(s, &o->filter, row);
		if (r < 0)
			return r;
		if (!r)
			continue;
		if (!has_hook(o, store_sql_peek(row, 2))) {
			o->n_passed_over++;
			continue;
		}
		f->numbers[f->n++] = o->next;
		bytes += o->verb == STORE_VERB_DISCARD ? store_sql_number(row, 7) : 0;
	}
	return r;
}

static int next_letter(struct store *s, struct store_letters *o, uint64_t number)
{
	struct store_letter *letter = &o->letters[o->n_letters];

	int r = store_read_letter(s, number, letter);
	if (r <= 0)
		return r ? r : store_broken(s, "a run without its job");
	r = deal_with(s, o->verb, o->reason, number, letter);
	o->n_letters += !r;
	return r < 0 ? r : 0;
}

int store_exec_letters(struct store *s, struct store_op *op)
{
	struct store_letters *o = container_of(op, struct store_letters, op);
	struct found found = {.n = 0};

	o->next = 0;
	o->n_letters = o->n_passed_over = 0;
	if (o->filter.state != RUN_DEAD &&
		(o->filter.state != RUN_DONE || o->verb == STORE_VERB_DISCARD)) {
		op->result = -EINVAL;
		return 0;
	}
	if (o->after > INT64_MAX)
		o->after = INT64_MAX;
	if (!o->through || o->through >= s->next_run)
		o->through = s->next_run - 1;
	int r = look(s, o, &found);
	if (r == 0)
		o->next = 0;
	if (r < 0 || !found.n)
		return r < 0 ? r : 0;
	o->letters = calloc(found.n, sizeof(*o->letters));
	if (!o->letters) { /* nothing is written yet: the others of the batch go on */
		op->result = -ENOMEM;
		return 0;
	}
	r = 0;
	for (size_t i = 0; i < found.n && !r; i++)
		r = next_letter(s, o, found.numbers[i]);
	return r;
}
