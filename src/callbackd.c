/*
 * callbackd(8): receives callbacks, verifies them, records them, fires hooks. Here is the program
 * alone: its options, and the order in which its parts start and leave.
 *
 *   runner ─ configuration ─ log ─ store ─ flow ─ doors ─ READY ─ loop ─ … in reverse
 */
#include "api/control.h"
#include "api/dropin.h"
#include "api/listeners.h"
#include "api/pulse.h"
#include "api/reload.h"
#include "base/clock.h"
#include "base/text.h"
#include "flow/ask.h"
#include "flow/dispatch.h"
#include "flow/feed.h"
#include "flow/keyring.h"
#include "flow/once.h"
#include "flow/process.h"
#include "flow/tally.h"
#include "flow/upload.h"
#include "io/conffile.h"
#include "io/log.h"
#include "io/notify.h"
#include "rules/payload.h"

#include <errno.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/callbackd/callbackd.conf"
/* Beyond StopTimeout=: hooks that are ended then have their KillAfter=, the store its last commit. */
#define STOP_GRACE_USEC (30 * USEC_PER_SEC)

struct options {
	const char *config_path;
	bool check, print, verbose;
};

struct daemon {
	const struct options *options;
	struct flow flow;
	struct listeners listeners;
	struct control *control;
	struct dropin *dropin;
	struct pulse *pulse;
	struct event *on_term, *on_int, *on_hup, *reload;
	unsigned open_parts; /* of an orderly stop: doors and dispatch */
	bool control_drained;
};

/* ---- Options ---- */

static void usage(FILE *out)
{
	fputs("callbackd [-c FILE] [-n] [-v]\n\n"
	      "Receives webhook callbacks, records them durably, fires hooks. See "
	      "callbackd(8).\n\n"
	      "  -c, --config FILE   configuration (default " DEFAULT_CONFIG ")\n"
	      "  -n, --check-config  print every problem of the configuration, exit 0 or "
	      "78\n"
	      "      --print-config  print the effective configuration and where it "
	      "comes from\n"
	      "  -v, --verbose       log at debug level\n"
	      "      --version       print the version\n"
	      "  -h, --help          print this\n",
		out);
}

/* 0: go on; else: exit with *ret_status. */
static int parse_argv(int argc, char **argv, struct options *o, int *ret_status)
{
	enum { PRINT_CONFIG = 256, VERSION_ASKED };
	static const struct option long_options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, 'n'},
		{"print-config", no_argument, NULL, PRINT_CONFIG},
		{"verbose", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, VERSION_ASKED},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	*o = (struct options){.config_path = DEFAULT_CONFIG};
	*ret_status = EX_USAGE;
	while ((c = getopt_long(argc, argv, "c:nvh", long_options, NULL)) >= 0) {
		switch (c) {
		case 'c': o->config_path = optarg; break;
		case 'n': o->check = true; break;
		case 'v': o->verbose = true; break;
		case PRINT_CONFIG: o->print = true; break;
		case VERSION_ASKED:
			printf("callbackd %s\n", VERSION);
			*ret_status = 0;
			return 1;
		case 'h':
			usage(stdout);
			*ret_status = 0;
			return 1;
		default: fputs("Try: callbackd --help\n", stderr); return 1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "callbackd: unexpected argument: %s\n", argv[optind]);
		return 1;
	}
	return 0;
}

/* The name of a drop-in may hold anything; what was written in one is escaped already. */
static void print_problem(const struct config_problem *p)
{
	struct text t = TEXT_EMPTY;

	text_add_clean(&t, bytes_of(p->text));
	fprintf(stderr, "%s%s\n", t.failed || !t.data ? "" : t.data,
		p->warning ? " (warning)" : "");
	text_fini(&t);
}

/* -n and --print-config: no socket, no store, no process. */
static int check_config(const struct options *o)
{
	struct config_report report = {0};
	struct config *config = NULL;

	int r = conffile_load(o->config_path, true, &report, &config);
	for (size_t i = 0; i < report.size; i++)
		print_problem(&report.problems[i]);
	if (r < 0)
		fprintf(stderr, "callbackd: %s\n", strerrordesc_np(-r));
	int status = r < 0 ? EX_OSERR : r ? EX_CONFIG : 0;
	if (r == 0 && o->print && config_print(config, stdout) < 0)
		status = EX_IOERR;
	config_report_fini(&report);
	config_unref(config);
	return status;
}

/* ---- Stopping ---- */

static void stop_part(void *arg)
{
	struct daemon *d = arg;

	if (--d->open_parts == 0)
		event_base_loopbreak(d->flow.base);
}

static void on_hooks_ended(void *arg)
{
	struct daemon *d = arg;

	listeners_drain_rest(&d->listeners);
	stop_part(d);
}

