/* One question, two listeners; see health.h. */
#include "api/health.h"

void health_reply(struct flow *flow, struct http_request *r)
{
	int status = 200;
	const char *body = "{\"status\":\"ok\"}";

	if (!bytes_equal(http_message(r)->method, bytes_of("GET"))) {
		http_header(r, "Allow", "GET");
		status = 405;
	} else if (!store_healthy(flow->store) || flow->stopping) {
		http_header(r, "Retry-After", "5");
		status = 503;
	}
	http_reply(r, status, "application/json", bytes_of(status == 200 ? body : "{}"));
}
