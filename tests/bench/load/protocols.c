/*
 * HTTP, Redis and beanstalkd as the load speaks them: one request that stores the body,
 * one answer that says it is stored.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t append(char *out, size_t head, const struct request *r, const char *tail)
{
	size_t size = strlen(tail);

	memcpy(out + head, r->body, r->size);
	memcpy(out + head + r->size, tail, size);
	return head + r->size + size;
}

static size_t compose_http(char *out, const struct request *r)
{
	int n = snprintf(out, REQUEST_ROOM,
		"POST %s HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Type: application/json\r\n"
		"X-Signature: %s\r\nContent-Length: %zu\r\n\r\n",
		r->path, r->hex, r->size);
	return append(out, (size_t)n, r, "");
}

/* A whole answer: its head, and as many bytes as Content-Length says. */
static size_t answer_http(const char *in, size_t size, enum verdict *ret)
{
	const char *end = memmem(in, size, "\r\n\r\n", 4);

	if (!end)
		return 0;
	size_t head = (size_t)(end - in) + 4, body = 0;
	const char *length = memmem(in, head, "ontent-", 7);
	while (length && strncasecmp(length, "ontent-length:", 14) != 0)
		length = memmem(
			length + 1, (size_t)(in + head - length - 1), "ontent-", 7);
	if (length)
		body = strtoul(length + 14, NULL, 10);
	if (size < head + body)
		return 0;
	const char *status = in + strlen("HTTP/1.1 ");
	*ret = strncmp(status, "200", 3) == 0   ? ANSWER_OK
	       : strncmp(status, "503", 3) == 0 ? ANSWER_SHED
						: ANSWER_BAD;
	return head + body;
}

static size_t compose_redis(char *out, const struct request *r)
{
	int n = snprintf(out, REQUEST_ROOM,
		"*3\r\n$5\r\nLPUSH\r\n$9\r\ncallbacks\r\n$%zu\r\n", r->size);
	return append(out, (size_t)n, r, "\r\n");
}

static size_t line(const char *in, size_t size, const char *begin, enum verdict *ret)
{
	const char *end = memmem(in, size, "\r\n", 2);

	if (!end)
		return 0;
	*ret = strncmp(in, begin, strlen(begin)) == 0 ? ANSWER_OK : ANSWER_BAD;
	return (size_t)(end - in) + 2;
}

static size_t answer_redis(const char *in, size_t size, enum verdict *ret)
{
	return line(in, size, ":", ret);
}

static size_t compose_beanstalk(char *out, const struct request *r)
{
	int n = snprintf(out, REQUEST_ROOM, "put 0 0 60 %zu\r\n", r->size);
	return append(out, (size_t)n, r, "\r\n");
}

static size_t answer_beanstalk(const char *in, size_t size, enum verdict *ret)
{
	return line(in, size, "INSERTED ", ret);
}

const struct protocol load_http = {"http", NULL, compose_http, answer_http};
const struct protocol load_redis = {"redis", NULL, compose_redis, answer_redis};
const struct protocol load_beanstalk = {
	"beanstalk", NULL, compose_beanstalk, answer_beanstalk};
