/*
 * The loop's side of the store: opening and closing, the queue in, the way back. See
 * store.h for what it is, store_writer.c for the other side.
 */
#include "io/store.h"

#include "base/clock.h"
#include "base/text.h"
#include "io/store_batch.h"
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define QUEUE_MAX 4096
/* Of one turn of the loop: others wait for theirs. */
#define RETURN_USEC (5 * USEC_PER_MSEC)

/* Edges that the loop was too late to see come in pairs, and the last of them counts. */
static void tell_health(struct store *s, const char *ailment, bool healthy)
{
	if (!s->on_health)
		return;
	if (ailment) {
		if (!s->told_healthy)
			s->on_health(s->arg, true, NULL);
		s->told_healthy = false;
		s->on_health(s->arg, false, ailment);
	}
	if (healthy && !s->told_healthy) {
		s->told_healthy = true;
		s->on_health(s->arg, true, NULL);
	}
}

/* A few of those that are done, and what they weighed. */
static size_t return_some(struct store *s, uint64_t budget_usec)
{
	uint64_t began = clock_mono_usec();
	struct store_op *op;
	size_t held = 0;

	while ((op = store_list_take(&s->returning))) {
		held += op->held;
		op->on_done(op);
		if (clock_mono_usec() - began >= budget_usec)
			break;
	}
	return held;
}

/* What is done, to those who asked; the rest of it in the next turn of the loop, when the
 * time is up. False when there was nothing. */
static bool hand_back(struct store *s, uint64_t budget_usec)
{
	pthread_mutex_lock(&s->mutex);
	s->woken = false;
	store_list_join(&s->returning, &s->done);
	struct store_change *changes = s->changes;
	size_t n_changes = s->n_changes;
	bool failed = s->failed, healthy = s->healthy;
	const char *ailment = s->ailment;
	s->ailment = NULL;
	s->changes = NULL;
	s->n_changes = 0;
	pthread_mutex_unlock(&s->mutex);

	bool any = s->returning.first;
	tell_health(s, ailment, healthy);
	if (n_changes && s->on_changes)
		s->on_changes(s->arg, changes, n_changes);
	store_changes_free(changes, n_changes);
	size_t held = return_some(s, budget_usec);
	pthread_mutex_lock(&s->mutex);
	s->held -= held;
	if (s->asleep && held)
		pthread_cond_signal(&s->cond);
	if (s->returning.first)
		store_wake_loop(s);
	pthread_mutex_unlock(&s->mutex);
	if (failed && !s->returning.first && !s->fatal_told) {
		s->fatal_told = true;
		if (s->on_fatal)
			s->on_fatal(s->arg, s->failure);
	}
	return any;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	/* Nothing to read is no harm: what is done is looked at under the mutex. */
	if (read(fd, &count, sizeof(count)) < 0)
		count = 0;
	hand_back(arg, RETURN_USEC);
}

static int on_log(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;

	(void)db;
	(void)name;
	s->log_bytes = (uint64_t)pages * s->page_bytes;
	if (s->log_bytes > s->log_high)
		s->log_high = s->log_bytes;
	s->ahead.commits++;
	return SQLITE_OK;
}

/* Where the numbers go on: behind the last row there is, and behind those that were
 * deleted. */
static int load_numbers(struct store *s)
{
	static const char *const keys[] = {
		"next_job", "jobs_to", "merged_to", "next_run", "next_change"};
	uint64_t *const numbers[] = {
		&s->next_job, &s->next_job, &s->next_job, &s->next_run, &s->next_change};
	{
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = store_sql_row(s, SQL_LAST_NUMBERS, &row, NULL, 0);
		if (r < 0)
			return r;
		s->next_job = store_sql_number(row, 0) + 1;
		s->next_callback = store_sql_number(row, 1) + 1;
		s->next_run = store_sql_number(row, 2) + 1;
		s->next_change = store_sql_number(row, 3) + 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, SQL_META_GET, &row, ARG_TEXT(keys[i]));
		if (r < 0)
			return r;
		if (r && store_sql_number(row, 0) > *numbers[i])
			*numbers[i] = store_sql_number(row, 0);
	}
	return 0;
}

