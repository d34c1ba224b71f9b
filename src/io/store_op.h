/*
 * The operations of the store, each one record: inputs, then results. `struct store_op`
 * is the first member of each; on_done gets it back on the loop with `result` 0 or
 * negative errno
 * (-ENOSPC disk full or low, -EIO fatal, -ECANCELED the store is closing, -ENOENT nothing
 * by that name, -EBUSY a state forbids it, -ENOMEM, -EINVAL). A record begins zeroed but for
 * its inputs. Strings put in are borrowed until on_done. Due times are clock_steady_usec(),
 * all others clock_wall_usec().
 */
#ifndef IO_STORE_OP_H
#define IO_STORE_OP_H

#include "base/bytes.h"
#include "rules/outcome.h"
#include "rules/runstate.h"

#include <stdatomic.h>
#include <stdint.h>

#define RUN_ID_SIZE 65
/* As the signal of a run that ended: a worker had it in hand, and no process of its own tells. */
#define STORE_NO_PROCESS 0

enum store_kind {
	STORE_PUT,
	STORE_CLAIM,
	STORE_SETTLE,
	STORE_EXPECT,
	STORE_FORGET,
	STORE_MINT,
	STORE_BIND,
	STORE_REPLAY,
	STORE_DISCARD,
	STORE_LETTERS,
	STORE_GET_JOB,
	STORE_GET_RUN,
	STORE_LIST_JOBS,
	STORE_LIST_RUNS,
	STORE_LIST_CHANGES,
	STORE_DUE,
	STORE_ORPHANS,
	STORE_ASKS,
	STORE_ASKED,
	STORE_PAUSE,
	STORE_BACKUP,
	STORE_PING,
};

struct store_op {
	enum store_kind kind;
	int result;
	void (*on_done)(struct store_op *op);
	void *arg;
	struct store_op
		*next; /* the store's, as is `held`: about what the results weigh */
	size_t held;
	uint64_t queued_usec; /* the store's: monotonic */
};

/* Frees what the store allocated for the results; the record itself is the caller's. */
void store_op_fini(struct store_op *op);

/* ---- Records that come out; strings owned by the record, NULL where there is none. ----
 */

struct store_run {
	uint64_t number; /* id is NAME-NUMBER */
	char id[RUN_ID_SIZE];
	char *hook, *source, *job; /* job: the job's id */
	char *status;              /* the word that made the run */
	enum outcome outcome;
	enum runstate state;
	unsigned attempt;                    /* starts so far */
	int64_t due_usec;                    /* clock_steady_usec() */
	int64_t started_usec, finished_usec; /* wall clock; 0 = none */
	int exit_status, signal; /* -1 = none; signal may be STORE_NO_PROCESS */
	char *reason;            /* why it failed or is dead, in words */
	struct bytes stdout_tail,
		stderr_tail; /* only from STORE_GET_RUN and a job's runs */
	bool truncated, test;
	/* Run numbers, 0 = none: whose replay this is, its newest replay, the death it tells of. */
	uint64_t replay_of, replayed_by, dead_of;
	int64_t received_usec; /* when its callback came */
	struct bytes payload;  /* only from STORE_CLAIM; .data NULL otherwise */
	char *fields; /* JSON object of header, query and form values kept for Export=, or
			 NULL */
};

struct store_job {
	uint64_t number;
	char *source, *id, *status;
	enum outcome outcome;
	int64_t received_usec; /* first callback; 0 = none yet */
	int64_t updated_usec;
	int64_t expected_usec, confirmed_usec; /* 0 = not */
	int64_t ask_at_usec; /* clock_steady_usec(): when it is asked for; 0 = it is not */
	uint64_t asked;      /* so often it was */
	char *ask_error;     /* why the last question told nothing, in words, or NULL */
	uint64_t deliveries;
	struct bytes payload; /* of the current outcome; only from STORE_GET_JOB */
	bool has_payload;
	char *public_url;       /* from the initiate's answer, or NULL */
	int64_t size_bytes;     /* of the uploaded file; -1 = not known */
	struct store_run *runs; /* only from STORE_GET_JOB; oldest first */
	size_t n_runs;
};

struct store_change {
	uint64_t seq;
	int64_t time_usec;
	bool is_run;
	struct store_job
		job; /* without payload and runs; always filled: a run's job too */
	struct store_run run; /* without output; when is_run */
};

