/* How the parts of this floor start and what they report to the program; see flow.h. */
#include "flow/flow.h"

#include "base/clock.h"
#include "base/text.h"
#include "flow/ask.h"
#include "flow/dispatch.h"
#include "flow/feed.h"
#include "flow/keyring.h"
#include "flow/once.h"
#include "flow/process.h"
#include "flow/tally.h"
#include "io/log.h"

#include <event2/event.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

void flow_moved(struct flow *flow)
{
	static const struct timeval soon = {1, 0};

	if (flow->moved && !evtimer_pending(flow->moved, NULL))
		evtimer_add(flow->moved, &soon);
}

/* ---- What ends the program at once, and what it only tells ---- */

static void leave_at_once(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_stop();
	_exit(EX_IOERR);
}

/* Nothing of the store may be written any more, nor its handle closed: it would checkpoint. The
 * 503s to those who waited are not on the wire yet: the loop gets a moment for them. */
static void on_store_failed(void *arg, const char *what)
{
	const struct timeval moment = {.tv_usec = 200 * 1000};
	struct flow *flow = arg;

	log_event(LOG_STORE_FAILED, NULL,
		"The store failed: %s; exiting so that the next start recovers it", what);
	if (flow->stopping || event_base_once(flow->base, -1, EV_TIMEOUT, leave_at_once,
				      flow, &moment) < 0)
		leave_at_once(-1, 0, flow);
}

static void on_store_health(void *arg, bool healthy, const char *why)
{
	(void)arg;
	if (healthy)
		log_event(LOG_STORE_RESUMED, NULL,
			"The store commits again; callbacks are accepted");
	else
		log_event(LOG_STORE_FULL, NULL,
			"The store cannot commit: %s; callbacks are answered 503", why);
}

static void on_changes(void *arg, const struct store_change *changes, size_t n)
{
	struct flow *flow = arg;

	feed_on_changes(flow->feed, changes, n);
}

static void on_started(void *arg, uint64_t tag, int error)
{
	const struct flow *flow = arg;

	process_on_started(flow->processes, tag, error);
}

static void on_exit_told(
	void *arg, uint64_t tag, int status, int exec_error, const char *failed_step)
{
	const struct flow *flow = arg;

	process_on_exit(flow->processes, tag, status, exec_error, failed_step);
}

static void on_swept(void *arg, uint64_t tag, unsigned n_ended)
{
	const struct flow *flow = arg;

	if (tag == 0)
		dispatch_on_swept(flow->dispatch, n_ended);
	else
		process_on_swept(flow->processes, tag);
}

static void on_runner_gone(void *arg)
{
	(void)arg;
	log_event(LOG_RUNNER_GONE, NULL,
		"The runner process ended; exiting so that the next start puts its runs "
		"back");
	log_stop();
	_exit(EX_OSERR);
}

/* ---- The start ---- */

static int fail(int status, char **ret_error, const char *format, ...) PRINTF_LIKE(3, 4);

static int fail(int status, char **ret_error, const char *format, ...)
{
	struct text t = TEXT_EMPTY;
	va_list ap;

	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	*ret_error = text_take(&t);
	return status;
}

static int open_store(struct flow *flow, char **ret_error)
{
	CLEANUP(freep) char *error = NULL;
	const struct store_options options = {
		.directory = flow->config->state_directory,
		.retention_usec = flow->config->retention_usec,
		.min_free_bytes = flow->config->min_free_bytes,
		.on_fatal = on_store_failed,
		.on_changes = on_changes,
		.on_health = on_store_health,
		.arg = flow,
	};

	int r = store_open(&flow->store, flow->base, &options, &error);
	if (r < 0)
		return fail(EX_IOERR, ret_error, "The store cannot be opened: %s",
			error ? error : strerrordesc_np(-r));
	struct store_counts c = store_counts(flow->store);
	log_event(LOG_STORE_OPENED, NULL,
		"Store %s holds %llu jobs; %llu runs wait, %llu are dead",
		flow->config->state_directory, (unsigned long long)c.jobs,
		(unsigned long long)c.waiting, (unsigned long long)c.dead);
	if (store_recovered(flow->store))
		log_event(LOG_RUN_RECOVERED, NULL,
			"%llu runs of a former life are put back and start again",
			(unsigned long long)store_recovered(flow->store));
	return 0;
}

int flow_start(struct flow *flow, char **ret_error)
{
	static const struct runner_handlers handlers = {.on_started = on_started,
		.on_exit = on_exit_told,
		.on_swept = on_swept,
		.on_gone = on_runner_gone};
	int status;

	random_token(flow->test_nonce);
	flow->state_directory = bytes_dup(bytes_of(flow->config->state_directory));
	flow->started_usec = clock_wall_usec();
	flow->reload.loaded_usec = flow->started_usec;
	if (!flow->state_directory || !(flow->warned = once_new()) ||
		!(flow->tally = tally_new()) || feed_new(&flow->feed, flow) < 0 ||
		process_table_new(&flow->processes) < 0 ||
		fetch_pool_new(&flow->fetch, flow->base) < 0 ||
		keyring_new(&flow->keyring, flow) < 0)
		return fail(EX_OSERR, ret_error, "Out of memory");
	if ((status = open_store(flow, ret_error)) != 0)
		return status;
	if (dispatch_new(&flow->dispatch, flow) < 0 ||
		runner_attach(flow->runner, flow->base, &handlers, flow) < 0 ||
		runner_sweep(flow->runner, store_name(flow->store)) < 0)
		return fail(EX_OSERR, ret_error, "The runner cannot be reached");
	if (ask_new(&flow->ask, flow) < 0)
		return fail(EX_OSERR, ret_error, "Out of memory");
	ask_refresh(flow->ask);
	return 0;
}
