/*
 * The writer: the one thread that touches the database while the daemon runs. It takes
 * all that waits, carries it out in one transaction, and hands it back after the commit.
 * Batches form by themselves while a commit runs.
 *
 *	            ┌── nothing waits: house-keeping, then sleep until it is due ──┐
 *	queue ──► batch ──► BEGIN … COMMIT ──► done ──► loop                       │
 *	   ▲                     │ disk full                                       │
 *	   └─────────────────────┼─► puts: -ENOSPC; settles, claims: kept ─► again ┘
 *	                         └ I/O error: everything -EIO, and never a write again
 *
 * No operation is answered 0 before the COMMIT that covers it returned.
 */
#include "base/clock.h"
#include "io/store_private.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define SPACE_USEC (100 * USEC_PER_MSEC)

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
	[STORE_GET_JOB] = {store_exec_get_job, READS},
	[STORE_GET_RUN] = {store_exec_get_run, READS},
	[STORE_LIST_JOBS] = {store_exec_list_jobs, READS},
	[STORE_LIST_RUNS] = {store_exec_list_runs, READS},
	[STORE_LIST_CHANGES] = {store_exec_list_changes, READS},
	[STORE_DUE] = {store_exec_due, READS},
	[STORE_ORPHANS] = {store_exec_orphans, KEPT},
	[STORE_PING] = {exec_ping, READS},
};

static bool is(const struct store_op *op, int trait)
{
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

/* `tail` behind `list`; `tail` is empty then. */
static void list_join(struct store_list *list, struct store_list *tail)
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
static void fail_op(struct store_op *op, int error)
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
	} else if (op->kind == STORE_ORPHANS) {
		struct store_orphans *o = container_of(op, struct store_orphans, op);
		o->n_died = o->n_committed;
	}
	op->result = error;
}