struct store_counts {
	uint64_t jobs, pending, callbacks;     /* callbacks: put since start */
	uint64_t waiting, running, done, dead; /* runs; done since start */
	uint64_t asking;         /* jobs that their source is to be asked for */
	uint64_t commits, bytes; /* bytes: size of the files */
	uint64_t seq;            /* of the newest change; 0 = none yet */
	uint64_t queue;          /* operations waiting for the writer */
};

/* ---- STORE_PUT: a verified callback (or an answer of the source) ---- */

enum store_verdict {
	STORE_NEW,    /* the job was not known */
	STORE_MOVED,  /* expected, pending or lost before; or pending with a new word */
	STORE_REPEAT, /* byte for byte what is current or was recorded last, or a delivery
			  id that is known with this outcome and word: counts only */
	STORE_CHANGED,       /* the same outcome, another body: recorded */
	STORE_CONTRADICTION, /* another terminal outcome: recorded */
	STORE_LATE,          /* pending after terminal: recorded */
	STORE_HELD,          /* Confirm=yes: recorded, nothing moved */
	STORE_UNVERIFIED, /* token_hash is no token of this source, or of another job */
	STORE_IGNORED,    /* as asked by `ignore` */
};

/* A hook that wants this callback if it moves the job. */
struct store_wish {
	const char *hook;
	/* Of a death: only if its job is of one of these; none is any. */
	char *const *sources;
	size_t n_sources;
	bool start_now; /* a slot is kept: insert as running, attempt 1, and hand it back
			 */
	uint64_t run;   /* out: number of the run made, 0 = none */
};

struct store_put {
	struct store_op op;
	const char *source, *id, *status; /* status NULL = none */
	enum outcome outcome;
	int64_t received_usec; /* wall clock */
	struct bytes payload;
	const char *delivery; /* or NULL */
	const char *fields;   /* JSON text kept for Export=, or NULL */
	bool test;
	bool reopen;
	bool hold;      /* Confirm=yes and this is the sender's word */
	bool confirmed; /* this is the source's own answer */
	bool known;  /* only for a job that is there: else -ENOENT. Of `lost`: only while
			   it is pending, else STORE_REPEAT and nothing is recorded */
	bool ignore; /* Where= does not match: only the token is verified; nothing is
			   recorded, nothing bound */
	/* With `confirmed`: when to ask again if the job goes on, 0 = as it was; and the
	 * tries of the question that is answered. */
	int64_t ask_at_usec;
	unsigned ask_tries;
	const unsigned char
		*token_hash; /* 32 bytes that must name a minted token; NULL = verified */
	struct store_wish *wishes;
	size_t n_wishes;
	/* out */
	enum store_verdict verdict;
	enum outcome outcome_before; /* OUTCOME_NONE when new */
	char token_job[256]; /* STORE_UNVERIFIED: the id the token is bound to, "" when
				unknown */
	uint64_t deliveries; /* of the job, this one counted; an answer of the source and
				`lost` are none */
	/* With `confirmed`: a callback that was held had said that the job ended otherwise
	 * than this says. Told with one answer. OUTCOME_NONE: none had. */
	enum outcome held_outcome;
	char held_status[256];
};

/* ---- Runs ---- */

/*
 * Takes up to `limit` waiting runs of one hook that are due, as running with their attempt
 * counted: of each of its sources by turns, the oldest due first, beginning behind the source
 * `after`. A run that is due after latest_usec, which no delay can have chosen, was written
 * under a clock that was wrong: it counts as due now, behind those of its source that are due
 * by right.
 *
 * `serialize`: of one job only the oldest that is not over, and none while another runs.
 * `merge`: at most one, that of the latest callback; all else that waits, due or not, is done,
 * "merged into RUN". A large backlog is merged in steps, and none is taken before the last of
 * them: next_due_usec is now then.
 */
struct store_claim {
	struct store_op op;
	const char *hook;
	unsigned limit;
	int64_t now_usec;
	int64_t latest_usec; /* 0 = no due time is too late */
	bool serialize, merge;
	bool paced;     /* the time of this start is kept for the next life */
	char after[65]; /* in and out: the source that had the last turn, "" for none */
	/* out */
	struct store_run *runs;
	size_t n_runs;
	struct store_run *merged; /* without payload; .reason says into which */
	size_t n_merged;
	int64_t next_due_usec; /* of the waiting runs left, that of one beyond latest_usec
				  being now_usec; 0 = none waits */
};

/* Ends an attempt: only if the run is still running at this attempt, else -ENOENT (told,
 * harmless). Tried again by the store itself when the disk is full: on_done comes when it
 * is committed. */
