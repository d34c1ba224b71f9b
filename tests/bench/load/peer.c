/*
 * One connection to the server under load, plain or in TLS. Nothing here waits once it is
 * open: the loop asks again when the socket is ready.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

void peer_open(struct peer *p, int port, const struct protocol *protocol, SSL_CTX *tls)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (tls) {
		p->tls = SSL_new(tls);
		if (!p->tls || !SSL_set_fd(p->tls, p->fd) || SSL_connect(p->tls) != 1)
			die("handshake");
	}
	if (protocol->greet && !protocol->greet(p->fd))
		die("greeting");
	fcntl(p->fd, F_SETFL, O_NONBLOCK);
	p->size = p->sent = p->got = 0;
	p->busy = p->waits_for_room = false;
}

void peer_close(struct peer *p)
{
	SSL_free(p->tls);
	p->tls = NULL;
	close(p->fd);
}

/* As send() and recv(): -1 with errno, EAGAIN when it would block. */
static ssize_t tls_result(struct peer *p, int n)
{
	if (n > 0)
		return n;
	int error = SSL_get_error(p->tls, n);
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	bool again = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
	errno = again ? EAGAIN : ECONNRESET;
	return -1;
}

bool peer_push(struct peer *p)
{
	p->waits_for_room = false;
	while (p->sent < p->size) {
		const char *rest = p->out + p->sent;
		size_t size = p->size - p->sent;
		ssize_t n = p->tls ? tls_result(p, SSL_write(p->tls, rest, (int)size))
				   : send(p->fd, rest, size, MSG_NOSIGNAL);
		if (n <= 0) {
			p->waits_for_room = n < 0 && errno == EAGAIN;
			return p->waits_for_room;
		}
		p->sent += (size_t)n;
	}
	return true;
}

bool peer_pull(struct peer *p)
{
	char *rest = p->in + p->got;
	size_t size = sizeof(p->in) - p->got;

	if (!size)
		return false;
	ssize_t n = p->tls ? tls_result(p, SSL_read(p->tls, rest, (int)size))
			   : recv(p->fd, rest, size, 0);
	if (n > 0)
		p->got += (size_t)n;
	return n > 0 || (n < 0 && errno == EAGAIN);
}
