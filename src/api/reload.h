/*
 * A new configuration while we live: read and checked whole, then swapped; what is in flight keeps
 * the one it began with. A bad file changes nothing.
 */
#ifndef API_RELOAD_H
#define API_RELOAD_H

#include "api/listeners.h"

/* 0: swapped. 1: refused, *ret_problems (owned by the caller) is one a line. systemd is told. */
int reload_config(
	struct flow *flow, struct listeners *listeners, char **ret_problems) MUST_CHECK;
/* Each problem as a line of its own in the journal. */
void reload_log_report(const struct config_report *report);

#endif
