/*
 * What the files of the listener share; nobody else includes this (but its own tests).
 *
 *   http_server.c    listeners, accepting, the deadlines' heap and its one timer, draining
 *   http_conn.c      one connection: states, reading, closing
 *   http_open.c      what comes before its first request: PROXY header, TLS handshake
 *   http_request.c   one request: its head, its body, its end
 *   http_parser.c    what llhttp says to it
 *   http_reply.c     answers and streams
 *   http_address.c   how much each address holds
 */
#ifndef IO_HTTP_PRIVATE_H
#define IO_HTTP_PRIVATE_H

#include "base/heap.h"
#include "base/map.h"
#include "base/text.h"
#include "io/http.h"
#include "rules/chunk.h"
#include "rules/forwarded.h"
#include "rules/head.h"
#include "rules/proxy.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <llhttp.h>
#include <openssl/ssl.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define HTTP_GRACE_USEC       (20 * USEC_PER_SEC) /* before the least rate of a body counts */
#define HTTP_ANSWER_USEC      (30 * USEC_PER_SEC)
#define HTTP_LINGER_USEC      (5 * USEC_PER_SEC)
#define HTTP_LINGER_BYTES     (16u << 20)
#define HTTP_PROXY_IDLE_USEC  (75 * USEC_PER_SEC)   /* nginx keeps its side for 60 s */
#define HTTP_DRAIN_IDLE_USEC  (200 * USEC_PER_MSEC) /* a request may be under way */
#define HTTP_DRAIN_USEC       (1 * USEC_PER_SEC)
#define HTTP_DRAIN_REST_USEC  (5 * USEC_PER_SEC) /* for what had begun */
#define HTTP_ACCEPT_REST_USEC (200 * USEC_PER_MSEC)
#define HTTP_TOLD_AT_ONCE     32
#define HTTP_ACCEPT_TOLD_USEC (10 * USEC_PER_SEC) /* quiet for so long: told anew */
#define HTTP_RETRY_AFTER      "5"
#define HTTP_NEVER            UINT64_MAX

/*
 *   PROXY ─► HANDSHAKE ─► IDLE ─► HEAD ─► BODY ─► BUSY ─► WRITE ─► LINGER ─► DEAD
 *                          ▲        └───────┴──────────────▲ │
 *                          └─────────────────────────────────┘
 * Each may end as DEAD; conn_set_state() is the only writer and holds the table.
 */
enum conn_state {
	CONN_PROXY, /* also the first state of all others, for no time */
	CONN_HANDSHAKE,
	CONN_IDLE, /* not a byte of the next request is here */
	CONN_HEAD,
	CONN_BODY,
	CONN_BUSY, /* the handler has the request, or its stream goes on */
	CONN_WRITE,
	CONN_LINGER, /* answered and shut down; what still comes is thrown away */
	CONN_DEAD,
};

struct http_address { /* what one address holds: connections, or requests behind proxies */
	struct map_entry entry;
	unsigned count;
	unsigned bodies;     /* requests that hold room for one */
	uint64_t body_bytes; /* that room; a request may outlive its connection */
	char text[FORWARDED_TEXT_SIZE];
};

struct http_listener {
	LIST_ENTRY(http_listener) link;
	struct http_server *server;
	struct evconnlistener *listener;
	bool tls;
	bool tcp;
};

struct http_proxy_header {
	char bytes[PROXY_KEPT_BYTES];
	size_t have, want;
};

struct http_conn {
	LIST_ENTRY(http_conn) link; /* of the server's living or dead ones */
	struct http_server *server;
	struct bufferevent *bev; /* NULL in PROXY, LINGER, DEAD */
	SSL *ssl;
	SSL_CTX *tls;      /* to be used once the PROXY header is there; a reference */
	struct event *raw; /* PROXY and LINGER read the descriptor themselves */
	struct http_proxy_header *proxy;
	struct http_request *request;
	struct http_address *address; /* NULL where no cap counts */
	struct heap_entry deadline;
	uint64_t opened_usec;
	int fd;
	enum conn_state state;
	unsigned n_requests;
	unsigned lingered_bytes;
	bool tcp : 1, trusted : 1;
	bool paused : 1; /* reading is: more came while one request was in flight */
	bool eof : 1;    /* the peer will send nothing more */
	bool broken : 1; /* the peer is gone: nothing can be sent either */
	bool close : 1;  /* after the answer that is being written */
	char peer[FORWARDED_TEXT_SIZE];
};

LIST_HEAD(http_conns, http_conn);
LIST_HEAD(http_requests, http_request);

/* Lives from the first complete head to on_end; an idle connection has none. One block with
 * its head's bytes and its fields behind it. */
