/*
 * The drop-in: the upstream storage service's own API on StatusListen=, so that a script
 * that polls the service polls us, and only its base URL and key change.
 *
 *   POST /api/v1/uploads       ─► upload_pass_on() ─► the service's answer
 *   GET  /api/v1/uploads/{id}  ─► the store, and waiting for a change with Prefer: wait=
 *                                  └─ not known ─► inquiry: the service, once
 *   GET  /healthz              ─► as on the public listeners, and alone without a key
 */
#ifndef API_DROPIN_H
#define API_DROPIN_H

#include "flow/flow.h"
#include "io/http.h"

struct dropin;

int dropin_new(struct dropin **ret, struct flow *flow) MUST_CHECK; /* 0 or -ENOMEM */
/* The daemon stops: who waits is told what is known, and what is under way has five seconds. */
void dropin_stop(struct dropin *d);
/* After the store is closed and before its server is freed: the requests' last calls then find no
 * drop-in, and need none. */
void dropin_free(struct dropin *d);
/* For http_server_new() of the status listeners; arg is the drop-in. Needs long_poll. */
extern const struct http_handler dropin_handler;

#endif
