/*
 * What systemd hears of us while we live: the watchdog, fed only when the loop, the store's
 * writer and the runner all moved since, and STATUS=, when its numbers changed. No wake-up beside
 * these.
 */
#ifndef API_PULSE_H
#define API_PULSE_H

#include "flow/flow.h"

struct pulse;

int pulse_new(struct pulse **ret, struct flow *flow) MUST_CHECK;
void pulse_free(struct pulse *p);
/* One line for people: what STATUS= says now; owned by the caller, NULL when memory is short. */
char *pulse_text(const struct flow *flow) MUST_CHECK;

#endif
