/*
 * Listening sockets; see listen.h. All are non-blocking and close-on-exec before anybody
 * else sees them. An IPv6 socket takes IPv6 alone, so that 0.0.0.0 and [::] can stand beside
 * each other.
 */
#include "io/listen.h"

#include "base/bytes.h"
#include "base/text.h"
#include "rules/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

union sockaddr_of {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* As bind() wants it; its size. */
static socklen_t to_sockaddr(const struct address *from, union sockaddr_of *to)
{
	memset(to, 0, sizeof(*to));
	to->any.sa_family = (sa_family_t)from->family;
	switch (from->family) {
	case AF_INET:
		to->in.sin_port = htons(from->port);
		memcpy(&to->in.sin_addr, from->ip, sizeof(to->in.sin_addr));
		return sizeof(to->in);
	case AF_INET6:
		to->in6.sin6_port = htons(from->port);
		memcpy(&to->in6.sin6_addr, from->ip, sizeof(to->in6.sin6_addr));
		return sizeof(to->in6);
	default: break;
	}
	size_t n = strlen(from->path); /* address_parse() knows that there is room */
	memcpy(to->un.sun_path, from->path, n + 1);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
}

static int new_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int open_inet(const union sockaddr_of *a, socklen_t size)
{
	CLEANUP(closep) int fd = new_socket(a->any.sa_family);
	int one = 1;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		(a->any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
							 &one, sizeof(one)) < 0) ||
		bind(fd, &a->any, size) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return take_fd(&fd);
}

/*
 * What stands at the path: 0 nothing (any more), -EADDRINUSE somebody who listens, or who
 * might: only a refused connection proves that nobody does. What is no socket stays.
 */
static int clear_stale(const union sockaddr_of *a, socklen_t size)
{
	struct stat st;

	if (lstat(a->un.sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	CLEANUP(closep) int fd = new_socket(AF_UNIX);
	if (fd < 0)
		return fd;
	if (connect(fd, &a->any, size) == 0 || errno != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(a->un.sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int open_path(const union sockaddr_of *a, socklen_t size, mode_t mode)
{
	int r = clear_stale(a, size);

	if (r < 0)
		return r;
	CLEANUP(closep) int fd = new_socket(AF_UNIX);
	if (fd < 0)
		return fd;
	if (bind(fd, &a->any, size) < 0)
		return -errno;
	/* Before listen() nobody can connect: no moment with another permission. */
	if (chmod(a->un.sun_path, mode) < 0 || listen(fd, SOMAXCONN) < 0) {
		r = -errno;
		unlink(a->un.sun_path);
		return r;
	}
	return take_fd(&fd);
}

int listen_open(const char *address, mode_t mode, int *ret_fd, char **ret_error)
{
	struct address parsed;
	union sockaddr_of a;
	int r = address_parse(address, &parsed);

	if (r == -EINVAL) {
		*ret_error = text_format(
			"%s: neither ADDR:PORT nor [V6]:PORT nor an absolute path",
			address);
		return r;
	}
	if (r == 0) {
		socklen_t size = to_sockaddr(&parsed, &a);
		r = parsed.family == AF_UNIX ? open_path(&a, size, mode)
					     : open_inet(&a, size);
	}
	if (r < 0) {
		*ret_error = text_format("%s: %s", address, strerror(-r));
		return r;
	}
	*ret_fd = r;
	return 0;
}

static enum listen_kind kind_of(const char *name)
{
	struct bytes n = bytes_of(name);

	if (bytes_equal(n, bytes_of("callbackd-tls.socket")))
		return LISTEN_TLS;
	if (bytes_equal(n, bytes_of("callbackd-control.socket")))
		return LISTEN_CONTROL;
	if (bytes_equal(n, bytes_of("callbackd-status.socket")))
		return LISTEN_STATUS;
	return LISTEN_PUBLIC;
}

static int adopt(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
		return -EINVAL; /* a datagram socket, a FIFO, a connection */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
		fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

int listen_inherited(struct listen_socket **ret, size_t *ret_n)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	if (n < 0)
		return n;
	struct listen_socket *sockets = calloc((size_t)n + 1, sizeof(*sockets));
	int r = sockets ? 0 : -ENOMEM;
	for (int i = 0; i < n && r == 0; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		sockets[i] = (struct listen_socket){fd, kind_of(names ? names[i] : "")};
		r = adopt(fd);
	}
	for (int i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
	if (r < 0) {
		free(sockets);
		return r;
	}
	*ret = sockets;
	*ret_n = (size_t)n;
	return 0;
}

char *listen_name(int fd)
{
	union sockaddr_of a = {0};
	socklen_t size = sizeof(a);
	char host[INET6_ADDRSTRLEN];

	if (getsockname(fd, &a.any, &size) < 0)
		return NULL;
	switch (a.any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a.in.sin_addr, host, sizeof(host));
		return text_format("%s:%u", host, ntohs(a.in.sin_port));
	case AF_INET6:
		inet_ntop(AF_INET6, &a.in6.sin6_addr, host, sizeof(host));
		return text_format("[%s]:%u", host, ntohs(a.in6.sin6_port));
	case AF_UNIX:
		if (a.un.sun_path[0])
			return text_format("%s", a.un.sun_path);
		return text_format("@%.*s",
			(int)(size - offsetof(struct sockaddr_un, sun_path)) - 1,
			a.un.sun_path + 1);
	default: return text_format("socket %d", fd);
	}
}
