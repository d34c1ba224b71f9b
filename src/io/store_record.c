/*
 * Rows become records, and records are given back. A record that could not be made whole
 * is made empty again: nobody sees half of one.
 */
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void store_run_id(const struct store *s, uint64_t number, char id[static RUN_ID_SIZE])
{
	snprintf(id, RUN_ID_SIZE, "%s-%llu", s->name, (unsigned long long)number);
}

uint64_t store_run_number(const struct store *s, const char *id)
{
	size_t skip = strlen(s->name);
	uint64_t number = 0;

	if (strncmp(id, s->name, skip) != 0 || id[skip] != '-' || id[skip + 1] == '0')
		return 0;
	for (const char *p = id + skip + 1; *p; p++) {
		if (*p < '0' || *p > '9' || number > INT64_MAX / 10 - 1)
			return 0;
		number = number * 10 + (uint64_t)(*p - '0');
	}
	return number;
}

static void peek_into(sqlite3_stmt *row, int column, char *ret, size_t size)
{
	struct bytes b = store_sql_peek(row, column);

	snprintf(ret, size, "%.*s", (int)b.size, b.data ? b.data : "");
}

int store_read_letter(struct store *s, uint64_t number, struct store_letter *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	*ret = (struct store_letter){.new_run = ""};
	int r = STORE_ROW(s, SQL_RUN_LETTER, &row, ARG_INT(number));
	if (r <= 0)
		return r;
	store_run_id(s, number, ret->run);
	peek_into(row, 0, ret->hook, sizeof(ret->hook));
	peek_into(row, 1, ret->source, sizeof(ret->source));
	peek_into(row, 2, ret->job, sizeof(ret->job));
	return 1;
}

static void fill_job(sqlite3_stmt *row, struct store_job *ret, bool *failed)
{
	ret->number = store_sql_number(row, 0);
	ret->source = store_sql_text(row, 1, failed);
	ret->id = store_sql_text(row, 2, failed);
	ret->status = store_sql_text(row, 3, failed);
	ret->outcome = (enum outcome)sqlite3_column_int(row, 4);
	ret->received_usec = sqlite3_column_int64(row, 5);
	ret->updated_usec = sqlite3_column_int64(row, 6);
	ret->expected_usec = sqlite3_column_int64(row, 7);
	ret->confirmed_usec = sqlite3_column_int64(row, 8);
	ret->deliveries = store_sql_number(row, 9);
	ret->public_url = store_sql_text(row, 10, failed);
	ret->size_bytes = sqlite3_column_int64(row, 11);
	ret->has_payload = sqlite3_column_int(row, 12);
	ret->ask_at_usec = sqlite3_column_int64(row, 13);
	ret->asked = store_sql_number(row, 14);
	ret->ask_error = store_sql_text(row, 15, failed);
}

int store_read_job(struct store *s, uint64_t number, int with, struct store_job *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	bool failed = false;

	*ret = (struct store_job){.payload = BYTES_NONE};
	int r = STORE_ROW(s, SQL_JOB_GET, &row, ARG_INT(number));
	if (r <= 0)
		return r;
	fill_job(row, ret, &failed);
	if (with & STORE_WITH_PAYLOAD)
		ret->payload = store_sql_bytes(row, 16, &failed);
	if (failed) {
		store_job_fini(ret);
		return -ENOMEM;
	}
	return 1;
}

static void fill_run(
	const struct store *s, sqlite3_stmt *row, struct store_run *ret, bool *failed)
{
	ret->number = store_sql_number(row, 0);
	store_run_id(s, ret->number, ret->id);
	ret->hook = store_sql_text(row, 1, failed);
	ret->source = store_sql_text(row, 2, failed);
	ret->job = store_sql_text(row, 3, failed);
	ret->status = store_sql_text(row, 4, failed);
	ret->outcome = (enum outcome)sqlite3_column_int(row, 5);
	ret->state = (enum runstate)sqlite3_column_int(row, 6);
	ret->attempt = (unsigned)sqlite3_column_int64(row, 7);
	ret->due_usec = sqlite3_column_int64(row, 8);
	ret->started_usec = sqlite3_column_int64(row, 9);
	ret->finished_usec = sqlite3_column_int64(row, 10);
	ret->exit_status = sqlite3_column_int(row, 11);
	ret->signal = sqlite3_column_int(row, 12);
	ret->reason = store_sql_text(row, 13, failed);
	ret->truncated = sqlite3_column_int(row, 14);
	ret->test = sqlite3_column_int(row, 15);
	ret->replay_of = store_sql_number(row, 16);
	ret->received_usec = sqlite3_column_int64(row, 17);
	ret->fields = store_sql_text(row, 18, failed);
	ret->dead_of = store_sql_number(row, 20);
	ret->replayed_by = store_sql_number(row, 21);
}

