/*
 * An upload is initiated at a source's UploadURL with a callback URL of its own: token
 * minted and committed, then the request, then the job bound and expected, then the
 * answer. The API key never leaves the daemon.
 *
 *   mint committed ─► POST UploadURL ─┬─ id ─► bind committed ─► 200
 *                                     ├─ refused ─► token taken back ─► 502
 *                                     └─ no answer: the token stays ─► 504
 */
#ifndef FLOW_UPLOAD_H
#define FLOW_UPLOAD_H

#include "flow/flow.h"

#include <jansson.h>

struct upload;

struct upload_answer {
	int status;   /* for the control API: 200; 400 the request is not sound; 404 no
			 such source; 409 no UploadURL, PublicURL or owner; 502 the
			 service refused; 503 store; 504 it did not answer */
	json_t *json; /* 200: the initiate's answer with "source" added. Else {"error",
			 "request_id"?, "code"?, "details"?, "upstream_status"?}. Borrowed; NULL when
			 memory was short (503). */
	/* What the service itself said, our token and key taken out: status (0: it did not answer), body
	 * (borrowed), and Retry-After (0: none). */
	long said_status;
	struct bytes said;
	uint64_t retry_after_usec;
};

/*
 * `request`: {"source"?, "content_type", "file_type"?, "owner"?, "size_bytes"?, and the
 * durations and bitrate of the initiate request}; owner defaults to UploadOwner=, source
 * to the only one with an UploadURL, file_type to the first half of content_type. It is
 * not needed after this call. on_done comes once, never from within this call; then *ret
 * is gone. 0 or -ENOMEM.
 */
int upload_start(struct flow *flow, const json_t *request,
	void (*on_done)(void *arg, const struct upload_answer *answer), void *arg,
	struct upload **ret) MUST_CHECK;
/*
 * The same for who speaks the service's own language: `request` goes to the source of
 * StatusListen= member by member, but for callback_url, which is ours, and an owner that is
 * missing. What is sound is the service's to say.
 */
int upload_pass_on(struct flow *flow, const json_t *request,
	void (*on_done)(void *arg, const struct upload_answer *answer), void *arg,
	struct upload **ret) MUST_CHECK;
/* The asker is gone: on_done is not called; what was begun is finished all the same. */
void upload_forget(struct upload *u);
/* At the end, after fetch_pool_free() and store_close(): frees what never came to an
 * answer. No on_done is called. */
void upload_end(struct flow *flow);

#endif
