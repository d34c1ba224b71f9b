/*
 * The queue between everybody and the log thread. One lock, held for the linking of a
 * record and never while one is made or sent. What did not fit, and what the sink refused,
 * is counted and told in one record as soon as the sink takes something again.
 */
#include "io/log.h"

#include "base/clock.h"
#include "base/text.h"
#include "io/log_limit.h"
#include "io/log_send.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#define QUEUE_RECORDS 8192
#define QUEUE_BYTES   (16u << 20)
#define STOP_SEC      1

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake, finished;
	pthread_t thread;
	STAILQ_HEAD(record_list, log_record) queue;
	size_t n, bytes;
	uint64_t untold;    /* dropped, and nobody was told yet */
	uint64_t told_usec; /* when that was last tried */
	enum log_sink sink;
	bool sink_known, running, stopping, done;
	struct log_problem problem;
	bool works;     /* the sink took the last one */
	bool abandoned; /* the thread hangs in the sink and is left there */
} log_state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.queue = STAILQ_HEAD_INITIALIZER(log_state.queue),
};

static atomic_int log_level = LOG_INFO;
static atomic_uint_fast64_t n_dropped;

/* The kernel's clock: tests stand ours still, and the thread must not. */
static struct timespec after(uint64_t usec)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(usec / USEC_PER_SEC);
	t.tv_nsec += (long)(usec % USEC_PER_SEC) * 1000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static void count_dropped(uint64_t n)
{
	n_dropped += n;
	log_state.untold += n;
}

/* Before there is a thread and after it: at once, by the caller. */
static enum log_sink direct_sink(void)
{
	if (!log_state.sink_known) {
		log_state.sink = log_stderr_is_journal() ? LOG_TO_STREAM : LOG_TO_STDERR;
		log_state.sink_known = true;
	}
	return log_state.sink;
}

static enum log_sink current_sink(void)
{
	enum log_sink sink;

	pthread_mutex_lock(&log_state.lock);
	sink = log_state.running ? log_state.sink : direct_sink();
	pthread_mutex_unlock(&log_state.lock);
	return sink;
}

/* Takes the record over; NULL: it could not be made, which is a drop as well. */
static void submit(enum log_sink sink, struct log_record *r)
{
	bool direct;

	pthread_mutex_lock(&log_state.lock);
	direct = r && !log_state.running && !log_state.abandoned;
	if (direct) {
		/* sent below */
	} else if (!r || log_state.abandoned || log_state.n >= QUEUE_RECORDS ||
		   log_state.bytes + r->size > QUEUE_BYTES) {
		count_dropped(1);
		free(r);
	} else {
		STAILQ_INSERT_TAIL(&log_state.queue, r, link);
		log_state.n++;
		log_state.bytes += r->size;
		pthread_cond_signal(&log_state.wake);
	}
	pthread_mutex_unlock(&log_state.lock);
	if (!direct)
		return;
	if (log_send(sink, r) < 0)
		n_dropped++;
	free(r);
}

static bool take_limit(enum log_kind kind, const char *hook, size_t size)
{
	bool taken;

	pthread_mutex_lock(&log_state.lock);
	taken = log_limit_take(kind, hook, size, clock_mono_usec());
	/* The thread has to come back when the second is over. */
	if (!taken && log_state.running)
		pthread_cond_signal(&log_state.wake);
	pthread_mutex_unlock(&log_state.lock);
	return taken;
}

static void remember(struct bytes text)
{
	struct log_problem *p = &log_state.problem;
	size_t size = text.size < sizeof(p->text) ? text.size : sizeof(p->text) - 1;

	pthread_mutex_lock(&log_state.lock);
	p->time_usec = clock_wall_usec();
	memcpy(p->text, text.data, size);
	p->text[size] = '\0';
	pthread_mutex_unlock(&log_state.lock);
}

struct log_problem log_last_problem(void)
{
	pthread_mutex_lock(&log_state.lock);
	struct log_problem p = log_state.problem;
	pthread_mutex_unlock(&log_state.lock);
	return p;
}

