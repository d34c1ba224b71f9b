/*
 * The log: what a record looks like on both ways out, that nobody waits for a sink that
 * hangs, and that what was left out is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "io/log.h"
#include "io/log_send.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* ---- A journald of ours ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static struct text sent; /* each field and a newline, each record and another */
static unsigned n_sent;
static bool hangs;
static atomic_int refuses;

static int fake_send(const struct iovec *fields, int n_fields)
{
	pthread_mutex_lock(&lock);
	while (hangs)
		pthread_cond_wait(&released, &lock);
	if (refuses) {
		pthread_mutex_unlock(&lock);
		return refuses;
	}
	for (int i = 0; i < n_fields; i++) {
		text_add(&sent, (struct bytes){fields[i].iov_base, fields[i].iov_len});
		text_addc(&sent, '\n');
	}
	text_addc(&sent, '\n');
	n_sent++;
	pthread_mutex_unlock(&lock);
	return 0;
}

static void set_hangs(bool value)
{
	pthread_mutex_lock(&lock);
	hangs = value;
	pthread_cond_broadcast(&released);
	pthread_mutex_unlock(&lock);
}

static int journal_set_up(void **state)
{
	(void)state;
	log_send_for_tests(fake_send);
	text_clear(&sent);
	n_sent = 0;
	refuses = 0;
	hangs = false;
	log_set_level(LOG_INFO);
	return log_start();
}

