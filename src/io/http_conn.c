/*
 * One connection: its states, what comes in, how it ends. conn_close() makes it DEAD and
 * takes all it holds; its memory goes when the stack is empty, so whoever called something
 * that may close looks at the state again and never at freed memory.
 */
#include "io/http_private.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <unistd.h>

#define BIT(state) (1u << (state))

static const unsigned successors[] = {
	[CONN_PROXY] = BIT(CONN_HANDSHAKE) | BIT(CONN_IDLE) | BIT(CONN_DEAD),
	[CONN_HANDSHAKE] = BIT(CONN_IDLE) | BIT(CONN_DEAD),
	[CONN_IDLE] = BIT(CONN_HEAD) | BIT(CONN_DEAD),
	[CONN_HEAD] = BIT(CONN_BODY) | BIT(CONN_BUSY) | BIT(CONN_WRITE) | BIT(CONN_DEAD),
	[CONN_BODY] = BIT(CONN_BUSY) | BIT(CONN_WRITE) | BIT(CONN_DEAD),
	[CONN_BUSY] = BIT(CONN_WRITE) | BIT(CONN_DEAD),
	[CONN_WRITE] = BIT(CONN_IDLE) | BIT(CONN_LINGER) | BIT(CONN_DEAD),
	[CONN_LINGER] = BIT(CONN_DEAD),
	[CONN_DEAD] = 0,
};

static uint64_t idle_usec(const struct http_conn *c)
{
	const struct http_server *s = c->server;
	uint64_t usec = s->limits.keep_alive_timeout_usec, limit = drain_idle_usec(c);

	if (c->trusted && usec < HTTP_PROXY_IDLE_USEC)
		usec = HTTP_PROXY_IDLE_USEC;
	return s->draining && usec > limit ? limit : usec;
}

void conn_set_state(struct http_conn *c, enum conn_state state)
{
	assert(successors[c->state] & BIT(state));
	c->state = state;
	if (state == CONN_IDLE) {
		conn_deadline(c, clock_mono_usec() + idle_usec(c));
		/* A head must fit (a reload may have changed how large it may be); beyond
		 * that nothing is read ahead. Not with TLS: what a suspended read leaves in
		 * OpenSSL's record no event ever fetches; one record is the bound there. */
		if (!c->ssl)
			bufferevent_setwatermark(c->bev, EV_READ, 0,
				(size_t)c->server->limits.max_header_bytes);
	} else if (state == CONN_HEAD) {
		conn_deadline(
			c, clock_mono_usec() + c->server->limits.header_timeout_usec);
	} else if (state == CONN_BUSY) {
		conn_deadline(c, c->server->long_poll
					 ? HTTP_NEVER
					 : clock_mono_usec() + HTTP_ANSWER_USEC);
	}
}

uint64_t conn_rate_deadline(
	const struct http_conn *c, uint64_t began_usec, uint64_t bytes)
{
	const struct config_limits *l = &c->server->limits;
	uint64_t usec = l->body_timeout_usec;

	if (l->body_min_rate && bytes / l->body_min_rate < usec / USEC_PER_SEC) {
		uint64_t paced = HTTP_GRACE_USEC +
				 bytes * USEC_PER_SEC / l->body_min_rate;
		usec = paced < usec ? paced : usec;
	}
	return began_usec + usec;
}

static void release(struct http_conn *c)
{
	if (c->raw)
		event_free(c->raw);
	if (c->bev)
		bufferevent_free(c->bev);
	SSL_free(c->ssl);
	SSL_CTX_free(c->tls);
	free(c->proxy);
	c->raw = NULL;
	c->bev = NULL;
	c->ssl = NULL;
	c->tls = NULL;
	c->proxy = NULL;
}

void conn_close(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct http_request *r = c->request;

	if (c->state == CONN_DEAD)
		return;
	conn_set_state(c, CONN_DEAD);
	c->request = NULL;
	release(c);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	heap_remove(&s->deadlines, &c->deadline);
	address_release(s, c->address);
	c->address = NULL;
	LIST_REMOVE(c, link);
	LIST_INSERT_HEAD(&s->dead_conns, c, link);
	s->n_conns--;
	server_wake(s);
	if (r)
		request_detach(r);
}

void conn_doom(struct http_conn *c)
{
	c->broken = true;
	conn_deadline(c, 0);
}

/* --- after the last answer --- */

static void on_lingering(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;
	char waste[16384];

	(void)what;
	for (int i = 0; i < 16; i++) {
		ssize_t n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		c->lingered_bytes += n > 0 ? (unsigned)n : 0;
		if (n <= 0 || c->lingered_bytes > HTTP_LINGER_BYTES) {
			conn_close(c);
			return;
		}
	}
}

/*
 * A close() with unread bytes, or with some still under way, is a reset, and a reset may
 * overtake the answer (RFC 9112, 9.6). So the sending half is shut, and the rest is read
 * and thrown away until the peer closes too.
 */
