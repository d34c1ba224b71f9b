/* Watchdog and STATUS=; see pulse.h. */
#include "api/pulse.h"

#include "base/text.h"
#include "flow/dispatch.h"
#include "io/notify.h"

#include <errno.h>
#include <string.h>

struct pulse {
	struct flow *flow;
	struct event *watchdog, *status;
	struct store_ping ping;
	bool store_asked, runner_asked; /* and they did not answer yet */
	char *told;                     /* the last STATUS= */
};

char *pulse_text(const struct flow *flow)
{
	struct store_counts c = store_counts(flow->store);

	return text_format("%llu callbacks, %llu jobs open, %llu to be asked for, "
			   "%llu runs waiting, %u running, %llu dead%s",
		(unsigned long long)flow->counters.accepted,
		(unsigned long long)c.pending, (unsigned long long)c.asking,
		(unsigned long long)c.waiting, dispatch_running(flow->dispatch),
		(unsigned long long)c.dead,
		store_healthy(flow->store) ? "" : "; THE STORE CANNOT COMMIT");
}

static void tell(struct pulse *p)
{
	char *text = pulse_text(p->flow);

	if (text && (!p->told || strcmp(text, p->told) != 0)) {
		notify_status("%s", text);
		free(p->told);
		p->told = text;
	} else {
		free(text);
	}
}

/* The loop runs (we are in it), and whom we asked has answered: all three moved. */
static void maybe_feed(const struct pulse *p)
{
	if (!p->store_asked && !p->runner_asked)
		notify_watchdog();
}

static void on_store_pong(struct store_op *op)
{
	struct pulse *p = op->arg;

	if (op->result != -ECANCELED) { /* else it closes, and nothing is fed any more */
		p->store_asked = false;
		maybe_feed(p);
	}
	store_op_fini(op);
}

static void on_runner_pong(void *arg)
{
	struct pulse *p = arg;

	p->runner_asked = false;
	maybe_feed(p);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	struct pulse *p = arg;

	(void)fd;
	(void)what;
	if (p->store_asked || p->runner_asked)
		return; /* one of them has not come back from the last one */
	if (runner_ping(p->flow->runner, on_runner_pong, p) < 0)
		return; /* no memory, or it is gone: then we are about to exit */
	p->runner_asked = p->store_asked = true;
	p->ping = (struct store_ping){
		.op = {.kind = STORE_PING, .on_done = on_store_pong, .arg = p}};
	if (store_submit(p->flow->store, &p->ping.op) < 0)
		p->store_asked = false; /* only puts are refused */
}

static void on_status(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	tell(arg);
}

int pulse_new(struct pulse **ret, struct flow *flow)
{
	uint64_t usec = notify_watchdog_usec();
	struct pulse *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->flow = flow;
	p->status = evtimer_new(flow->base, on_status, p);
	if (!p->status) {
		pulse_free(p);
		return -ENOMEM;
	}
	flow->moved = p->status;
	if (usec) {
		struct timeval tv = {(time_t)(usec / USEC_PER_SEC),
			(suseconds_t)(usec % USEC_PER_SEC)};
		p->watchdog = event_new(flow->base, -1, EV_PERSIST, on_watchdog, p);
		if (!p->watchdog || event_add(p->watchdog, &tv) < 0) {
			pulse_free(p);
			return -ENOMEM;
		}
	}
	tell(p);
	*ret = p;
	return 0;
}

void pulse_free(struct pulse *p)
{
	if (!p)
		return;
	if (p->watchdog)
		event_free(p->watchdog);
	if (p->status)
		event_free(p->status);
	p->flow->moved = NULL;
	runner_forget_ping(p->flow->runner);
	free(p->told);
	free(p);
}
