/*
 * The lines of Mode=stream, batch and socket: a run goes out as one JSON object, its answer
 * comes back as `RUN ok` or `RUN fail [reason]`. Pure functions of bytes; what the other side
 * writes is anything at all.
 */
#ifndef RULES_WORKLINE_H
#define RULES_WORKLINE_H

#include "base/text.h"

#include <stdint.h>

struct workline_export {
	const char *variable; /* "CALLBACK_URL" */
	struct bytes value;
};

/* What stands in a line; status may be NULL. */
struct workline_run {
	const char *run, *hook, *source, *id, *status, *outcome;
	int64_t received_usec; /* wall clock */
	unsigned attempt;
	bool test;
	struct bytes payload;
	const struct workline_export *exports;
	size_t n_exports;
	bool has_exports; /* the hook has Export=: the member is there, if empty */
};

/*
 * {"run","hook","source","id","status","outcome","received","attempt","payload"} and a newline;
 * `payload_base64` in place of `payload` where it is no UTF-8. `export` holds the values by the
 * names of Export= (those that are no UTF-8 are left out), `test` is true for a test and else not
 * there. Adds to `t`; look at t->failed.
 */
void workline_write(struct text *t, const struct workline_run *run);

#define WORKLINE_MAX        4096 /* bytes of a line that are looked at */
#define WORKLINE_REASON_MAX 200  /* bytes of a reason that are kept */

struct workline_answer {
	struct bytes run;
	bool ok;
	struct bytes
		reason; /* of fail: cut to size, else as it was written; or not there */
};

/* One line without its newline. False: it is no answer. Slices of `line`. */
bool workline_parse(struct bytes line, struct workline_answer *ret);

/* Lines out of a stream. What is longer than WORKLINE_MAX is cut, so nothing grows. */
struct workline_reader {
	char line[WORKLINE_MAX];
	size_t size;
};

/* Takes bytes up to the next newline. True: *ret_line is whole, valid until the next call;
 * False: all of *bytes is taken. Call until it is. */
bool workline_next(
	struct workline_reader *r, struct bytes *bytes, struct bytes *ret_line);
/* The end of the stream: what stood behind the last newline. False: nothing did. */
bool workline_last(struct workline_reader *r, struct bytes *ret_line);

#endif
