/* What senders speak to: from a path to intake and its answers, /healthz, refusals told
 * once. */
#ifndef API_PUBLIC_H
#define API_PUBLIC_H

#include "flow/flow.h"
#include "io/http.h"

/* For http_server_new() of the public listeners; arg is the flow. */
extern const struct http_handler public_handler;

#endif
