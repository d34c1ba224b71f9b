/* GET /healthz of the public listeners and of the drop-in status API: for load balancers,
 * without a key. 200 while a callback could be committed. */
#ifndef CALLBACKD_API_HEALTH_H
#define CALLBACKD_API_HEALTH_H

#include "flow/flow.h"
#include "io/http.h"

#define HEALTH_PATH "/healthz"

/* Answers the request, whose path is HEALTH_PATH: 200, 405, or 503 while the store cannot
 * commit and when the daemon is stopping. */
void health_reply(struct flow *flow, struct http_request *r);

#endif
