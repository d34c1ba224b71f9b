/*
 * How a source fares. Trouble with one job is that job's; trouble with the source as a whole
 * pauses all questions to it, and is told when it begins, when it changes, and when it is over.
 *
 *   well ─── no answer, 429, 503, or three failures in a row ──► trouble: pause, one question,
 *     ▲                                                          a longer pause, …
 *     └───────────────────── any answer that is none of these ─────┘
 *
 * Who can make us ask for ids of his choice must not be able to stop us: a single id that makes
 * the service fail does not pause it, and any other job that is answered ends the trouble.
 */
#include "flow/ask_private.h"

#include "base/clock.h"
#include "io/log.h"

#define STREAK_MIN    3
#define PAUSE_CAP     (3600 * USEC_PER_SEC) /* of a Retry-After */
#define LINES_MAX     20                    /* on single jobs of one source … */
#define LINES_IN_USEC (60 * USEC_PER_SEC)   /* … in this time */

void health_fini(struct desk *d)
{
	free(d->trouble);
	d->trouble = NULL;
}

void health_reset(struct desk *d)
{
	health_fini(d);
	d->streak = d->failures = 0;
	d->paused_until_usec = 0;
}

void health_answered(struct desk *d, const struct question *q)
{
	/* Of a question that was on its way when the pause began: that goes on. */
	if (q->epoch != d->epoch)
		return;
	if (d->trouble)
		log_event(LOG_ASKED, &(struct log_fields){.source = d->name},
			"%s can be asked again", d->name);
	if (d->streak)
		health_reset(d);
}

/* A line a job and not more, and of all of them so many. */
static void tell_of_job(struct desk *d, const struct question *q)
{
	const struct log_fields fields = {.source = d->name, .id = q->id};
	uint64_t now = clock_mono_usec();

	if (q->error && strcmp(q->error, q->problem) == 0)
		return;
	if (now - d->told_since_usec >= LINES_IN_USEC) {
		if (d->untold)
			log_event(LOG_ASK_FAILED, &(struct log_fields){.source = d->name},
				"%u more jobs of %s could not be settled by asking",
				d->untold, d->name);
		d->told_since_usec = now;
		d->told = d->untold = 0;
	}
	if (d->told >= LINES_MAX) {
		d->untold++;
		return;
	}
	d->told++;
	log_event(LOG_ASK_FAILED, &fields,
		"Job %s of %s was asked for: %s; it is asked for again until "
		"GiveUpAfter=",
		log_escapes(q->id), d->name, log_escapes(q->problem));
}

static void tell_of_source(
	struct desk *d, const struct question *q, enum question_verdict verdict)
{
	char *trouble = bytes_dup(bytes_of(q->problem));
	bool told = d->trouble && d->ailment == verdict;

	if (!trouble) /* in short words, then: it must be known that there is trouble */
		return;
	free(d->trouble);
	d->trouble = trouble;
	d->ailment = verdict;
	if (!told)
		log_event(LOG_ASK_FAILED,
			&(struct log_fields){.source = d->name, .id = q->id},
			"%s cannot be asked: %s; it is tried again, and its jobs wait "
			"until GiveUpAfter=",
			d->name, log_escapes(trouble));
}

static void pause_source(
	struct desk *d, const struct question *q, uint64_t retry_after_usec)
{
	uint64_t pause = retry_after_usec < PAUSE_CAP ? retry_after_usec : PAUSE_CAP;
	uint64_t now = clock_mono_usec();

	/* Those that were on their way together fail together: that is one failure. */
	if (q->epoch == d->epoch) {
		uint64_t ours = question_pause_usec(q->record.source, ++d->failures);
		d->epoch++;
		if (pause < ours)
			pause = ours;
	}
	if (d->paused_until_usec < now + pause)
		d->paused_until_usec = now + pause;
}

void health_failed(struct desk *d, const struct question *q,
	enum question_verdict verdict, uint64_t retry_after_usec)
{
	if (!question_is_general(verdict)) {
		tell_of_job(d, q);
		return;
	}
	d->streak++;
	if (!d->trouble && verdict != QUESTION_UNHEARD && verdict != QUESTION_TOO_OFTEN &&
		d->streak < STREAK_MIN) {
		tell_of_job(d, q);
		return;
	}
	tell_of_source(d, q, verdict);
	pause_source(d, q, retry_after_usec);
}