struct http_request {
	LIST_ENTRY(http_request) link; /* while detached */
	struct http_server *server;
	struct http_conn *conn; /* NULL: detached, the connection is gone */
	struct head head;
	struct message message;
	llhttp_t parser;
	struct chunk chunk;
	char *body;
	size_t body_size, body_room;
	uint64_t body_began_usec;
	struct http_address *address; /* the client's, behind a proxy */
	struct http_address *holder;  /* whose share the body takes; NULL: nobody's */
	void *data;
	struct text extra; /* header lines of the answer */
	bool shown : 1;    /* on_head has seen it: on_end is due */
	bool asked : 1;    /* on_request has: only its handler ends it */
	bool complete : 1; /* the body is here to its end */
	bool replied : 1;
	bool streaming : 1;
	bool stream_chunked : 1;
	bool ended : 1; /* waits for on_end and its burial */
	bool is_tls : 1;
	/* The parser's view of the head. */
	struct bytes seen_target;
	size_t seen_fields;
	bool seen_head : 1, seen_end : 1;
	int failed; /* why the body could not be kept: -ENOMEM, -ENOBUFS */
	char peer[FORWARDED_TEXT_SIZE];
	char *head_bytes;
	struct message_header headers[];
};

struct http_server {
	struct event_base *base;
	const struct http_handler *handler;
	void *arg;
	bool long_poll;
	bool configured, proxy_protocol, draining, freeing;
	struct config_limits limits;
	struct cidr_list trusted;
	SSL_CTX *tls;
	LIST_HEAD(, http_listener) listeners;
	struct http_conns conns, dead_conns;
	struct http_requests detached, ended;
	unsigned n_conns;
	struct map addresses;
	struct heap deadlines;
	struct event *timer; /* the one of all deadlines, and the reaper of the dead */
	uint64_t timer_usec; /* when it fires, HTTP_NEVER when it does not */
	struct event *rest;  /* accepting goes on after a shortage of descriptors */
	int reserve_fd;
	uint64_t short_usec; /* of the last shortage */
	uint64_t drain_usec; /* while draining: when unfinished requests are given up */
	uint64_t body_bytes; /* in flight over all connections */
	void (*on_drained)(void *arg);
	void *drained_arg;
	int64_t date_second;
	char date[40];
};

/* http_server.c */
void server_wake(struct http_server *s); /* runs the timer from the loop, soon */
void server_refused(
	struct http_server *s, const char *peer, int status, const char *reason);
/* Ends all whose time has come; the loop's timer calls it, and tests. */
void server_run_deadlines(struct http_server *s);
uint64_t drain_idle_usec(
	const struct http_conn *c); /* of a drain: for its next request */

/* http_open.c */
void conn_accept(
	struct http_listener *l, int fd, const struct sockaddr *address, socklen_t size);
void conn_turn_away(struct http_server *s, int fd, bool tls); /* closes fd */
void conn_begin(struct http_conn *c); /* behind the PROXY header */
int conn_read_proxy(struct http_conn *c) MUST_CHECK;

/* http_conn.c */
void conn_set_state(struct http_conn *c, enum conn_state state);
void conn_deadline(struct http_conn *c, uint64_t usec); /* monotonic */
int conn_attach(struct http_conn *c, struct bufferevent *bev) MUST_CHECK;
void conn_close(struct http_conn *c);
void conn_doom(struct http_conn *c); /* closes it from the loop */
void conn_late(struct http_conn *c); /* its deadline has passed */
void conn_process(struct http_conn *c);
/* When so many bytes must have gone through since then: grace, least rate, BodyTimeout. */
uint64_t conn_rate_deadline(
	const struct http_conn *c, uint64_t began_usec, uint64_t bytes);

/* http_request.c: true when the state went on, false when more bytes are needed. */
bool request_take_head(struct http_conn *c);
bool request_take_body(struct http_conn *c);
void request_detach(struct http_request *r); /* its connection is gone */
void request_free(struct http_request *r);   /* with on_end where it is due */
struct bytes request_peer(const struct http_conn *c);

/* http_parser.c */
int request_second_opinion(struct http_request *r, struct bytes head) MUST_CHECK;
/* The next bytes of the body. 0, -EBADMSG, or r->failed. */
int request_decode(struct http_request *r, struct bytes input) MUST_CHECK;
/* Keeps decoded bytes; what goes wrong stays in r->failed too. 0 or that. */
int request_append(struct http_request *r, struct bytes data) MUST_CHECK;

/* http_reply.c */
/* The server's own answer to what it does not take; the connection closes after it. */
void conn_refuse(struct http_conn *c, int status, const char *reason);
const char *reply_refusal(void); /* a whole 503 */

/* http_address.c: 0; 1 the cap is reached; -ENOMEM. */
int address_take(
	struct http_server *s, const char *peer, struct http_address **ret) MUST_CHECK;
void address_release(struct http_server *s, struct http_address *a); /* NULL is fine */
/* The room of bodies in flight; NULL, a trusted proxy's own, has no share and no cap. */
bool address_may_hold(
	const struct http_server *s, const struct http_address *a, uint64_t more);
void address_begin_body(struct http_address *a);
void address_end_body(struct http_server *s, struct http_address *a, uint64_t bytes);

#endif