struct store_settle {
	struct store_op op;
	uint64_t run;
	unsigned attempt;
	enum runstate state; /* RUN_DONE, RUN_WAITING or RUN_DEAD */
	bool uncounted;   /* with RUN_WAITING: this attempt never ran, or was ended by the
				daemon's own stop; it is not counted */
	int64_t due_usec; /* of RUN_WAITING */
	int64_t started_usec, finished_usec;
	int exit_status, signal; /* -1 = none */
	const char *reason;      /* or NULL */
	struct bytes stdout_tail, stderr_tail;
	bool truncated;
	struct store_wish
		*dead_wishes; /* hooks with On=dead, made when state is RUN_DEAD */
	size_t n_dead_wishes;
};

/* Per hook that has runs waiting: when the first is due; one that stands behind another counts
 * as due. For dispatch at start and after a reload. */
struct store_due {
	struct store_op op;
	/* out */
	struct store_due_hook {
		char *hook;
		int64_t next_due_usec;
	} * hooks;
	size_t n_hooks;
};

/* A run by its names, and its replay: what is told of one that was dealt with. */
struct store_letter {
	char run[RUN_ID_SIZE], new_run[RUN_ID_SIZE]; /* new_run: "" = was not replayed */
	char hook[65], source[65], job[256];
};

/* A hook that is gone from the configuration: some hundred of its waiting runs become
 * dead, "no such hook", and make the runs of `dead_wishes` as a settle does. */
struct store_orphans {
	struct store_op op;
	const char *hook;
	struct store_wish *dead_wishes; /* .run is the last one made */
	size_t n_dead_wishes;
	/* out */
	struct store_letter *died;
	size_t n_died;
	bool more; /* to be asked again */
};

/* Kept over restarts, for hooks that are configured or not; whether it is, is the caller's to
 * know. */
struct store_pause {
	struct store_op op;
	const char *hook;
	bool paused;
	/* out */
	bool changed; /* it was not so before */
};

/* -ENOENT, or -EBUSY when it is neither done nor dead. */
struct store_replay {
	struct store_op op;
	const char *run; /* id */
	/* out */
	struct store_letter letter;
};

/* A dead run is taken off the list of the dead (state done, with this reason). */
struct store_discard {
	struct store_op op;
	const char *run, *reason;
	/* out */
	struct store_letter letter;
};

/* Which runs: all that is given has to fit. */
struct store_run_filter {
	enum runstate state;       /* RUN_NONE: all */
	const char *hook, *source; /* NULL: all */
	/* When it ended; one that did not: started; one that waits: is due. 0: all. */
	int64_t since_usec, until_usec;
	enum store_replayed {
		STORE_REPLAYED_OR_NOT,
		STORE_NOT_REPLAYED,
		STORE_REPLAYED
	} replayed;
};

/*
 * Replays or discards what fits the filter, the oldest first, in steps: some hundred runs
 * at a time, each step a commit. Whoever asks goes on with `next` and `through` until
 * `next` is 0, or stops; a replay passes over what was replayed, so it can begin anew.
 */
struct store_letters {
	struct store_op op;
	enum store_verb {
		STORE_VERB_COUNT, /* only tells what would be dealt with */
		STORE_VERB_REPLAY,
		STORE_VERB_DISCARD
	} verb;
	struct store_run_filter filter; /* .state is RUN_DEAD, or RUN_DONE to replay */
	const char *reason;             /* of a discard */
	/* Not NULL: runs of other hooks are passed over and counted. */
	const char *const *hooks;
	size_t n_hooks;
	unsigned limit;
	uint64_t after;   /* run number: only newer ones; 0: from the oldest */
	uint64_t through; /* none newer than this, in: 0 = the newest there is; out */
	/* out */
	struct store_letter *letters;
	size_t n_letters, n_passed_over;
	uint64_t next; /* 0: that was all */
};

/* ---- Expectations and upload tokens ---- */

/* Idempotent; on a terminal job it changes nothing. */
struct store_expect {
	struct store_op op;
	const char *source, *id;
	int64_t now_usec, ask_at_usec; /* 0 = never asked for */
};

/* The job, its callbacks and runs go; -EBUSY while a run of it is running. */
struct store_forget {
	struct store_op op;
	const char *source, *id;
};

