/*
 * What the writer does beside its batches: prunes (store_prune.c), merges the index of ids
 * (store_ids.h), gives free pages back, carries the log over into the database. All in small
 * steps, one and then a look at the queue, and nothing at all while there is nothing to do: each
 * next time is computed.
 */
#include "base/clock.h"
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>

#define STEP_USEC       (5 * USEC_PER_MSEC)
#define BUSY_STEP_USEC  (1 * USEC_PER_MSEC)
#define BUSY_PAUSE_USEC (50 * USEC_PER_MSEC) /* between steps under load */
#define BUSY_USEC       (20 * USEC_PER_MSEC) /* after a batch others may come */
/* The log is carried over when it is worth it and nothing came for a moment, or when
 * nothing came for long. */
#define BYTES_WORTH      (2u * 1024 * 1024)
#define QUIET_USEC       (100 * USEC_PER_MSEC)
#define LONG_QUIET_USEC  (3 * USEC_PER_SEC)
#define VACUUM_MIN_BYTES (8u * 1024 * 1024)
#define VACUUM_STEP_SQL  "PRAGMA incremental_vacuum(128)"

static void merge_step(struct store *s)
{
	int r = store_begin(s, true);

	if (!r)
		r = store_ids_merge_step(s);
	if (!r)
		r = store_commit(s);
	if (r)
		store_trouble(s, r);
}

static int read_pragma(struct store *s, const char *text, uint64_t *ret)
{
	sqlite3_stmt *statement;

	*ret = 0;
	int code = sqlite3_prepare_v2(s->db, text, -1, &statement, NULL);
	if (!code) {
		while (sqlite3_step(statement) == SQLITE_ROW)
			*ret = store_sql_number(statement, 0);
		code = sqlite3_finalize(statement);
	}
	return code ? store_sql_error(s, code) : 0;
}

/* Gives free pages back where there are many: a tenth of the file stays, for new rows.
 * True when there is more to give. */
static bool vacuum_step(struct store *s)
{
	uint64_t free_pages, pages, none;

	int r = read_pragma(s, "PRAGMA freelist_count", &free_pages);
	if (!r)
		r = read_pragma(s, "PRAGMA page_count", &pages);
	if (!r && (free_pages * s->page_bytes < VACUUM_MIN_BYTES ||
			  free_pages < pages / 10))
		return false;
	if (!r)
		r = store_begin(s, true);
	if (!r)
		r = read_pragma(s, VACUUM_STEP_SQL, &none);
	if (!r)
		r = store_commit(s);
	if (r)
		store_trouble(s, r);
	return !r;
}

void store_checkpoint(struct store *s, bool truncate)
{
	int left = 0, done = 0;
	int code = sqlite3_wal_checkpoint_v2(s->db, NULL,
		truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &left,
		&done);

	if (!code && left == done) {
		/* The next commit begins the log anew: there is no other reader. */
		s->log_bytes = 0;
		s->log_high = truncate ? 0 : s->log_high;
		return;
	}
	s->checkpoint_at = clock_mono_usec() + USEC_PER_SEC;
	if (!code || (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED)
		return;
	int r = store_sql_error(s, code);
	if (r == -EIO) /* a full disk leaves the log as it is, and it goes on growing */
		store_trouble(s, r);
}

/* Soon when it is worth it, else after a long quiet; then a large log is cut, too. */
static uint64_t checkpoint_due(const struct store *s)
{
	if (!s->log_bytes && s->log_high < BYTES_WORTH)
		return STORE_FOREVER;
	uint64_t at = s->busy_at +
		      (s->log_bytes >= BYTES_WORTH ? QUIET_USEC : LONG_QUIET_USEC);
	return at > s->checkpoint_at ? at : s->checkpoint_at;
}

/* The next step of its own: at once while it is quiet. */
static uint64_t step_due(const struct store *s)
{
	uint64_t quiet_at = s->busy_at + BUSY_USEC,
		 paced_at = s->house_at + BUSY_PAUSE_USEC;

	return quiet_at < paced_at ? quiet_at : paced_at;
}

/* Begun after a long quiet, then step by step. */
static uint64_t merge_due(const struct store *s)
{
	if (store_ids_merging(&s->ids))
		return step_due(s);
	return store_ids_want_merge(&s->ids) ? s->busy_at + LONG_QUIET_USEC
					     : STORE_FOREVER;
}

uint64_t store_house_due(const struct store *s)
{
	uint64_t at = s->prune.active || s->vacuuming ? step_due(s) : s->prune.at;
	uint64_t checkpoint = checkpoint_due(s), merge = merge_due(s);

	if (s->stalled)
		return s->retry_at; /* nothing else would work */
	if (s->low && s->retry_at < at)
		at = s->retry_at;
	at = merge < at ? merge : at;
	return checkpoint < at ? checkpoint : at;
}

void store_house(struct store *s, bool idle)
{
	uint64_t now = clock_mono_usec();

	if (s->stalled)
		return;
	if (!s->prune.active && now >= s->prune.at)
		store_prune_begin(s);
	if (s->prune.active || (idle && s->vacuuming)) {
		if (now < step_due(s))
			return;
		if (s->prune.active)
			store_prune_step(s, now < s->busy_at + BUSY_USEC ? BUSY_STEP_USEC
									 : STEP_USEC);
		else
			s->vacuuming = vacuum_step(s);
		s->house_at = clock_mono_usec();
		return;
	}
	if (idle && now >= merge_due(s)) {
		merge_step(s);
		s->house_at = clock_mono_usec();
		return;
	}
	if (idle && now >= checkpoint_due(s))
		store_checkpoint(s, s->log_high >= BYTES_WORTH &&
					    now - s->busy_at >= LONG_QUIET_USEC);
}
