/*
 * Why does a captured request verify, or not, and what would be read from it? The same
 * functions that stand on the road of real callbacks, asked with a trace, and asked again
 * with what commonly goes wrong put right. Never a secret, never an expected signature.
 */
#ifndef API_DIAGNOSE_H
#define API_DIAGNOSE_H

#include "flow/flow.h"

#include <jansson.h>

/*
 * `m` with received_usec, the time it is judged at, with the keys of URLs that are at hand. Gives
 *
 *   {"source", "verified", "scheme", "steps": [{"result": "good"|"bad"|"note", "scheme",
 *    "text"}…], "reading": {"id", "status", "outcome", "delivery", "problem", "where",
 *    "hooks"}}
 *
 * 0; -ENOMEM; -EIO when OpenSSL fails.
 */
int diagnose(const struct flow *flow, const struct source *s, const struct message *m,
	json_t **ret) MUST_CHECK;

#endif
