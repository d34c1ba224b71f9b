/*
 * PostgreSQL's own protocol, version 3 (its manual, chapter 55): one INSERT is parsed when
 * the connection opens, each request is Bind, Execute, Sync in one write, the body as
 * binary. Each is a transaction of its own; user and database are "bench", and the server
 * asks for no password.
 */
#include "load.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char *put_int(char *at, uint32_t n)
{
	n = htonl(n);
	memcpy(at, &n, 4);
	return at + 4;
}

static char *put_short(char *at, uint16_t n)
{
	n = htons(n);
	memcpy(at, &n, 2);
	return at + 2;
}

static char *put_text(char *at, const char *text)
{
	return stpcpy(at, text) + 1;
}

/* A message: its letter, its length with the four bytes of the length, what it says. */
static char *begin(char *at, char letter, char **ret_length)
{
	*at++ = letter;
	*ret_length = at;
	return at + 4;
}

static char *end(char *at, char *length)
{
	put_int(length, (uint32_t)(at - length));
	return at;
}

static char *sync_message(char *at)
{
	*at++ = 'S';
	return put_int(at, 4);
}

static size_t answer_postgres(const char *in, size_t size, enum verdict *ret)
{
	bool stored = false, failed = false;

	for (size_t at = 0; size - at >= 5;) {
		uint32_t length;
		memcpy(&length, in + at + 1, 4);
		length = ntohl(length) + 1;
		if (size - at < length)
			return 0;
		char letter = in[at];
		stored = stored || letter == 'C';
		failed = failed || letter == 'E';
		at += length;
		if (letter == 'Z') {
			*ret = stored && !failed ? ANSWER_OK : ANSWER_BAD;
			return at;
		}
	}
	return 0;
}

static bool until_ready(int fd)
{
	char in[ANSWER_ROOM];
	size_t got = 0;
	enum verdict verdict;

	while (!answer_postgres(in, got, &verdict)) {
		ssize_t n = recv(fd, in + got, sizeof(in) - got, 0);
		if (n <= 0 || memchr(in + got, 'E', 1) == in + got)
			return false;
		got += (size_t)n;
	}
	return true;
}

static bool say(int fd, const char *out, const char *at)
{
	return send(fd, out, (size_t)(at - out), MSG_NOSIGNAL) == at - out &&
	       until_ready(fd);
}

static bool greet(int fd)
{
	char out[512], *length, *at = put_int(out + 4, 196608);

	at = put_text(put_text(at, "user"), "bench");
	at = put_text(put_text(at, "database"), "bench");
	*at++ = '\0';
	put_int(out, (uint32_t)(at - out));
	if (!say(fd, out, at))
		return false;

	at = begin(out, 'P', &length);
	at = put_text(at, "put");
	at = put_text(at, "INSERT INTO callback VALUES ('bench', $1, $2)");
	at = end(put_short(at, 0), length);
	return say(fd, out, sync_message(at));
}

static size_t compose_postgres(char *out, const struct request *r)
{
	char *length, *at = begin(out, 'B', &length);

	at = put_text(put_text(at, ""), "put");
	at = put_short(put_short(put_short(at, 2), 0), 1); /* text, then binary */
	at = put_short(at, 2);
	at = put_int(at, (uint32_t)strlen(r->id));
	at = stpcpy(at, r->id);
	at = put_int(at, (uint32_t)r->size);
	memcpy(at, r->body, r->size);
	at = end(put_short(at + r->size, 0), length);
	at = begin(at, 'E', &length);
	at = end(put_int(put_text(at, ""), 0), length);
	return (size_t)(sync_message(at) - out);
}

const struct protocol load_postgres = {
	"postgres", greet, compose_postgres, answer_postgres};