/* 0, or -EIO: one that must be there is not. */
static int load_meta(struct store *s, const char *key, uint64_t *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_META_GET, &row, ARG_TEXT(key));
	if (r == 0)
		return store_broken(s, "it does not know how many jobs it has");
	if (r < 0)
		return r;
	*ret = store_sql_number(row, 0);
	return 0;
}

/* Ten million jobs are not counted at each start: only those behind the last count. */
static int load_counts(struct store *s)
{
	uint64_t jobs = 0;
	int r = load_meta(s, "jobs", &jobs);

	if (!r)
		r = load_meta(s, "jobs_to", &s->counted_to);
	if (r)
		return r;
	{
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		r = STORE_ROW(s, SQL_COUNT_JOBS, &row, ARG_INT(s->counted_to));
		if (r < 0)
			return r;
		s->counts.jobs = jobs + store_sql_number(row, 0);
		s->counts.pending = store_sql_number(row, 1);
		s->counts.asking = store_sql_number(row, 2);
	}
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	r = store_sql_row(s, SQL_COUNT_RUNS, &row, NULL, 0);
	for (; r == 1; r = store_sql_next(s, row)) {
		switch ((enum runstate)sqlite3_column_int(row, 0)) {
		case RUN_WAITING: s->counts.waiting = store_sql_number(row, 1); break;
		case RUN_RUNNING: s->counts.running = store_sql_number(row, 1); break;
		case RUN_DEAD: s->counts.dead = store_sql_number(row, 1); break;
		case RUN_NONE:
		case RUN_DONE:
		case RUN_STATE_MAX: break;
		}
	}
	return r;
}

static int load(struct store *s, char **ret_error)
{
	int r = load_numbers(s);

	if (!r)
		r = load_counts(s);
	if (!r)
		r = store_ids_load(s);
	s->counts.seq = s->next_change - 1;
	if (!r)
		r = store_load_hooks(s);
	s->counts.bytes = store_dir_bytes(s);
	if (!r)
		r = store_begin(s, true);
	if (!r)
		r = store_recover(s);
	if (!r)
		r = store_mend_asks(s);
	if (!r)
		r = store_commit(s);
	if (r)
		*ret_error = text_format(
			"%s: %s", s->path, r == -EIO ? s->failure : strerror(-r));
	return r;
}

/* Signals are the loop's: the writer takes none. */
static int start_writer(struct store *s)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&s->writer, NULL, store_writer, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	pthread_setname_np(s->writer, "store");
	s->writer_runs = true;
	return 0;
}

static int start(struct store *s, struct event_base *base, char **ret_error)
{
	int r = -ENOMEM;

	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0) {
		r = -errno;
		goto failed;
	}
	s->wake = event_new(base, s->wake_fd, EV_READ | EV_PERSIST, on_wake, s);
	if (!s->wake || event_add(s->wake, NULL) < 0)
		goto failed;
	r = start_writer(s);
	if (!r)
		return 0;
failed:
	*ret_error = text_format("cannot start the store: %s", strerror(-r));
	return r;
}

