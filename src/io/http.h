/*
 * An HTTP/1.1 server on bufferevents: connections, deadlines, limits, framing. It knows
 * nothing of sources or jobs; a handler decides at the head whether a body is wanted and
 * answers each request once, now or later. The same code serves the public listeners and
 * the control socket.
 *
 *   accept -> [PROXY] -> [TLS] -> head -> on_head -> body -> on_request -> http_reply -+
 *                                  ^                                                   |
 *                                  +------------------- keep-alive -- on_end <---------+
 *
 * While a request is in flight no further one is looked at: one at a time, constant memory.
 * Everything happens on the loop's thread; two servers share nothing. The program ignores
 * SIGPIPE: a bufferevent's writes cannot.
 */
#ifndef IO_HTTP_H
#define IO_HTTP_H

#include "rules/cidr.h"
#include "rules/config.h"
#include "rules/message.h"

#include <event2/event.h>

struct http_server;
struct http_request;
struct ssl_ctx_st;

struct http_handler {
	/*
	 * The head is complete and sound; no body byte was taken, no 100 was sent. Either
	 * returns (the body is then read) or calls http_reply(), which refuses before the
	 * body.
	 */
	void (*on_head)(void *arg, struct http_request *r);
	/* The body is complete. Ends in exactly one http_reply() or http_stream_end(),
	 * now or later. */
	void (*on_request)(void *arg, struct http_request *r);
	/* The peer is gone before the answer (only told to servers with `long_poll`). The
	 * handler must still end the request with http_reply() or http_stream_end(). A
	 * peer that only shut down its sending side waits for its answer: it is not gone. */
	void (*on_gone)(void *arg, struct http_request *r);
	/* The peer has taken all that was written to its stream: there is room again. May be
	 * NULL. */
	void (*on_room)(void *arg, struct http_request *r);
	/* The server itself refused: framing, limits, deadlines. For the journal. `peer`
	 * and `reason` are borrowed. status 0: closed without an answer. */
	void (*on_refused)(void *arg, struct bytes peer, int status, const char *reason);
	/* A request is over (answered or abandoned); last call for it: free your data.
	 * May be NULL. Comes from the loop, never from within http_reply() or
	 * http_stream_*(), but for http_server_free(). Only for what on_head has seen. */
	void (*on_end)(void *arg, struct http_request *r);
};

/*
 * Besides the limits of the configuration:
 * - an answer is written within 20 s and 500 B/s, at most BodyTimeout: as slow as a body may
 *   be read (a stream's deadline begins at its end; before, its room is its limit);
 * - a handler of a server without `long_poll` has 30 s, then the peer is told 503;
 * - what was refused is read on for at most 5 s and 16 MiB and thrown away, so that the
 *   peer finds the answer and not a reset.
 */
struct http_options {
	struct event_base *base;
	const struct http_handler *handler;
	void *arg;
	bool long_poll; /* control socket: watch for the peer's going, no deadline for
			   answers */
};

int http_server_new(struct http_server **ret, const struct http_options *o) MUST_CHECK;
/* Closes everything at once, frees. Requests in flight get on_end. From the loop or from
 * on_drained, not from within a handler. */
void http_server_free(struct http_server *s);
/* New limits for new connections and next requests. Copies what it needs; trusted proxies
 * too. Must come before http_server_listen(). 0 or -ENOMEM. */
int http_server_configure(struct http_server *s, const struct config_limits *limits,
	const struct cidr_list *trusted_proxy, bool proxy_protocol) MUST_CHECK;
/* For TLS listeners: takes a reference; new connections use it. */
void http_server_set_tls(struct http_server *s, struct ssl_ctx_st *ctx);
/* Owns the listening descriptor, non-blocking from here on, also on failure. 0, -EINVAL
 * (not configured, or TLS without a context), -ENOMEM. */
int http_server_listen(struct http_server *s, int fd, bool tls) MUST_CHECK;
/* Closes the listeners; busy connections close after their answer (Connection: close); one
 * that has not sent its first request yet has a second for it, an idle one 0.2 s for its next,
 * a request that has begun five, then it is told 503. on_drained is called when none is left
 * (at once if so). */
void http_server_drain(struct http_server *s, void (*on_drained)(void *arg), void *arg);
unsigned http_server_connections(const struct http_server *s);

/* Valid until the request's on_end. The body is there from on_request on. */
const struct message *http_message(const struct http_request *r);
void *http_data(const struct http_request *r);
void http_set_data(struct http_request *r, void *data);
bool http_is_tls(const struct http_request *r);

/* Extra header line of the answer, before http_reply: name and value are copied, and must
 * be sound. */
void http_header(struct http_request *r, const char *name, const char *value);
/* Ends the request; `body` is copied. `type` NULL: no body. An answer before the body has
 * come closes the connection. HEAD is never a method here (its answer has no body). */
void http_reply(struct http_request *r, int status, const char *type, struct bytes body);
/*
 * An endless answer (chunked, or to HTTP/1.0 until the close): begin, any number of writes,
 * end. http_stream_room() is how many bytes may still be buffered; a write that finds none
 * left returns -EPIPE: the peer is too slow to keep, or gone. The stream is over then, and
 * on_end comes from the loop (http_stream_end() in between does nothing). http_stream_break()
 * closes the connection before the end, so that the peer knows it for none.
 */
void http_stream_begin(struct http_request *r, int status, const char *type);
int http_stream_write(struct http_request *r, struct bytes data);
void http_stream_end(struct http_request *r);
void http_stream_break(struct http_request *r);
size_t http_stream_room(const struct http_request *r); /* at most HTTP_STREAM_ROOM */
#define HTTP_STREAM_ROOM (64u << 10)

#endif
