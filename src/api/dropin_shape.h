/*
 * The drop-in's words: what the each::labs storage service would say of a job, its form of
 * an error, and what a client prefers. Pure functions of records and messages; for dropin*.c.
 */
#ifndef API_DROPIN_SHAPE_H
#define API_DROPIN_SHAPE_H

#include "io/store_op.h"
#include "rules/message.h"

#define SHAPE_REQUEST_ID_SIZE 20

struct shape {
	char *text; /* JSON; owned */
	size_t size;
	const char *word; /* its status: static, or inside `text`'s job */
	bool final;
};

/*
 * The answer to GET /api/v1/uploads/{id}: a terminal payload in the service's form byte for
 * byte, another one with id and status set right, and before that what is known. `status` is
 * always one of PENDING, UPLOADING, PROCESSING, COMPLETED and ERROR, and no other word ever
 * ends a client that polls; but what the service itself answered (Confirm=) stays as it is.
 * 0 or -ENOMEM; *ret is to be freed by shape_fini().
 */
int shape_job(const struct store_job *j, struct shape *ret) MUST_CHECK;
void shape_fini(struct shape *s);
/* {"status","error","code","request_id","details"}; owned, NULL when memory is short. */
char *shape_error(int status, const char *error, const char *request_id) MUST_CHECK;
/* A new request id: "cb-" and 16 hexadecimal digits. */
void shape_request_id(char out[static SHAPE_REQUEST_ID_SIZE]);
/* Prefer: wait=SECONDS (RFC 7240, 4.3), the first one that is there. False: none, or none that is a
 * number. */
bool shape_prefers_wait(const struct message *m, unsigned *ret_seconds);

#endif
