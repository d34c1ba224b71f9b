/*
 * The tool's loop, and HTTP to the daemon's control socket on it: several questions at a
 * time, each ending in one answer, streams of lines, timers, and transfers to elsewhere.
 * Nothing is polled; who waits sleeps in poll(2).
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "base/bytes.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdint.h>
#include <sys/queue.h>

struct client;

enum client_failure {
	CLIENT_OK,
	CLIENT_UNREACHABLE, /* nobody listens, or the connection broke */
	CLIENT_NO_ACCESS,   /* the file's permission */
	CLIENT_NO_MEMORY,   /* ours */
};

struct client_answer {
	enum client_failure failure;
	long status;
	json_t *json;     /* NULL when the body is none */
	char reason[512]; /* of a failure: for people, not escaped */
};

/* The owner's; zeroed but for on_time and arg before it is set. */
struct client_timer {
	LIST_ENTRY(client_timer) entry;
	uint64_t at_usec; /* monotonic; 0: not set */
	void (*on_time)(void *arg);
	void *arg;
};

int client_new(struct client **ret, const char *socket) MUST_CHECK; /* 0 or -ENOMEM */
void client_free(struct client *c);
void client_answer_fini(struct client_answer *a);

/* One question, one answer. Not while anything else is under way: it would go on, too. */
void client_ask(struct client *c, const char *method, const char *path,
	const json_t *body, struct client_answer *ret);
/*
 * Begins one; on_answer comes from client_loop(), once; it may begin others. 0 or -ENOMEM.
 */
int client_begin(struct client *c, const char *method, const char *path,
	const json_t *body, void (*on_answer)(void *arg, const struct client_answer *a),
	void *arg) MUST_CHECK;
/* The same, with on_line for each line of a 200's body as it comes. */
int client_begin_stream(struct client *c, const char *path,
	void (*on_line)(void *arg, struct bytes line),
	void (*on_answer)(void *arg, const struct client_answer *a),
	void *arg) MUST_CHECK;
/* A transfer of the caller's own making, to anywhere: on_end comes from client_loop(), once,
 * unless it was forgotten. `easy` stays the caller's, who frees it after that. */
int client_transfer(struct client *c, CURL *easy,
	void (*on_end)(void *arg, CURLcode code), void *arg) MUST_CHECK;

/* Called once, from client_loop(), when the clock says so. Setting it again moves it. */
void client_timer_set(struct client *c, struct client_timer *t, uint64_t mono_usec);
void client_timer_stop(struct client_timer *t);
/* One descriptor that is looked at, too; on_readable may be NULL with fd -1: none. */
void client_listen(struct client *c, int fd, void (*on_readable)(void *arg), void *arg);

/* Until nothing is under way and no timer set, client_stop(), or until_usec. */
void client_loop(struct client *c, uint64_t until_usec);
void client_stop(struct client *c);
void client_forget(struct client *c); /* what is under way; not told */
/* on_line for each line of a 200's body as it comes; its end or another status is
 * ret. */
void client_stream(struct client *c, const char *path,
	void (*on_line)(void *arg, struct bytes line), void *arg,
	struct client_answer *ret);

#endif
