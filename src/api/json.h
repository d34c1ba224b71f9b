/*
 * From records of the store to the JSON that people and scripts see ("Control socket" of
 * the manual). Each returns a new reference, or NULL when memory is short. Text that is
 * not UTF-8 is shown with U+FFFD; where its bytes matter they come as base64 beside it.
 */
#ifndef API_JSON_H
#define API_JSON_H

#include "io/store_op.h"

#include <jansson.h>

struct config;

json_t *json_of_time(int64_t wall_usec) MUST_CHECK; /* null for 0 */
json_t *json_of_text(struct bytes b) MUST_CHECK;    /* null for BYTES_NONE */
/* As a list has it: without payload and runs. */
json_t *json_of_job(const struct store_job *j) MUST_CHECK;
/*
 * All of it, and for each hook of the configuration whether it ran and if not why.
 * `store_name` makes run ids of numbers.
 */
json_t *json_of_job_in_full(const struct store_job *j, const struct config *config,
	const char *store_name) MUST_CHECK;
json_t *json_of_run(
	const struct store_run *r, const char *store_name, bool with_output) MUST_CHECK;
/* {"seq", "time", "gap": {"after", "next"}}: what happened behind `after` and before
 * `next` is not kept any more, or never was. */
json_t *json_of_gap(uint64_t after, uint64_t next) MUST_CHECK;
json_t *json_of_change(const struct store_change *c, const char *store_name) MUST_CHECK;

#endif
