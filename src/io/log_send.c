/*
 * The two ways out: fields to journald's socket, or one write(2) a line to stderr, so that
 * lines of several writers of one pipe do not mix (pipe(7): up to 4 KiB for certain).
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "io/log_send.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

static int (*send_for_tests)(const struct iovec *fields, int n_fields);

void log_send_for_tests(int (*send)(const struct iovec *fields, int n_fields))
{
	send_for_tests = send;
}

bool log_stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	char rest;

	if (send_for_tests)
		return true;
	if (!stream || sscanf(stream, "%llu:%llu%c", &device, &inode, &rest) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

static int send_fields(const struct log_record *r)
{
	struct iovec iov[LOG_FIELDS_MAX];
	uint32_t start = 0;

	for (unsigned i = 0; i < r->n_fields; i++) {
		iov[i].iov_base = (char *)r->data + start;
		iov[i].iov_len = r->ends[i] - start;
		start = r->ends[i];
	}
	if (send_for_tests)
		return send_for_tests(iov, (int)r->n_fields);
	return sd_journal_sendv(iov, (int)r->n_fields);
}

static int write_line(const char *line, size_t size)
{
	while (size) {
		ssize_t n = write(STDERR_FILENO, line, size);

		if (n >= 0) {
			line += n;
			size -= (size_t)n;
		} else if (errno == EAGAIN) {
			/* Somebody who shares it has made it non-blocking. */
			struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

			poll(&p, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int log_send(enum log_sink sink, const struct log_record *r)
{
	return sink == LOG_TO_JOURNAL ? send_fields(r) : write_line(r->data, r->size);
}
