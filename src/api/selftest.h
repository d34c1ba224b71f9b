/*
 * `callbackctl test`: a sample sent through our own public listener, so that the whole
 * road is tried: route, verification, store, hooks.
 */
#ifndef API_SELFTEST_H
#define API_SELFTEST_H

#include "flow/flow.h"

#include <jansson.h>

struct selftest;

struct selftest_target {
	const char *url;         /* origin of our listener */
	const char *unix_socket; /* connect there instead, or NULL */
};

/*
 * `request` and results as sample_make(). on_done comes once, never from within this
 * call, with the status for the control API and {"status","body","id","url","tampered"},
 * whose reference is given away. Nothing is kept of the arguments.
 */
int selftest_start(struct flow *flow, const struct source *s, const json_t *request,
	const struct selftest_target *target,
	void (*on_done)(void *arg, int status, json_t *answer), void *arg,
	struct selftest **ret, const char **ret_problem) MUST_CHECK;
void selftest_cancel(struct selftest *t); /* on_done is not called */

#endif