static void conn_linger(struct http_conn *c)
{
	if (c->eof || c->broken) {
		conn_close(c);
		return;
	}
	if (c->ssl && SSL_is_init_finished(c->ssl)) {
		SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	release(c);
	conn_set_state(c, CONN_LINGER);
	conn_deadline(c, clock_mono_usec() + (c->server->draining ? HTTP_DRAIN_USEC
								  : HTTP_LINGER_USEC));
	c->raw = event_new(c->server->base, c->fd, EV_READ | EV_PERSIST, on_lingering, c);
	if (shutdown(c->fd, SHUT_WR) < 0 || !c->raw || event_add(c->raw, NULL) < 0)
		conn_close(c);
}

static void conn_answered(struct http_conn *c)
{
	struct http_request *r = c->request;

	c->request = NULL;
	if (r) {
		r->conn = NULL;
		request_free(r);
	}
	if (c->close || c->broken) {
		conn_linger(c);
		return;
	}
	conn_set_state(c, CONN_IDLE);
	conn_process(c);
}

/* --- what the loop reports --- */

void conn_process(struct http_conn *c)
{
	bool went_on = true;

	while (went_on) {
		switch (c->state) {
		case CONN_IDLE:
			went_on = evbuffer_get_length(bufferevent_get_input(c->bev)) > 0;
			if (went_on)
				conn_set_state(c, CONN_HEAD);
			break;
		case CONN_HEAD: went_on = request_take_head(c); break;
		case CONN_BODY: went_on = request_take_body(c); break;
		default: went_on = false;
		}
	}
	/* Only when all that was read is used up: a read for every answer would pile up. */
	if (c->paused && c->state >= CONN_IDLE && c->state <= CONN_BODY) {
		c->paused = false;
		bufferevent_enable(c->bev, EV_READ);
	}
	/* All that was here is served; with the stream at its end nothing more comes. */
	if (c->eof && c->state == CONN_IDLE)
		conn_close(c);
	else if (c->eof && (c->state == CONN_HEAD || c->state == CONN_BODY))
		conn_refuse(c, 400, "end of stream within a request");
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;

	/* A pipelining peer: what one read brought stays, the rest waits in the kernel. Only
	 * now is reading stopped, not for every request: most peers never come here. */
	if (c->state == CONN_BUSY || c->state == CONN_WRITE) {
		c->paused = true;
		bufferevent_disable(bev, EV_READ);
	} else {
		conn_process(c);
	}
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;
	const struct http_handler *h = c->server->handler;

	if (evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		return;
	if (c->state == CONN_WRITE)
		conn_answered(c);
	else if (c->state == CONN_BUSY && c->request && c->request->streaming &&
		 !c->request->replied && h->on_room)
		h->on_room(c->server->arg, c->request);
}

/* Shut in both directions, or in one? A peer that only sends no more wants its answer. */
static bool hung_up(const struct http_conn *c)
{
	struct pollfd p = {.fd = c->fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void on_end_of_stream(struct http_conn *c, bool error)
{
	c->eof = true;
	c->broken = c->broken || error || hung_up(c);
	switch (c->state) {
	case CONN_BUSY:
		bufferevent_disable(c->bev, EV_READ);
		if (c->broken && c->server->long_poll)
			conn_close(c);
		break;
	case CONN_WRITE:
		bufferevent_disable(c->bev, EV_READ);
		if (c->broken)
			conn_close(c);
		break;
	case CONN_HANDSHAKE:
		server_refused(c->server, c->peer, 0, "TLS handshake failed");
		conn_close(c);
		break;
	default:
		if (c->broken)
			conn_close(c);
		else
			conn_process(c);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		conn_set_state(c, CONN_IDLE);
	} else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
		ERR_clear_error();
		/* A reset under a TLS write is told as the end of a stream. */
		on_end_of_stream(c, (what & (BEV_EVENT_ERROR | BEV_EVENT_WRITING)) != 0);
	}
}

int conn_attach(struct http_conn *c, struct bufferevent *bev)
{
	c->bev = bev;
	bufferevent_setcb(bev, on_read, on_written, on_event, c);
	return bufferevent_enable(bev, EV_READ | EV_WRITE) < 0 ? -ENOMEM : 0;
}

static bool has_unread(const struct http_conn *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* The deadline has passed. */
void conn_late(struct http_conn *c)
{
	struct http_server *s = c->server;

	if (c->broken) {
		conn_close(c);
		return;
	}
	switch (c->state) {
	case CONN_PROXY:
	case CONN_HANDSHAKE:
		server_refused(s, c->peer, 0, "handshake too slow");
		conn_close(c);
		break;
	case CONN_HEAD:
	case CONN_BODY:
		if (s->draining)
			conn_refuse(c, 503, "stopping");
		else
			conn_refuse(c, 408,
				c->state == CONN_HEAD ? "head too slow"
						      : "body too slow");
		break;
	case CONN_BUSY: conn_refuse(c, 503, "no answer in time"); break;
	case CONN_WRITE:
		server_refused(
			s, request_peer(c).data, 0, "peer does not read its answer");
		conn_close(c);
		break;
	case CONN_IDLE:
		if (has_unread(c)) /* its bytes and its deadline came in one turn */
			conn_deadline(c, clock_mono_usec() + HTTP_DRAIN_IDLE_USEC);
		else
			conn_close(c);
		break;
	case CONN_LINGER:
	case CONN_DEAD: conn_close(c);
	}
}
