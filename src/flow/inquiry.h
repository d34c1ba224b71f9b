/*
 * What a source says of an id that the store does not know: asked at its StatusURL once, for
 * all who want to know, and remembered for a while, so that neither a script that polls nor
 * one that guesses hammers the service. Nothing of it is recorded and no hook hears of it.
 *
 *   inquiry_recall ─ fresh ─► answer
 *        └─ else inquiry_start ─► one question an id ─► on_done of all who asked
 *
 * A final status is remembered for an hour, a pending one for 10 s at first and then ever longer,
 * to 2 min; that there is no such id for 30 s; that the service does not answer for 5 s. When it
 * cannot be asked, what was remembered is told on, stale.
 */
#ifndef FLOW_INQUIRY_H
#define FLOW_INQUIRY_H

#include "flow/flow.h"

/* Questions under way at a time, and how many there may be in all: a burst, then so many a
 * second. Beyond that the answer is 429. */
#define INQUIRY_ACTIVE_MAX 8
#define INQUIRY_BURST      100
#define INQUIRY_PER_SEC    5
/* What is remembered at most. */
#define INQUIRY_IDS_MAX   1024
#define INQUIRY_BYTES_MAX (4u << 20)

struct inquiries;
struct inquiry;

struct inquiry_answer {
	int status;        /* the service's; or ours: 429, 502, 503, 504 */
	struct bytes body; /* its JSON object, as it was sent; BYTES_NONE: see `error` */
	const char *error; /* in words, when there is no body */
	const char *word;  /* its status word, or NULL */
	bool final;        /* that word is a terminal one */
	uint64_t retry_after_usec; /* 0 = none */
};

int inquiries_new(
	struct inquiries **ret, struct flow *flow) MUST_CHECK; /* 0 or -ENOMEM */
/* Before the fetch pool. Nobody who waits is told. */
void inquiries_free(struct inquiries *q);

/* What is remembered and fresh, or cannot be asked for just now. Borrowed until the loop goes on. */
bool inquiry_recall(struct inquiries *q, const struct source *s, const char *id,
	struct inquiry_answer *ret) MUST_CHECK;
/*
 * After inquiry_recall() was false. on_done comes once, from the loop, never from within this
 * call; *ret is gone then, the answer is borrowed for that call. 0; -ENOMEM; -EINVAL: such an id
 * cannot be asked for.
 */
int inquiry_start(struct inquiries *q, const struct source *s, const char *id,
	void (*on_done)(void *arg, const struct inquiry_answer *answer), void *arg,
	struct inquiry **ret) MUST_CHECK;
/* on_done is not called; the question goes on, and its answer is remembered. */
void inquiry_forget(struct inquiry *i);

#endif
