/* The public listeners' handler; see public.h. */
#include "api/public.h"

#include "api/health.h"
#include "flow/intake.h"
#include "flow/tally.h"
#include "io/log.h"

static void reply_error(struct http_request *r, int status)
{
	if (status == 405)
		http_header(r, "Allow", "POST");
	if (status == 503)
		http_header(r, "Retry-After", "5");
	if (status == 401)
		http_header(r, "WWW-Authenticate", "Signature"); /* RFC 9110, 15.5.2 */
	http_reply(r, status, "application/json", bytes_of("{}"));
}

static void log_refused(struct flow *flow, struct http_request *r, int status)
{
	const struct message *m = http_message(r);
	CLEANUP(freep) char *peer = bytes_dup(m->peer);

	/* The path is left out of 401s: what follows the source's path may be a token. */
	if (status == 404 || status == 405) {
		flow->counters.refused++;
		tally_refused(flow->tally, status);
		log_event(LOG_REFUSED, &(struct log_fields){.remote = peer},
			"Answered %d to a %s", status, log_escape(m->method));
	}
}

static void on_head(void *arg, struct http_request *r)
{
	struct flow *flow = arg;
	struct intake *in = NULL;

	if (bytes_equal(http_message(r)->path, bytes_of(HEALTH_PATH))) {
		health_reply(flow, r);
		return;
	}
	/* Also of a daemon that stops: until the last door is shut the store commits. */
	int status = intake_begin(flow, http_message(r), &in);
	if (status == 0) {
		http_set_data(r, in);
		return;
	}
	log_refused(flow, r, status);
	reply_error(r, status);
}

static void on_answer(void *arg, int status, struct bytes body)
{
	struct http_request *r = arg;

	http_set_data(r, NULL); /* the intake is gone with its answer */
	if (status == 200)
		http_reply(r, 200, "application/json", body);
	else
		reply_error(r, status);
}

static void on_request(void *arg, struct http_request *r)
{
	(void)arg;
	intake_take(http_data(r), http_message(r), on_answer, r);
}

static void on_refused(void *arg, struct bytes peer, int status, const char *reason)
{
	struct flow *flow = arg;
	CLEANUP(freep) char *remote = bytes_dup(peer);

	if (peer.size == 0) { /* nobody's: accept() failed */
		log_event(LOG_OUT_OF_DESCRIPTORS, NULL, "Connections wait: %s", reason);
		return;
	}
	flow->counters.refused++;
	tally_refused(flow->tally, status);
	if (status)
		log_event(LOG_REFUSED, &(struct log_fields){.remote = remote},
			"Answered %d: %s", status, reason);
	else
		log_event(LOG_REFUSED, &(struct log_fields){.remote = remote},
			"Closed a connection: %s", reason);
}

static void on_end(void *arg, struct http_request *r)
{
	(void)arg;
	intake_abandon(http_data(r));
}

const struct http_handler public_handler = {
	.on_head = on_head,
	.on_request = on_request,
	.on_refused = on_refused,
	.on_end = on_end,
};
