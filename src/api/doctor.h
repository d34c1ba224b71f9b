/*
 * What is wrong with this machine for this daemon? Judged from within the service: by its
 * user, in its sandbox, with the configuration as the next reload would find it. Each check is
 *
 *   {"check","state":"ok"|"warning"|"problem","text"}
 *
 * where the text of what is not ok says what to do.
 */
#ifndef API_DOCTOR_H
#define API_DOCTOR_H

#include "rules/config.h"

#include <jansson.h>

/* What is asked for, copied or counted by the caller: it is looked at on a thread of its own. */
struct doctor {
	char *config_path, *state_directory; /* owned by the caller */
	struct config *config;               /* at work; its reference is the caller's */
	uint64_t store_bytes;
	bool has_cgroups, has_public_listener;
	/* Called before each look at something outside; `what` is borrowed. */
	void (*on_look)(void *arg, const char *what);
	void *arg;
};

/* Looks at everything, one after another; may take as long as the slowest file server. The
 * list, owned by the caller; NULL when memory is short. */
json_t *doctor_examine(const struct doctor *d);

#endif
