/*
 * The control socket: HTTP and JSON for people's and scripts' tools, by file permission.
 * One table of routes; answers to what changes something follow its commit.
 */
#ifndef API_CONTROL_H
#define API_CONTROL_H

#include "flow/flow.h"
#include "io/http.h"

#include <jansson.h>

struct control;

struct control_doors { /* of the public listeners */
	unsigned connections;
	int64_t certificate_expires_usec; /* wall clock; 0 = no TLS */
};

struct control_hooks { /* what only the program itself can do */
	/* Loads the configuration anew. 0 swapped; 1 refused: *ret_problems (owned) is
	 * one a line. */
	int (*reload)(void *arg, char **ret_problems);
	/* Where `callbackctl test` reaches our own public listener: a URL like
	 * "http://127.0.0.1:8080" (owned by the caller), and *ret_unix a socket path or
	 * NULL. NULL: there is none. */
	char *(*own_url)(void *arg, char **ret_unix);
	/* What is listened on, for status: an array, owned by the caller. */
	json_t *(*listeners)(void *arg);
	/* May be NULL, as both above. */
	struct control_doors (*doors)(void *arg);
	void *arg;
};

int control_new(struct control **ret, struct flow *flow,
	const struct control_hooks *hooks) MUST_CHECK;
struct control_doors control_doors(const struct control_hooks *hooks);
/* The daemon stops: takes nothing new, and answers 503 to all that the store does not work
 * for at the moment: long polls, uploads, tests; watches end. */
void control_stop(struct control *c);
/* The same for every request that is left; the loop has still to carry the answers out. */
void control_end(struct control *c);
/* Before its server: the requests' last calls then find no control, and need none. */
void control_free(struct control *c);
/* For http_server_new() of the control socket; arg is the control. */
extern const struct http_handler control_handler;

#endif
