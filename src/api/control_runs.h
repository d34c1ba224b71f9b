/* What control_runs.c (one run) and control_letters.c (many) have in common. */
#ifndef API_CONTROL_RUNS_H
#define API_CONTROL_RUNS_H

#include "api/call.h"

/* {"run","hook","source","id","replay_of"}; run is the new one where it was replayed. */
json_t *control_runs_json(const struct store_letter *l);
/* Into the story of its job: replayed, or discarded for `reason`. */
void control_runs_tell(const struct store_letter *l, const char *reason);
/* What is kept as the reason of a discard: "discarded: TEXT" of the body's. 0 or answered. */
int control_runs_reason(struct call *c, const json_t *body, const char **ret) MUST_CHECK;
/* "yes" or "no", of what stood in `name`. 0 or answered. */
int control_runs_replayed(struct call *c, const char *name, const char *word,
	enum store_replayed *ret) MUST_CHECK;

#endif
