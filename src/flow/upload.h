/*
 * An upload is initiated at a source's UploadURL with a callback URL of its own: token
 * minted and committed, then the request, then the job bound and expected, then the
 * answer. The API key never leaves the daemon.
 */
#ifndef FLOW_UPLOAD_H
#define FLOW_UPLOAD_H

#include "flow/flow.h"

#include <jansson.h>

struct upload;

struct upload_answer {
	int status;   /* for the control API: 200; 409 no UploadURL or PublicURL; 502 the
			 service refused;   503 store; 504 it did not answer */
	json_t *json; /* 200: the initiate's answer with "source" added. Else {"error",
			 "request_id"?, "code"?, "upstream_status"?}. Borrowed. */
};

/*
 * `request`: {"source"?, "content_type", "file_type"?, "owner"?, "size_bytes"?, and the
 * durations and bitrate of the initiate request}; owner defaults to UploadOwner=, source
 * to the only one with an UploadURL. on_done comes once, never from within this call. 0
 * or -ENOMEM.
 */
int upload_start(struct flow *flow, const json_t *request,
	void (*on_done)(void *arg, const struct upload_answer *answer), void *arg,
	struct upload **ret) MUST_CHECK;
/* The asker is gone: on_done is not called; what was begun is finished all the same. */
void upload_forget(struct upload *u);

#endif
