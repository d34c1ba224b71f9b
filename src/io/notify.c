/*
 * The protocol of sd_notify(3) with a socket of our own: sd_notify() may block when nobody
 * reads, and we are called from the loop. What may get lost (status, watchdog) never
 * waits; what must arrive waits a second at most. Other kinds of address than unix sockets
 * are left to sd_notify().
 */
#include "io/notify.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *message, bool must_arrive)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = 1};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t size = path ? strlen(path) : 0;
	int fd;

	if (!size)
		return;
	if ((path[0] != '/' && path[0] != '@') || size >= sizeof(address.sun_path)) {
		(void)sd_notify(0, message);
		return;
	}
	memcpy(address.sun_path, path, size);
	if (path[0] == '@') /* abstract, unix(7) */
		address.sun_path[0] = 0;
	else
		size++;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)sendto(fd, message, strlen(message),
		MSG_NOSIGNAL | (must_arrive ? 0 : MSG_DONTWAIT),
		(const struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
	close(fd);
}

void notify_ready(void)
{
	tell("READY=1", true);
}

void notify_status(const char *format, ...)
{
	struct text t = TEXT_EMPTY;
	va_list ap;

	text_adds(&t, "STATUS=");
	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	/* A second line would be a second assignment. */
	for (size_t i = 0; !t.failed && i < t.size; i++)
		if ((unsigned char)t.data[i] < 0x20)
			t.data[i] = ' ';
	if (!t.failed)
		tell(t.data, false);
	text_fini(&t);
}

void notify_reloading(void)
{
	char message[64];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)(now.tv_sec * 1000000 + now.tv_nsec / 1000));
	tell(message, true);
}

void notify_stopping(uint64_t usec)
{
	char message[80];

	snprintf(message, sizeof(message), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
		usec);
	tell(message, true);
}

void notify_watchdog(void)
{
	tell("WATCHDOG=1", false);
}

uint64_t notify_watchdog_usec(void)
{
	uint64_t usec = 0;

	return sd_watchdog_enabled(0, &usec) > 0 ? usec / 2 : 0;
}
