/* Why a hook ran for a job or did not, as far as what was recorded can tell. */
#ifndef API_EXPLAIN_H
#define API_EXPLAIN_H

#include "io/store_op.h"
#include "rules/config.h"

#include <jansson.h>

/* [{"hook","ran","why"}…] for each hook that is configured or has a run of this job; why
 * is null when it ran. `j` with payload and runs. NULL: memory is short. */
json_t *explain_hooks(const struct config *config, const struct store_job *j) MUST_CHECK;

#endif