static int journal_tear_down(void **state)
{
	(void)state;
	set_hangs(false);
	log_stop();
	log_send_for_tests(NULL);
	text_fini(&sent);
	clock_thaw();
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* How often `what` was sent; waits until it is there `at_least` times, 5 s at most. */
static unsigned count_sent(const char *what, unsigned at_least)
{
	double end = now() + 5;
	unsigned n;

	do {
		n = 0;
		pthread_mutex_lock(&lock);
		for (const char *at = sent.data; at && (at = strstr(at, what)); at++)
			n++;
		pthread_mutex_unlock(&lock);
		if (n < at_least)
			poll(NULL, 0, 5);
	} while (n < at_least && now() < end);
	return n;
}

static void assert_sent(const char *what)
{
	if (!count_sent(what, 1))
		fail_msg("not sent: %s\nbut: %s", what, sent.data ? sent.data : "");
}

static void test_fields(void **state)
{
	const struct log_fields fields = {
		.source = "eachlabs",
		.id = "a\nPRIORITY=0\x1b[2J\\",
		.status = "COMPLETED",
		.outcome = "success",
		.hook = "publish",
		.run = "01H-x",
		.remote = "192.0.2.1",
		.attempt = 3,
		.has_exit_status = true,
		.exit_status = 0,
		.duration_usec = 1500,
	};

	(void)state;
	log_event(LOG_RUN_DONE, &fields, "Hook %s is done", "publish");
	assert_sent("MESSAGE=Hook publish is done\n"
		    "PRIORITY=6\n"
		    "SYSLOG_IDENTIFIER=callbackd\n"
		    "MESSAGE_ID=295cdfd805054902be28214cf6c3f335\n"
		    "CALLBACK_SOURCE=eachlabs\n"
		    "CALLBACK_ID=a\\x0APRIORITY=0\\x1B[2J\\x5C\n"
		    "CALLBACK_STATUS=COMPLETED\n"
		    "CALLBACK_OUTCOME=success\n"
		    "CALLBACK_HOOK=publish\n"
		    "CALLBACK_RUN=01H-x\n"
		    "REMOTE_ADDR=192.0.2.1\n"
		    "CALLBACK_ATTEMPT=3\n"
		    "EXIT_STATUS=0\n"
		    "DURATION_USEC=1500\n\n");
	log_event(LOG_STORE_FAILED, NULL, "plain");
	assert_sent("MESSAGE=plain\nPRIORITY=2\nSYSLOG_IDENTIFIER=callbackd\n"
		    "MESSAGE_ID=5ecfb0e64c6640d3b467012dc5c10788\n\n");
}

static void test_caps_and_levels(void **state)
{
	static char long_id[1000];
	struct log_fields fields = {.id = long_id};
	char expected[400];

	(void)state;
	memset(long_id, 'i', sizeof(long_id) - 1);
	log_event(LOG_CALLBACK, &fields, "long");
	snprintf(expected, sizeof(expected), "CALLBACK_ID=%.256s…\n", long_id);
	assert_sent(expected);
	log_set_level(LOG_WARNING);
	log_event(LOG_CALLBACK, NULL, "too chatty");
	log_debug("chattier");
	log_event(LOG_REFUSED, NULL, "notice");
	log_event(LOG_RUN_FAILED, NULL, "warning");
	assert_sent("MESSAGE=warning\nPRIORITY=4\n");
	assert_int_equal(count_sent("chatt", 0) + count_sent("notice", 0), 0);
	log_set_level(LOG_DEBUG);
	log_debug("now %d", 42);
	assert_sent("MESSAGE=now 42\nPRIORITY=7\nSYSLOG_IDENTIFIER=callbackd\n\n");
}

static void test_hook_lines(void **state)
{
	static char longest[9000];
	const struct log_fields fields = {
		.source = "s", .id = "i", .hook = "publish", .run = "r1"};
	char expected[9000];

	(void)state;
	log_hook_line(&fields, false, bytes_of("50% {\"a\":\"b\\n\"}\tok \x1b[31m %s"));
	assert_sent("MESSAGE=50% {\"a\":\"b\\n\"}\tok \\x1B[31m %s\nPRIORITY=6\n"
		    "SYSLOG_IDENTIFIER=publish\n"
		    "MESSAGE_ID=255b91398187428d800cc0024207d3c3\n"
		    "CALLBACK_SOURCE=s\nCALLBACK_ID=i\nCALLBACK_HOOK=publish\n"
		    "CALLBACK_RUN=r1\n\n");
	log_hook_line(&fields, true, bytes_of("caf\xc3\xa9 \xff broken"));
	assert_sent("MESSAGE=caf\xc3\xa9 \\xFF broken\nPRIORITY=5\n"
		    "SYSLOG_IDENTIFIER=publish\n");
	log_hook_line(&fields, false, bytes_of(""));
	assert_sent("MESSAGE=\nPRIORITY=6\n");
	memset(longest, 'l', 8192);
	log_hook_line(&fields, false, bytes_of(longest));
	snprintf(expected, sizeof(expected), "MESSAGE=%.8192s\n", longest);
	assert_sent(expected);
	memset(longest, 'm', 8193);
	log_hook_line(&fields, false, bytes_of(longest));
	snprintf(expected, sizeof(expected), "MESSAGE=%.8192s…\n", longest);
	assert_sent(expected);
}

/* journald is stopped: callers go on, what does not fit is counted, and told once. */
static void test_hanging_sink(void **state)
{
	const struct log_fields fields = {.hook = NULL};
	uint64_t dropped = log_dropped();
	double start;
	char expected[200];

	(void)state;
	(void)fields;
	set_hangs(true);
	start = now();
	/* Of many kinds and of time that passes, or the limit would come first. */
	for (unsigned i = 0; i < 20000; i++) {
		if (i % 100 == 0) /* within what a hook may write in a second */
			clock_freeze(0, (i / 100 + 10) * 2000000ull);
		log_event(LOG_CALLBACK, NULL, "record %u.", i);
	}
	assert_true(now() - start < 5);
	/* One is in the sink's hands, 8192 wait. */
	dropped = log_dropped() - dropped;
	assert_in_range(dropped, 20000 - 8193, 20000 - 8192);
	assert_int_equal(n_sent, 0);
	set_hangs(false);
	assert_int_equal(count_sent("MESSAGE=record", (unsigned)(20000 - dropped)),
		20000 - dropped);
	snprintf(expected, sizeof(expected),
		"MESSAGE=%u log records left out: they came faster than they could be "
		"written\nPRIORITY=4\nSYSLOG_IDENTIFIER=callbackd\n"
		"MESSAGE_ID=0e872f324e964d18ab3a737029e00410\n",
		(unsigned)dropped);
	assert_sent(expected);
	assert_int_equal(count_sent("left out", 1), 1);
	assert_sent("MESSAGE=record 0.\n");
	assert_sent("MESSAGE=record 8191.\n");
	assert_int_equal(count_sent("MESSAGE=record 19999.\n", 0), 0);
	log_event(LOG_STOPPED, NULL, "as good as new");
	assert_sent("as good as new");
}

static void test_bytes_bounded(void **state)
{
	static char line[8192];
	const struct log_fields fields = {.hook = "h"};

	uint64_t dropped = log_dropped();

	(void)state;
	memset(line, 'x', sizeof(line));
	set_hangs(true);
	for (unsigned i = 0; i < 4000; i++) {
		if (i % 100 == 0) /* within what a hook may write in a second */
			clock_freeze(0, (i / 100 + 10) * 2000000ull);
		log_hook_line(&fields, false, (struct bytes){line, sizeof(line)});
	}
	dropped = log_dropped() - dropped;
	assert_in_range(4000 - dropped, 1990, 2049); /* 16 MiB */
}

/* Long lines: a megabyte a second of a hook, and what was counted by the hundred is told. */
static void test_rate_in_bytes(void **state)
{
	static char line[8192];
	const struct log_fields fields = {.hook = "wide"};
	unsigned taken = 0;

	(void)state;
	memset(line, 'w', sizeof(line));
	clock_freeze(0, 300000000);
	for (unsigned i = 0; i < 200; i++)
		taken += log_hook_line(
			&fields, false, (struct bytes){line, sizeof(line)});
	assert_int_equal(taken, 128);
	log_hook_left_out(&fields, 1000);
	clock_freeze(0, 301000000);
	assert_sent("MESSAGE=1072 lines of hook wide left out");
	assert_true(log_hook_line(&fields, false, (struct bytes){line, sizeof(line)}));
}

/* A sink that refuses is asked again; what it refused is counted and told. */
static void test_refusing_sink(void **state)
{
	uint64_t dropped = log_dropped();

	(void)state;
	refuses = -ENOBUFS;
	log_event(LOG_CALLBACK, NULL, "lost");
	for (int i = 0; i < 500 && log_dropped() == dropped; i++)
		poll(NULL, 0, 5);
	assert_int_equal(log_dropped() - dropped, 1);
	refuses = 0;
	assert_sent("MESSAGE=1 log record left out");
	assert_int_equal(count_sent("lost", 0), 0);
}

static void test_rate(void **state)
{
	const struct log_fields one = {.hook = "one"}, two = {.hook = "two"};
	uint64_t dropped = log_dropped();

	(void)state;
	clock_freeze(0, 100000000);
	for (unsigned i = 0; i < 1500; i++)
		log_event(LOG_REFUSED, NULL, "kind %u.", i);
	for (unsigned i = 0; i < 1200; i++)
		log_hook_line(&one, false, bytes_of("from one"));
	log_hook_line(&two, false, bytes_of("from two"));
	log_event(LOG_CALLBACK, NULL, "another kind");
	assert_sent("another kind");
	assert_int_equal(count_sent("MESSAGE=kind", 1000), 1000);
	assert_int_equal(count_sent("MESSAGE=from one", 1000), 1000);
	assert_int_equal(count_sent("MESSAGE=from two", 1), 1);
	poll(NULL, 0, 300);
	assert_int_equal(count_sent("left out", 0), 0); /* the second is not over */
	clock_freeze(0, 101000000);
	assert_sent("MESSAGE=500 log records of kind REFUSED left out: more than 1000 a "
		    "second\n");
	assert_sent("MESSAGE=200 lines of hook one left out: more than 1000 or 1 MiB a "
		    "second\n");
	assert_sent("SYSLOG_IDENTIFIER=one\n");
	log_event(LOG_REFUSED, NULL, "again");
	assert_sent("MESSAGE=again\n");
	assert_int_equal(count_sent("left out", 2), 2);
	assert_int_equal(log_dropped(), dropped); /* that is for the queue */
}

/* log_stop with a sink that hangs: a second, then we go. In a child, for the thread stays. */
static void test_stop_hanging(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		double start;

		log_send_for_tests(fake_send);
		if (log_start() < 0)
			_exit(10);
		set_hangs(true);
		log_event(LOG_CALLBACK, NULL, "never");
		start = now();
		log_stop();
		if (now() - start < 0.9 || now() - start > 3)
			_exit(11);
		log_event(LOG_CALLBACK, NULL, "does not hang us");
		_exit(log_dropped() == 1 ? 0 : 12);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Lines to stderr ---- */

static char captured[1 << 20];

/* Runs it in a child whose stderr is a pipe; what came is in `captured`. */
static void capture(void (*work)(void))
{
	size_t size = 0;
	int pipes[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		dup2(pipes[1], 2);
		close(pipes[0]);
		close(pipes[1]);
		work();
		_exit(0);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], captured + size, sizeof(captured) - 1 - size)) > 0)
		size += (size_t)n;
	captured[size] = 0;
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void write_some(void)
{
	const struct log_fields all = {
		.source = "s", .id = "i\n", .hook = "h", .run = "r"};
	const struct log_fields remote = {.remote = "192.0.2.1"};
	const struct log_fields source = {.source = "s"};

	log_event(LOG_STARTED, NULL, "before there is a thread");
	if (log_start() < 0)
		_exit(1);
	log_event(LOG_RUN_DONE, &all, "done");
	log_event(LOG_REFUSED, &remote, "two\nlines, %s", log_escapes("\r\\"));
	log_event(LOG_ASKED, &source, "asked");
	log_hook_line(&all, true, bytes_of("out\x7f"));
	log_stop();
	log_event(LOG_STOPPED, NULL, "after");
}

