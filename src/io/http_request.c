/*
 * One request, from its first complete head to on_end. The head's bytes, its fields and the
 * parser are one block that exists only while the request does.
 */
#include "io/http_private.h"

#include "base/clock.h"

#include <errno.h>

/* Bodies grow in few steps until they are large enough for pages of their own: each step
 * leaves a hole behind, and a thousand bodies a thousand. */
#define FEW_BYTES (64u << 10)

static size_t count_lines(struct bytes head)
{
	size_t n = 0;

	for (size_t i = 0; i < head.size; i++)
		n += head.data[i] == '\n';
	return n;
}

/* Copies the head out of the input: nothing of a request points into a moving buffer. */
static struct http_request *request_new(struct http_conn *c, struct bytes head)
{
	size_t n_headers = count_lines(head), max = c->server->limits.max_headers;

	if (n_headers > max)
		n_headers = max;
	struct http_request *r = calloc(
		1, sizeof(*r) + n_headers * sizeof(r->headers[0]) + head.size);
	if (!r)
		return NULL;
	r->server = c->server;
	r->conn = c;
	r->is_tls = c->ssl != NULL;
	r->head_bytes = (char *)&r->headers[n_headers];
	memcpy(r->head_bytes, head.data, head.size);
	memcpy(r->peer, c->peer, sizeof(r->peer));
	c->request = r;
	return r;
}

void request_free(struct http_request *r)
{
	struct http_server *s = r->server;

	if (r->link.le_prev)
		LIST_REMOVE(r, link);
	if (r->shown && s->handler->on_end)
		s->handler->on_end(s->arg, r);
	s->body_bytes -= r->body_room;
	address_end_body(s, r->holder, r->body_room);
	address_release(s, r->address);
	text_fini(&r->extra);
	free(r->body);
	free(r);
}

void request_detach(struct http_request *r)
{
	struct http_server *s = r->server;

	r->conn = NULL;
	if (r->asked && !r->replied) {
		LIST_INSERT_HEAD(&s->detached, r, link);
		if (s->long_poll && !s->freeing && s->handler->on_gone)
			s->handler->on_gone(s->arg, r);
		return;
	}
	r->ended = true;
	LIST_INSERT_HEAD(&s->ended, r, link);
	server_wake(s);
}

struct bytes request_peer(const struct http_conn *c)
{
	return bytes_of(c->request ? c->request->peer : c->peer);
}

/* The client behind a proxy; the cap that its connection was spared counts here. */
static int take_client(struct http_conn *c, struct http_request *r)
{
	r->message.peer = bytes_of(r->peer);
	if (!c->trusted)
		return 0;
	char client[FORWARDED_TEXT_SIZE];
	forwarded_client(&r->message, &c->server->trusted, client);
	memcpy(r->peer, client, sizeof(client));
	r->message.peer = bytes_of(r->peer);
	/* A proxy that speaks for itself is exempt here too. */
	if (cidr_list_contains(&c->server->trusted, r->message.peer))
		return 0;
	return address_take(c->server, r->peer, &r->address);
}

static struct http_address *holder_of(const struct http_request *r)
{
	if (r->holder || r->address)
		return r->holder ? r->holder : r->address;
	return r->conn ? r->conn->address : NULL;
}

static bool over_budget(const struct http_request *r, uint64_t more)
{
	const struct http_server *s = r->server;
	uint64_t max = s->limits.max_body_bytes_in_flight;

	return more > max || s->body_bytes > max - more ||
	       !address_may_hold(s, holder_of(r), more);
}

/* What the server itself refuses a sound head for. 0 or the status. */
static int refuse_head(
	struct http_conn *c, struct http_request *r, const char **ret_reason)
{
	int taken = take_client(c, r);

	if (taken != 0) {
		*ret_reason = taken > 0 ? "too many requests of one address"
					: "out of memory";
		return 503;
	}
	if (r->head.length > c->server->limits.max_body_bytes) {
		*ret_reason = "body too large";
		return 413;
	}
	if (over_budget(r, r->head.length)) {
		*ret_reason = "too many bytes of bodies in flight";
		return 503;
	}
	return 0;
}

static void ask_handler(struct http_conn *c, struct http_request *r)
{
	struct http_server *s = c->server;

	r->complete = true;
	r->asked = true;
	r->message.body = (struct bytes){r->body ? r->body : "", r->body_size};
	r->message.received_usec = clock_wall_usec();
	conn_set_state(c, CONN_BUSY);
	if (s->handler->on_request)
		s->handler->on_request(s->arg, r);
}

/* The head is sound: to the handler, then to the body. */
static void begin_request(struct http_conn *c, struct http_request *r)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_server *s = c->server;
	bool body = r->head.chunked || r->head.length > 0;

	r->complete = !body;
	r->shown = true;
	if (s->handler->on_head)
		s->handler->on_head(s->arg, r);
	if (c->state != CONN_HEAD) /* answered, or the connection is gone */
		return;
	if (!body) {
		ask_handler(c, r);
		return;
	}
	conn_set_state(c, CONN_BODY);
	r->body_began_usec = clock_mono_usec();
	conn_deadline(c, conn_rate_deadline(c, r->body_began_usec, 0));
	/* RFC 9110, 10.1.1: who has begun to send already does not wait for it. */
	if (r->head.expect_continue &&
		evbuffer_get_length(bufferevent_get_input(c->bev)) == 0 &&
		bufferevent_write(c->bev, go_on, sizeof(go_on) - 1) < 0)
		conn_doom(c);
}

