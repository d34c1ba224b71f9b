/*
 * One file's way to the storage service: initiated by the daemon, put to the presigned URL,
 * put again where that may help.
 *
 *   POST /v1/uploads ─► PUT upload_url ─► it is there
 *        ▲                 │ ▲  │ no answer, or "later": a pause, at most SENDING_RETRIES times
 *        │                 │ └──┘
 *        └─ URL too old ───┘  (once; the job of the first is forgotten)
 */
#ifndef CTL_SENDING_H
#define CTL_SENDING_H

#include "ctl/ctl.h"

#include <sys/stat.h>

#define SENDING_RETRIES 3

struct sending;

struct sending_request {
	const char *path; /* for what is told */
	int fd;
	struct stat stat;       /* as it was opened */
	const json_t *initiate; /* the body of the initiate request */
	const char *ca_file;
	uint64_t until_usec;
	/* The daemon expects the job (again, after a URL that was too old): `initiated` is the
	 * service's answer with "source". */
	void (*on_job)(void *arg, const json_t *initiated);
	/* Once, from client_loop(): 0 it is there; else told, and the exit status. The sending
	 * is gone after it. */
	void (*on_end)(void *arg, int exit);
	void *arg;
};

/* `request` is copied, what it points to is borrowed until on_end. 0 or -ENOMEM. */
int sending_new(struct sending **ret, struct ctl *ctl,
	const struct sending_request *request) MUST_CHECK;
uint64_t sending_sent_bytes(const struct sending *s);
/* Of one whose on_end will not come, after client_forget(). NULL is fine. */
void sending_free(struct sending *s);

#endif