static void test_lines(void **state)
{
	const char *line;
	char *rest = captured;
	static const char *const expected[] = {
		"before there is a thread",
		"done [s/i\\x0A h r]",
		"two\\x0Alines, \\x0D\\x5C [from 192.0.2.1]",
		"asked [s]",
	};

	(void)state;
	capture(write_some);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		int pid, at = 0;

		line = strsep(&rest, "\n");
		assert_int_equal(sscanf(line, "callbackd[%d]: %n", &pid, &at), 1);
		assert_true(at > 0);
		assert_string_equal(line + at, expected[i]);
	}
	assert_string_equal(strsep(&rest, "\n"), "h[r]: out\\x7F");
	assert_non_null(strstr(strsep(&rest, "\n"), "]: after"));
	assert_string_equal(rest, "");
}

static void write_much(void)
{
	fcntl(2, F_SETFL, O_NONBLOCK); /* somebody's fault, our problem */
	if (log_start() < 0)
		_exit(1);
	for (unsigned i = 0; i < 900; i++)
		log_event(LOG_CALLBACK, NULL, "%01000u", i);
	log_stop();
}

static void test_nonblocking_stderr(void **state)
{
	char *rest = captured;

	(void)state;
	capture(write_much);
	for (unsigned i = 0; i < 900; i++) {
		const char *line = strsep(&rest, "\n");

		assert_non_null(line);
		assert_int_equal(strtoul(strstr(line, "]: ") + 3, NULL, 10), i);
	}
}

