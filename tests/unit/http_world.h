/*
 * A server and its clients in one process and one thread: the loop is turned by hand until
 * what is waited for has come, or 5 s are over. The handler does what the path says:
 *   /echo     answers 200 with the body        /refuse   404 at the head
 *   /later    keeps the request in `held`      /big      8 MiB
 *   /stream   begins a stream, keeps it        /allow    405 with Allow, after the body
 */
#ifndef HTTP_WORLD_H
#define HTTP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "io/http_private.h"
#include "io/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_USEC (5 * USEC_PER_SEC)

struct world {
	struct event_base *base;
	struct http_server *server;
	struct config_limits limits;
	struct cidr_list trusted;
	int port;
	char path[64]; /* of a unix listener */
	struct http_request *held;
	unsigned heads, requests, ends, gone, refusals, drained;
	int last_refused;
	char last_reason[128], last_peer[64], last_refused_peer[64];
	struct text log; /* "METHOD target [body]\n" of each request served */
};

struct client {
	int fd;
	struct text in;
	bool eof, reset;
};

static char *big_body(void)
{
	static char body[8u << 20];

	memset(body, 'b', sizeof(body));
	return body;
}

static void on_head(void *arg, struct http_request *r)
{
	struct world *w = arg;

	w->heads++;
	snprintf(w->last_peer, sizeof(w->last_peer), "%.*s",
		BYTES_FMT(http_message(r)->peer));
	if (bytes_equal(http_message(r)->path, bytes_of("/refuse")))
		http_reply(r, 404, "application/json", bytes_of("{}"));
}

static void on_request(void *arg, struct http_request *r)
{
	struct world *w = arg;
	const struct message *m = http_message(r);

	w->requests++;
	text_add(&w->log, m->method);
	text_addc(&w->log, ' ');
	text_add(&w->log, m->target);
	text_adds(&w->log, " [");
	text_add(&w->log, m->body);
	text_adds(&w->log, "]\n");
	if (bytes_equal(m->path, bytes_of("/later"))) {
		w->held = r;
	} else if (bytes_equal(m->path, bytes_of("/stream"))) {
		http_stream_begin(r, 200, "text/plain");
		w->held = r;
	} else if (bytes_equal(m->path, bytes_of("/big"))) {
		http_reply(r, 200, "text/plain", (struct bytes){big_body(), 8u << 20});
	} else if (bytes_equal(m->path, bytes_of("/allow"))) {
		http_header(r, "Allow", "POST");
		http_header(r, "X-Split", "a\r\nSet-Cookie: b");
		http_reply(r, 405, NULL, BYTES_NONE);
	} else {
		http_reply(r, 200, "application/json", m->body);
	}
}

static void on_gone(void *arg, struct http_request *r)
{
	struct world *w = arg;

	w->gone++;
	if (r == w->held)
		w->held = NULL;
	http_reply(r, 200, NULL, BYTES_NONE);
	http_stream_end(r);
}

static void on_refused(void *arg, struct bytes peer, int status, const char *reason)
{
	struct world *w = arg;

	w->refusals++;
	w->last_refused = status;
	snprintf(w->last_refused_peer, sizeof(w->last_refused_peer), "%.*s",
		BYTES_FMT(peer));
	snprintf(w->last_reason, sizeof(w->last_reason), "%s", reason);
}

static void on_end(void *arg, struct http_request *r)
{
	struct world *w = arg;

	w->ends++;
	if (r == w->held)
		w->held = NULL;
}

static inline void on_drained(void *arg)
{
	((struct world *)arg)->drained++;
}

static const struct http_handler world_handler = {.on_head = on_head,
	.on_request = on_request,
	.on_gone = on_gone,
	.on_refused = on_refused,
	.on_end = on_end};

static void world_configure(struct world *w, bool proxy)
{
	assert_int_equal(
		http_server_configure(w->server, &w->limits, &w->trusted, proxy), 0);
}

static void world_listen(struct world *w, bool tls)
{
	struct sockaddr_in a;
	socklen_t size = sizeof(a);
	char *error = NULL;
	int fd = -1;

	assert_int_equal(listen_open("127.0.0.1:0", 0, &fd, &error), 0);
	getsockname(fd, (struct sockaddr *)&a, &size);
	w->port = ntohs(a.sin_port);
	assert_int_equal(http_server_listen(w->server, fd, tls), 0);
}

static void world_init(struct world *w, bool long_poll)
{
	*w = (struct world){.limits = {
				    .handshake_timeout_usec = 10 * USEC_PER_SEC,
				    .header_timeout_usec = 10 * USEC_PER_SEC,
				    .body_timeout_usec = 120 * USEC_PER_SEC,
				    .keep_alive_timeout_usec = 15 * USEC_PER_SEC,
				    .body_min_rate = 500,
				    .max_connections = 1000,
				    .max_connections_per_address = 900,
				    .max_header_bytes = 16384,
				    .max_headers = 100,
				    .max_target_bytes = 8192,
				    .max_body_bytes = 1 << 20,
				    .max_body_bytes_in_flight = 64 << 20,
				    .max_requests_per_connection = 1000,
			    }};
	signal(SIGPIPE, SIG_IGN);
	w->base = event_base_new();
	assert_non_null(w->base);
	struct http_options o = {w->base, &world_handler, w, long_poll};
	assert_int_equal(http_server_new(&w->server, &o), 0);
	world_configure(w, false);
}

