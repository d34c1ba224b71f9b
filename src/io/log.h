/*
 * The story in the journal. Records are made on the caller's thread, put into a bounded
 * queue and sent by the log thread: to journald when stderr is connected to it
 * ($JOURNAL_STREAM), else as plain lines to stderr. A full queue drops and counts; nobody
 * ever waits for a log.
 */
#ifndef IO_LOG_H
#define IO_LOG_H

#include "base/bytes.h"
#include "io/log_kinds.h"

#include <stdint.h>

/* The structured fields of the contract; NULL, 0 and -1 (exit_status) mean "leave out".
 * Bytes from outside may go in raw: they are escaped and capped at 256 bytes here. */
struct log_fields {
	const char *source, *id, *status, *outcome, *hook, *run, *remote;
	unsigned attempt;
	bool has_exit_status;
	int exit_status;
	uint64_t duration_usec;
};

/* Until log_start(), records go straight to stderr. 0 or negative errno. */
int log_start(void) MUST_CHECK;
/* Sends what waits, at most for a second, then stops the thread. */
void log_stop(void);
void log_set_level(int syslog_level); /* what is above it is left out */

/*
 * One event. `fields` may be NULL. The text is for people: no secret, no signature, no
 * token. What comes from outside goes in through "%s" of log_escape() or through the
 * fields. At most 1,000 records a second of one kind are sent, the rest is counted and
 * the count is told.
 */
void log_event(enum log_kind kind, const struct log_fields *fields, const char *format,
	...) PRINTF_LIKE(3, 4);
/* Would an event of that kind be told, as far as LogLevel= says? */
bool log_wants(enum log_kind kind);
/* Below LogLevel=debug this costs a comparison. */
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);
/*
 * One line of a hook's output, identifier = the hook's name, never through a format. At most
 * 1,000 a second, and a megabyte; false: left out and counted, as will be the next ones, which
 * may then be counted by log_hook_left_out() without being made lines of.
 */
bool log_hook_line(const struct log_fields *fields, bool is_stderr, struct bytes line);
void log_hook_left_out(const struct log_fields *fields, uint64_t n);
/* Escaped and capped, in one of 8 rotating buffers of the calling thread. For "%s". */
const char *log_escape(struct bytes b);
const char *log_escapes(const char *s);

/* The last record at error or above: what an operator who asks for the status is shown. */
struct log_problem {
	int64_t time_usec; /* wall clock; 0 = there was none */
	char text[256];    /* cut to fit */
};
struct log_problem log_last_problem(void);
uint64_t log_dropped(void); /* since start */

#endif
