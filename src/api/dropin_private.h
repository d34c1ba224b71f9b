/*
 * One request of the drop-in, and what those who ask for the same id share. For dropin.c (the way
 * in, and initiates) and dropin_poll.c (questions about one upload) alone.
 *
 * A visit is its request's: it is freed when that is over. A subject is there while somebody
 * visits it or the store still works for it.
 */
#ifndef API_DROPIN_PRIVATE_H
#define API_DROPIN_PRIVATE_H

#include "api/dropin.h"
#include "api/dropin_shape.h"
#include "base/map.h"
#include "base/text.h"
#include "flow/inquiry.h"

#include <sys/queue.h>

#define DROPIN_WAIT_MAX_SEC 60   /* of Prefer: wait= */
#define DROPIN_WAITING_MAX  4096 /* visits that wait; more are answered at once */

struct subject;

struct dropin {
	struct flow *flow;
	struct inquiries *inquiries;
	LIST_HEAD(, visit) visits;
	struct map subjects;        /* by SOURCE/ID */
	TAILQ_HEAD(, subject) line; /* who waits for a turn to ask the store */
	unsigned turns;             /* taken */
	unsigned waiting;           /* visits */
	struct event *grace;
	bool stopping;
};

struct visit {
	LIST_ENTRY(visit) entry;
	struct dropin *dropin; /* NULL: it is gone */
	struct http_request *request;
	bool answered;
	char request_id[SHAPE_REQUEST_ID_SIZE];
	char *id; /* of a question; NULL: an initiate */
	struct upload *upload;
	/* Of a question. */
	struct subject *subject;
	TAILQ_ENTRY(visit) among; /* of subject->visits */
	bool waits;               /* for a change, until `last` */
	bool last;                /* the next answer is given, whatever it is */
	unsigned wait_sec;
	struct event *timer;
	char *seen; /* the status it found first */
};

/* Each answers, once. `body` is JSON. */
void visit_reply(struct visit *v, int status, struct bytes body);
void visit_error(struct visit *v, int status, const char *error);
void visit_retry_after(struct visit *v, uint64_t usec); /* before either; 0: nothing */

void poll_begin(struct visit *v);
/* It waits no longer and visits no subject. */
void poll_leave(struct visit *v);
void poll_last(struct visit *v);  /* it is told what is known now */
void poll_fini(struct dropin *d); /* nobody visits any more, and the store is closed */

#endif