static inline void world_listen_unix(struct world *w)
{
	char *error = NULL;
	int fd = -1;

	snprintf(w->path, sizeof(w->path), "/tmp/callbackd-test-%d.sock", (int)getpid());
	assert_int_equal(listen_open(w->path, 0600, &fd, &error), 0);
	assert_int_equal(http_server_listen(w->server, fd, false), 0);
}

static void world_fini(struct world *w)
{
	http_server_free(w->server);
	/* Whatever on_head has seen has come to its end. */
	assert_int_equal(w->heads, w->ends);
	if (w->path[0])
		unlink(w->path);
	cidr_list_fini(&w->trusted);
	text_fini(&w->log);
	event_base_free(w->base);
}

static struct client client_open(struct world *w)
{
	struct client c = {.fd = -1};
	int one = 1;

	if (w->path[0]) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		snprintf(a.sun_path, sizeof(a.sun_path), "%s", w->path);
		c.fd = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(c.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	} else {
		struct sockaddr_in a = {.sin_family = AF_INET,
			.sin_port = htons((uint16_t)w->port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		c.fd = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(c.fd, (struct sockaddr *)&a, sizeof(a)), 0);
		setsockopt(c.fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	}
	fcntl(c.fd, F_SETFL, O_NONBLOCK);
	return c;
}

static void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	text_fini(&c->in);
}

static void client_read(struct client *c)
{
	char buffer[65536];
	ssize_t n;

	while (c->fd >= 0 && (n = recv(c->fd, buffer, sizeof(buffer), 0)) >= 0) {
		if (n == 0) {
			c->eof = true;
			return;
		}
		text_add(&c->in, (struct bytes){buffer, (size_t)n});
	}
	if (errno == ECONNRESET)
		c->reset = c->eof = true;
}

static void turn(struct world *w)
{
	struct pollfd p = {.fd = -1};

	if (event_base_loop(w->base, EVLOOP_NONBLOCK) < 0)
		fail();
	poll(&p, 0, 0);
}

/* Turns the loop until `what` holds. */
#define UNTIL(w, what)                                                        \
	do {                                                                  \
		uint64_t until_ = 0;                                          \
		struct timespec ts_;                                          \
		bool done_ = false;                                           \
		while (!(done_ = (what))) {                                   \
			turn(w);                                              \
			clock_gettime(CLOCK_MONOTONIC, &ts_);                 \
			uint64_t now_ = (uint64_t)ts_.tv_sec * USEC_PER_SEC + \
					(uint64_t)ts_.tv_nsec / 1000;         \
			until_ = until_ ? until_ : now_ + WAIT_USEC;          \
			if (now_ > until_)                                    \
				break;                                        \
		}                                                             \
		if (!done_)                                                   \
			fail_msg("waited in vain for " #what);                \
	} while (0)

/* So many turns that whatever was sent over loopback is looked at. */
static void settle(struct world *w)
{
	for (int i = 0; i < 6; i++)
		turn(w);
}

static void client_send(struct world *w, struct client *c, struct bytes b)
{
	while (b.size) {
		ssize_t n = send(c->fd, b.data, b.size, MSG_NOSIGNAL);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return;
		if (n < 0) {
			turn(w);
			continue;
		}
		b = (struct bytes){b.data + n, b.size - (size_t)n};
	}
}

static void client_sends(struct world *w, struct client *c, const char *s)
{
	client_send(w, c, bytes_of(s));
}

/* The statuses of all whole answers, "100 200 "; *ret_rest is what is behind them. */
static const char *statuses(struct client *c, bool head, struct bytes *ret_rest)
{
	static char out[4096];
	struct bytes rest = text_bytes(&c->in);
	size_t n = 0;

	out[0] = '\0';
	while (rest.size > 12) {
		const char *end = memmem(rest.data, rest.size, "\r\n\r\n", 4);
		const char *length = end ? memmem(rest.data, (size_t)(end - rest.data),
						   "Content-Length: ", 16)
					 : NULL;
		size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
		if (!end || memcmp(rest.data, "HTTP/1.1 ", 9) != 0)
			break;
		size_t size = (size_t)(end + 4 - rest.data) + (head ? 0 : body);
		if (size > rest.size || n + 8 > sizeof(out))
			break;
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.3s ", rest.data + 9);
		rest = (struct bytes){rest.data + size, rest.size - size};
	}
	if (ret_rest)
		*ret_rest = rest;
	return out;
}

static inline bool got(struct client *c, const char *expected)
{
	client_read(c);
	return strcmp(statuses(c, false, NULL), expected) == 0;
}

static bool closed(struct client *c)
{
	client_read(c);
	return c->eof;
}

static inline bool has(struct client *c, const char *text)
{
	client_read(c);
	struct bytes in = text_bytes(&c->in);
	return memmem(in.data, in.size, text, strlen(text)) != NULL;
}

static inline void assert_log(struct world *w, const char *expected)
{
	assert_string_equal(w->log.data ? w->log.data : "", expected);
}

#endif
