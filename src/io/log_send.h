/*
 * Where records go. May block as long as it pleases journald or the reader of a pipe:
 * hence only the log thread calls it while there is one.
 */
#ifndef IO_LOG_SEND_H
#define IO_LOG_SEND_H

#include "io/log_record.h"

#include <sys/uio.h>

/* $JOURNAL_STREAM (systemd.exec(5)): is stderr what it names? */
bool log_stderr_is_journal(void);
/* 0 or negative errno. */
int log_send(enum log_sink sink, const struct log_record *r) MUST_CHECK;
/* Puts another function in the place of sd_journal_sendv(3) and makes stderr count as the
 * journal; NULL undoes it. For tests alone. */
void log_send_for_tests(int (*send)(const struct iovec *fields, int n_fields));

#endif
