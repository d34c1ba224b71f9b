/*
 * Outgoing HTTP on the loop, by libcurl's multi interface: TLS verified, no redirects,
 * time and size limited. Keys travel in headers and never reach a log.
 *
 *   fetch_start ─► queue ─► at most FETCH_MAX under way ─► on_done (from the loop, once)
 *                    └──────────┴─► fetch_cancel: on_done never comes
 */
#ifndef IO_FETCH_H
#define IO_FETCH_H

#include "base/bytes.h"

#include <event2/event.h>
#include <stdint.h>

#define FETCH_MAX 64 /* transfers under way at a time; the rest waits its turn */

struct fetch_pool;
struct fetch;

struct fetch_request {
	const char *method;         /* "GET", "POST" */
	const char *url;            /* http or https */
	const char *unix_socket;    /* connect there instead, or NULL */
	const char *const *headers; /* "Name: value", NULL at the end; or NULL */
	struct bytes body;          /* BYTES_NONE for none */
	const char *ca_file;        /* NULL: the system's */
	bool insecure_own_listener; /* our own certificate on our own address: not
				       verified */
	bool no_proxy;              /* proxy variables are not looked at */
	/* For a URL that is somebody else's word: https alone, no proxy, and only to
	 * public addresses (rules/address.h), whatever the name resolves to. */
	bool public_only;
	uint64_t timeout_usec; /* in all, from its turn on; 0 = 30 s */
	size_t max_bytes;      /* of the answer; 0 = 1 MiB */
};

struct fetch_answer {
	int error; /* 0, or negative errno: -ETIMEDOUT, -EMSGSIZE, -ECONNREFUSED,
		      -EHOSTUNREACH (no such host), -EPROTO (TLS), -EINVAL (URL), -EIO …
		    */
	const char *error_text; /* libcurl's words, when error */
	bool sent; /* with an error: the request may have reached the service all the same
		    */
	long status;
	struct bytes body;
	const char *content_type;  /* or NULL */
	uint64_t retry_after_usec; /* 0 = none; at most a day */
	int64_t max_age_usec;      /* of Cache-Control; 0: not to be kept; -1 = none */
};

int fetch_pool_new(struct fetch_pool **ret, struct event_base *base) MUST_CHECK;
/* Cancels what is under way (their on_done is not called) and frees. Not from within an
 * on_done. */
void fetch_pool_free(struct fetch_pool *p);
/*
 * Copies the request; on_done comes once, from the loop, never from within this call. The
 * answer is borrowed for that call. 0; -ENOMEM; -EINVAL: a header holds a line end.
 */
int fetch_start(struct fetch_pool *p, const struct fetch_request *request,
	void (*on_done)(void *arg, const struct fetch_answer *answer), void *arg,
	struct fetch **ret) MUST_CHECK;
/* on_done is not called. Also from within another's on_done; within its own it does
 * nothing. */
void fetch_cancel(struct fetch *f);

#endif
