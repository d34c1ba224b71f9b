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
#include "io/store_backup.h"
#include "io/store_batch.h"
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define SPACE_USEC (100 * USEC_PER_MSEC)

void store_ring(struct store *s)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the loop is awake. */
	if (write(s->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void store_wake_loop(struct store *s)
{
	if (!s->woken)
		store_ring(s);
	s->woken = true;
}

/* `why` it is not healthy, if it is not. The loop is told of the edges. */
static void publish_health(struct store *s, const char *why)
{
	pthread_mutex_lock(&s->mutex);
	bool healthy = !s->stalled && !s->low;
	if (s->healthy && !healthy)
		s->ailment = why;
	if (s->healthy != healthy)
		store_wake_loop(s);
	s->healthy = healthy;
	pthread_mutex_unlock(&s->mutex);
}

void store_stall(struct store *s, int error)
{
	s->stalled = true;
	s->retry_at = clock_mono_usec() + STORE_RETRY_USEC;
	publish_health(s, error == -ENOMEM ? "memory is short" : "the disk is full");
}

/* The end: nothing more is written, and whoever waits is told. */
void store_fail(struct store *s, struct store_list *batch)
{
	struct store_list all = *batch;

	store_backup_stop(s, -EIO);
	*batch = (struct store_list){NULL, NULL};
	store_list_join(&all, &s->kept);
	store_list_join(&all, &s->left);
	pthread_mutex_lock(&s->mutex);
	store_list_join(&all, &s->queue);
	s->n_queue = s->n_puts = s->put_bytes = 0;
	for (struct store_op *op = all.first; op; op = op->next)
		store_fail_op(op, -EIO);
	store_list_join(&s->done, &all);
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
		store_fail(s, &none);
	else
		store_stall(s, error);
}

void store_check_space(struct store *s, bool now)
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
		publish_health(s, "less than MinFreeBytes= is free");
}

int store_begin(struct store *s, bool write)
{
	pthread_mutex_lock(&s->mutex);
	s->watched = s->watching;
	pthread_mutex_unlock(&s->mutex);
	s->ahead = s->counts;
	s->prune_before = s->prune;
	s->first_change = 0;
	s->counting_to = s->counted_to;
	s->now_usec = clock_wall_usec();
	s->steady_usec = clock_steady_usec();
	return store_sql_do(s, write ? SQL_BEGIN_WRITE : SQL_BEGIN);
}

int store_commit(struct store *s)
{
	int r = 0;

	if (s->next_job - s->counting_to > STORE_UNCOUNTED &&
		s->ahead.jobs != s->counts.jobs)
		r = store_keep_count(s);
	if (r)
		return r;
	uint64_t began_usec = clock_kernel_usec();
	r = store_sql_do(s, SQL_COMMIT);
	uint64_t took_usec = clock_kernel_usec() - began_usec;

	if (r)
		return r;
	s->counted_to = s->counting_to;
	s->prune_before = s->prune;
	store_ids_committed(&s->ids);
	bool wrote = s->ahead.commits != s->counts.commits;
	if (wrote)
		s->ahead.bytes = store_dir_bytes(s);
	s->ahead.seq = s->next_change - 1;
	pthread_mutex_lock(&s->mutex);
	s->counts = s->ahead;
	if (wrote)
		histogram_add(&s->commit_times, &histogram_quick, took_usec);
	pthread_mutex_unlock(&s->mutex);
	if (s->log_bytes >= STORE_LOG_BYTES && clock_mono_usec() >= s->checkpoint_at)
		s->checkpoint_now = true;
	return 0;
}

void store_rollback(struct store *s)
{
	s->prune = s->prune_before;
	store_ids_rolled_back(&s->ids);
	/* Some errors have ended the transaction already; and one that cannot be ended is
	 * ended by closing. */
	if (!sqlite3_get_autocommit(s->db) && store_sql_do(s, SQL_ROLLBACK))
		return;
}

/* With the mutex held: up to a batch from the front of the queue. */
static void take_batch(struct store *s, struct store_list *batch)
{
	size_t n = 0, bytes = 0;

	if (s->left.first) { /* came before all that waits */
		store_list_join(batch, &s->left);
		return;
	}
	while (s->queue.first && n < STORE_BATCH_OPS && bytes < STORE_BATCH_BYTES) {
		struct store_op *op = store_list_take(&s->queue);
		if (op->kind == STORE_PUT) {
			size_t size =
				container_of(op, struct store_put, op)->payload.size;
			bytes += size;
			s->put_bytes -= size;
			s->n_puts--;
		} else if (op->kind == STORE_SETTLE) {
			struct store_settle *o = container_of(
				op, struct store_settle, op);
			bytes += o->stdout_tail.size + o->stderr_tail.size;
		}
		s->n_queue--;
		n++;
		store_list_add(op->kind == STORE_BACKUP ? &s->backup.ops : batch, op);
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
	store_check_space(s, true);
	if (!s->stalled)
		return;
	do {
		struct store_list batch = {NULL, NULL};
		take_kept(s, &batch);
		if (!store_run_batch(s, &batch, true))
			return;
	} while (s->kept.first);
	s->stalled = false;
	publish_health(s, "less than MinFreeBytes= is free");
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
	s->prune = (struct store_prune){
		.at = 0}; /* a round under way began under others */
	s->prune_before = s->prune;
	s->space_at = 0;
	s->recheck = true;
}

/* With the mutex held. A loop that is behind with the answers gets no more of them; but who
 * stops does not wait for it. */
static bool has_work(const struct store *s)
{
	return (s->queue.first || s->left.first) &&
	       (s->held < STORE_HELD_BYTES || s->stopping);
}

/* Waits until there is something to do. False when the store is to stop. */
static bool wait_for_work(struct store *s, struct store_list *batch)
{
	pthread_mutex_lock(&s->mutex);
	take_limits(s);
	while (!has_work(s) && !s->stopping) {
		uint64_t due = s->recheck || s->backup.ops.first ? 0 : store_house_due(s);
		uint64_t now = clock_mono_usec();
		if (due <= now)
			break;
		sleep_for(s, due - now);
		take_limits(s);
	}
	bool stop = s->stopping && !s->queue.first && !s->left.first;
	if (!stop && has_work(s))
		take_batch(s, batch);
	pthread_mutex_unlock(&s->mutex);
	return !stop;
}

/* In order: what was kept gets a last chance, then the log is carried over. */
static void finish(struct store *s)
{
	struct store_op *op;

	store_backup_stop(s, -ECANCELED);
	if (s->stalled)
		retry(s);
	if (!s->failed) {
		struct store_list left = s->kept;
		s->kept = (struct store_list){NULL, NULL};
		for (op = left.first; op; op = op->next)
			store_fail_op(op, -ECANCELED);
		store_deliver(s, &left, NULL, 0);
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
				store_divide(s, &batch, -ENOSPC, false);
			else
				store_run_batch(s, &batch, false);
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
		if (!s->failed && s->backup.ops.first)
			store_backup_step(s);
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
