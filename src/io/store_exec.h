/*
 * The operations of the store and what they share; for its own files, on the writer
 * thread, within a transaction. 0: the operation is carried out, and what it came to
 * stands in its `result`. Negative errno: the transaction is to be rolled back (-EIO: for
 * good).
 */
#ifndef IO_STORE_EXEC_H
#define IO_STORE_EXEC_H

#include "io/store_private.h"

int store_exec_put(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_expect(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_forget(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_mint(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_bind(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_claim(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_settle(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_replay(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_discard(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_pause(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_letters(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_due(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_orphans(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_asks(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_asked(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_get_job(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_get_run(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_list_jobs(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_list_runs(struct store *s, struct store_op *op) MUST_CHECK;
int store_exec_list_changes(struct store *s, struct store_op *op) MUST_CHECK;
/* Puts what is running back to waiting, for store_open(). */
int store_recover(struct store *s) MUST_CHECK;

/* ---- shared by them ---- */
struct store_found { /* a job's row, as far as moves need it */
	uint64_t number, callback, latest, deliveries;
	enum outcome outcome;
	int64_t expected_usec, confirmed_usec, ask_at_usec, ask_from_usec;
	unsigned ask_tries;
	bool same_word; /* its status equals the one asked about */
};
/* The row, and its place in the index of ids; what hangs on it is gone already. */
int store_drop_job(struct store *s, uint64_t job) MUST_CHECK;
/* 1 found, 0 not. */
int store_find_job(struct store *s, const char *source, const char *id, const char *word,
	struct store_found *ret) MUST_CHECK;

struct store_new_run {
	uint64_t job, callback, replay_of, dead_of;
	const char *hook, *status;
	enum outcome outcome;
	bool start_now;
};
int store_add_run(struct store *s, const struct store_new_run *run,
	uint64_t *ret_number) MUST_CHECK;
/* A waiting or running run ends, or goes back to wait, without a process of its own to tell of.
 * `reason` is borrowed. 0, or negative errno. */
int store_end_run(struct store *s, uint64_t number, enum runstate state,
	const char *reason) MUST_CHECK;
/* A run that is done or dead runs again, a dead one is done: 0, 1 = its state forbids it. */
int store_replay_run(struct store *s, uint64_t number, uint64_t *ret_number) MUST_CHECK;
int store_discard_run(struct store *s, uint64_t number, const char *reason) MUST_CHECK;
/* Does the run in this row fit, whose first columns are FILTER_COLUMNS? 1 or 0. */
int store_run_fits(
	struct store *s, const struct store_run_filter *f, sqlite3_stmt *row) MUST_CHECK;
void store_count_run(struct store *s, enum runstate from, enum runstate to);
/* A job's ask_at_usec changes. */
void store_count_asking(struct store *s, int64_t from_usec, int64_t to_usec);
/* A question of `tries` is over: when the job is asked for again, 0 = not, and what was wrong
 * with it, or NULL. */
int store_note_asked(struct store *s, const struct store_found *job, unsigned tries,
	int64_t ask_at_usec, const char *error) MUST_CHECK;
/* For store_open(): what is waited for since a time that did not come yet was written
 * under a clock that was wrong, and is waited for since now. */
int store_mend_asks(struct store *s) MUST_CHECK;
int store_note_change(struct store *s, uint64_t job, uint64_t run) MUST_CHECK;
/* The numbers that deleted rows had are not given away again. */
int store_keep_numbers(struct store *s) MUST_CHECK;
/* How many jobs there are, and up to which number they are counted. */
int store_keep_count(struct store *s) MUST_CHECK;
/* As many of the job's as the budget buys, in rows and pages, which it is less then. */
int store_drop_runs(struct store *s, uint64_t job, size_t *budget) MUST_CHECK;
int store_drop_callbacks(struct store *s, uint64_t job, size_t *budget) MUST_CHECK;

/* ---- store_hook.c ---- */
int store_load_hooks(struct store *s) MUST_CHECK; /* for store_open() */
void store_free_hooks(struct store *s);
#define STORE_LABEL_SIZE 65 /* of the name of a source or a hook */
/* The source behind `after` ("" for the first) that has runs of this hook in the queue, in the
 * order of names: 1 and *ret, which may be `after` itself; 0 when there is none. */
int store_next_source(struct store *s, const char *hook, const char *after,
	char ret[static STORE_LABEL_SIZE]) MUST_CHECK;
/* When the first run of this source in the queue is due, 0 when there is none. */
int store_source_due(struct store *s, const char *hook, const char *source,
	int64_t *ret_usec) MUST_CHECK;

/* ---- store_record.c: rows become records. 1, 0 = no such row, negative errno ---- */
enum { STORE_WITH_OUTPUT = 1, STORE_WITH_PAYLOAD = 2 };
int store_read_letter(
	struct store *s, uint64_t number, struct store_letter *ret) MUST_CHECK;
int store_read_job(
	struct store *s, uint64_t number, int with, struct store_job *ret) MUST_CHECK;
int store_read_run(
	struct store *s, uint64_t number, int with, struct store_run *ret) MUST_CHECK;
/* Of a change's job and run; ret->seq and time are the caller's. */
int store_read_change(
	struct store *s, uint64_t job, uint64_t run, struct store_change *ret) MUST_CHECK;
size_t store_op_weight(const struct store_op *op); /* of the results, about */
void store_changes_free(struct store_change *changes, size_t n);
void store_run_id(const struct store *s, uint64_t number, char id[static RUN_ID_SIZE]);
uint64_t store_run_number(const struct store *s, const char *id); /* 0: none of ours */

#endif
