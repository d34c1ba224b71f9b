/*
 * From a verified message to what it says: which job, which status, which outcome.
 */
#ifndef RULES_PAYLOAD_H
#define RULES_PAYLOAD_H

#include "rules/document.h"
#include "rules/outcome.h"
#include "rules/source.h"

struct payload {
	struct document document; /* borrows the message */
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
/*
 * What the source itself says of job `id`, when it is asked. 0; 1: it cannot be used,
 * ret->problem says why; -ENOMEM. An answer that names no job is of the one that was asked for;
 * there is no delivery. payload_fini in every case.
 */
int payload_read_answer(const struct source *s, const struct message *m, const char *id,
	struct payload *ret) MUST_CHECK;
void payload_fini(struct payload *p);
/*
 * The outcome a status word has for this source; *ret_unknown when it is in no list. A list of
 * errors, canceled or pending words may hold *: every word that stands in no list. Success is
 * never guessed.
 */
enum outcome payload_outcome(
	const struct source *s, struct bytes status, bool *ret_unknown);

#endif
