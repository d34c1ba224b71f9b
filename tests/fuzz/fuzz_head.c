/*
 * The pure readers of the listener on arbitrary bytes: heads, chunked bodies, targets,
 * PROXY headers, forwarded addresses. Oracle: a head or a body that ours takes is taken by
 * llhttp, strict, with the same method, target, fields and length, and a body ends at the
 * same byte with the same size, however it is cut.
 */
#include "rules/chunk.h"
#include "rules/forwarded.h"
#include "rules/head.h"
#include "rules/proxy.h"
#include "rules/target.h"

#include <llhttp.h>
#include <stdio.h>

#define CHECK(what)                                                                \
	do {                                                                       \
		if (!(what)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                   \
		}                                                                  \
	} while (0)

static const struct head_limits limits = {4096, 32, 1024};
static const struct chunk_limits chunk_limits = {10000, 256};

struct seen {
	struct bytes target;
	size_t fields, body;
	bool head, end;
};

static int on_url(llhttp_t *p, const char *at, size_t size)
{
	((struct seen *)p->data)->target = (struct bytes){at, size};
	return 0;
}

static int on_field(llhttp_t *p)
{
	struct seen *s = p->data;
	s->fields += !s->head;
	return 0;
}

static int on_headers(llhttp_t *p)
{
	((struct seen *)p->data)->head = true;
	p->upgrade = 0;
	return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t size)
{
	(void)at;
	((struct seen *)p->data)->body += size;
	return 0;
}

static int on_end(llhttp_t *p)
{
	((struct seen *)p->data)->end = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_url = on_url,
	.on_header_field_complete = on_field,
	.on_headers_complete = on_headers,
	.on_body = on_body,
	.on_message_complete = on_end};

static int llhttp_number(struct bytes method)
{
#define METHOD(number, name, string)                                         \
	if (bytes_equal(method, bytes_of(#string)) && number != HTTP_SOURCE) \
		return number;
	HTTP_METHOD_MAP(METHOD)
	return -1;
}

/* Is there a tab behind a value that says how long the body is? */
static bool tab_behind_length(const struct message *m)
{
	for (size_t i = 0; i < m->n_headers; i++) {
		const struct message_header *f = &m->headers[i];
		const char *p = f->value.data + f->value.size;
		if (!bytes_equal_nocase(f->name, bytes_of("Content-Length")) &&
			!bytes_equal_nocase(f->name, bytes_of("Transfer-Encoding")))
			continue;
		for (; *p != '\r'; p++)
			if (*p == '\t')
				return true;
	}
	return false;
}

static void try_head(struct bytes input)
{
	struct message_header headers[32];
	struct head h;
	const char *reason = NULL;
	ptrdiff_t end = head_find_end(input, &limits);

	CHECK(end <= (ptrdiff_t)input.size);
	if (end < 0)
		CHECK(head_overflow(input, &reason) >= 414 && reason);
	if (end <= 0)
		return;
	/* More input does not move an end that was found. */
	CHECK(head_find_end((struct bytes){input.data, (size_t)end}, &limits) == end);
	struct bytes text = {input.data, (size_t)end};
	int status = head_check(text, &limits, headers, &h, &reason);
	if (status) {
		CHECK(reason && (status == 400 || status == 404 || status == 414 ||
					status == 415 || status == 417 || status == 431));
		return;
	}
	CHECK(!(h.chunked && h.has_length) && h.message.n_headers <= 32);
	CHECK(h.message.path.size > 0 &&
		(h.message.path.data[0] == '/' ||
			(bytes_equal(h.message.path, bytes_of("*")) &&
				bytes_equal(h.message.method, bytes_of("OPTIONS")))));
	int number = llhttp_number(h.message.method);
	if (number < 0)
		return;
	struct seen s = {0};
	llhttp_t p;
	llhttp_init(&p, HTTP_REQUEST, &settings);
	p.data = &s;
	llhttp_errno_t error = llhttp_execute(&p, text.data, text.size);
	bool body = h.chunked || h.length > 0;
	/* There llhttp 8.1 takes blanks and no tabs (measured); the listener then says 400. */
	if (error != HPE_OK && error != HPE_PAUSED && tab_behind_length(&h.message))
		return;
	CHECK(error == (body ? HPE_OK : HPE_PAUSED));
	CHECK(s.head && s.end == !body && p.method == number && p.http_minor == h.minor);
	CHECK(bytes_equal(s.target, h.request_target));
	CHECK(s.fields == h.message.n_headers);
	if (body) {
		CHECK(((p.flags & F_CHUNKED) != 0) == h.chunked);
		CHECK(h.chunked || p.content_length == h.length);
	}
}

static void try_chunks(struct bytes input)
{
	static const char head[] =
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
	const char *reason = NULL;
	struct chunk whole = {0}, cut = {0};
	size_t used = 0, sum = 0, piece = 0;
	int v = chunk_check(&whole, &chunk_limits, input, &used, &reason), w = CHUNK_MORE;

	for (size_t i = 0; i < input.size && w == CHUNK_MORE; i += piece, sum += piece) {
		piece = 1 + (i * 7 + input.size) % 5;
		if (piece > input.size - i)
			piece = input.size - i;
		w = chunk_check(&cut, &chunk_limits,
			(struct bytes){input.data + i, piece}, &piece, &reason);
	}
	CHECK(v == w);
	if (v != CHUNK_DONE)
		return;
	CHECK(sum == used && whole.total == cut.total);
	struct seen s = {0};
	llhttp_t p;
	llhttp_init(&p, HTTP_REQUEST, &settings);
	p.data = &s;
	CHECK(llhttp_execute(&p, head, sizeof(head) - 1) == HPE_OK);
	/* llhttp 8.1 also refuses (measured) a quoted pair in an extension, a token value
	 * before another extension, and a second Content-Length in trailers; the listener
	 * then says 400. A body with neither extensions nor trailers both must take: its
	 * last CRLF is all the overhead it has. */
	if (llhttp_execute(&p, input.data, used) != HPE_PAUSED) {
		CHECK(whole.overhead > 2);
		return;
	}
	CHECK(llhttp_get_error_pos(&p) == input.data + used);
	CHECK(s.body == whole.total);
}

static void try_rest(struct bytes input)
{
	char out[FORWARDED_TEXT_SIZE], again[FORWARDED_TEXT_SIZE];
	struct cidr_list none = {0};
	const char *reason = NULL;
	struct target t;
	size_t more = 0;
	struct message_header header = {bytes_of("X-Forwarded-For"), input};
	struct message m = {
		.headers = &header, .n_headers = 1, .peer = bytes_of("192.0.2.1")};
	struct bytes v = BYTES_NONE;

	if (target_parse(input, &t, &reason) == 0)
		CHECK(t.path.size <= t.origin.size && t.origin.data[0] == '/');
	if (target_host_valid(input))
		CHECK(!memchr(input.data, '@', input.size) &&
			!memchr(input.data, '/', input.size));
	if (forwarded_address(input, out) == 0) { /* its own text is its fixed point */
		CHECK(forwarded_address(bytes_of(out), again) == 0);
		CHECK(strcmp(out, again) == 0);
	}
	CHECK(forwarded_client(&m, &none, out).size > 0);
	if (input.size && proxy_begin(input, &more) == 0)
		(void)!proxy_client(input, out);
	(void)message_parameter(input, bytes_of("a&"), &v);
	(void)message_header(&m, "x-forwarded-for", &v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {(const char *)data, size};

	try_head(input);
	try_chunks(input);
	try_rest(input);
	return 0;
}
