/*
 * HTTP to the daemon's control socket: several questions at a time, each ending in one
 * answer, and streams of lines. Nothing is polled; who waits sleeps in poll(2).
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "base/bytes.h"

#include <jansson.h>
#include <stdint.h>

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

int client_new(struct client **ret, const char *socket) MUST_CHECK; /* 0 or -ENOMEM */
void client_free(struct client *c);
void client_answer_fini(struct client_answer *a);

/* One question, one answer. */
void client_ask(struct client *c, const char *method, const char *path,
	const json_t *body, struct client_answer *ret);
/*
 * Begins one; on_answer comes from client_loop(), once; it may begin others. 0 or -ENOMEM.
 */
int client_begin(struct client *c, const char *method, const char *path,
	const json_t *body, void (*on_answer)(void *arg, const struct client_answer *a),
	void *arg) MUST_CHECK;
/* Until nothing is under way, client_stop(), or the monotonic clock says until_usec. */
void client_loop(struct client *c, uint64_t until_usec);
void client_stop(struct client *c);
void client_forget(struct client *c); /* what is under way; not told */
/* on_line for each line of a 200's body as it comes; its end or another status is
 * ret. */
void client_stream(struct client *c, const char *path,
	void (*on_line)(void *arg, struct bytes line), void *arg,
	struct client_answer *ret);

#endif
