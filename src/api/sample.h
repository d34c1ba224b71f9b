/*
 * A sample callback of a source: its id, status and Where= put where the source reads
 * them, signed as its sender would. Or tampered with after signing. Pure.
 */
#ifndef API_SAMPLE_H
#define API_SAMPLE_H

#include "base/text.h"
#include "rules/source.h"

#include <jansson.h>

struct sample {
	char *id;                          /* NULL when the body was given and holds it */
	struct text body, target, headers; /* headers: "Name: value\r\n"… */
	bool tampered;
};

/*
 * `request`: {"status"?, "id"?, "body"? | "body_base64"?, "tamper"?}. Ids get the prefix
 * "test-". 0; 1 with *ret_problem (static text): there is no such sample; -ENOMEM; -EIO.
 * sample_fini() in every case.
 */
int sample_make(const struct source *s, const json_t *request, const char *public_url,
	int64_t now_usec, struct sample *ret, const char **ret_problem) MUST_CHECK;
void sample_fini(struct sample *s);

#endif