bool request_take_head(struct http_conn *c)
{
	const struct config_limits *l = &c->server->limits;
	struct head_limits limits = {
		l->max_header_bytes, l->max_headers, l->max_target_bytes};
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t window = evbuffer_get_length(in);
	const char *reason = "";

	if (window > l->max_header_bytes)
		window = l->max_header_bytes;
	struct bytes input = {
		(const char *)evbuffer_pullup(in, (ev_ssize_t)window), window};
	if (!input.data)
		return false;
	ptrdiff_t end = head_find_end(input, &limits);
	if (end == 0)
		return false;
	if (end < 0) {
		conn_refuse(c, head_overflow(input, &reason), reason);
		return true;
	}
	c->n_requests++;
	struct http_request *r = request_new(c, (struct bytes){input.data, (size_t)end});
	if (!r) {
		conn_refuse(c, 503, "out of memory");
		return true;
	}
	struct bytes head = {r->head_bytes, (size_t)end};
	evbuffer_drain(in, (size_t)end);
	int status = head_check(head, &limits, r->headers, &r->head, &reason);
	if (status == 0 && request_second_opinion(r, head) < 0) {
		status = 400;
		reason = "the parsers disagree on the head";
	}
	if (status == 0) {
		r->message = r->head.message;
		r->message.received_usec = clock_wall_usec();
		status = refuse_head(c, r, &reason);
	}
	if (status)
		conn_refuse(c, status, reason);
	else
		begin_request(c, r);
	return true;
}

int request_append(struct http_request *r, struct bytes data)
{
	struct http_server *s = r->server;
	size_t size = r->body_size + data.size;

	if (size > r->body_room) {
		size_t room = r->body_room * (r->body_room < FEW_BYTES ? 4 : 2);
		if (room == 0)
			room = 1024;
		if (room < size)
			room = size;
		if (r->head.has_length && room > r->head.length && r->head.length >= size)
			room = (size_t)r->head.length;
		/* What is announced costs its sender nothing, so only what has come counts,
		 * with the room that was made for it. */
		if (over_budget(r, room - r->body_room))
			return r->failed = -ENOBUFS;
		char *body = realloc(r->body, room);
		if (!body)
			return r->failed = -ENOMEM;
		r->body = body;
		if (r->body_room == 0 && (r->holder = holder_of(r)))
			address_begin_body(r->holder);
		s->body_bytes += room - r->body_room;
		if (r->holder)
			r->holder->body_bytes += room - r->body_room;
		r->body_room = room;
	}
	memcpy(r->body + r->body_size, data.data, data.size);
	r->body_size = size;
	return 0;
}

/* The part of `input` that belongs to this body; *ret_done when it is the last. 0 or the
 * status to refuse with. */
static int measure(struct http_request *r, struct bytes *input, bool *ret_done,
	const char **ret_reason)
{
	const struct config_limits *l = &r->server->limits;
	struct chunk_limits limits = {l->max_body_bytes, l->max_header_bytes};
	size_t used = 0;

	if (!r->head.chunked) {
		uint64_t missing = r->head.length - r->body_size;
		if (input->size > missing)
			input->size = (size_t)missing;
		*ret_done = input->size == missing;
		return 0;
	}
	int v = chunk_check(&r->chunk, &limits, *input, &used, ret_reason);
	if (v != CHUNK_MORE && v != CHUNK_DONE)
		return v;
	input->size = used;
	*ret_done = v == CHUNK_DONE;
	return 0;
}

static int take_piece(struct http_request *r, struct bytes *piece, bool *ret_done,
	const char **ret_reason)
{
	int status = measure(r, piece, ret_done, ret_reason);

	if (status)
		return status;
	int v = request_decode(r, *piece);
	if (v == -ENOBUFS || v == -ENOMEM) {
		*ret_reason = v == -ENOMEM ? "out of memory"
					   : "too many bytes of bodies in flight";
		return 503;
	}
	uint64_t size = r->head.chunked ? r->chunk.total : r->head.length;
	if (v < 0 || r->seen_end != *ret_done || (*ret_done && r->body_size != size)) {
		*ret_reason = "the parsers disagree on the body";
		return 400;
	}
	return 0;
}

bool request_take_body(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct http_request *r = c->request;
	struct evbuffer_iovec vec;
	const char *reason = "";
	bool done = false;

	while (!done && evbuffer_peek(in, -1, NULL, &vec, 1) > 0 && vec.iov_len > 0) {
		struct bytes piece = {vec.iov_base, vec.iov_len};
		int status = take_piece(r, &piece, &done, &reason);
		if (status) {
			conn_refuse(c, status, reason);
			return true;
		}
		evbuffer_drain(in, piece.size);
	}
	if (done)
		ask_handler(c, r);
	else
		conn_deadline(c, conn_rate_deadline(c, r->body_began_usec, r->body_size));
	return done;
}

/* --- what a handler may ask --- */

const struct message *http_message(const struct http_request *r)
{
	return &r->message;
}

void *http_data(const struct http_request *r)
{
	return r->data;
}

void http_set_data(struct http_request *r, void *data)
{
	r->data = data;
}

bool http_is_tls(const struct http_request *r)
{
	return r->is_tls;
}
