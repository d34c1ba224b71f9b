/*
 * The second opinion: every request that our own checks take goes through llhttp too, and
 * where the two see different things it is refused. llhttp also decodes the body. It gets
 * exactly one message's bytes and pauses at its end, so that it can be asked where that was;
 * what it thinks of Upgrade comes behind that pause and is not heard (RFC 9110, 7.8).
 */
#include "io/http_private.h"

#include <errno.h>

static int on_url(llhttp_t *p, const char *at, size_t size)
{
	struct http_request *r = p->data;

	r->seen_target = (struct bytes){at, size};
	return 0;
}

static int on_field(llhttp_t *p)
{
	struct http_request *r = p->data;

	if (!r->seen_head) /* trailers come here as well; they are dropped */
		r->seen_fields++;
	return 0;
}

static int on_headers(llhttp_t *p)
{
	struct http_request *r = p->data;

	r->seen_head = true;
	return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t size)
{
	return request_append(p->data, (struct bytes){at, size}) < 0 ? -1 : 0;
}

static int on_message(llhttp_t *p)
{
	struct http_request *r = p->data;

	r->seen_end = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field_complete = on_field,
	.on_headers_complete = on_headers,
	.on_body = on_body,
	.on_message_complete = on_message,
};

struct method {
	int number;
	const char *name;
};

#define METHOD(number, name, string) {number, #string},
static const struct method methods[] = {HTTP_METHOD_MAP(METHOD)};

/* llhttp's number of the method, -1 where it has none, or none for HTTP. */
static int method_number(struct bytes method)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (bytes_equal(method, bytes_of(methods[i].name)))
			return methods[i].number == HTTP_SOURCE ? -1 : methods[i].number;
	return -1;
}

static bool execute(llhttp_t *p, struct bytes b, bool *ret_ended)
{
	llhttp_errno_t error = llhttp_execute(p, b.data, b.size);

	*ret_ended = error == HPE_PAUSED;
	if (error == HPE_OK)
		return true;
	return error == HPE_PAUSED && llhttp_get_error_pos(p) == b.data + b.size;
}

int request_second_opinion(struct http_request *r, struct bytes head)
{
	const struct head *h = &r->head;
	size_t begin = (size_t)(h->message.method.data - head.data);
	int number = method_number(h->message.method);
	bool ended;

	llhttp_init(&r->parser, HTTP_REQUEST, &settings);
	r->parser.data = r;
	if (number < 0) {
		/* RFC 9110, 9: any token is a method, the contract says 405 to those it
		 * does not have; llhttp knows a list. Another one stands in. */
		if (!execute(&r->parser, bytes_of("POST"), &ended))
			return -EBADMSG;
		number = HTTP_POST;
		begin += h->message.method.size;
	}
	if (!execute(&r->parser, (struct bytes){head.data + begin, head.size - begin},
		    &ended))
		return -EBADMSG;

	const llhttp_t *p = &r->parser;
	bool no_body = !h->chunked && h->length == 0;
	if (!r->seen_head || r->seen_end != no_body || p->method != number ||
		p->http_major != 1 || p->http_minor != h->minor ||
		!bytes_equal(r->seen_target, h->request_target) ||
		r->seen_fields != h->message.n_headers)
		return -EBADMSG;
	if (!no_body && (((p->flags & F_CHUNKED) != 0) != h->chunked ||
				(!h->chunked && p->content_length != h->length)))
		return -EBADMSG;
	return 0;
}

int request_decode(struct http_request *r, struct bytes input)
{
	bool ended;

	if (r->seen_end)
		return -EBADMSG;
	if (!execute(&r->parser, input, &ended))
		return r->failed ? r->failed : -EBADMSG;
	return 0;
}
