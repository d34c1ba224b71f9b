/*
 * The load generator's parts: load.c drives N connections and measures, peer.c is one of
 * them, each protocol is a row of a table. A protocol composes one request and knows a
 * whole answer when it sees one; it owns nothing.
 */
#ifndef LOAD_H
#define LOAD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
	const char *path; /* HTTP: what is asked for */
	const char *id;   /* differs in every request */
	const char *hex;  /* HMAC-SHA256 of the body */
	const char *body;
	size_t size;
};

enum verdict { ANSWER_OK, ANSWER_SHED, ANSWER_BAD };

struct protocol {
	const char *name;
	/* Speaks first on a new, still blocking connection; NULL = nothing to say. */
	bool (*greet)(int fd);
	/* Bytes written to `out`, which has room for the body and REQUEST_ROOM. */
	size_t (*compose)(char *out, const struct request *r);
	/* Bytes that the first whole answer takes, 0 when it is not whole yet. */
	size_t (*answer)(const char *in, size_t size, enum verdict *ret);
};

#define REQUEST_ROOM 1024
#define ANSWER_ROOM  8192

extern const struct protocol load_http, load_redis, load_beanstalk, load_postgres;

struct peer {
	int fd;
	SSL *tls;
	char *out, in[ANSWER_ROOM];
	size_t size, sent, got;
	bool busy, waits_for_room;
	uint64_t due_ns, sent_ns; /* when it was to be sent, and when it was */
};

/* Connects and greets, blocking; ends the program when that fails. */
void peer_open(struct peer *p, int port, const struct protocol *protocol, SSL_CTX *tls);
void peer_close(struct peer *p);
/* What is left of the request. False = the connection is gone. */
bool peer_push(struct peer *p);
/* What has come. False = the connection is gone. */
bool peer_pull(struct peer *p);

#endif