/* A pipe that nobody reads is a sink that hangs, too. */
static void test_slow_stderr(void **state)
{
	int pipes[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		double start = now();

		dup2(pipes[1], 2);
		if (log_start() < 0)
			_exit(10);
		for (unsigned i = 0; i < 9500; i++) {
			if (i % 900 == 0)
				clock_freeze(0, (i / 900 + 10) * 2000000ull);
			log_event(LOG_CALLBACK, NULL, "%0500u", i);
		}
		if (now() - start > 3)
			_exit(11);
		_exit(log_dropped() > 0 ? 0 : 12);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(pipes[0]);
	close(pipes[1]);
}

static void write_stream(void)
{
	struct stat st;
	char stream[64];

	fstat(2, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_event(LOG_START_FAILED, NULL, "early");
	if (!log_stderr_is_journal())
		_exit(2);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	if (log_stderr_is_journal())
		_exit(3);
	setenv("JOURNAL_STREAM", "1:", 1);
	if (log_stderr_is_journal())
		_exit(4);
}

static void test_stream(void **state)
{
	(void)state;
	capture(write_stream);
	assert_int_equal(strncmp(captured, "<3>callbackd[", 13), 0);
}

static void test_escape(void **state)
{
	static char longest[2000];
	const char *first = log_escapes("one"), *more;

	(void)state;
	for (int i = 0; i < 7; i++)
		more = log_escapes("more");
	assert_string_equal(first, "one"); /* eight of them live at a time */
	assert_string_equal(more, "more");
	assert_string_equal(log_escapes("%s\xe2\x80\xae"), "%s\\xE2\\x80\\xAE");
	memset(longest, 1, sizeof(longest) - 1);
	more = log_escapes(longest);
	assert_int_equal(strlen(more), 256 * 4 + strlen("…"));
	assert_string_equal(more + 256 * 4, "…");
	assert_string_equal(log_escape(BYTES_NONE), "");
}

int main(void)
{
#define JOURNAL(name) \
	cmocka_unit_test_setup_teardown(name, journal_set_up, journal_tear_down)
	const struct CMUnitTest tests[] = {
		/* Those that fork come first: nothing has been started here yet. */
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nonblocking_stderr),
		cmocka_unit_test(test_slow_stderr),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stop_hanging),
		cmocka_unit_test(test_escape),
		JOURNAL(test_fields),
		JOURNAL(test_caps_and_levels),
		JOURNAL(test_hook_lines),
		JOURNAL(test_hanging_sink),
		JOURNAL(test_bytes_bounded),
		JOURNAL(test_refusing_sink),
		JOURNAL(test_rate),
		JOURNAL(test_rate_in_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
