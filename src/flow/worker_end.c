/*
 * A worker is gone: why, what becomes of each run that it had in hand, and when the next may
 * start; see worker_private.h.
 */
#include "flow/worker_private.h"

#include "base/clock.h"
#include "rules/backoff.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* The first delay before a new start or connection, and the longest: a peer that is back is
 * found soon. Neither is longer than the hook's own RetryDelay= and RetryDelayMax=. */
#define AGAIN_USEC     USEC_PER_SEC
#define AGAIN_MAX_USEC (60 * USEC_PER_SEC)
/* Of what a worker wrote last, kept with each of several runs that it took along. */
#define SHARED_TAIL_BYTES 4096u

void worker_back_off(struct worker *w)
{
	uint64_t base = w->hook->retry_delay_usec, max = w->hook->retry_delay_max_usec;

	w->failures++;
	w->not_before_usec = clock_steady_usec() +
			     (int64_t)backoff_usec(base < AGAIN_USEC ? base : AGAIN_USEC,
				     max < AGAIN_MAX_USEC ? max : AGAIN_MAX_USEC,
				     w->failures);
}

double worker_seconds_left(const struct worker *w)
{
	int64_t left = w->not_before_usec - clock_steady_usec();
	return left > 0 ? (double)left / (double)USEC_PER_SEC : 0;
}

/* It was still there, but spoke or listened no more, and we ended it for that. */
static bool is_deaf(const struct worker *w)
{
	return w->deaf && w->ended_by == BY_PATIENCE;
}

static void describe_end(struct worker *w, const struct process_end *end)
{
	char words[PROCESS_WORDS_SIZE];

	process_describe(end->wait_status, words);
	if (end->reason[0])
		snprintf(w->trouble, sizeof(w->trouble), "could not be started: %.200s",
			end->reason);
	else if (is_deaf(w))
		snprintf(w->trouble, sizeof(w->trouble), "%s", w->deaf);
	else if (!w->process)
		snprintf(w->trouble, sizeof(w->trouble), "closed the connection");
	else if (!end->exited)
		snprintf(w->trouble, sizeof(w->trouble), "ended");
	else
		snprintf(w->trouble, sizeof(w->trouble), "%s %s",
			WIFSIGNALED(end->wait_status) ? "was" : "ended with", words);
}

/* Of a batch: has the process done all that it did not answer? */
static enum attempt_result judge_status(
	const struct worker *w, const struct process_end *end)
{
	int status = WEXITSTATUS(end->wait_status);

	if (w->hook->mode != HOOK_BATCH || !end->exited || !WIFEXITED(end->wait_status))
		return ATTEMPT_FAILED;
	if (hook_status_in(w->hook->success_status, status))
		return ATTEMPT_SUCCEEDED;
	return hook_status_in(w->hook->permanent_status, status) ? ATTEMPT_HOPELESS
								 : ATTEMPT_FAILED;
}

/* Sets the reason as well. */
static enum attempt_result judge(
	struct worker *w, struct errand *e, const struct process_end *end, bool is_oldest)
{
	struct attempt *a = &e->attempt;
	enum attempt_result result = judge_status(w, end);
	bool written = e->written_at <= w->n_written;

	attempt_blame(a, "its worker %s", w->trouble);
	if (end->reason[0])
		return end->shortage ? ATTEMPT_SHORT : ATTEMPT_FAILED;
	if (e->timed_out) {
		attempt_blame(a, "Timeout= passed");
		return ATTEMPT_FAILED;
	}
	if (w->ended_by == BY_TIMEOUT) {
		attempt_blame(a, "its worker was ended for the Timeout= of another run");
		return ATTEMPT_SET_BACK;
	}
	if (w->ended_by == BY_STOP || (w->flow->stopping && result == ATTEMPT_FAILED)) {
		attempt_blame(a, "ended because the daemon stopped");
		return ATTEMPT_STOPPED;
	}
	if (!written && result == ATTEMPT_SUCCEEDED) {
		attempt_blame(a, "its worker ended before it had read it");
		return ATTEMPT_FAILED;
	}
	/* Not the oldest: one that no worker reads to its end would come back for ever. */
	if (!written && !is_oldest)
		return ATTEMPT_SET_BACK;
	if (result == ATTEMPT_SUCCEEDED)
		a->reason[0] = '\0';
	return result;
}

