/*
 * What the life of a callback needs at hand: the parts that callbackd.c declares and
 * starts, in one record that every part of this floor and of api gets a pointer to. Each
 * member is written by one place: callbackd.c and flow_start() at the start, the reload
 * (config), the pulse (moved), and the parts their own (counters, uploads).
 */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include "base/macros.h"
#include "base/random.h"
#include "io/fetch.h"
#include "io/runner.h"
#include "io/store.h"
#include "rules/config.h"

struct ask;
struct dispatch;
struct feed;
struct keyring;
struct once;
struct process_table;
struct tally;
struct upload;

struct event;

/* What we ourselves lacked (descriptors, memory, room on the disk) is looked for again after
 * this; the hook is not to blame. */
#define SHORTAGE_USEC USEC_PER_SEC

struct flow_counters { /* since start */
	uint64_t accepted, repeated, refused, unverified, unavailable, unreadable;
	uint64_t runs_started, runs_failed, runs_timed_out;
};

/* How the configuration came to be in force, for people. */
struct flow_reload {
	int64_t loaded_usec;  /* wall clock: of the one at work */
	int64_t refused_usec; /* of a reload since then that changed nothing; 0 = none */
	char *problem;        /* why, one a line; NULL = none, or not known */
};

struct flow {
	struct event_base *base;
	struct config
		*config; /* the current one; config_ref() what must outlive a reload */
	const char *config_path;
	char *state_directory; /* as it was at the start: the store is there */
	bool verbose;          /* -v: LogLevel= does not count */
	struct store *store;
	struct runner *runner;
	struct process_table *processes; /* process.c's */
	struct fetch_pool *fetch;
	struct dispatch *dispatch;
	struct ask *ask;
	struct feed *feed;
	struct keyring *keyring;
	struct once *warned;    /* of status words in no list */
	struct upload *uploads; /* under way; upload.c's */
	struct flow_counters counters;
	struct tally *tally;       /* the same by source and by hook */
	struct flow_reload reload; /* reload.c's */
	struct event
		*moved; /* told by flow_moved(): STATUS= is due soon; NULL = not wanted */
	int64_t started_usec; /* wall clock */
	bool stopping;
	/* What our own test callbacks carry in X-Callbackd-Test, made anew at each start: how they are
	 * told from a sender's. */
	char test_nonce[RANDOM_TOKEN_SIZE];
};

/*
 * Starts store, feed, fetch, keyring, dispatch and ask, and joins the runner, in a record that holds base, config,
 * config_path and runner. 0, or an exit status of sysexits.h and *ret_error (owned by the caller,
 * NULL when memory is short). A store or a runner that fails later ends the program from within.
 */
int flow_start(struct flow *flow, char **ret_error) MUST_CHECK;
/* Something that people count happened. At most one wake-up a second comes of it. */
void flow_moved(struct flow *flow);

#endif
