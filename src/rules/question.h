/*
 * What a source is asked for a job, and what its answer's status means: for whom, and how soon
 * again. Pure functions; flow/ask.h puts the questions.
 */
#ifndef RULES_QUESTION_H
#define RULES_QUESTION_H

#include "rules/source.h"

enum question_verdict {
	QUESTION_ANSWERED, /* 2xx: the body is to be read */
	QUESTION_NO_SUCH,  /* 404, 410: this job is not known there */
	QUESTION_ODD,      /* anything else that is about this question alone */
	QUESTION_REFUSED,  /* 401, 403, 407: the key is not taken */
	QUESTION_FAILED, /* 5xx, 408, a redirect: the service, or its address, is wrong */
	QUESTION_TOO_OFTEN, /* 429, 503: it wants to be left alone */
	QUESTION_UNHEARD,   /* no answer at all */
};

/*
 * StatusURL= with each {id} replaced by the id, percent-encoded as one segment of a path (RFC
 * 3986, 3.3); owned by the caller. 0; -ENOMEM; -EINVAL: the id is "." or "..", which would be
 * another resource (RFC 3986, 5.2.4).
 */
int question_url(const struct source *s, const char *id, char **ret) MUST_CHECK;
enum question_verdict question_judge(long status);
/* Is it about the source as a whole, rather than about the one job? */
bool question_is_general(enum question_verdict v);
/*
 * After so many questions (1 or more) that did not settle a job: how long until the next. At first
 * 1 to 2 s, or up to ExpectWithin= where that is shorter; then twice as long each time, 10 min at
 * most.
 */
uint64_t question_delay_usec(const struct source *s, unsigned tries);
/* After so many failures (1 or more) of the source as a whole: how long it is left alone. At first
 * up to 1 s, 1 min at most, and a quarter of GiveUpAfter=: its jobs shall see several attempts. */
uint64_t question_pause_usec(const struct source *s, unsigned failures);

#endif