void store_wake_loop(struct store *s)
{
	uint64_t one = 1;

	if (s->woken)
		return;
	s->woken = true;
	/* Fails only when the counter is full, and then the loop is awake. */
	if (write(s->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void publish_health(struct store *s)
{
	pthread_mutex_lock(&s->mutex);
	s->healthy = !s->stalled && !s->low;
	pthread_mutex_unlock(&s->mutex);
}

static void stall(struct store *s)
{
	s->stalled = true;
	s->retry_at = clock_mono_usec() + STORE_RETRY_USEC;
	publish_health(s);
}

/* The end: nothing more is written, and whoever waits is told. */
static void fail(struct store *s, struct store_list *batch)
{
	struct store_list all = *batch;

	*batch = (struct store_list){NULL, NULL};
	list_join(&all, &s->kept);
	list_join(&all, &s->again);
	pthread_mutex_lock(&s->mutex);
	list_join(&all, &s->queue);
	s->n_queue = s->n_puts = 0;
	for (struct store_op *op = all.first; op; op = op->next)
		fail_op(op, -EIO);
	list_join(&s->done, &all);
	s->failed = true;
	s->healthy = false;
	store_wake_loop(s);
	pthread_mutex_unlock(&s->mutex);
}

void store_trouble(struct store *s, int error)
{
	struct store_list none = {NULL, NULL};

	store_rollback(s);
	if (error == -EIO)
		fail(s, &none);
	else
		stall(s);
}

static void check_space(struct store *s, bool now)
{
	uint64_t mono = clock_mono_usec();
	struct statvfs vfs;
	bool was = s->low;

	if (!now && s->space_at && mono - s->space_at < SPACE_USEC)
		return;
	s->space_at = mono;
	s->low = s->min_free && fstatvfs(s->directory_fd, &vfs) == 0 &&
		 (uint64_t)vfs.f_bavail * vfs.f_frsize < s->min_free;
	if (s->low && !was && !s->stalled)
		s->retry_at = mono + STORE_RETRY_USEC;
	if (s->low != was)
		publish_health(s);
}

int store_begin(struct store *s, bool write)
{
	pthread_mutex_lock(&s->mutex);
	s->watched = s->watching;
	pthread_mutex_unlock(&s->mutex);
	s->ahead = s->counts;
	s->first_change = 0;
	s->now_usec = clock_wall_usec();
	s->steady_usec = clock_steady_usec();
	return store_sql_do(s, write ? SQL_BEGIN_WRITE : SQL_BEGIN);
}

int store_commit(struct store *s)
{
	int r = store_sql_do(s, SQL_COMMIT);

	if (r)
		return r;
	if (s->ahead.commits != s->counts.commits)
		s->ahead.bytes = store_dir_bytes(s);
	pthread_mutex_lock(&s->mutex);
	s->counts = s->ahead;
	pthread_mutex_unlock(&s->mutex);
	if (s->log_pages >= STORE_PAGES_MAX && clock_mono_usec() >= s->checkpoint_at)
		s->checkpoint_now = true;
	return 0;
}

void store_rollback(struct store *s)
{
	/* Some errors have ended the transaction already; and one that cannot be ended is
	 * ended by closing. */
	if (!sqlite3_get_autocommit(s->db) && store_sql_do(s, SQL_ROLLBACK))
		return;
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
static void deliver(
	struct store *s, struct store_list *batch, struct store_change *changes, size_t n)
{
	struct store_list finished = {NULL, NULL};
	struct store_op *op;

	while ((op = store_list_take(batch))) {
		if (op->result <= 0) {
			store_list_add(&finished, op);
			continue;
		}
		struct store_orphans *o = container_of(op, struct store_orphans, op);
		o->n_committed = o->n_died;
		store_list_add(&s->again, op);
	}
	if (!finished.first && !n) {
		free(changes);
		return;
	}
	pthread_mutex_lock(&s->mutex);
	list_join(&s->done, &finished);
	if (n)
		add_changes(s, changes, n);
	store_wake_loop(s);
	pthread_mutex_unlock(&s->mutex);
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
	if (r > 0)
		op->result = r;
	return r < 0 ? r : 0;
}

/* While nothing can be committed: questions are answered, what must not get lost is kept,
 * the rest is refused. */
static void divide(struct store *s, struct store_list *batch, int error)
{
	struct store_list answered = {NULL, NULL}, kept = {NULL, NULL};
	struct store_op *op;

	while ((op = store_list_take(batch))) {
		fail_op(op, error);
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
		if (!r)
			continue;
		store_rollback(s);
		fail_op(op, r);
		if (r == -EIO) {
			list_join(&answered, &kept);
			list_join(&answered, batch);
			fail(s, &answered);
			return;
		}
	}
	list_join(&kept, &s->kept);
	s->kept = kept;
	deliver(s, &answered, NULL, 0);
}

/* True when it was committed. */
static bool run_batch(struct store *s, struct store_list *batch, bool probe)
{
	struct store_change *changes = NULL;
	size_t n_changes = 0;
	bool write = probe;

	for (struct store_op *op = batch->first; op; op = op->next) {
		write = write || !is(op, READS);
		if (is(op, GROWS))
			check_space(s, false);
	}
	int r = store_begin(s, write);
	if (!r && probe)
		r = store_sql_do(s, SQL_PROBE);
	for (struct store_op *op = batch->first; op && !r; op = op->next)
		r = execute(s, op);
	if (!r)
		r = collect_changes(s, &changes, &n_changes);
	if (!r)
		r = store_commit(s);
	if (!r) {
		deliver(s, batch, changes, n_changes);
		return true;
	}
	store_changes_free(changes, n_changes);
	store_rollback(s);
	if (r == -EIO) {
		fail(s, batch);
		return false;
	}
	stall(s);
	divide(s, batch, r);
	return false;
}

/* With the mutex held: up to a batch from the front of the queue. */
static void take_batch(struct store *s, struct store_list *batch)
{
	size_t n = 0, bytes = 0;

	list_join(batch, &s->again);
	while (s->queue.first && n < STORE_BATCH_OPS && bytes < STORE_BATCH_BYTES) {
		struct store_op *op = store_list_take(&s->queue);
		if (op->kind == STORE_PUT) {
			bytes += container_of(op, struct store_put, op)->payload.size;
			s->n_puts--;
		} else if (op->kind == STORE_SETTLE) {
			struct store_settle *o = container_of(
				op, struct store_settle, op);
			bytes += o->stdout_tail.size + o->stderr_tail.size;
		}
		s->n_queue--;
		n++;
		store_list_add(batch, op);
	}
}

/* Of what was kept, up to a batch. */
static void take_kept(struct store *s, struct store_list *batch)
{
	for (size_t n = 0; n < STORE_BATCH_OPS && s->kept.first; n++)
		store_list_add(batch, store_list_take(&s->kept));
}

/* The disk was full or low: is it still? */
static void retry(struct store *s)
{
	s->retry_at = clock_mono_usec() + STORE_RETRY_USEC;
	check_space(s, true);
	if (!s->stalled)
		return;
	do {
		struct store_list batch = {NULL, NULL};
		take_kept(s, &batch);
		if (!run_batch(s, &batch, true))
			return;
	} while (s->kept.first);
	s->stalled = false;
	publish_health(s);
}

/* With the mutex held. */
static void sleep_for(struct store *s, uint64_t usec)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	if (usec > 86400 * USEC_PER_SEC)
		usec = 86400 * USEC_PER_SEC;
	usec += (uint64_t)until.tv_nsec / 1000;
	until.tv_sec += (time_t)(usec / USEC_PER_SEC);
	until.tv_nsec = (long)(usec % USEC_PER_SEC) * 1000;
	s->asleep = true;
	pthread_cond_timedwait(&s->cond, &s->mutex, &until);
	s->asleep = false;
}

static void take_limits(struct store *s)
{
	if (!s->limits_changed)
		return;
	s->limits_changed = false;
	s->retention = s->retention_usec;
	s->min_free = s->min_free_bytes;
	s->prune.at = 0;
	s->space_at = 0;
	s->recheck = true;
}

/* Waits until there is something to do. False when the store is to stop. */
static bool wait_for_work(struct store *s, struct store_list *batch)
{
	pthread_mutex_lock(&s->mutex);
	take_limits(s);
	while (!s->queue.first && !s->again.first && !s->stopping) {
		uint64_t due = s->recheck ? 0 : store_house_due(s);
		uint64_t now = clock_mono_usec();
		if (due <= now)
			break;
		sleep_for(s, due - now);
		take_limits(s);
	}
	bool stop = s->stopping && !s->queue.first;
	if (!stop)
		take_batch(s, batch);
	pthread_mutex_unlock(&s->mutex);
	return !stop;
}

/* In order: what was kept gets a last chance, then the log is carried over. */
static void finish(struct store *s)
{
	struct store_op *op;

	if (s->stalled)
		retry(s);
	if (!s->failed) {
		struct store_list left = s->kept;
		s->kept = (struct store_list){NULL, NULL};
		list_join(&left, &s->again);
		for (op = left.first; op; op = op->next)
			fail_op(op, -ECANCELED);
		deliver(s, &left, NULL, 0);
		store_checkpoint(s, true);
	}
}

void *store_writer(void *store)
{
	struct store *s = store;
	struct store_list batch = {NULL, NULL};

	while (!s->failed && wait_for_work(s, &batch)) {
		bool idle = !batch.first;
		if (!idle) {
			if (s->stalled)
				divide(s, &batch, -ENOSPC);
			else
				run_batch(s, &batch, false);
			s->busy_at = clock_mono_usec();
		}
		if (!s->failed && (s->stalled || s->low || s->recheck) &&
			(s->recheck || clock_mono_usec() >= s->retry_at)) {
			s->recheck = false;
			retry(s);
		}
		if (!s->failed && s->checkpoint_now) {
			s->checkpoint_now = false;
			store_checkpoint(s, false);
		}
		if (!s->failed)
			store_house(s, idle);
	}
	if (!s->failed)
		finish(s);
	store_sql_finalize(s);
	sqlite3_close(s->db);
	s->db = NULL;
	return NULL;
}
