/*
 * A hook: which callbacks it wants and what to run for them. Immutable once its
 * configuration is complete; a run uses the definition of the moment it starts.
 */
#ifndef RULES_HOOK_H
#define RULES_HOOK_H

#include "rules/field.h"
#include "rules/outcome.h"
#include "rules/rate.h"
#include "rules/source.h"

#include <stdint.h>

enum hook_mode { HOOK_EXEC, HOOK_STREAM, HOOK_BATCH, HOOK_SOCKET };

/* What we set ourselves in the environment of a command. */
enum hook_variable {
	HOOK_VARIABLE_SOURCE,
	HOOK_VARIABLE_ID,
	HOOK_VARIABLE_STATUS,
	HOOK_VARIABLE_OUTCOME,
	HOOK_VARIABLE_RECEIVED,
	HOOK_VARIABLE_HOOK,
	HOOK_VARIABLE_RUN,
	HOOK_VARIABLE_ATTEMPT,
	HOOK_VARIABLE_TEST,
	HOOK_VARIABLE_MAX,
};

struct hook_export {
	char *variable; /* "CALLBACK_SIZE_BYTES" */
	struct field field;
};

struct hook {
	char *name;
	struct words sources;     /* empty: every source */
	unsigned on_outcomes;     /* bit 1 << enum outcome; "any" is its four */
	bool on_dead;             /* fires when another hook's run died */
	struct words on_statuses; /* raw words; compared without regard to ASCII case */
	struct condition_list where;
	struct words exec; /* split and unquoted; ${CALLBACK_…} not yet replaced */
	struct hook_export *exports;
	size_t n_exports;
	struct words environment; /* NAME=VALUE */
	char *working_directory;  /* NULL: the state directory, that of the start */
	uint64_t timeout_usec, kill_after_usec;
	unsigned max_concurrent, retries;
	uint64_t retry_delay_usec, retry_delay_max_usec;
	unsigned char success_status[32], permanent_status[32]; /* bit sets of 0…255 */
	enum hook_mode mode;
	bool serialize;
	uint64_t min_interval_usec; /* 0: none */
	struct rate rate;
	unsigned batch_max; /* of Mode=batch: callbacks a process */
	char *socket;       /* of Mode=socket: its path */
};

/* "CALLBACK_ID" */
const char *hook_variable_name(enum hook_variable variable);
bool hook_variable_known(struct bytes name);
void hook_free(struct hook *h);
/* Is Source= empty, or does it name this one? */
bool hook_takes_source(const struct hook *h, const char *source);
/* Does it fire for this outcome and this word (NULL for none)? Looks at On= and Source=
 * only. */
bool hook_wants(const struct hook *h, const char *source, enum outcome outcome,
	const char *status);
/* Would a worker of the one do for the other: same command, surroundings, or socket? */
bool hook_same_worker(const struct hook *a, const struct hook *b);
/* Is there one worker for many of its runs, rather than a process for each? */
static inline bool hook_has_worker(const struct hook *h)
{
	return h->mode != HOOK_EXEC;
}
static inline bool hook_status_in(const unsigned char set[32], int status)
{
	return status >= 0 && status < 256 && (set[status / 8] >> (status % 8) & 1);
}
static inline void hook_status_add(unsigned char set[32], unsigned status)
{
	set[status / 8] |= (unsigned char)(1u << status % 8);
}

#endif