/* The last it wrote to standard error, for one of `n` runs that it took along. */
static struct bytes keep_err(struct worker *w, struct errand *e, size_t n)
{
	struct bytes tail = tail_bytes(&w->err.tail);

	if (n > 1 && tail.size > SHARED_TAIL_BYTES) {
		tail.data += tail.size - SHARED_TAIL_BYTES;
		tail.size = SHARED_TAIL_BYTES;
	}
	e->err = tail.size ? bytes_dup(tail) : NULL;
	return e->err ? (struct bytes){e->err, tail.size} : BYTES_NONE;
}

static void judge_one(struct worker *w, struct errand *e, const struct process_end *end,
	size_t n, bool is_oldest)
{
	int status = end->wait_status;
	bool in_hand = e->written_at <= w->n_written || is_oldest;
	struct attempt_end verdict = {.exit_status = -1, .signal = -1};

	verdict.result = judge(w, e, end, is_oldest);
	if (verdict.result == ATTEMPT_SET_BACK && w->ended_by != BY_TIMEOUT)
		verdict.due_usec = w->not_before_usec;
	if (in_hand && !end->reason[0])
		verdict.signal = STORE_NO_PROCESS;
	if (in_hand && end->exited) {
		verdict.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		verdict.signal = WIFSIGNALED(status) ? WTERMSIG(status) : -1;
	}
	if (verdict.result == ATTEMPT_FAILED || verdict.result == ATTEMPT_HOPELESS) {
		verdict.err = keep_err(w, e, n);
		verdict.truncated = w->err.tail.truncated ||
				    verdict.err.size < w->err.tail.size;
	}
	worker_settle(e, &verdict);
}

static void log_down(const struct worker *w, bool failed, size_t n)
{
	if (!failed)
		log_event(LOG_WORKER_ENDED, &w->fields, "Worker of hook %s has ended",
			w->hook->name);
	else if (w->not_before_usec)
		log_event(LOG_WORKER_FAILED, &w->fields,
			"Worker of hook %s %s; it had %zu runs in hand, again in %.1f s",
			w->hook->name, w->trouble, n, worker_seconds_left(w));
	else
		log_event(LOG_WORKER_FAILED, &w->fields,
			"Worker of hook %s %s; it had %zu runs in hand", w->hook->name,
			w->trouble, n);
}

/* What it is to be reproached with, beside the runs that it had in hand. */
static bool has_failed(const struct worker *w, const struct process_end *end, size_t n)
{
	bool bad_status = end->exited && (!WIFEXITED(end->wait_status) ||
						 !hook_status_in(w->hook->success_status,
							 WEXITSTATUS(end->wait_status)));

	if (end->reason[0] || is_deaf(w))
		return true;
	if (w->ended_by != BY_ITSELF)
		return false;
	return bad_status || (n > 0 && w->hook->mode != HOOK_BATCH);
}

void worker_judge(struct worker *w, const struct process_end *end)
{
	struct errand *e, *oldest = TAILQ_FIRST(&w->flying);
	size_t n = 0;

	TAILQ_FOREACH (e, &w->flying, link)
		n++;
	w->not_before_usec = 0;
	describe_end(w, end);
	bool failed = has_failed(w, end, n);
	/* The runs of a batch have delays of their own, as those of processes have. */
	if (failed && w->hook->mode != HOOK_BATCH)
		worker_back_off(w);
	log_down(w, failed, n);
	while ((e = TAILQ_FIRST(&w->flying)))
		judge_one(w, e, end, n, e == oldest);
}
