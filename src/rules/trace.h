/*
 * What verification did, step by step, for the person who asks why a request was refused.
 * The verifier tells its steps to the trace of its input where there is one; on the road
 * of real callbacks there is none, and telling costs a comparison. A step names headers,
 * keys and times, never a secret and never an expected signature.
 */
#ifndef RULES_TRACE_H
#define RULES_TRACE_H

#include "base/text.h"

#include <stdint.h>

enum trace_kind {
	TRACE_NOTE, /* neither good nor bad */
	TRACE_GOOD,
	TRACE_BAD,
};

struct trace_step {
	enum trace_kind kind;
	const char *scheme; /* static text; NULL: of no scheme */
	char *text;         /* nothing from outside in it that is not escaped */
};

struct trace {
	struct trace_step *steps;
	size_t size;
	bool failed;            /* memory was short: steps are missing */
	const char *scheme;     /* of the steps to come */
	bool has_timestamp;     /* one was read */
	bool stale;             /* … and refused for its age */
	int64_t timestamp_usec; /* the time it names */
};

/* All take NULL for the trace, and do nothing then. */
void trace_say(struct trace *t, enum trace_kind kind, const char *format, ...)
	PRINTF_LIKE(3, 4);
void trace_scheme(struct trace *t, const char *name);
void trace_timestamp(struct trace *t, int64_t usec, bool fresh);
void trace_fini(struct trace *t);

#endif