static void store_free(struct store *s)
{
	if (s->db) {
		store_sql_finalize(s);
		sqlite3_close(s->db);
	}
	if (s->wake)
		event_free(s->wake);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	store_changes_free(s->changes, s->n_changes);
	store_free_hooks(s);
	store_ids_free(&s->ids);
	store_dir_close(s);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

static struct store *store_new(const struct store_options *options)
{
	pthread_condattr_t monotonic;
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s->wake_fd = s->directory_fd = s->lock_fd = -1;
	s->healthy = s->told_healthy = true;
	s->queue_max = options->queue_max ? options->queue_max : QUEUE_MAX;
	s->retention = s->retention_usec = options->retention_usec;
	s->min_free = s->min_free_bytes = options->min_free_bytes;
	s->recheck = true; /* is the disk low already? */
	s->on_fatal = options->on_fatal;
	s->on_health = options->on_health;
	s->on_changes = options->on_changes;
	s->arg = options->arg;
	return s;
}

int store_open(struct store **ret, struct event_base *base,
	const struct store_options *options, char **ret_error)
{
	*ret_error = NULL;
	struct store *s = store_new(options);
	if (!s)
		return -ENOMEM;
	int r = store_dir_open(s, options->directory, ret_error);
	if (!r)
		r = store_schema_open(s, ret_error);
	if (!r) {
		sqlite3_wal_hook(s->db, on_log, s);
		r = load(s, ret_error);
	}
	if (!r)
		r = store_dir_note(s, ret_error);
	if (!r)
		r = start(s, base, ret_error);
	if (r) {
		store_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->mutex);
	s->stopping = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->writer, NULL);
	while (hand_back(s, UINT64_MAX))
		;
	store_free(s);
}

/*
 * With the mutex held. What waits is taken in its order: a put behind one that has waited for
 * long waits as long. One slow commit is no reason, as long as the next one takes them all.
 */
static bool is_overloaded(const struct store *s, uint64_t now_usec)
{
	if (s->n_puts >= s->queue_max)
		return true;
	return (s->n_puts >= STORE_BATCH_OPS || s->put_bytes >= STORE_BATCH_BYTES) &&
	       now_usec >= s->queue.first->queued_usec + STORE_LATE_USEC;
}

int store_submit(struct store *s, struct store_op *op)
{
	bool is_put = op->kind == STORE_PUT, wake = false;
	int r = 0;

	op->held = 0;
	op->queued_usec = clock_mono_usec();
	pthread_mutex_lock(&s->mutex);
	if (s->failed || s->stopping) {
		op->result = s->failed ? -EIO : -ECANCELED;
		store_list_add(&s->done, op);
		store_wake_loop(s);
	} else if (is_put && is_overloaded(s, op->queued_usec)) {
		r = -EAGAIN;
	} else {
		store_list_add(&s->queue, op);
		s->n_queue++;
		s->n_puts += is_put;
		if (is_put)
			s->put_bytes +=
				container_of(op, struct store_put, op)->payload.size;
		wake = s->asleep;
	}
	pthread_mutex_unlock(&s->mutex);
	if (wake) /* now it need not wait for the mutex */
		pthread_cond_signal(&s->cond);
	return r;
}

void store_set_limits(struct store *s, uint64_t retention_usec, uint64_t min_free_bytes)
{
	pthread_mutex_lock(&s->mutex);
	s->retention_usec = retention_usec;
	s->min_free_bytes = min_free_bytes;
	s->limits_changed = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->mutex);
}

void store_watch(struct store *s, bool on)
{
	pthread_mutex_lock(&s->mutex);
	s->watching = on;
	pthread_mutex_unlock(&s->mutex);
}

const char *store_name(const struct store *s)
{
	return s->name;
}

struct store_counts store_counts(const struct store *s)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)&s->mutex;

	pthread_mutex_lock(mutex);
	struct store_counts counts = s->counts;
	counts.queue = s->n_queue;
	pthread_mutex_unlock(mutex);
	return counts;
}

struct histogram store_commit_times(const struct store *s)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)&s->mutex;

	pthread_mutex_lock(mutex);
	struct histogram times = s->commit_times;
	pthread_mutex_unlock(mutex);
	return times;
}

uint64_t store_recovered(const struct store *s)
{
	return s->recovered;
}

bool store_healthy(const struct store *s)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)&s->mutex;

	pthread_mutex_lock(mutex);
	bool healthy = s->healthy;
	pthread_mutex_unlock(mutex);
	return healthy;
}