static void stop(struct daemon *d)
{
	struct timeval limit = {0};
	uint64_t timeout_usec = d->flow.config->stop_timeout_usec;

	d->flow.stopping = true;
	notify_stopping(timeout_usec + STOP_GRACE_USEC);
	log_event(LOG_STOPPING, NULL, "Stopping: %u hooks run and get StopTimeout=",
		dispatch_running(d->flow.dispatch));
	/* One more than there are, so that neither ends the loop from within this function. */
	d->open_parts = 3;
	control_stop(d->control);
	dropin_stop(d->dropin);
	listeners_drain(&d->listeners, stop_part, d);
	dispatch_stop(d->flow.dispatch, timeout_usec, on_hooks_ended, d);
	stop_part(d);
	/* Whatever hangs, a stop comes to its end; the store makes the rest safe. */
	limit.tv_sec = (time_t)((timeout_usec + STOP_GRACE_USEC) / USEC_PER_SEC);
	event_base_loopexit(d->flow.base, &limit);
}

/* The first asks, the second does not: as if there were no handler. */
static void on_terminate(evutil_socket_t signal_number, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	if (!d->flow.stopping) {
		stop(d);
		return;
	}
	signal((int)signal_number, SIG_DFL);
	raise((int)signal_number);
}

/* ---- Reload ---- */

static int reload(void *arg, char **ret_problems)
{
	struct daemon *d = arg;
	return reload_config(&d->flow, &d->listeners, ret_problems);
}

static void on_reload(evutil_socket_t fd, short what, void *arg)
{
	CLEANUP(freep) char *problems = NULL;
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	if (!d->flow.stopping)
		(void)reload(d, &problems);
}

/* Called once for each signal that came: a storm of them is one reload. */
static void on_hangup(evutil_socket_t signal_number, short what, void *arg)
{
	static const struct timeval now = {0, 0};
	struct daemon *d = arg;

	(void)signal_number;
	(void)what;
	if (!evtimer_pending(d->reload, NULL))
		evtimer_add(d->reload, &now);
}

static char *own_url(void *arg, char **ret_unix)
{
	struct daemon *d = arg;
	return listeners_own_url(&d->listeners, ret_unix);
}

static json_t *describe_listeners(void *arg)
{
	struct daemon *d = arg;
	return listeners_json(&d->listeners);
}

static struct control_doors describe_doors(void *arg)
{
	const struct daemon *d = arg;
	return (struct control_doors){
		.connections = http_server_connections(d->listeners.public),
		.certificate_expires_usec = d->listeners.certificate_expires_usec};
}

/* ---- Starting ---- */

/* Many connections want many descriptors; hooks get the old limit back. */
static struct rlimit raise_descriptor_limit(void)
{
	struct rlimit before = {0}, after;

	getrlimit(RLIMIT_NOFILE, &before);
	after = before;
	after.rlim_cur = after.rlim_max;
	setrlimit(RLIMIT_NOFILE, &after);
	return before;
}

