/*
 * The inside of the store: what its files share. Three owners, three blocks: what the
 * loop and the writer share under `mutex`, what is the loop's, what is the writer's
 * (store_open()'s until the writer runs, store_close()'s after it ended).
 *
 * Functions of the writer return 0 or -ENOSPC, -ENOMEM (roll the transaction back, it may
 * work later) or -EIO (final). What an operation itself came to stands in its `result`.
 */
#ifndef IO_STORE_PRIVATE_H
#define IO_STORE_PRIVATE_H

#include "io/store.h"
#include "io/store_ids.h"
#include "io/store_sql.h"

#include <pthread.h>
#include <sys/types.h>

#define STORE_NAME_SIZE   9
#define STORE_BATCH_OPS   512
#define STORE_BATCH_BYTES (8u * 1024 * 1024)
/* Answers that wait for the loop weigh at most about this: then the writer waits, too. */
#define STORE_HELD_BYTES (4 * STORE_BATCH_BYTES)
#define STORE_QUERY_USEC 2000                  /* of the writer, for one question */
#define STORE_RETRY_USEC (250 * USEC_PER_MSEC) /* while it cannot commit */
/* Of the log, then it is carried over at once. Who waits meanwhile waits as long as that
 * takes: four times as much is no faster, and the slowest four times slower. */
#define STORE_LOG_BYTES (4u * 1024 * 1024)
/* More waits than goes into one batch, the first of it so long: then no more is taken. */
#define STORE_LATE_USEC  (USEC_PER_SEC / 2)
#define STORE_PRUNE_ROWS 500
#define STORE_UNCOUNTED  10000 /* jobs that a start has to count, at most about */
#define STORE_FOREVER    UINT64_MAX

struct store_list {
	struct store_op *first, *last;
};

struct store {
	/* ---- under `mutex` ---- */
	pthread_mutex_t mutex;
	pthread_cond_t cond; /* the writer waits on it */
	bool asleep;         /* the writer does */
	bool stopping;
	bool watching;
	bool healthy;
	const char *ailment; /* of an edge to "not healthy" that was not told yet */
	bool failed;         /* a first I/O error: nothing is written any more */
	bool limits_changed;
	bool woken; /* the loop was told, and did not look yet */
	struct store_list queue, done;
	size_t n_queue, n_puts, queue_max;
	size_t put_bytes; /* bodies of those that wait */
	size_t held;      /* sum of those in `done`, and of those the loop hands back */
	struct store_change *changes; /* of the commits whose operations are in `done` */
	size_t n_changes;
	struct store_counts counts; /* as of the last commit */
	struct histogram commit_times;
	uint64_t retention_usec, min_free_bytes;

	/* ---- the loop's ---- */
	int wake_fd;
	struct store_list returning; /* done, and the loop was busy with others */
	struct event *wake;
	pthread_t writer;
	bool writer_runs;
	bool fatal_told, told_healthy;
	void (*on_health)(void *arg, bool healthy, const char *why);
	void (*on_fatal)(void *arg, const char *what);
	void (*on_changes)(void *arg, const struct store_change *changes, size_t n);
	void *arg;
	uint64_t recovered;
	struct store_hook *hooks; /* as they were at open */
	size_t n_hooks;
	char name[STORE_NAME_SIZE];
	int directory_fd, lock_fd;
	char *directory;
	char *path, *log_path; /* of the database and of its write-ahead log */
	struct store_file {
		dev_t device;
		ino_t inode;
	} directory_file, db_file, log_file; /* which ones they were at open */

