/*
 * Inside of the workers: worker.c decides who is given what and what became of it,
 * worker_link.c has the process or the connection and its bytes. Nobody else includes this.
 */
#ifndef FLOW_WORKER_PRIVATE_H
#define FLOW_WORKER_PRIVATE_H

#include "base/heap.h"
#include "base/map.h"
#include "flow/output.h"
#include "flow/process.h"
#include "flow/worker.h"
#include "rules/workline.h"

#include <event2/buffer.h>
#include <sys/queue.h>

/* A run at a worker. */
struct errand {
	struct attempt attempt;
	struct worker *worker; /* NULL once it is settled */
	TAILQ_ENTRY(errand) link;
	struct map_entry by_run;    /* while in flight */
	struct heap_entry deadline; /* the same; CLOCK_MONOTONIC, usec */
	char *line;                 /* until it is in flight */
	size_t line_size;
	uint64_t
		written_at; /* when so many bytes went out, it is in the worker's hands */
	bool timed_out;
	char *err; /* what the worker wrote last, for its settle */
};

TAILQ_HEAD(errand_list, errand);

enum worker_state {
	WORKER_DOWN,    /* no process, no connection */
	WORKER_UP,      /* takes lines (not of a batch: it has them all) */
	WORKER_CLOSING, /* its input is closed, or is as soon as all is written */
	WORKER_ENDING,  /* SIGTERM was sent to it */
};

enum worker_end { BY_ITSELF, BY_TIMEOUT, BY_STOP, BY_PATIENCE /* ours, at its end */ };

struct worker {
	LIST_ENTRY(worker) link;
	struct workers *workers;
	struct flow *flow;
	struct config *config; /* holds `hook`, by which it was made */
	const struct hook *hook;
	enum worker_state state;
	enum worker_end ended_by;
	bool retired; /* for another definition, or for none, or the daemon stops */
	struct errand_list queue, flying;
	struct map by_run;
	struct heap deadlines;
	uint64_t grace_usec; /* then it is ended for not ending; 0 = none */
	struct event *timer, *kick;
	unsigned failures; /* in a row */
	int64_t not_before_usec;
	char trouble[256]; /* why it is down; for those who come meanwhile */
	const char *deaf;  /* it takes or gives no lines any more; NULL = it does */
	char id[RUN_ID_SIZE];
	struct log_fields fields;

	/* worker_link.c's */
	struct process *process; /* NULL: a socket */
	struct output err;
	int in, out; /* its input and output; of a socket the same */
	struct event *on_in, *on_out;
	struct evbuffer *lines;
	uint64_t n_added, n_written; /* bytes */
	bool close_input;            /* once all is written */
	struct workline_reader reader;
};

/* ---- worker_link.c ---- */

/* 0: it is up. -1: not, and w->trouble says why. */
int worker_link_open(struct worker *w) MUST_CHECK;
/* Takes the line over; worker_link_flush() sends. -ENOMEM: it is the caller's as before. */
int worker_link_add(struct worker *w, struct errand *e) MUST_CHECK;
void worker_link_flush(struct worker *w);
/* No line comes any more: its input ends behind those that were added. */
void worker_link_close_input(struct worker *w);
/* SIGTERM, or the connection closed. worker_on_down() comes, perhaps from within. */
void worker_link_end(struct worker *w, uint64_t kill_after_usec);
/* Takes all of it down without a word, for worker_free(). */
void worker_link_fini(struct worker *w);

/* ---- worker_errand.c ---- */

/* In no worker's queue yet. 0 or -ENOMEM. */
int worker_errand_new(struct errand **ret, struct flow *flow,
	const struct attempt_kind *kind, const struct hook *hook,
	const struct store_run *record, attempt_on_over *on_over, void *arg) MUST_CHECK;
void worker_errand_free(struct errand *e);
/* It leaves its worker; on_over frees it once the store has it. */
void worker_settle(struct errand *e, const struct attempt_end *end);
/* The same for one that no worker saw, or that was answered: no process tells of its end. */
void worker_settle_plain(
	struct errand *e, enum attempt_result result, int signal, int64_t due_usec);

/* ---- worker_end.c ---- */

/* Settles all that is in flight, chooses when the next may start, and logs. */
void worker_judge(struct worker *w, const struct process_end *end);
/* Another failure in a row: not_before_usec. */
void worker_back_off(struct worker *w);
double worker_seconds_left(const struct worker *w); /* until then */

/* ---- worker.c, called by worker_link.c ---- */

/* `line` is the worker's, without its newline. */
void worker_on_line(struct worker *w, struct bytes line);
/* It is gone: a process with `end`, a connection with zeroes. */
void worker_on_down(struct worker *w, const struct process_end *end);
/* It takes no input or gives no answers any more, but is still there. */
void worker_on_deaf(struct worker *w, const char *what);

#endif
