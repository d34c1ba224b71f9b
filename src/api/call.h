/*
 * One request on the control socket, from its route to its answer. For the control_*.c
 * files alone.
 *
 *   handler ─► call_ask ─► … store … ─► on_answer ─► call_json | call_error
 *
 * A call outlives its request while the store works for it: what was asked for is carried
 * out and followed up even when the asker is gone, and an answer to nobody does nothing.
 */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/control.h"
#include "base/text.h"
#include "io/store_op.h"

#include <jansson.h>
#include <sys/queue.h>

#define CALL_LASTING_MAX 1024 /* long polls and watches at a time; callbackd(8) */
#define CALL_NAMES_MAX   2
#define CALL_KEPT_MAX    8

struct call;

struct control {
	struct flow *flow;
	struct control_hooks hooks;
	bool stopping;
	LIST_HEAD(, call) calls;
	TAILQ_HEAD(, call) line; /* who waits for a turn to ask for a whole job */
	unsigned turns;          /* taken */
	unsigned lasting;        /* calls */
	bool backing_up;
	/* The change that watchers were told last, as their line: made once for all of them. */
	uint64_t line_seq;
	struct text change_line;
};

struct route {
	const char *method;
	const char *path; /* each "*" is one name */
	void (*handle)(struct call *c);
};

union call_op {
	struct store_op op;
	struct store_get_job get_job;
	struct store_get_run get_run;
	struct store_list_jobs list_jobs;
	struct store_list_runs list_runs;
	struct store_list_changes list_changes;
	struct store_expect expect;
	struct store_forget forget;
	struct store_replay replay;
	struct store_discard discard;
	struct store_pause pause;
	struct store_letters letters;
	struct store_backup backup;
};

struct call {
	LIST_ENTRY(call) entry;
	TAILQ_ENTRY(call) turn; /* of control->line */
	struct control *control;
	struct flow *flow;
	struct http_request *request; /* NULL when it is over */
	const struct route *route;
	char *names[CALL_NAMES_MAX]; /* decoded; never hold NUL */
	unsigned refs;
	bool answered; /* the request may still be there, until it is sent */
	bool streaming;
	bool breakable; /* a stream that ends early is broken off, not ended */
	bool lasting;   /* a long poll or a watch: by call_last() */

	/* Of the handler: what to let go when it is answered or over. May be NULL. */
	void (*on_over)(struct call *c);
	/* Of the handler: there is room in its stream. May be NULL. */
	void (*on_room)(struct call *c);
	void *data; /* freed with the call, not before: the store may read from it */
	char *kept[CALL_KEPT_MAX];
	json_t *body;

	union call_op ask;
	bool asking;
	void (*on_answer)(struct call *c);
};

/* 0 or -ENOMEM. */
int call_new(struct call **ret, struct control *control, struct http_request *request);
void call_unref(struct call *c);
/* The request is over: from here on nobody is answered. */
void call_over(struct call *c);
/* It is going to last: counted until it is answered or over. 0, or answered: there are too
 * many. */
int call_last(struct call *c) MUST_CHECK;

/*
 * The store's question: prepare it, fill c->ask in, submit. on_answer comes with
 * c->ask.op.result, even if the request is over by then (not if the control is). One at a
 * time. What it brought is freed when on_answer returns: who waits on keeps nothing.
 */
void call_prepare(struct call *c, enum store_kind kind);
void call_ask(struct call *c, void (*on_answer)(struct call *c));

/* Each answers, once; on_over has let go then and the call may be gone. */
void call_json(struct call *c, int status, json_t *json); /* takes the reference */
void call_text(struct call *c, int status, const char *type, struct bytes body);
void call_error(struct call *c, int status, const char *format, ...) PRINTF_LIKE(3, 4);
void call_store_error(struct call *c, int result); /* a negative errno of the store */

/*
 * What the asker wrote; it lives as long as the call. 0; 1: not there; else answered
 * already (400, 503).
 */
int call_query(struct call *c, const char *name, const char **ret) MUST_CHECK;
int call_query_number(struct call *c, const char *name, uint64_t *ret) MUST_CHECK;
/* Seconds, or a span with units. */
int call_query_span(struct call *c, const char *name, uint64_t *ret_usec) MUST_CHECK;
/* Takes `text`, which then lives as long as the call. 0 or -ENOBUFS. */
int call_keep(struct call *c, char *text, const char **ret) MUST_CHECK;
/* RFC 3339, or a span: so long ago. */
int call_query_past(struct call *c, const char *name, int64_t *ret_usec) MUST_CHECK;
/* The same of a text that stood elsewhere. 0 or answered. */
int call_past(
	struct call *c, const char *name, const char *text, int64_t *ret_usec) MUST_CHECK;
/* A JSON object of these members alone (NULL ends the list): a misspelt one is not taken for
 * one that is absent. An empty body is an empty object. 0 or answered. */
int call_body(struct call *c, const char *const *members, const json_t **ret) MUST_CHECK;
/* {"jobs"|"runs":[…],"next":CURSOR|null}; takes `list`, NULL is answered 503. */
void call_page(struct call *c, const char *key, json_t *list, uint64_t next);
/* limit= and after= of a list. 0 or answered. */
int call_page_query(struct call *c, unsigned *ret_limit, uint64_t *ret_after) MUST_CHECK;

/* The handlers, by file. */
void control_jobs_list(struct call *c);
void control_jobs_get(struct call *c);
void control_jobs_expect(struct call *c);
void control_jobs_forget(struct call *c);
void control_uploads_post(struct call *c);
void control_runs_list(struct call *c);
void control_runs_get(struct call *c);
void control_runs_replay(struct call *c);
void control_runs_discard(struct call *c);
void control_hooks_pause(struct call *c);
void control_hooks_resume(struct call *c);
/* All of them for status: an array, NULL when memory is short. */
json_t *control_hooks_list(const struct flow *f);
void control_letters_replay(struct call *c);
void control_letters_discard(struct call *c);
void control_watch_get(struct call *c);
void control_backup_get(struct call *c);
void control_doctor_get(struct call *c);
void control_misc_status(struct call *c);
void control_misc_reload(struct call *c);
void control_misc_test(struct call *c);
void control_misc_verify(struct call *c);
void control_misc_metrics(struct call *c);

#endif
