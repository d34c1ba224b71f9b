/*
 * What is said to a storage service to begin an upload, and how its answer is read: exact
 * in what is sent, tolerant in what is read. Pure functions of JSON; upload.c alone uses
 * them.
 */
#ifndef FLOW_INITIATE_H
#define FLOW_INITIATE_H

#include "rules/config.h"

#include <jansson.h>

enum initiate_verdict {
	INITIATE_OK = 0,
	INITIATE_BAD_REQUEST = 400, /* also the statuses of the control API */
	INITIATE_NO_SOURCE = 404,
	INITIATE_NOT_CONFIGURED = 409,
};

struct initiate_answer {
	json_t *json;           /* the service's object; owned */
	char *id;               /* owned */
	const char *public_url; /* in json, or NULL */
};

/*
 * Which source an upload request means, and whether it can take one. An
 * initiate_verdict; -ENOMEM. *ret_reason is owned by the caller when the verdict is not
 * OK.
 */
int initiate_source(const struct config *c, const json_t *request,
	const struct source **ret, char **ret_reason) MUST_CHECK;
/* Can uploads be initiated at this source? As above. */
int initiate_possible(
	const struct config *c, const struct source *s, char **ret_reason) MUST_CHECK;
/*
 * The body of the request; it holds the token: wipe it. Verdicts, -ENOMEM and
 * *ret_reason as above.
 */
int initiate_body(const struct source *s, const char *public_url, const json_t *request,
	const char *token, char **ret, char **ret_reason) MUST_CHECK;
/* The same of a request that is passed on as it is, but for callback_url and, where it names
 * none, the owner. */
int initiate_pass_on(const struct source *s, const char *public_url,
	const json_t *request, const char *token, char **ret,
	char **ret_reason) MUST_CHECK;
/* Of a 2xx. 0; 1: it is none that can be used, *ret_problem (static text) says why;
 * -ENOMEM. */
int initiate_read(const struct source *s, struct bytes body, struct initiate_answer *ret,
	const char **ret_problem) MUST_CHECK;
void initiate_answer_fini(struct initiate_answer *a);
/* Any other answer in the service's own words: {"error", "request_id"?, "code"?,
 * "details"?, "upstream_status"}. NULL when memory is short. */
json_t *initiate_refusal(long status, struct bytes body) MUST_CHECK;

#endif
