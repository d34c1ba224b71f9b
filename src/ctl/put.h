/*
 * The file itself to a presigned URL: a plain PUT with Content-Length and exactly the
 * headers that were asked for, no other, because the URL is signed over them. One attempt;
 * who asked decides whether there is another.
 */
#ifndef CTL_PUT_H
#define CTL_PUT_H

#include "ctl/client.h"

#include <stdint.h>

struct put;

struct put_request {
	const char *url;
	const json_t *headers; /* an object of strings; NULL: none */
	int fd; /* read from its beginning; the file's offset is not used */
	uint64_t size_bytes;
	const char *ca_file; /* NULL: the system's */
	uint64_t until_usec; /* monotonic */
};

enum put_end {
	PUT_TAKEN,   /* 2xx */
	PUT_REFUSED, /* told by `status` and `reason` */
	PUT_EXPIRED, /* refused, because the URL is too old */
	PUT_BROKEN,  /* no answer, or one that says: later; another attempt may help */
	PUT_FAILED,  /* no answer, and none is to be had (its certificate, its URL) */
	PUT_LATE,    /* until_usec */
	PUT_SHORT,   /* the file has become shorter, or cannot be read */
};

struct put_answer {
	enum put_end end;
	long status;               /* 0: no answer */
	uint64_t retry_after_usec; /* of the service; 0: it did not say */
	const char *reason; /* why there is none, or the service's own words; escaped */
	const char *header_names; /* that were sent: "Content-Type, x-amz-…"; escaped */
};

/*
 * `request` is borrowed until on_done, which comes once from client_loop(); `a` is borrowed
 * for the call, and the put is gone after it. 0; 1 a required header is none that can be
 * sent; -ENOMEM.
 */
int put_begin(struct client *c, const struct put_request *request,
	void (*on_done)(void *arg, const struct put_answer *a), void *arg,
	struct put **ret) MUST_CHECK;
/* Handed to the connection so far. */
uint64_t put_sent_bytes(const struct put *p);
/* Of one whose on_done will not come, after client_forget(). NULL is fine. */
void put_free(struct put *p);

#endif
