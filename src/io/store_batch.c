/*
 * One batch: all that waited, in one transaction, and back to who asked. What could not
 * be committed is divided: questions are answered all the same, what must not get lost is
 * kept for later, the rest is refused.
 *
 * No operation is answered 0 before the COMMIT that covers it returned, into files that
 * still had their names after it.
 */
#include "io/store_batch.h"
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>
#include <string.h>

static int exec_ping(struct store *s, struct store_op *op)
{
	(void)s;
	(void)op;
	return 0;
}

/* READS needs no commit. GROWS is refused while the disk is low. KEPT is tried again when
 * the disk is full: what has happened must be told, whatever the disk says. */
enum { READS = 1, GROWS = 2, KEPT = 4 };

static const struct {
	int (*run)(struct store *s, struct store_op *op);
	int traits;
} kinds[] = {
	[STORE_PUT] = {store_exec_put, GROWS},
	[STORE_CLAIM] = {store_exec_claim, KEPT},
	[STORE_SETTLE] = {store_exec_settle, KEPT},
	[STORE_EXPECT] = {store_exec_expect, GROWS},
	[STORE_FORGET] = {store_exec_forget, 0},
	[STORE_MINT] = {store_exec_mint, GROWS},
	[STORE_BIND] = {store_exec_bind, 0},
	[STORE_REPLAY] = {store_exec_replay, GROWS},
	[STORE_DISCARD] = {store_exec_discard, 0},
	[STORE_LETTERS] = {store_exec_letters, 0},
	[STORE_GET_JOB] = {store_exec_get_job, READS},
	[STORE_GET_RUN] = {store_exec_get_run, READS},
	[STORE_LIST_JOBS] = {store_exec_list_jobs, READS},
	[STORE_LIST_RUNS] = {store_exec_list_runs, READS},
	[STORE_LIST_CHANGES] = {store_exec_list_changes, READS},
	[STORE_DUE] = {store_exec_due, READS},
	[STORE_ORPHANS] = {store_exec_orphans, KEPT},
	[STORE_ASKS] = {store_exec_asks, READS},
	[STORE_ASKED] = {store_exec_asked, 0},
	[STORE_PAUSE] = {store_exec_pause, 0},
	[STORE_BACKUP] = {NULL, 0}, /* is in no batch */
	[STORE_PING] = {exec_ping, READS},
};

static bool is(const struct store_op *op, int trait)
{
	/* What is ignored is a question: is its token one of ours? */
	if (op->kind == STORE_PUT && container_of(op, struct store_put, op)->ignore)
		return trait == READS;
	if (op->kind == STORE_LETTERS) {
		switch (container_of(op, struct store_letters, op)->verb) {
		case STORE_VERB_COUNT: return trait == READS;
		case STORE_VERB_REPLAY: return trait == GROWS;
		case STORE_VERB_DISCARD: return false;
		}
	}
	return kinds[op->kind].traits & trait;
}

void store_list_add(struct store_list *list, struct store_op *op)
{
	op->next = NULL;
	if (list->last)
		list->last->next = op;
	else
		list->first = op;
	list->last = op;
}

struct store_op *store_list_take(struct store_list *list)
{
	struct store_op *op = list->first;

	if (!op)
		return NULL;
	list->first = op->next;
	if (!list->first)
		list->last = NULL;
	op->next = NULL;
	return op;
}

void store_list_join(struct store_list *list, struct store_list *tail)
{
	if (!tail->first)
		return;
	if (list->last)
		list->last->next = tail->first;
	else
		list->first = tail->first;
	list->last = tail->last;
	*tail = (struct store_list){NULL, NULL};
}

/* What a transaction that was rolled back left in the record is not true. */
void store_fail_op(struct store_op *op, int error)
{
	store_op_fini(op);
	if (op->kind == STORE_PUT) {
		struct store_put *p = container_of(op, struct store_put, op);
		for (size_t i = 0; i < p->n_wishes; i++)
			p->wishes[i].run = 0;
	} else if (op->kind == STORE_SETTLE) {
		struct store_settle *o = container_of(op, struct store_settle, op);
		for (size_t i = 0; i < o->n_dead_wishes; i++)
			o->dead_wishes[i].run = 0;
	}
	op->result = error;
	op->held = 0;
}

/* What the open transaction changed, as records: *ret is the caller's. */
static int collect_changes(struct store *s, struct store_change **ret, size_t *ret_n)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	size_t n = 0, room = s->next_change - s->first_change;

	*ret = NULL;
	*ret_n = 0;
	if (!s->watched || !s->first_change)
		return 0;
	struct store_change *changes = calloc(room, sizeof(*changes));
	if (!changes)
		return -ENOMEM;
	int r = STORE_ROW(
		s, SQL_CHANGES_UP, &row, ARG_INT(s->first_change - 1), ARG_INT(room));
	for (; r == 1; r = store_sql_next(s, row)) {
		r = store_read_change(s, store_sql_number(row, 2),
			store_sql_number(row, 3), &changes[n]);
		if (r < 0)
			break;
		changes[n].seq = store_sql_number(row, 0);
		changes[n].time_usec = sqlite3_column_int64(row, 1);
		n += (size_t)r;
	}
	if (r < 0) {
		store_changes_free(changes, n);
		return r;
	}
	*ret = changes;
	*ret_n = n;
	return 0;
}