static int fail(int status, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(int status, const char *format, ...)
{
	struct text t = TEXT_EMPTY;
	va_list ap;

	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	log_event(LOG_START_FAILED, NULL, "%s", t.data ? t.data : "out of memory");
	text_fini(&t);
	return status;
}

static int load_config(struct daemon *d)
{
	struct config_report report = {0};

	int r = conffile_load(d->options->config_path, false, &report, &d->flow.config);
	reload_log_report(&report);
	config_report_fini(&report);
	if (r < 0)
		return fail(EX_OSERR, "The configuration cannot be read: %s",
			strerrordesc_np(-r));
	if (r > 0)
		return EX_CONFIG;
	d->flow.verbose = d->options->verbose;
	log_set_level(d->flow.verbose ? LOG_DEBUG : d->flow.config->log_level);
	return 0;
}

static int start_flow(struct daemon *d)
{
	CLEANUP(freep) char *error = NULL;

	int status = flow_start(&d->flow, &error);
	return status ? fail(status, "%s", error ? error : "out of memory") : 0;
}

static int open_doors(struct daemon *d)
{
	const struct control_hooks hooks = {.reload = reload,
		.own_url = own_url,
		.listeners = describe_listeners,
		.doors = describe_doors,
		.arg = d};
	CLEANUP(freep) char *error = NULL;

	if (control_new(&d->control, &d->flow, &hooks) < 0 ||
		dropin_new(&d->dropin, &d->flow) < 0)
		return fail(EX_OSERR, "Out of memory");
	int r = listeners_open(&d->listeners, &d->flow, d->control, d->dropin, &error);
	if (r < 0)
		return fail(r == -EINVAL && error ? EX_CONFIG : EX_OSERR, "%s",
			error ? error : strerrordesc_np(-r));
	return 0;
}

static int watch_signals(struct daemon *d)
{
	struct event_base *base = d->flow.base;

	signal(SIGPIPE, SIG_IGN);
	d->on_term = evsignal_new(base, SIGTERM, on_terminate, d);
	d->on_int = evsignal_new(base, SIGINT, on_terminate, d);
	d->on_hup = evsignal_new(base, SIGHUP, on_hangup, d);
	d->reload = evtimer_new(base, on_reload, d);
	if (!d->on_term || !d->on_int || !d->on_hup || !d->reload ||
		evsignal_add(d->on_term, NULL) < 0 || evsignal_add(d->on_int, NULL) < 0 ||
		evsignal_add(d->on_hup, NULL) < 0)
		return fail(EX_OSERR, "Signals cannot be watched");
	return 0;
}

static int start(struct daemon *d)
{
	int status;

	d->flow.config_path = d->options->config_path;
	d->flow.base = event_base_new();
	if (!d->flow.base)
		return fail(EX_OSERR, "No event loop: %s", strerrordesc_np(errno));
	if ((status = watch_signals(d)) != 0 || (status = start_flow(d)) != 0 ||
		(status = open_doors(d)) != 0)
		return status;
	if (pulse_new(&d->pulse, &d->flow) < 0)
		return fail(EX_OSERR, "Out of memory");
	log_event(LOG_STARTED, NULL,
		"callbackd %s started with %zu sources and %zu hooks", VERSION,
		d->flow.config->n_sources, d->flow.config->n_hooks);
	notify_ready();
	return 0;
}

static void free_event(struct event *e)
{
	if (e)
		event_free(e);
}

static void on_control_drained(void *arg)
{
	struct daemon *d = arg;

	d->control_drained = true;
	event_base_loopbreak(d->flow.base);
}

/* Who asked on the control socket gets the answer, or a 503, on the wire: all parts are still
 * there, the store has a moment for what it works on. */
static void drain_control(struct daemon *d)
{
	const struct timeval moment = {.tv_sec = 1};

	event_base_loop(d->flow.base, EVLOOP_NONBLOCK); /* what came with the signal */
	control_stop(d->control);
	listeners_drain_control(&d->listeners, on_control_drained, d);
	event_base_loopexit(d->flow.base, &moment);
	if (!d->control_drained)
		event_base_dispatch(d->flow.base);
	control_end(d->control);
	if (!d->control_drained)
		event_base_loop(d->flow.base, EVLOOP_NONBLOCK);
}

/* In reverse: no new work, what waits is committed and answered, then the rest. */
static void leave(struct daemon *d)
{
	struct flow *flow = &d->flow;

	flow->stopping = true;
	if (d->control)
		drain_control(d);
	if (flow->store)
		store_close(flow->store);
	flow->store = NULL;
	pulse_free(d->pulse);
	control_free(d->control);
	dropin_free(d->dropin);
	listeners_close(&d->listeners);
	dispatch_free(flow->dispatch);
	process_table_free(flow->processes);
	if (flow->feed)
		feed_free(flow->feed);
	if (flow->fetch)
		fetch_pool_free(flow->fetch);
	keyring_free(flow->keyring);
	ask_free(flow->ask);
	upload_end(flow);
	once_free(flow->warned);
	tally_free(flow->tally);
	free(flow->reload.problem);
	free(flow->state_directory);
	free_event(d->on_term);
	free_event(d->on_int);
	free_event(d->on_hup);
	free_event(d->reload);
	runner_close(flow->runner);
	if (flow->base)
		event_base_free(flow->base);
	config_unref(flow->config);
}

/* Started with one of them closed, a socket or the store would become standard output. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int run(const struct options *o)
{
	struct daemon d = {.options = o};

	fill_standard_descriptors();
	signal(SIGHUP, SIG_IGN); /* until somebody listens; hooks get the default back */
	struct rlimit before = raise_descriptor_limit();

	/* The runner inherits what is there: so nothing is, no secret, no thread, no socket. */
	int r = runner_start(&d.flow.runner, &before);
	if (r < 0)
		return fail(EX_OSERR, "The runner cannot be started: %s",
			strerrordesc_np(-r));
	umask(077);
	/* Large bodies get pages of their own, which go back when they end. Not as low as
	 * what OpenSSL takes for a record: that comes and goes with each one. */
	mallopt(M_MMAP_THRESHOLD, 32 * 1024);
#ifndef __SANITIZE_ADDRESS__       /* its leak check attaches to its own process */
	prctl(PR_SET_DUMPABLE, 0); /* secrets never reach a core file */
#endif
	payload_init();
	evthread_use_pthreads();
	int status = load_config(&d);
	if (status == 0 && log_start() < 0)
		status = fail(EX_OSERR, "The log thread cannot be started");
	if (status == 0)
		status = start(&d);
	if (status == 0)
		event_base_dispatch(d.flow.base);
	leave(&d);
	if (status == 0)
		log_event(LOG_STOPPED, NULL, "Stopped");
	log_stop();
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	int status;

	if (parse_argv(argc, argv, &options, &status) != 0)
		return status;
	return options.check || options.print ? check_config(&options) : run(&options);
}
