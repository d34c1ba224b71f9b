/*
 * People keep requests in many ways, so lines may end as they like and the rest of a
 * header is taken as it is: it is the verifier that has to be strict.
 */
#include "api/captured.h"

#include "base/codec.h"
#include "rules/head.h"
#include "rules/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* NAME or NAME_base64 of the request. 0; 1 with the problem; -ENOMEM. */
static int read_bytes(const json_t *request, const char *name, char **ret,
	size_t *ret_size, char problem[static CAPTURED_PROBLEM_SIZE])
{
	char other[32];

	snprintf(other, sizeof(other), "%s_base64", name);
	const json_t *text = json_object_get(request, name);
	const json_t *base64 = json_object_get(request, other);
	const json_t *given = text ? text : base64;
	if (given && (!json_is_string(given) || (text && base64))) {
		snprintf(problem, CAPTURED_PROBLEM_SIZE, "one string is wanted, %s or %s",
			name, other);
		return 1;
	}
	struct bytes b = {json_string_value(given), json_string_length(given)};
	*ret = malloc(b.size + 1);
	if (!*ret)
		return -ENOMEM;
	ptrdiff_t n = (ptrdiff_t)b.size;
	if (base64)
		n = codec_base64_decode(b, (unsigned char *)*ret, b.size);
	else if (b.size)
		memcpy(*ret, b.data, b.size);
	if (n < 0) {
		snprintf(problem, CAPTURED_PROBLEM_SIZE, "%s is not base64", other);
		return 1;
	}
	*ret_size = (size_t)n;
	return 0;
}

/* "POST /callback/s HTTP/1.1": no header has a blank in its name. */
static bool is_request_line(struct bytes line)
{
	const char *blank = memchr(line.data, ' ', line.size);
	const char *colon = memchr(line.data, ':', line.size);

	return blank && (!colon || blank < colon) &&
	       memmem(line.data, line.size, " HTTP/", 6) != NULL;
}

static int take_request_line(
	struct captured *c, struct bytes line, char problem[static CAPTURED_PROBLEM_SIZE])
{
	struct bytes rest;
	struct target target;
	const char *reason;

	c->message.method = bytes_split(line, ' ', &rest);
	if (target_parse(bytes_split(rest, ' ', &rest), &target, &reason) < 0) {
		snprintf(problem, CAPTURED_PROBLEM_SIZE,
			"the request line's target is none: %s", reason);
		return 1;
	}
	c->message.target = target.origin;
	c->message.path = target.path;
	c->message.query = target.query;
	c->has_target = true;
	return 0;
}

static int take_header(struct captured *c, struct bytes line, unsigned number,
	char problem[static CAPTURED_PROBLEM_SIZE])
{
	struct bytes value;
	struct bytes name = bytes_split(line, ':', &value);

	if (!value.data || !head_is_token(name)) {
		snprintf(problem, CAPTURED_PROBLEM_SIZE,
			"line %u of the headers is not \"Name: value\"", number);
		return 1;
	}
	if (c->message.n_headers == CAPTURED_HEADERS_MAX) {
		snprintf(problem, CAPTURED_PROBLEM_SIZE, "more than %d headers",
			CAPTURED_HEADERS_MAX);
		return 1;
	}
	c->headers[c->message.n_headers++] = (struct message_header){
		name, bytes_trim(value)};
	return 0;
}

static int take_lines(
	struct captured *c, struct bytes head, char problem[static CAPTURED_PROBLEM_SIZE])
{
	unsigned number = 0;
	int r = 0;

	while (r == 0 && head.data) {
		struct bytes line = bytes_split(head, '\n', &head);
		number++;
		if (line.size && line.data[line.size - 1] == '\r')
			line.size--;
		if (bytes_trim(line).size == 0)
			continue;
		if (number == 1 && is_request_line(line))
			r = take_request_line(c, line, problem);
		else
			r = take_header(c, line, number, problem);
	}
	return r;
}

int captured_read(const json_t *request, const char *path, struct captured **ret,
	char problem[static CAPTURED_PROBLEM_SIZE])
{
	struct captured *c = calloc(1, sizeof(*c));
	size_t head_size = 0, body_size = 0;

	*ret = c;
	if (!c)
		return -ENOMEM;
	c->message = (struct message){.method = bytes_of("POST"),
		.target = bytes_of(path),
		.path = bytes_of(path),
		.headers = c->headers};
	int r = read_bytes(request, "headers", &c->head, &head_size, problem);
	if (r == 0)
		r = read_bytes(request, "body", &c->body, &body_size, problem);
	if (r == 0)
		r = take_lines(c, (struct bytes){c->head, head_size}, problem);
	if (r == 0)
		c->message.body = (struct bytes){c->body, body_size};
	return r;
}

void captured_free(struct captured *c)
{
	if (!c)
		return;
	free(c->head);
	free(c->body);
	free(c);
}