static int add_output(struct store *s, struct store_run *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	bool failed = false;

	int r = STORE_ROW(s, SQL_RUN_OUTPUT, &row, ARG_INT(ret->number));
	if (r <= 0)
		return r;
	ret->stdout_tail = store_sql_bytes(row, 0, &failed);
	ret->stderr_tail = store_sql_bytes(row, 1, &failed);
	return failed ? -ENOMEM : 1;
}

static int add_payload(struct store *s, uint64_t callback, struct store_run *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	bool failed = false;

	int r = STORE_ROW(s, SQL_CALLBACK_GET, &row, ARG_INT(callback));
	if (r <= 0)
		return r;
	ret->payload = store_sql_bytes(row, 3, &failed);
	return failed ? -ENOMEM : 1;
}

int store_read_run(struct store *s, uint64_t number, int with, struct store_run *ret)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	bool failed = false;

	*ret = (struct store_run){.number = 0};
	int r = STORE_ROW(s, SQL_RUN_GET, &row, ARG_INT(number));
	if (r <= 0)
		return r;
	fill_run(s, row, ret, &failed);
	if (failed)
		r = -ENOMEM;
	if (r == 1 && with & STORE_WITH_OUTPUT)
		r = add_output(s, ret);
	if (r == 1 && with & STORE_WITH_PAYLOAD)
		r = add_payload(s, store_sql_number(row, 19), ret);
	if (r != 1)
		store_run_fini(ret);
	return r;
}

int store_read_change(
	struct store *s, uint64_t job, uint64_t run, struct store_change *ret)
{
	*ret = (struct store_change){.is_run = run != 0};
	int r = store_read_job(s, job, 0, &ret->job);
	if (r != 1 || !run)
		return r;
	r = store_read_run(s, run, 0, &ret->run);
	if (r != 1)
		store_job_fini(&ret->job);
	return r;
}

void store_run_fini(struct store_run *r)
{
	free(r->hook);
	free(r->source);
	free(r->job);
	free(r->status);
	free(r->reason);
	free((void *)r->stdout_tail.data);
	free((void *)r->stderr_tail.data);
	free((void *)r->payload.data);
	free(r->fields);
	*r = (struct store_run){.number = 0};
}

static void runs_free(struct store_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store_run_fini(&runs[i]);
	free(runs);
}

void store_job_fini(struct store_job *j)
{
	free(j->source);
	free(j->id);
	free(j->status);
	free((void *)j->payload.data);
	free(j->public_url);
	free(j->ask_error);
	runs_free(j->runs, j->n_runs);
	*j = (struct store_job){.number = 0};
}

static void jobs_free(struct store_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store_job_fini(&jobs[i]);
	free(jobs);
}

void store_changes_free(struct store_change *changes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		store_job_fini(&changes[i].job);
		store_run_fini(&changes[i].run);
	}
	free(changes);
}

static void due_free(struct store_due *due)
{
	for (size_t i = 0; i < due->n_hooks; i++)
		free(due->hooks[i].hook);
	free(due->hooks);
	due->hooks = NULL;
	due->n_hooks = 0;
}

static void questions_free(struct store_question *questions, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(questions[i].id);
		free(questions[i].error);
	}
	free(questions);
}

