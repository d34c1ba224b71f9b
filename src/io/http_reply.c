/*
 * Answers: composed in one piece, so that one write (one TLS record) carries head and body.
 * Nothing here calls a handler back; what a failed write ends is ended from the loop.
 */
#include "io/http_private.h"

#include "base/clock.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

struct status {
	int code;
	const char *phrase;
	const char *error; /* what the server itself says with it: nothing */
};

static const struct status statuses[] = {
	{200, "OK", NULL},
	{201, "Created", NULL},
	{202, "Accepted", NULL},
	{204, "No Content", NULL},
	{400, "Bad Request", "bad request"},
	{401, "Unauthorized", "unauthorized"},
	{403, "Forbidden", "forbidden"},
	{404, "Not Found", "not found"},
	{405, "Method Not Allowed", "method not allowed"},
	{408, "Request Timeout", "request timeout"},
	{409, "Conflict", "conflict"},
	{413, "Content Too Large", "content too large"},
	{414, "URI Too Long", "uri too long"},
	{415, "Unsupported Media Type", "unsupported media type"},
	{417, "Expectation Failed", "expectation failed"},
	{422, "Unprocessable Content", "unprocessable content"},
	{429, "Too Many Requests", "too many requests"},
	{431, "Request Header Fields Too Large", "request header fields too large"},
	{500, "Internal Server Error", "internal server error"},
	{501, "Not Implemented", "not implemented"},
	{502, "Bad Gateway", "bad gateway"},
	{503, "Service Unavailable", "service unavailable"},
	{504, "Gateway Timeout", "gateway timeout"},
	{507, "Insufficient Storage", "insufficient storage"},
};

static const struct status *find_status(int code)
{
	static const struct status other = {0, "Other", "error"};

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].code == code)
			return &statuses[i];
	return &other;
}

const char *reply_refusal(void)
{
	return "HTTP/1.1 503 Service Unavailable\r\n"
	       "Retry-After: " HTTP_RETRY_AFTER "\r\n"
	       "Content-Type: application/json\r\n"
	       "Content-Length: 31\r\n"
	       "Connection: close\r\n\r\n"
	       "{\"error\":\"service unavailable\"}";
}

