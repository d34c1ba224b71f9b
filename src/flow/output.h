/*
 * One output stream of a hook: drained at all times, each line into the journal as it comes, the
 * last 64 KiB kept for the run. Never blocks the child, never grows.
 */
#ifndef FLOW_OUTPUT_H
#define FLOW_OUTPUT_H

#include "base/tail.h"
#include "base/text.h"
#include "io/log.h"

#include <event2/event.h>

struct output {
	int fd; /* our end of the pipe; -1 = closed */
	struct event *event;
	bool is_stderr;
	struct text line; /* begun, its newline not yet seen */
	struct tail tail;
	const struct log_fields *fields; /* the owner's, as long as this lives */
	void (*on_closed)(void *arg);
	void *arg;
};

/*
 * Makes the pipe; *ret_fd is the child's end (the caller's to give away). on_closed comes when every
 * writer is gone. 0 or negative errno; output_fini() in both cases.
 */
int output_open(struct output *o, struct event_base *base, bool is_stderr,
	const struct log_fields *fields, void (*on_closed)(void *arg), void *arg,
	int *ret_fd) MUST_CHECK;
/* Takes what is in the pipe now, sends an unfinished line, closes: whoever still writes gets SIGPIPE. */
void output_close(struct output *o);
/* output_close(), and the tail goes too. */
void output_fini(struct output *o);

#endif