/* The record that an operation is the first member of; its array goes, and its count. */
#define RECORD(type) struct type *record = container_of(op, struct type, op)
#define EMPTY(give_back, array, n)                   \
	do {                                         \
		give_back(record->array, record->n); \
		record->array = NULL;                \
		record->n = 0;                       \
	} while (0)

void store_op_fini(struct store_op *op)
{
	switch (op->kind) {
	case STORE_CLAIM: {
		RECORD(store_claim);
		EMPTY(runs_free, runs, n_runs);
		EMPTY(runs_free, merged, n_merged);
		break;
	}
	case STORE_GET_JOB: {
		RECORD(store_get_job);
		EMPTY(jobs_free, jobs, n_jobs);
		break;
	}
	case STORE_GET_RUN:
		store_run_fini(&container_of(op, struct store_get_run, op)->record);
		break;
	case STORE_LIST_JOBS: {
		RECORD(store_list_jobs);
		EMPTY(jobs_free, jobs, n_jobs);
		break;
	}
	case STORE_LIST_RUNS: {
		RECORD(store_list_runs);
		EMPTY(runs_free, runs, n_runs);
		break;
	}
	case STORE_LIST_CHANGES: {
		RECORD(store_list_changes);
		EMPTY(store_changes_free, changes, n_changes);
		break;
	}
	case STORE_ORPHANS: {
		RECORD(store_orphans);
		free(record->died);
		record->died = NULL;
		record->n_died = 0;
		break;
	}
	case STORE_LETTERS: {
		RECORD(store_letters);
		free(record->letters);
		record->letters = NULL;
		record->n_letters = 0;
		break;
	}
	case STORE_DUE: due_free(container_of(op, struct store_due, op)); break;
	case STORE_ASKS: {
		RECORD(store_asks);
		EMPTY(questions_free, questions, n_questions);
		break;
	}
	case STORE_BACKUP: {
		RECORD(store_backup);
		if (record->made)
			close(record->fd);
		record->made = false;
		break;
	}
	case STORE_PUT:
	case STORE_SETTLE:
	case STORE_EXPECT:
	case STORE_FORGET:
	case STORE_MINT:
	case STORE_BIND:
	case STORE_REPLAY:
	case STORE_DISCARD:
	case STORE_ASKED:
	case STORE_PAUSE:
	case STORE_PING: break; /* their results are in the record itself */
	}
}

static size_t runs_weight(const struct store_run *runs, size_t n)
{
	size_t weight = n * sizeof(*runs);

	for (size_t i = 0; i < n; i++)
		weight += runs[i].payload.size + runs[i].stdout_tail.size +
			  runs[i].stderr_tail.size;
	return weight;
}

static size_t jobs_weight(const struct store_job *jobs, size_t n)
{
	size_t weight = n * sizeof(*jobs);

	for (size_t i = 0; i < n; i++)
		weight += jobs[i].payload.size +
			  runs_weight(jobs[i].runs, jobs[i].n_runs);
	return weight;
}

#define CONST_RECORD(type) \
	const struct type *record = container_of(op, const struct type, op)

size_t store_op_weight(const struct store_op *op)
{
	switch (op->kind) {
	case STORE_CLAIM: {
		CONST_RECORD(store_claim);
		return runs_weight(record->runs, record->n_runs) +
		       runs_weight(record->merged, record->n_merged);
	}
	case STORE_GET_JOB: {
		CONST_RECORD(store_get_job);
		return jobs_weight(record->jobs, record->n_jobs);
	}
	case STORE_GET_RUN:
		return runs_weight(
			&container_of(op, const struct store_get_run, op)->record, 1);
	case STORE_LIST_JOBS: {
		CONST_RECORD(store_list_jobs);
		return jobs_weight(record->jobs, record->n_jobs);
	}
	case STORE_LIST_RUNS: {
		CONST_RECORD(store_list_runs);
		return runs_weight(record->runs, record->n_runs);
	}
	case STORE_LIST_CHANGES: {
		CONST_RECORD(store_list_changes);
		return record->n_changes * sizeof(*record->changes);
	}
	case STORE_LETTERS: {
		CONST_RECORD(store_letters);
		return record->n_letters * sizeof(*record->letters);
	}
	default: return 0;
	}
}