/* RFC 9110, 6.6.1 and 5.6.7. Once a second; no locale has a say in it. */
static const char *date_line(struct http_server *s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t second = clock_wall_usec() / (int64_t)USEC_PER_SEC;
	time_t t = (time_t)second;
	struct tm tm;

	if (second == s->date_second || !gmtime_r(&t, &tm))
		return s->date;
	snprintf(s->date, sizeof(s->date),
		"Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
		days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
		(tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec);
	s->date_second = second;
	return s->date;
}

static bool line_is_sound(const char *name, const char *value)
{
	for (const char *p = value; *p; p++)
		if (!head_is_value_char(*p))
			return false;
	return head_is_token(bytes_of(name));
}

void http_header(struct http_request *r, const char *name, const char *value)
{
	if (line_is_sound(name, value)) /* a second answer must not be smuggled in */
		text_addf(&r->extra, "%s: %s\r\n", name, value);
}

static bool must_close(const struct http_conn *c, const struct http_request *r)
{
	return !r || !r->head.keep_alive || !r->complete || c->server->draining ||
	       c->broken ||
	       c->n_requests >= c->server->limits.max_requests_per_connection;
}

static void add_head(struct text *t, struct http_conn *c, const struct http_request *r,
	int status, const char *type, struct bytes extra)
{
	text_addf(t, "HTTP/1.1 %d %s\r\n%s", status, find_status(status)->phrase,
		date_line(c->server));
	if (type && line_is_sound("Content-Type", type)) {
		text_adds(t, "Content-Type: ");
		text_adds(t, type);
		/* a browser strayed here */
		text_adds(t, "\r\nX-Content-Type-Options: nosniff\r\n");
	}
	text_add(t, extra);
	if (c->close)
		text_adds(t, "Connection: close\r\n");
	else if (r && r->head.minor == 0)
		text_adds(t, "Connection: keep-alive\r\n");
}

/*
 * An answer mostly fits into the socket's own buffer: sent from here it costs no turn of the
 * loop and no epoll_ctl(2) to wait for what is there already. How many bytes of it are gone;
 * whatever is wrong, the rest will meet it in the buffer event.
 */
static size_t send_at_once(struct http_conn *c, struct bytes text)
{
	if (c->ssl || evbuffer_get_length(bufferevent_get_output(c->bev)) > 0)
		return 0;
	ssize_t n = send(c->fd, text.data, text.size, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n > 0 ? (size_t)n : 0;
}

static bool send_text(struct http_conn *c, struct text *t)
{
	bool sent = !t->failed && !c->broken &&
		    bufferevent_write(c->bev, t->data, t->size) == 0;

	text_fini(t);
	return sent;
}

static bool send_answer(struct http_conn *c, struct text *t)
{
	size_t gone = t->failed || c->broken ? 0 : send_at_once(c, text_bytes(t));

	if (gone == 0)
		return send_text(c, t);
	bool sent = gone == t->size ||
		    bufferevent_write(c->bev, t->data + gone, t->size - gone) == 0;
	text_fini(t);
	return sent;
}

/* The last bytes of the answer are in the buffer: they have their time to go out. */
static void finish_answer(struct http_conn *c, bool sent)
{
	size_t size = evbuffer_get_length(bufferevent_get_output(c->bev));
	uint64_t now = clock_mono_usec(), usec = conn_rate_deadline(c, now, size);

	conn_set_state(c, CONN_WRITE);
	/* With nothing left to write nothing would be reported as written. */
	if (size == 0)
		bufferevent_trigger(c->bev, EV_WRITE, BEV_OPT_DEFER_CALLBACKS);
	if (c->server->draining && usec > now + HTTP_DRAIN_REST_USEC)
		usec = now + HTTP_DRAIN_REST_USEC;
	conn_deadline(c, usec);
	if (!sent)
		conn_doom(c);
}

static void answer(struct http_conn *c, const struct http_request *r, int status,
	const char *type, struct bytes extra, struct bytes body)
{
	struct text t = TEXT_EMPTY;

	c->close = must_close(c, r);
	add_head(&t, c, r, status, type, extra);
	if (status >= 200 && status != 204 && status != 304)
		text_addf(&t, "Content-Length: %zu\r\n", type ? body.size : 0);
	text_adds(&t, "\r\n");
	/* RFC 9110, 9.3.2: what follows the answer to a HEAD is the next answer. */
	if (type && !(r && bytes_equal(r->message.method, bytes_of("HEAD"))))
		text_add(&t, body);
	/* Without its Allow or Retry-After it would be another answer. */
	t.failed = t.failed || (r && r->extra.failed);
	finish_answer(c, send_answer(c, &t));
}

void conn_refuse(struct http_conn *c, int status, const char *reason)
{
	struct http_request *r = c->request;
	char body[64];

	server_refused(c->server, request_peer(c).data, status, reason);
	snprintf(body, sizeof(body), "{\"error\":\"%s\"}", find_status(status)->error);
	if (c->state == CONN_BUSY) { /* its handler still owes an answer, to nobody */
		c->request = NULL;
		request_detach(r);
		r = NULL;
	} else if (r) {
		r->replied = true;
		r->complete = false; /* nothing behind it is served */
	}
	answer(c, r, status, "application/json",
		bytes_of(status == 503 ? "Retry-After: " HTTP_RETRY_AFTER "\r\n" : ""),
		bytes_of(body));
}

/* The handler is done with it; the peer may be gone since long. */
static void end_detached(struct http_request *r)
{
	r->replied = true;
	if (r->ended)
		return;
	r->ended = true;
	LIST_REMOVE(r, link);
	LIST_INSERT_HEAD(&r->server->ended, r, link);
	server_wake(r->server);
}

void http_reply(struct http_request *r, int status, const char *type, struct bytes body)
{
	if (r->replied || r->streaming)
		return;
	if (!r->conn) {
		end_detached(r);
		return;
	}
	r->replied = true;
	answer(r->conn, r, status, type, text_bytes(&r->extra), body);
}

/* --- streams --- */

void http_stream_begin(struct http_request *r, int status, const char *type)
{
	struct http_conn *c = r->conn;
	struct text t = TEXT_EMPTY;

	if (r->replied || r->streaming)
		return;
	r->streaming = true;
	if (!c)
		return;
	r->stream_chunked = r->head.minor == 1;
	c->close = !r->stream_chunked || must_close(c, r);
	add_head(&t, c, r, status, type, text_bytes(&r->extra));
	text_adds(&t, r->stream_chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
	conn_deadline(c, HTTP_NEVER);
	if (!send_text(c, &t) || r->extra.failed)
		conn_doom(c);
}

size_t http_stream_room(const struct http_request *r)
{
	if (!r->conn || !r->conn->bev)
		return 0;
	size_t waits = evbuffer_get_length(bufferevent_get_output(r->conn->bev));
	return waits < HTTP_STREAM_ROOM ? HTTP_STREAM_ROOM - waits : 0;
}

static bool send_piece(struct http_request *r, struct bytes data)
{
	struct text t = TEXT_EMPTY;

	if (r->stream_chunked)
		text_addf(&t, "%zx\r\n", data.size);
	text_add(&t, data);
	if (r->stream_chunked)
		text_adds(&t, "\r\n");
	return send_text(r->conn, &t);
}

int http_stream_write(struct http_request *r, struct bytes data)
{
	struct http_conn *c = r->conn;

	if (!r->streaming || r->replied)
		return -EPIPE;
	if (!c) {
		end_detached(r);
		return -EPIPE;
	}
	if (data.size == 0) /* as a chunk it would be the end */
		return 0;
	if (http_stream_room(r) == 0 || !send_piece(r, data)) {
		r->replied = true;
		conn_doom(c);
		return -EPIPE;
	}
	return 0;
}

void http_stream_end(struct http_request *r)
{
	struct http_conn *c = r->conn;

	if (!r->streaming || r->replied)
		return;
	if (!c) {
		end_detached(r);
		return;
	}
	r->replied = true;
	c->close = c->close || c->server->draining;
	struct text t = TEXT_EMPTY;
	text_adds(&t, r->stream_chunked ? "0\r\n\r\n" : "");
	finish_answer(c, send_text(c, &t));
}

void http_stream_break(struct http_request *r)
{
	if (!r->streaming || r->replied)
		return;
	if (!r->conn) {
		end_detached(r);
		return;
	}
	r->replied = true;
	conn_doom(r->conn);
}
