/*
 * From a verified message to what it says: which job, which status, which outcome.
 * Parsing is safe against hostile JSON (depth 64 before parsing, duplicate keys refused,
 * allocation capped).
 */
#ifndef RULES_PAYLOAD_H
#define RULES_PAYLOAD_H

#include "rules/message.h"
#include "rules/outcome.h"
#include "rules/source.h"

#include <jansson.h>

#define PAYLOAD_DEPTH_MAX 64
/*
 * A parsed body may cost this many times its size plus 64 KiB, then parsing is given up. An
 * honest list of small things, [[1,2],[3,4],...] or [{"x":1},...], costs 29 to 39 times its
 * size; a megabyte of `{},` 73 times.
 */
#define PAYLOAD_MEMORY_FACTOR 40

struct payload {
	json_t *json;   /* NULL when the body is no JSON we take */
	char *id;       /* valid UTF-8 id, or "sha256:HEX" of the body when unreadable */
	char *status;   /* the sender's own word, NULL where there is none */
	char *delivery; /* the sender's id of this delivery, or NULL */
	enum outcome outcome;
	bool unknown_word;   /* the status stands in none of the source's lists */
	const char *problem; /* why it is unreadable: static text, NULL when it is not */
};

/* Call once, in main, before threads: seeds jansson's hash and installs the counting
 * allocator. */
void payload_init(void);
/* Parses within the limits. NULL and *ret_problem (static text) when it is not taken. */
json_t *payload_parse(struct bytes body, const char **ret_problem) MUST_CHECK;
/*
 * 0, -ENOMEM, or -EIO when OpenSSL fails. What cannot be read is no error: outcome is
 * OUTCOME_UNREADABLE, status then NULL. A source without StatusField takes everything as
 * success with status NULL. payload_fini in every case.
 */
int payload_read(
	const struct source *s, const struct message *m, struct payload *ret) MUST_CHECK;
void payload_fini(struct payload *p);
/* The outcome a status word has for this source; *ret_unknown when it is in no list. */
enum outcome payload_outcome(
	const struct source *s, struct bytes status, bool *ret_unknown);

#endif