/* The hash of an upload's token, committed before the initiate request leaves. */
struct store_mint {
	struct store_op op;
	const unsigned char *token_hash; /* 32 bytes */
	const char *source;
	int64_t now_usec;
};

/* The initiate's answer: the token is good for this id, the job is expected. id NULL: the
 * initiate failed, the token is taken back. -EEXIST: a callback has bound it to another
 * id
 * (`bound` says which). */
struct store_bind {
	struct store_op op;
	const unsigned char *token_hash;
	const char *source, *id, *public_url;
	int64_t size_bytes; /* -1 = not known */
	int64_t now_usec, ask_at_usec;
	/* out */
	char bound[256];
};

/* ---- What a source is asked ---- */

/* Whose turn it is among the jobs of one source: who floods us with ids that the source
 * does not know gets a third of the questions and no more. */
enum store_lane {
	STORE_LANE_EXPECTED, /* somebody expects it, or the source has spoken of it */
	STORE_LANE_HEARD_OF, /* known from a callback alone, and never asked for */
	STORE_LANE_UNKNOWN,  /* the same, and the source had nothing to say */
	STORE_LANES,
};

struct store_question {
	char *id;
	enum store_lane lane;
	int64_t from_usec; /* clock_steady_usec(): since when it is waited for */
	unsigned tries;    /* since something was last heard */
	char *error;       /* of the question before, or NULL */
};

/*
 * The jobs of one source that are to be asked for by now: of each lane up to `limit`, by
 * lanes, the longest due first. Nothing is written: who asks remembers what is under way.
 */
struct store_asks {
	struct store_op op;
	const char *source;
	unsigned limit;
	int64_t now_usec;
	int64_t from_usec; /* not 0: those that are waited for since then or longer,
			      instead, the oldest first */
	/* out */
	struct store_question *questions;
	size_t n_questions;
	int64_t next_due_usec; /* of those not given; 0 = none */
	int64_t oldest_usec;   /* the least from_usec of the source; 0 = none */
};

/* A question told nothing: when to ask again. -ENOENT: the job is not asked for any more. */
struct store_asked {
	struct store_op op;
	const char *source, *id, *error;
	int64_t ask_at_usec;
	unsigned tries; /* of the question */
};

/* ---- Questions; in key order, at most 2 ms of the writer each, so a page may be short
 * ---- */

struct store_get_job {
	struct store_op op;
	const char *source; /* NULL: of any source */
	const char *id;
	/* out: more than one only when source is NULL. None is -ENOENT. Of many runs the
	 * newest 1000 come, of their outputs the newest 16 MiB. */
	struct store_job *jobs;
	size_t n_jobs;
};

struct store_get_run {
	struct store_op op;
	const char *run; /* id */
	/* out */
	struct store_run record;
};

struct store_list_jobs { /* newest first */
	struct store_op op;
	const char *source;   /* NULL: all */
	enum outcome outcome; /* OUTCOME_NONE: all */
	int64_t since_usec;   /* by `updated`; 0: all */
	unsigned limit;       /* 1 … 1000 */
	uint64_t after;       /* cursor of the page before; 0: from the newest */
	/* out */
	struct store_job *jobs;
	size_t n_jobs;
	uint64_t next; /* 0: that was all */
};

struct store_list_runs { /* newest first */
	struct store_op op;
	struct store_run_filter filter;
	unsigned limit;
	uint64_t after;
	/* out */
	struct store_run *runs;
	size_t n_runs;
	uint64_t next;
};

struct store_list_changes { /* oldest first */
	struct store_op op;
	uint64_t after; /* seq; UINT64_MAX: nothing but `last` */
	unsigned limit;
	/* out */
	struct store_change *changes;
	size_t n_changes;
	uint64_t first; /* the oldest seq that is kept: those before it are pruned */
	uint64_t last;  /* the newest seq there is */
};

/*
 * A copy of the store, made in steps while others are served: it holds all that was committed
 * when it began, and some of what came meanwhile, as of one moment. -ENOSPC: there is no room
 * for it in the state directory; -ECANCELED: as was wished.
 */
struct store_backup {
	struct store_op op;
	atomic_bool cancelled; /* by the loop, at any time */
	/* out */
	bool made;
	int fd; /* if `made`: a file without a name, closed by store_op_fini() */
	uint64_t bytes;
};

/* Comes back when the writer has come so far, whether it can commit or not; the watchdog's
 * question. */
struct store_ping {
	struct store_op op;
};

void store_job_fini(struct store_job *j);
void store_run_fini(struct store_run *r);

#endif