static void submit_text(enum log_kind kind, int priority, const struct log_fields *fields,
	const char *format, va_list ap)
{
	enum log_sink sink = current_sink();
	struct text t = TEXT_EMPTY;

	text_addv(&t, format, ap);
	if (priority <= LOG_ERR && !t.failed)
		remember(text_bytes(&t));
	submit(sink, t.failed ? NULL
			      : log_record_new(sink, kind, priority, NULL, fields,
					text_bytes(&t), LOG_MESSAGE_BYTES));
	text_fini(&t);
}

bool log_wants(enum log_kind kind)
{
	return log_kind_priority(kind) <= log_level;
}

void log_event(
	enum log_kind kind, const struct log_fields *fields, const char *format, ...)
{
	int priority = log_kind_priority(kind);
	va_list ap;

	if (priority > log_level || !take_limit(kind, NULL, 0))
		return;
	va_start(ap, format);
	submit_text(kind, priority, fields, format, ap);
	va_end(ap);
}

void log_debug(const char *format, ...)
{
	va_list ap;

	if (LOG_DEBUG > log_level || !take_limit(LOG_KIND_MAX, NULL, 0))
		return;
	va_start(ap, format);
	submit_text(LOG_KIND_MAX, LOG_DEBUG, NULL, format, ap);
	va_end(ap);
}

static const char *hook_of(const struct log_fields *fields)
{
	return fields && fields->hook ? fields->hook : "hook";
}

bool log_hook_line(const struct log_fields *fields, bool is_stderr, struct bytes line)
{
	const char *hook = hook_of(fields);
	int priority = is_stderr ? LOG_NOTICE : LOG_INFO;
	size_t size = line.size < LOG_LINE_BYTES ? line.size : LOG_LINE_BYTES;
	enum log_sink sink;

	if (priority > log_level)
		return true;
	if (!take_limit(LOG_HOOK_OUTPUT, hook, size))
		return false;
	sink = current_sink();
	submit(sink, log_record_new(sink, LOG_HOOK_OUTPUT, priority, hook, fields, line,
			     LOG_LINE_BYTES));
	return true;
}

void log_hook_left_out(const struct log_fields *fields, uint64_t n)
{
	pthread_mutex_lock(&log_state.lock);
	log_limit_leave_out(LOG_HOOK_OUTPUT, hook_of(fields), n, clock_mono_usec());
	pthread_mutex_unlock(&log_state.lock);
}

/* One record past the queue, by the thread; the lock is held on entry and on return. */
static int send_unlocked(struct log_record *r)
{
	int e = -ENOMEM;

	pthread_mutex_unlock(&log_state.lock);
	if (r)
		e = log_send(log_state.sink, r);
	free(r);
	pthread_mutex_lock(&log_state.lock);
	log_state.works = e == 0;
	return e;
}

/* Under the hook's own name where it is one's output: there the gap is. */
static struct log_record *told_record(const char *hook, const char *text)
{
	const struct log_fields fields = {.hook = hook};

	if (!text)
		return NULL;
	return log_record_new(log_state.sink, LOG_RECORDS_DROPPED,
		log_kind_priority(LOG_RECORDS_DROPPED), hook, hook ? &fields : NULL,
		bytes_of(text), LOG_MESSAGE_BYTES);
}

/* What fell out of the queue; at most once a second while more does. */
static void tell_dropped(bool at_once)
{
	uint64_t n = log_state.untold, now = clock_mono_usec();
	CLEANUP(freep) char *text = NULL;

	if (!n || (!at_once && now - log_state.told_usec < USEC_PER_SEC))
		return;
	log_state.untold = 0;
	log_state.told_usec = now;
	text = text_format("%" PRIu64 " log record%s left out: they came faster than "
			   "they could be written",
		n, n == 1 ? "" : "s");
	if (send_unlocked(told_record(NULL, text)) < 0)
		log_state.untold += n;
}

static char *left_out_text(const struct log_left_out *l)
{
	const char *s = l->n == 1 ? "" : "s";

	if (!l->hook[0])
		return text_format("%" PRIu64 " log record%s of kind %s left out: more "
				   "than 1000 a second",
			l->n, s, log_kind_name(l->kind));
	return text_format("%" PRIu64 " line%s of hook %s left out: more than 1000 or "
			   "1 MiB a second",
		l->n, s, l->hook);
}