	/* ---- the writer's ---- */
	sqlite3 *db;
	sqlite3_stmt *statements[STORE_SQL_MAX];
	char failure[256];
	struct store_list kept;    /* settles and claims that the disk did not take yet */
	struct store_list left;    /* taken, but the batch was heavy before their turn */
	struct store_counts ahead; /* as of the transaction that is open */
	struct store_copying {
		struct store_list ops; /* the first of them is under way if `active` */
		bool active;
		sqlite3 *copy;
		sqlite3_backup *job;
	} backup;
	struct store_ids ids;
	uint64_t next_job, next_callback, next_run, next_change;
	uint64_t counted_to;   /* jobs below this number are counted in the database */
	uint64_t counting_to;  /* the same, as of the transaction that is open */
	uint64_t first_change; /* of the transaction that is open */
	int64_t now_usec;      /* wall clock of the transaction */
	int64_t steady_usec;   /* the clock of due times */
	bool watched;          /* `watching`, as the transaction began */
	bool stalled;          /* the last commit did not fit on the disk */
	bool low;              /* less than min_free_bytes are free */
	bool recheck;          /* the limits changed: look at the disk */
	bool vacuuming;
	bool spare_batches;  /* the last one failed: the next brings only what is new */
	bool checkpoint_now; /* the log is at its cap */
	uint64_t retention, min_free;
	uint64_t retry_at, space_at, house_at, busy_at; /* monotonic */

	size_t page_bytes;      /* of the database */
	uint64_t log_bytes;     /* in the write-ahead log, not carried over */
	uint64_t log_high;      /* the most there were since it was cut */
	uint64_t checkpoint_at; /* not before, after one that failed */
	struct store_prune {
		bool active;
		enum { PRUNE_JOBS, PRUNE_CHANGES, PRUNE_TOKENS } stage;
		uint64_t cursor;
		unsigned char token[32];
		uint64_t at;             /* monotonic: the next round; STORE_FOREVER */
		uint64_t spent_usec;     /* on this round */
		uint64_t n_seen, n_gone; /* jobs, in this round */
		int64_t first_usec;      /* wall clock: when the next row gets old */
	} prune, prune_before;           /* the transaction that is open */
};

/* ---- store_dir.c: the directory and who holds it ---- */
int store_dir_open(struct store *s, const char *directory, char **ret_error) MUST_CHECK;
/* Is there a database to open (1), or none and never was one (0)? */
int store_dir_look(struct store *s, char **ret_error) MUST_CHECK;
int store_dir_mark(struct store *s, char **ret_error) MUST_CHECK;
/* Remembers which files are the store's, once all of them are there. */
int store_dir_note(struct store *s, char **ret_error) MUST_CHECK;
/* Are they still what stands under those names? A commit into files that have lost theirs is
 * lost with us. 0 or -EIO. */
int store_dir_check(struct store *s) MUST_CHECK;
uint64_t store_dir_bytes(const struct store *s); /* size of the files */
void store_dir_close(struct store *s);

/* ---- store_schema.c ---- */
int store_schema_open(struct store *s, char **ret_error) MUST_CHECK;

/* ---- store_writer.c ---- */
void *store_writer(void *store);
int store_begin(struct store *s, bool write) MUST_CHECK;
int store_commit(struct store *s) MUST_CHECK;
void store_rollback(struct store *s);
/* A failure outside of a batch: stalls the store, or ends it. */
void store_trouble(struct store *s, int error);
void store_wake_loop(struct store *s); /* with the mutex held */
/* What it does, for who has set `woken` with the mutex held and lets go of it first: the loop
 * would wake up to wait for it. */
void store_ring(struct store *s);

/* ---- store_prune.c: what is old is forgotten ---- */
/* In the transaction of a batch that brings `n_new` rows: what is old goes with it. */
int store_prune_beside(struct store *s, size_t n_new) MUST_CHECK;
void store_prune_begin(struct store *s); /* a round */
/* One step of it, in a transaction of its own that takes about so long. */
void store_prune_step(struct store *s, uint64_t usec);

/* ---- store_house.c: what is done beside the batches ---- */
void store_house(struct store *s, bool idle);
uint64_t store_house_due(const struct store *s); /* monotonic */
void store_checkpoint(struct store *s, bool truncate);

#endif
