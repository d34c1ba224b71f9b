/*
 * The durable record: jobs, callbacks, runs, upload tokens, changes. One writer thread
 * owns the database; everybody else hands it an operation and gets it back on the loop,
 * after the commit that covers it. Nothing here names the database.
 *
 *     loop: store_submit(op) ─► queue ─► writer: one transaction, one fdatasync
 *     loop: op->on_done(op)  ◄─ one wake-up for the whole batch ◄──┘
 *
 * An operation and all that it points to belong to the store from store_submit() until
 * on_done. Results live until store_op_fini(). Operations are carried out in the order
 * submitted.
 */
#ifndef IO_STORE_H
#define IO_STORE_H

#include "base/bytes.h"
#include "base/histogram.h"
#include "io/store_op.h"

#include <event2/event.h>
#include <stdint.h>

struct store;

struct store_options {
	const char *directory; /* created 0700 when missing */
	uint64_t retention_usec;
	uint64_t min_free_bytes;
	size_t queue_max; /* puts that may wait; 0 = 4096. Other operations are not
			     bounded, by it or by time. */
	/* The first I/O error: called once, on the loop; everything waiting was answered
	 * -EIO. The daemon must exit 74 without store_close(). `what` is for the journal.
	 */
	void (*on_fatal)(void *arg, const char *what);
	/* It cannot commit (`why`, in words), and it can again (NULL): once for each, on the
	 * loop, before the on_done of the operations that met it. */
	void (*on_health)(void *arg, bool healthy, const char *why);
	/* After each commit that changed something, on the loop, before the on_done of
	 * its operations; only while store_watch(s, true). Borrowed for the call. */
	void (*on_changes)(void *arg, const struct store_change *changes, size_t n);
	void *arg;
};

/*
 * Opens or creates, migrates, and puts every run that a former life left `running` back
 * to `waiting`, due now. Synchronous, before the loop runs. 0, or negative errno with
 * *ret_error (owned by the caller; damaged, newer than this program, in use by another
 * daemon, not writable).
 */
int store_open(struct store **ret, struct event_base *base,
	const struct store_options *options, char **ret_error) MUST_CHECK;
/* Commits what waits, calls what is done, checkpoints, closes. After on_fatal it only
 * frees: nothing is written. Not from within a callback of the store. */
void store_close(struct store *s);

/*
 * 0, or -EAGAIN when op is a put and the queue is full, or so slow that it would wait for
 * about a second (answer 503; on_done is not called). Nothing overtakes anything.
 */
int store_submit(struct store *s, struct store_op *op) MUST_CHECK;
/* Reload. */
void store_set_limits(struct store *s, uint64_t retention_usec, uint64_t min_free_bytes);
/* Is on_changes wanted? The caller counts who watches. */
void store_watch(struct store *s, bool on);

/* A random name of this store, 8 characters [0-9a-z]: run ids are NAME-NUMBER. */
const char *store_name(const struct store *s);
/* As of the last commit; any thread of the loop. */
struct store_counts store_counts(const struct store *s);
/* How long the commits took that wrote something, by histogram_quick. */
struct histogram store_commit_times(const struct store *s);
/* What was kept of hooks, as it was at open: names that are configured or not. */
struct store_hook {
	char *name;
	int64_t started_usec; /* the last paced start, clock_steady_usec(); 0 = none */
	bool paused;
};
const struct store_hook *store_hooks(const struct store *s, size_t *ret_n);
/* How many runs of a former life store_open() put back. */
uint64_t store_recovered(const struct store *s);
/* False while it cannot commit (disk full, low, failed). Whether the writer moves at all is
 * asked by STORE_PING, which comes back in either case. */
bool store_healthy(const struct store *s);

#endif