static void tell_limited(bool at_once)
{
	struct log_left_out l;

	while (log_limit_tell(clock_mono_usec(), at_once, &l)) {
		CLEANUP(freep) char *text = left_out_text(&l);

		if (send_unlocked(told_record(l.hook[0] ? l.hook : NULL, text)) < 0)
			count_dropped(l.n);
	}
}

static void send_first(void)
{
	struct log_record *r = STAILQ_FIRST(&log_state.queue);

	STAILQ_REMOVE_HEAD(&log_state.queue, link);
	log_state.n--;
	log_state.bytes -= r->size;
	if (send_unlocked(r) < 0)
		count_dropped(1);
}

static void *on_thread(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&log_state.lock);
	for (;;) {
		if (log_state.n)
			send_first();
		tell_limited(log_state.stopping);
		/* A sink that just refused is asked again in a second. */
		tell_dropped(log_state.works && log_state.n == 0);
		if (log_state.n)
			continue;
		if (log_state.stopping)
			break;
		if (log_state.untold || log_limit_pending()) {
			struct timespec t = after(USEC_PER_SEC / 4);

			pthread_cond_timedwait(&log_state.wake, &log_state.lock, &t);
		} else {
			pthread_cond_wait(&log_state.wake, &log_state.lock);
		}
	}
	log_state.done = true;
	pthread_cond_signal(&log_state.finished);
	pthread_mutex_unlock(&log_state.lock);
	return NULL;
}

int log_start(void)
{
	pthread_condattr_t attributes;
	sigset_t all, old;
	int e;

	if (log_state.running || log_state.abandoned)
		return -EBUSY;
	log_state.sink = log_stderr_is_journal() ? LOG_TO_JOURNAL : LOG_TO_STDERR;
	log_state.sink_known = true;
	log_state.stopping = log_state.done = false;
	log_state.works = true;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&log_state.wake, &attributes);
	pthread_cond_init(&log_state.finished, &attributes);
	pthread_condattr_destroy(&attributes);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	e = pthread_create(&log_state.thread, NULL, on_thread, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e)
		return -e;
	pthread_setname_np(log_state.thread, "log");
	pthread_mutex_lock(&log_state.lock);
	log_state.running = true;
	pthread_mutex_unlock(&log_state.lock);
	return 0;
}

void log_stop(void)
{
	struct timespec deadline = after(STOP_SEC * USEC_PER_SEC);
	bool done;

	if (!log_state.running)
		return;
	pthread_mutex_lock(&log_state.lock);
	log_state.stopping = true;
	pthread_cond_signal(&log_state.wake);
	while (!log_state.done)
		if (pthread_cond_timedwait(
			    &log_state.finished, &log_state.lock, &deadline) == ETIMEDOUT)
			break;
	done = log_state.done;
	log_state.running = false;
	log_state.abandoned = !done;
	pthread_mutex_unlock(&log_state.lock);
	if (!done) {
		pthread_detach(log_state.thread);
		return;
	}
	pthread_join(log_state.thread, NULL);
	pthread_cond_destroy(&log_state.wake);
	pthread_cond_destroy(&log_state.finished);
	log_limit_reset();
}

void log_set_level(int syslog_level)
{
	log_level = syslog_level;
}

uint64_t log_dropped(void)
{
	return n_dropped;
}

const char *log_escape(struct bytes b)
{
	/* At worst four characters a byte, and the mark of the cut. */
	static _Thread_local char buffers[8][LOG_FIELD_BYTES * 4 + sizeof("…")];
	static _Thread_local unsigned next;
	char *buffer = buffers[next++ % ARRAY_SIZE(buffers)];
	struct text t = TEXT_EMPTY;

	text_add_escaped(&t, b, LOG_FIELD_BYTES);
	snprintf(buffer, sizeof(buffers[0]), "%s", t.failed ? "?" : text_bytes(&t).data);
	text_fini(&t);
	return buffer;
}

const char *log_escapes(const char *s)
{
	return log_escape(bytes_of(s));
}
