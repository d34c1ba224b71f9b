/*
 * The server: its listeners, the heap of deadlines and its one timer, orderly stop. The timer
 * also buries: connections and requests that end while somebody up the stack still holds them
 * are freed from here, where nobody does.
 */
#include "io/http_private.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void on_rested(evutil_socket_t fd, short what, void *arg);

int http_server_new(struct http_server **ret, const struct http_options *o)
{
	struct http_server *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->base = o->base;
	s->handler = o->handler;
	s->arg = o->arg;
	s->long_poll = o->long_poll;
	s->timer_usec = HTTP_NEVER;
	s->date_second = -1;
	s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s->timer = event_new(s->base, -1, 0, on_timer, s);
	s->rest = event_new(s->base, -1, 0, on_rested, s);
	if (!s->timer || !s->rest || map_init(&s->addresses) < 0) {
		http_server_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

static void close_listeners(struct http_server *s)
{
	struct http_listener *l;

	while ((l = LIST_FIRST(&s->listeners))) {
		LIST_REMOVE(l, link);
		evconnlistener_free(l->listener);
		free(l);
	}
}

static void bury(struct http_server *s)
{
	struct http_request *r;
	struct http_conn *c;

	while ((r = LIST_FIRST(&s->ended)))
		request_free(r);
	while ((c = LIST_FIRST(&s->dead_conns))) {
		LIST_REMOVE(c, link);
		free(c);
	}
}

void http_server_free(struct http_server *s)
{
	struct http_request *r;
	struct http_conn *c;

	if (!s)
		return;
	s->freeing = true;
	close_listeners(s);
	while ((c = LIST_FIRST(&s->conns)))
		conn_close(c);
	while ((r = LIST_FIRST(&s->detached)))
		request_free(r);
	bury(s);
	if (s->timer)
		event_free(s->timer);
	if (s->rest)
		event_free(s->rest);
	if (s->reserve_fd >= 0)
		close(s->reserve_fd);
	SSL_CTX_free(s->tls);
	map_fini(&s->addresses);
	heap_fini(&s->deadlines);
	cidr_list_fini(&s->trusted);
	free(s);
}

int http_server_configure(struct http_server *s, const struct config_limits *limits,
	const struct cidr_list *trusted_proxy, bool proxy_protocol)
{
	struct cidr_list copy = {0};

	if (trusted_proxy && trusted_proxy->size) {
		copy.ranges = reallocarray(
			NULL, trusted_proxy->size, sizeof(*copy.ranges));
		if (!copy.ranges)
			return -ENOMEM;
		copy.size = trusted_proxy->size;
		memcpy(copy.ranges, trusted_proxy->ranges,
			copy.size * sizeof(*copy.ranges));
	}
	cidr_list_fini(&s->trusted);
	s->trusted = copy;
	s->limits = *limits;
	s->proxy_protocol = proxy_protocol;
	s->configured = true;
	return 0;
}

void http_server_set_tls(struct http_server *s, struct ssl_ctx_st *ctx)
{
	if (ctx)
		SSL_CTX_up_ref(ctx);
	SSL_CTX_free(s->tls);
	s->tls = ctx;
}

unsigned http_server_connections(const struct http_server *s)
{
	return s->n_conns;
}

void server_refused(
	struct http_server *s, const char *peer, int status, const char *reason)
{
	if (s->handler->on_refused)
		s->handler->on_refused(s->arg, bytes_of(peer), status, reason);
}

/* --- accepting --- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd,
	struct sockaddr *address, int size, void *arg)
{
	(void)listener;
	conn_accept(arg, fd, address, (socklen_t)size);
}

static void set_accepting(struct http_server *s, bool on)
{
	struct http_listener *l;

	LIST_FOREACH (l, &s->listeners, link) {
		if (on)
			evconnlistener_enable(l->listener);
		else
			evconnlistener_disable(l->listener);
	}
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	set_accepting(arg, true);
}

/* With the reserve descriptor some peers are told instead of left to hang in the queue, one
 * after another. */
static void use_reserve(struct http_server *s, struct http_listener *l)
{
	if (s->reserve_fd < 0)
		return;
	close(s->reserve_fd);
	for (int i = 0; i < HTTP_TOLD_AT_ONCE; i++) {
		int fd = accept4(evconnlistener_get_fd(l->listener), NULL, NULL,
			SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			break;
		conn_turn_away(s, fd, l->tls);
	}
	s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/*
 * The listener stays readable when accept() fails: libevent would call this for ever. So
 * accepting rests for a moment, and one refusal is reported for the whole shortage.
 */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct http_listener *l = arg;
	struct http_server *s = l->server;
	int error = EVUTIL_SOCKET_ERROR();
	uint64_t now = clock_mono_usec();
	struct timeval rest = {0, (suseconds_t)HTTP_ACCEPT_REST_USEC};

	(void)listener;
	if (error == EMFILE || error == ENFILE) {
		if (s->reserve_fd < 0)
			s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		else
			use_reserve(s, l);
	}
	set_accepting(s, false);
	event_add(s->rest, &rest);
	if (s->short_usec == 0 || now - s->short_usec > HTTP_ACCEPT_TOLD_USEC)
		server_refused(s, "", 0,
			error == EMFILE || error == ENFILE ? "out of descriptors"
							   : "accept failed");
	s->short_usec = now;
}

int http_server_listen(struct http_server *s, int fd, bool tls)
{
	struct http_listener *l = NULL;
	int r = -EINVAL, domain = AF_UNSPEC;
	socklen_t size = sizeof(domain);

	if (!s->configured || s->draining || (tls && !s->tls))
		goto fail;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
		evutil_make_socket_nonblocking(fd) < 0) {
		r = -errno;
		goto fail;
	}
	r = -ENOMEM;
	l = calloc(1, sizeof(*l));
	if (!l)
		goto fail;
	l->server = s;
	l->tls = tls;
	l->tcp = domain == AF_INET || domain == AF_INET6;
	/* Backlog 0: it listens already. */
	l->listener = evconnlistener_new(s->base, on_accept, l,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!l->listener)
		goto fail;
	evconnlistener_set_error_cb(l->listener, on_accept_error);
	LIST_INSERT_HEAD(&s->listeners, l, link);
	return 0;
fail:
	free(l);
	close(fd);
	return r;
}

/* --- deadlines --- */

static void arm_timer(struct http_server *s, uint64_t usec)
{
	uint64_t now = clock_mono_usec(), wait = usec > now ? usec - now : 0;
	struct timeval tv = {
		(time_t)(wait / USEC_PER_SEC), (suseconds_t)(wait % USEC_PER_SEC)};

	s->timer_usec = usec;
	event_add(s->timer, &tv);
}

void server_wake(struct http_server *s)
{
	if (!s->freeing)
		event_active(s->timer, EV_TIMEOUT, 0);
}

void conn_deadline(struct http_conn *c, uint64_t usec)
{
	struct http_server *s = c->server;

	if (s->draining && usec > s->drain_usec &&
		(c->state == CONN_HEAD || c->state == CONN_BODY))
		usec = s->drain_usec;
	/* It is inside since conn_accept(): moving needs no memory and cannot fail. */
	if (heap_put(&s->deadlines, &c->deadline, usec) < 0)
		abort();
	/* A deadline that moved back leaves the timer alone: it fires early and is set anew. */
	if (usec < s->timer_usec)
		arm_timer(s, usec);
}

void server_run_deadlines(struct http_server *s)
{
	uint64_t now = clock_mono_usec();
	struct heap_entry *first;

	while ((first = heap_first(&s->deadlines)) && first->key <= now) {
		struct http_conn *c = container_of(first, struct http_conn, deadline);
		/* Whoever is late gets a new deadline below, or is closed. */
		if (heap_put(&s->deadlines, first, HTTP_NEVER) < 0)
			abort();
		conn_late(c);
	}
	s->timer_usec = HTTP_NEVER;
	if (first && first->key != HTTP_NEVER)
		arm_timer(s, first->key);
}

static void tell_drained(struct http_server *s)
{
	void (*on_drained)(void *arg) = s->on_drained;

	if (!s->draining || s->n_conns > 0 || !on_drained)
		return;
	s->on_drained = NULL;
	on_drained(s->drained_arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;

	(void)fd, (void)what;
	server_run_deadlines(s);
	bury(s);
	tell_drained(s); /* may free the server */
}

/*
 * Who has kept a connection sends the next request at any moment, and would find it closed
 * without knowing whether that was read. A new one was opened to send one.
 */
uint64_t drain_idle_usec(const struct http_conn *c)
{
	return c->n_requests ? HTTP_DRAIN_IDLE_USEC : HTTP_DRAIN_USEC;
}

/* How long a connection may stay as it is. */
static uint64_t drain_usec(const struct http_conn *c)
{
	switch (c->state) {
	case CONN_IDLE: return drain_idle_usec(c);
	case CONN_PROXY:
	case CONN_HANDSHAKE:
	case CONN_LINGER: return HTTP_DRAIN_USEC;
	default: return HTTP_DRAIN_REST_USEC;
	}
}

void http_server_drain(struct http_server *s, void (*on_drained)(void *arg), void *arg)
{
	uint64_t now = clock_mono_usec();
	struct http_conn *c;

	s->draining = true;
	s->drain_usec = now + HTTP_DRAIN_REST_USEC;
	s->on_drained = on_drained;
	s->drained_arg = arg;
	event_del(s->rest);
	close_listeners(s);
	LIST_FOREACH (c, &s->conns, link) {
		uint64_t limit = now + drain_usec(c);

		if (c->state != CONN_BUSY && c->deadline.key > limit)
			conn_deadline(c, limit);
	}
	tell_drained(s);
}
