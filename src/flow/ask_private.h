/*
 * Inside of ask: a desk a source, a question a job that is asked for. ask.c decides whose turn it
 * is; ask_question.c is one question; ask_health.c is how a source fares. Nobody else includes
 * this.
 */
#ifndef FLOW_ASK_PRIVATE_H
#define FLOW_ASK_PRIVATE_H

#include "base/bucket.h"
#include "base/map.h"
#include "flow/ask.h"
#include "flow/record.h"
#include "rules/question.h"

#include <sys/queue.h>

/* What is known of one source. Lives as long as the ask: names are few. */
struct desk {
	LIST_ENTRY(desk) link;
	struct map_entry by_name;
	struct ask *ask;
	char name[65];
	struct map questions; /* by job id: one at a time, however many callbacks */
	unsigned under_way;   /* of them, on the wire */
	unsigned turn;        /* the lane whose turn it is */
	struct bucket bucket;
	int64_t next_due_usec; /* steady clock: of those that wait; 0 = none */
	int64_t oldest_usec;   /* since when the oldest is waited for; 0 = none */
	int64_t since_usec;    /* steady clock: the source is asked since then */
	int64_t swept_usec;    /* steady clock: no sweep before */
	bool looking;          /* the store is asked what is due */
	bool sweeping;         /* and that is for what is to be given up */
	struct store_asks look;

	/* ---- ask_health.c ---- */
	enum question_verdict ailment; /* with `trouble` */
	char *trouble;                 /* NULL: it is well */
	unsigned streak;               /* failures since an answer */
	unsigned failures;             /* pauses since it was well */
	unsigned epoch; /* of the pauses: late failures belong to an older one */
	uint64_t paused_until_usec; /* monotonic */
	uint64_t told_since_usec;   /* monotonic: of `told` and `untold` */
	unsigned told, untold;      /* lines on single jobs */
	uint64_t n_asked, n_failed;
};

struct ask {
	struct flow *flow;
	LIST_HEAD(, desk) desks;
	struct map desks_by_name;
	LIST_HEAD(, question) questions;
	unsigned under_way; /* sum over the desks */
	struct event *timer;
};

struct question {
	LIST_ENTRY(question) link;
	struct map_entry by_id;
	struct desk *desk;
	char *id;
	struct record record; /* holds the configuration of the moment it was put */
	struct message message;
	struct message_header content_type;
	char *type, *body;   /* what the message borrows */
	struct fetch *fetch; /* NULL: not on the wire */
	int64_t from_usec;
	unsigned tries; /* before this one */
	char *error;    /* why the one before told nothing, or NULL */
	char *problem;  /* why this one did */
	unsigned epoch; /* of the desk, when it was put */
	struct store_asked asked;
};

/* ---- ask.c ---- */
/* Puts what may be put now, sleeps until the next. */
void ask_pump(struct ask *a);
/* A question is over: the store knows what is due now. */
void ask_finished(struct desk *d);
/* The store or memory lacks something: the desk waits a moment. */
void ask_rest(struct desk *d);

/* ---- ask_question.c ---- */
/* Puts it; or where the source does not answer, or with `lost`, gives the job up. */
void question_start(struct desk *d, const struct source *s,
	const struct store_question *waiting, bool lost);
/* Forgets it: on_done of its parts must not come any more. */
void question_free(struct question *q);
/* Steady clock: since when a job that is waited for since `from_usec` is given up;
 * INT64_MAX = never. */
int64_t question_give_up_usec(
	const struct desk *d, const struct source *s, int64_t from_usec);

/* ---- ask_health.c ---- */
/* It answered, whatever it said. */
void health_answered(struct desk *d, const struct question *q);
/* It did not: of a single job that is told unless it was told before; of a source once until it
 * changes. `retry_after_usec` 0 = as we think fit. */
void health_failed(struct desk *d, const struct question *q,
	enum question_verdict verdict, uint64_t retry_after_usec);
void health_reset(struct desk *d);
void health_fini(struct desk *d);

#endif
