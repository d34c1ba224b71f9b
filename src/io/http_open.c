/*
 * From accept() to the first byte of HTTP: who is it, is there room, the PROXY header, the
 * TLS handshake. The PROXY header is read from the descriptor to its last byte and not one
 * further, because an SSL bufferevent reads the descriptor itself.
 */
#include "io/http_private.h"

#include "base/clock.h"

#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <unistd.h>

static void peer_text(const struct sockaddr *address, socklen_t size,
	char out[static FORWARDED_TEXT_SIZE])
{
	const void *a = address;

	if (size >= (socklen_t)sizeof(struct sockaddr_in) &&
		address->sa_family == AF_INET)
		forwarded_format(
			(const void *)&((const struct sockaddr_in *)a)->sin_addr, 4, out);
	else if (size >= (socklen_t)sizeof(struct sockaddr_in6) &&
		 address->sa_family == AF_INET6)
		forwarded_format(
			(const void *)&((const struct sockaddr_in6 *)a)->sin6_addr, 16,
			out);
	else
		memcpy(out, "unix", 5);
}

/* Too many already: one write that the socket's empty buffer takes, no state kept. */
void conn_turn_away(struct http_server *s, int fd, bool tls)
{
	char waste[4096];
	const char *text = reply_refusal();

	(void)s;
	if (!tls && send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
		shutdown(fd, SHUT_WR);
		while (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) > 0)
			; /* unread bytes would make a reset of this close */
	}
	close(fd);
}

/* The cap per address, once it is known who it is. 0 or a reason to refuse. */
static const char *count_address(struct http_conn *c)
{
	struct http_server *s = c->server;

	c->trusted = cidr_list_contains(&s->trusted, bytes_of(c->peer));
	if (c->trusted || !c->tcp)
		return NULL;
	int r = address_take(s, c->peer, &c->address);
	return r == 0  ? NULL
	       : r > 0 ? "too many connections of one address"
		       : "out of memory";
}

static void on_proxy_readable(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)fd, (void)what;
	int r = conn_read_proxy(c);
	if (r == -EAGAIN)
		return;
	if (r < 0) {
		server_refused(c->server, c->peer, 0, "no sound PROXY header");
		conn_close(c);
		return;
	}
	event_free(c->raw);
	c->raw = NULL;
	free(c->proxy);
	c->proxy = NULL;
	const char *reason = count_address(c);
	if (reason) {
		server_refused(c->server, c->peer, c->tls ? 0 : 503, reason);
		int copy = c->fd;
		bool tls = c->tls != NULL;
		c->fd = -1;
		conn_close(c);
		conn_turn_away(c->server, copy, tls);
		return;
	}
	conn_begin(c);
}

/* 0 the header is complete and c->peer is the client; -EAGAIN; another negative errno. */
int conn_read_proxy(struct http_conn *c)
{
	struct http_proxy_header *h = c->proxy;
	char waste[512];

	while (h->have < h->want) {
		bool kept = h->have < sizeof(h->bytes);
		size_t end = kept && h->want > sizeof(h->bytes) ? sizeof(h->bytes)
								: h->want;
		size_t room = end - h->have;
		if (!kept && room > sizeof(waste))
			room = sizeof(waste);
		ssize_t n = recv(
			c->fd, kept ? h->bytes + h->have : waste, room, MSG_DONTWAIT);
		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		if (n == 0)
			return -ECONNRESET;
		h->have += (size_t)n;
		if (h->have <= PROXY_FIXED_BYTES) {
			size_t more = 0;
			if (proxy_begin((struct bytes){h->bytes, h->have}, &more) < 0)
				return -EINVAL;
			h->want = PROXY_FIXED_BYTES + more;
		}
	}
	size_t kept = h->have < sizeof(h->bytes) ? h->have : sizeof(h->bytes);
	int r = proxy_client((struct bytes){h->bytes, kept}, c->peer);
	return r < 0 ? r : 0;
}

static int begin_proxy(struct http_conn *c)
{
	c->proxy = calloc(1, sizeof(*c->proxy));
	c->raw = event_new(
		c->server->base, c->fd, EV_READ | EV_PERSIST, on_proxy_readable, c);
	if (!c->proxy || !c->raw)
		return -ENOMEM;
	c->proxy->want = PROXY_FIXED_BYTES;
	conn_deadline(c, c->opened_usec + c->server->limits.handshake_timeout_usec);
	return event_add(c->raw, NULL) < 0 ? -ENOMEM : 0;
}

static int begin_tls(struct http_conn *c)
{
	c->ssl = SSL_new(c->tls);
	SSL_CTX_free(c->tls);
	c->tls = NULL;
	if (!c->ssl)
		return -ENOMEM;
	/* Callbacks deferred: none comes from within OpenSSL, or from within http_reply(). */
	struct bufferevent *bev = bufferevent_openssl_socket_new(c->server->base, c->fd,
		c->ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_DEFER_CALLBACKS);
	if (!bev) {
		ERR_clear_error();
		return -ENOMEM;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	conn_set_state(c, CONN_HANDSHAKE);
	conn_deadline(c, c->opened_usec + c->server->limits.handshake_timeout_usec);
	return conn_attach(c, bev);
}

void conn_begin(struct http_conn *c)
{
	int r;

	if (c->tls) {
		r = begin_tls(c);
	} else {
		struct bufferevent *bev = bufferevent_socket_new(
			c->server->base, c->fd, 0);
		r = bev ? conn_attach(c, bev) : -ENOMEM;
		if (r == 0)
			conn_set_state(c, CONN_IDLE);
	}
	if (r < 0) {
		server_refused(c->server, c->peer, 0, "out of memory");
		conn_close(c);
	}
}

static struct http_conn *conn_new(struct http_listener *l, int fd)
{
	struct http_server *s = l->server;
	struct http_conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (!c)
		return NULL;
	if (heap_put(&s->deadlines, &c->deadline, HTTP_NEVER) < 0) {
		free(c);
		return NULL;
	}
	c->server = s;
	c->fd = fd;
	c->tcp = l->tcp;
	c->opened_usec = clock_mono_usec();
	if (l->tls) {
		SSL_CTX_up_ref(s->tls);
		c->tls = s->tls;
	}
	if (c->tcp) /* 435 instead of 23 exchanges a second over TLS */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	LIST_INSERT_HEAD(&s->conns, c, link);
	s->n_conns++;
	return c;
}

void conn_accept(
	struct http_listener *l, int fd, const struct sockaddr *address, socklen_t size)
{
	struct http_server *s = l->server;
	char peer[FORWARDED_TEXT_SIZE];
	const char *reason = NULL;
	struct http_conn *c = NULL;
	bool proxied = l->tcp && s->proxy_protocol;

	peer_text(address, size, peer);
	if (s->n_conns >= s->limits.max_connections)
		reason = "too many connections";
	else if (!(c = conn_new(l, fd)))
		reason = "out of memory";
	if (c) {
		memcpy(c->peer, peer, sizeof(peer));
		/* Behind a balancer its own address says nothing about the client. */
		if (!proxied)
			reason = count_address(c);
		if (!reason && proxied && begin_proxy(c) < 0)
			reason = "out of memory";
	}
	if (reason) {
		server_refused(s, peer, l->tls ? 0 : 503, reason);
		if (c) {
			c->fd = -1;
			conn_close(c);
		}
		conn_turn_away(s, fd, l->tls);
	} else if (!proxied) {
		conn_begin(c);
	}
}
