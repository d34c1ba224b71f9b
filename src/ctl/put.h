/*
 * The file itself to a presigned URL: a plain PUT with Content-Length and exactly the
 * headers that were asked for, no other, because the URL is signed over them.
 */
#ifndef CTL_PUT_H
#define CTL_PUT_H

#include "base/text.h"

#include <jansson.h>
#include <stdint.h>

struct put_request {
	const char *url;
	const json_t *headers; /* an object of strings; NULL: none */
	int fd;
	uint64_t size_bytes;
	const char *ca_file; /* NULL: the system's */
	uint64_t until_usec; /* monotonic */
	const char *shown;   /* the file's name for the progress bar; NULL: no bar */
};

struct put_answer {
	bool timed_out;
	long status;        /* 0: no answer */
	char *reason;       /* why there is none, or the service's own words; escaped */
	char *header_names; /* that were sent: "Content-Type, x-amz-…" */
};

/* 0 when the service took it (2xx), 1 when not, -ENOMEM. put_answer_fini() in every case. */
int put_file(const struct put_request *request, struct put_answer *ret) MUST_CHECK;
void put_answer_fini(struct put_answer *a);

#endif
