/*
 * One attempt of one run, from a committed claim to a committed end, whoever works on it: a
 * process of its own (run.c) or a worker that is given many (worker.c). Here is what they have
 * in common: the copy of the claim, the verdict, the settle, and what is told of it.
 *
 *   claim committed ─► attempt_init ─► (process, worker) ─► attempt_settle ─► on_over
 *
 * Only dispatch has them made; it hears of the end through on_over, after the commit.
 */
#ifndef FLOW_ATTEMPT_H
#define FLOW_ATTEMPT_H

#include "flow/flow.h"
#include "io/log.h"

/* What was committed. */
struct run_end {
	const char *hook;
	enum runstate state; /* done, waiting (retry) or dead */
	int64_t due_usec;    /* of waiting */
	bool failed; /* the hook did; not this callback alone, nor the daemon or its stop */
};

struct attempt;
typedef void attempt_on_over(
	void *arg, struct attempt *attempt, const struct run_end *end);

/* What can be done to one from outside, by who works on it. */
struct attempt_kind {
	/* The daemon stops and will not wait any longer: it goes back to waiting, not counted. */
	void (*interrupt)(struct attempt *a);
	/* Forgets it, settled or not; the memory goes. */
	void (*free)(struct attempt *a);
};

enum attempt_result {
	ATTEMPT_NONE,
	ATTEMPT_SUCCEEDED,
	ATTEMPT_FAILED,   /* again after a delay, until Retries= are used up */
	ATTEMPT_HOPELESS, /* this callback would fail in the same way again: dead */
	/* The hook did not fail, and the attempt is not counted: */
	ATTEMPT_SHORT,    /* we lacked something: again in SHORTAGE_USEC */
	ATTEMPT_STOPPED,  /* the daemon's stop ended it: again with the next start */
	ATTEMPT_SET_BACK, /* others are to blame: again when due_usec says */
};

struct attempt {
	const struct attempt_kind *kind;
	struct flow *flow;
	struct config *config; /* holds `hook` */
	const struct hook *hook;
	uint64_t number;
	unsigned attempt;
	char *source, *job, *status;
	char id[RUN_ID_SIZE];
	enum outcome outcome;
	enum attempt_result result; /* NONE until it is settled */
	char reason[256];           /* why it did not succeed; "" = it did */
	int64_t received_usec;      /* wall clock: when its callback came */
	bool is_first;              /* nobody's replay, and no death that is told of */
	int64_t started_usec;       /* wall clock, for the record */
	uint64_t started_mono_usec; /* for the duration */
	struct log_fields fields;
	struct store_settle settle;
	struct store_wish *dead_wishes;
	struct config *dead_config; /* holds the names in dead_wishes */
	attempt_on_over *on_over;
	void (*on_ended)(void *arg); /* or NULL */
	void *arg;
};

/* How it ended. The bytes are borrowed until on_over. */
struct attempt_end {
	enum attempt_result result;
	int64_t due_usec;        /* of SET_BACK, clock_steady_usec(); 0 = now */
	int exit_status, signal; /* as in struct store_run; -1 = none */
	struct bytes out, err;
	bool truncated;
};

/*
 * Copies what it needs of `record`, holds the hook by a reference to the current configuration.
 * 0 or -ENOMEM; attempt_fini() in both cases.
 */
int attempt_init(struct attempt *a, const struct attempt_kind *kind, struct flow *flow,
	const struct hook *hook, const struct store_run *record, attempt_on_over *on_over,
	void *arg) MUST_CHECK;
void attempt_fini(struct attempt *a);
/* on_ended comes once before on_over, with its `arg`, when nothing works on it any more and its end
 * is on the way to the store: what is claimed now is claimed in the same commit. */
void attempt_tell_end(struct attempt *a, void (*on_ended)(void *arg));
void attempt_blame(struct attempt *a, const char *format, ...) PRINTF_LIKE(2, 3);
/*
 * Its last attempts ended with the daemon, again and again: it must not be started. Then the
 * reason is set and it is to be settled as failed.
 */
bool attempt_is_spent(struct attempt *a);
/* The story's first line, and a count; called when somebody is at work on it. */
void attempt_started(struct attempt *a);
/* Once. on_over comes after the commit, never from within this call; it frees the attempt. */
void attempt_settle(struct attempt *a, const struct attempt_end *end);

#endif