/* With the mutex held. Commits that the loop did not see yet are handed over as one. */
static void add_changes(struct store *s, struct store_change *changes, size_t n)
{
	if (!s->changes) {
		s->changes = changes;
		s->n_changes = n;
		return;
	}
	struct store_change *more = reallocarray(
		s->changes, s->n_changes + n, sizeof(*more));
	if (!more) { /* they are stored; who watches may have missed a line */
		store_changes_free(changes, n);
		return;
	}
	s->changes = more;
	memcpy(s->changes + s->n_changes, changes, n * sizeof(*changes));
	s->n_changes += n;
	free(changes);
}

/* The batch is committed, or answered without. */
void store_deliver(
	struct store *s, struct store_list *batch, struct store_change *changes, size_t n)
{
	struct store_list finished = {NULL, NULL};
	struct store_op *op;
	size_t held = 0;

	while ((op = store_list_take(batch))) {
		store_list_add(&finished, op);
		held += op->held;
	}
	if (!finished.first && !n) {
		free(changes);
		return;
	}
	pthread_mutex_lock(&s->mutex);
	store_list_join(&s->done, &finished);
	s->held += held;
	if (n)
		add_changes(s, changes, n);
	bool wake = !s->woken;
	s->woken = true;
	pthread_mutex_unlock(&s->mutex);
	if (wake)
		store_ring(s);
	if (!n)
		free(changes);
}

static int execute(struct store *s, struct store_op *op)
{
	op->result = 0;
	if (s->low && is(op, GROWS)) {
		op->result = -ENOSPC;
		return 0;
	}
	int r = kinds[op->kind].run(s, op);
	op->held = store_op_weight(op);
	return r;
}

/* Ends the batch behind `op`: the rest is the beginning of the next one. */
static void cut(struct store *s, struct store_list *batch, struct store_op *op)
{
	struct store_list rest = {op->next, batch->last};

	if (!op->next)
		return;
	op->next = NULL;
	batch->last = op;
	store_list_join(&rest, &s->left);
	s->left = rest;
}

/* All of it, or as much as is not too heavy. What was kept is not divided. */
static int execute_all(struct store *s, struct store_list *batch, bool divisible)
{
	size_t weight = 0;
	int r = 0;

	for (struct store_op *op = batch->first; op && !r; op = op->next) {
		r = execute(s, op);
		weight += op->held;
		if (divisible && weight >= STORE_BATCH_BYTES)
			cut(s, batch, op);
	}
	return r;
}

void store_divide(struct store *s, struct store_list *batch, int error, bool retried)
{
	struct store_list answered = {NULL, NULL}, kept = {NULL, NULL};
	struct store_op *op;
	size_t weight = 0;

	while (weight < STORE_BATCH_BYTES && (op = store_list_take(batch))) {
		store_fail_op(op, error);
		if (is(op, KEPT)) {
			store_list_add(&kept, op);
			continue;
		}
		store_list_add(&answered, op);
		if (!is(op, READS))
			continue;
		int r = store_begin(s, false);
		if (!r)
			r = execute(s, op);
		if (!r)
			r = store_commit(s);
		if (!r) {
			weight += op->held;
			continue;
		}
		store_rollback(s);
		store_fail_op(op, r);
		if (r == -EIO) {
			store_list_join(&answered, &kept);
			store_list_join(&answered, batch);
			store_fail(s, &answered);
			return;
		}
	}
	store_list_join(batch, &s->left);
	s->left = *batch;
	*batch = (struct store_list){NULL, NULL};
	if (retried) { /* they were the first of those */
		store_list_join(&kept, &s->kept);
		s->kept = kept;
	} else {
		store_list_join(&s->kept, &kept);
	}
	store_deliver(s, &answered, NULL, 0);
}

bool store_run_batch(struct store *s, struct store_list *batch, bool probe)
{
	struct store_change *changes = NULL;
	size_t n_changes = 0, n_grow = 0;
	bool write = probe;

	for (struct store_op *op = batch->first; op; op = op->next) {
		write = write || !is(op, READS);
		n_grow += is(op, GROWS);
	}
	if (n_grow)
		store_check_space(s, false);
	int r = store_begin(s, write);
	if (!r && probe)
		r = store_sql_do(s, SQL_PROBE);
	if (!r)
		r = execute_all(s, batch, !probe);
	if (!r)
		r = collect_changes(s, &changes, &n_changes);
	if (!r) /* who watches is told of what goes with this commit, too */
		r = store_prune_beside(s, n_grow);
	if (!r && !s->spare_batches)
		r = store_ids_merge_beside(s, n_grow);
	if (!r)
		r = store_commit(s);
	if (!r)
		r = store_dir_check(s);
	s->spare_batches = r != 0;
	if (!r) {
		store_deliver(s, batch, changes, n_changes);
		return true;
	}
	store_changes_free(changes, n_changes);
	store_rollback(s);
	if (r == -EIO) {
		store_fail(s, batch);
		return false;
	}
	store_stall(s, r);
	store_divide(s, batch, r, probe);
	return false;
}
