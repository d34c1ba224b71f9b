/*
 * A request that somebody has kept, back from text: an optional request line, then lines
 * "Name: value", ended by LF or CRLF, and a body. For `callbackctl verify`. Pure.
 */
#ifndef API_CAPTURED_H
#define API_CAPTURED_H

#include "rules/message.h"

#include <jansson.h>

#define CAPTURED_HEADERS_MAX  200
#define CAPTURED_PROBLEM_SIZE 160

struct captured {
	struct message message; /* received_usec and peer are the caller's to fill */
	bool has_target;        /* there was a request line */
	struct message_header headers[CAPTURED_HEADERS_MAX];
	char *head, *body; /* what the slices point into */
};

/*
 * `request`: {"headers"|"headers_base64", "body"|"body_base64"}; without a request line the
 * target is `path`, which has to outlive *ret. 0; 1 with the problem: not such a request;
 * -ENOMEM. captured_free() in every case (NULL is fine).
 */
int captured_read(const json_t *request, const char *path, struct captured **ret,
	char problem[static CAPTURED_PROBLEM_SIZE]) MUST_CHECK;
void captured_free(struct captured *c);

#endif
