/*
 * One tree of processes of a hook, from its start to its end. The runner has the processes; here
 * are the deadlines, and the two facts that end one: its main process is gone, and its pipes.
 *
 *   spawned ──► running ──exit──► draining ──its pipes at their end, or a grace──► over
 *                  │ process_end(): SIGTERM to the tree            ▲
 *                  └► ending ── after kill_after, or main process and pipes gone:
 *                               SIGKILL to the tree ── swept ──────┘
 *
 * run.c has one for each run, worker.c one for many.
 */
#ifndef FLOW_PROCESS_H
#define FLOW_PROCESS_H

#include "flow/flow.h"
#include "flow/launch.h"

struct process;

struct process_end {
	bool exited;     /* wait_status is that of the command */
	int wait_status; /* as of waitpid(2) */
	bool shortage;   /* it could not be started: we lacked something */
	bool hopeless;   /* it could not be started, and never will be with these words */
	char reason[256]; /* why it could not be started; "" = it was */
};

struct process_owner {
	/* Once, never from within a call of the owner's: nothing of it is left, or nothing that
	 * anybody waits for. */
	void (*on_over)(void *arg, const struct process_end *end);
	/* The timeout of process_start() has passed, and it still runs; may be NULL. */
	void (*on_timeout)(void *arg);
};

/* What is started with what; descriptors are taken, whatever comes of it. */
struct process_start {
	const char *run;       /* CALLBACK_RUN, by which left-overs are found */
	struct launch *launch; /* prepared; its stdin_fd is taken too */
	int stdout_fd, stderr_fd;
	unsigned n_pipes;      /* process_pipe_closed() comes so often */
	uint64_t timeout_usec; /* SPAN_FOREVER: none */
};

/* 0 or -ENOMEM. */
int process_new(struct process **ret, struct flow *flow,
	const struct process_owner *owner, void *arg) MUST_CHECK;
/* What goes wrong is told by on_over, with a reason. */
void process_start(struct process *p, const struct process_start *start);
/* In place of a start: on_over comes with this reason. `error` is a positive errno or 0. */
void process_fail(struct process *p, const char *what, int error);
void process_pipe_closed(struct process *p);
/* SIGTERM to the tree, SIGKILL after kill_after_usec, or 10 s if that is less and the daemon stops.
 * False: it has come to an end by itself
 * (on_over is on its way, or comes from within this call), or is ending already. */
bool process_end(struct process *p, uint64_t kill_after_usec);
#define PROCESS_WORDS_SIZE 40
/* "exit status 3", "killed by signal KILL" */
void process_describe(int wait_status, char ret[static PROCESS_WORDS_SIZE]);
/* Forgets it, and kills nothing: for after on_over, and for the end of the program. */
void process_free(struct process *p);

/* ---- The reports of the runner; `table` is that of the flow ---- */

struct process_table;

int process_table_new(struct process_table **ret) MUST_CHECK;
void process_table_free(struct process_table *t);
void process_on_started(struct process_table *t, uint64_t tag, int error);
void process_on_exit(struct process_table *t, uint64_t tag, int status, int exec_error,
	const char *failed_step);
void process_on_swept(struct process_table *t, uint64_t tag);

#endif
