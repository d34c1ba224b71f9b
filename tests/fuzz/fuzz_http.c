/*
 * The whole connection on arbitrary bytes in arbitrary cuts, over a socketpair. Oracle:
 * each request that reaches the handler is one that llhttp, strict, finds at the same place
 * of the stream, with the same method, target and body; and every request has one end.
 * Input: a byte that seeds the cuts and says how the peer ends and whether a PROXY header
 * is due, then the stream.
 */
#include "io/http_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/un.h>
#include <unistd.h>

#define CHECK(what)                                                                \
	do {                                                                       \
		if (!(what)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                   \
		}                                                                  \
	} while (0)

#define MAX_SERVED 64

struct served {
	struct text method, target, body;
	size_t n_headers;
};

static struct event_base *base;
static struct http_server *server;
static struct served served[MAX_SERVED];
static size_t n_served, n_heads, n_ends;
static struct http_request *held;
static bool refuse_some;

/* --- the handler --- */

static void on_head(void *arg, struct http_request *r)
{
	(void)arg;
	n_heads++;
	if (refuse_some && http_message(r)->path.size % 5 == 4)
		http_reply(r, 404, "application/json", bytes_of("{}"));
}

static void on_request(void *arg, struct http_request *r)
{
	const struct message *m = http_message(r);
	struct served *s = &served[n_served++ % MAX_SERVED];

	(void)arg;
	text_clear(&s->method);
	text_clear(&s->target);
	text_clear(&s->body);
	text_add(&s->method, m->method);
	text_add(&s->target, r->head.request_target);
	text_add(&s->body, m->body);
	s->n_headers = m->n_headers;
	CHECK(!held);
	held = r; /* answered from the loop, like a commit */
}

static void on_end(void *arg, struct http_request *r)
{
	(void)arg;
	n_ends++;
	if (held == r)
		held = NULL;
}

static const struct http_handler handler = {
	.on_head = on_head, .on_request = on_request, .on_end = on_end};

static void answer_held(void)
{
	struct http_request *r = held;

	if (!r)
		return;
	held = NULL;
	http_reply(r, 200, "application/json", bytes_of("{}"));
}

/* --- the oracle --- */

struct seen {
	struct text target, body;
	size_t fields;
	bool head;
};

static int seen_url(llhttp_t *p, const char *at, size_t size)
{
	text_add(&((struct seen *)p->data)->target, (struct bytes){at, size});
	return 0;
}

static int seen_field(llhttp_t *p)
{
	struct seen *s = p->data;
	s->fields += !s->head;
	return 0;
}

static int seen_headers(llhttp_t *p)
{
	((struct seen *)p->data)->head = true;
	p->upgrade = 0;
	return 0;
}

static int seen_body(llhttp_t *p, const char *at, size_t size)
{
	text_add(&((struct seen *)p->data)->body, (struct bytes){at, size});
	return 0;
}

static int seen_end(llhttp_t *p)
{
	(void)p;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_url = seen_url,
	.on_header_field_complete = seen_field,
	.on_headers_complete = seen_headers,
	.on_body = seen_body,
	.on_message_complete = seen_end};

/* Whether llhttp can judge it: others have a stand-in in the listener. */
static bool known(struct bytes method)
{
#define METHOD(number, name, string)                                         \
	if (bytes_equal(method, bytes_of(#string)) && number != HTTP_SOURCE) \
		return true;
	HTTP_METHOD_MAP(METHOD)
	return false;
}

static void compare(struct bytes stream)
{
	for (size_t i = 0; i < n_served && i < MAX_SERVED; i++) {
		struct seen seen = {0};
		llhttp_t p;

		if (!known(text_bytes(&served[i].method)))
			return;
		llhttp_init(&p, HTTP_REQUEST, &settings);
		p.data = &seen;
		llhttp_errno_t error = llhttp_execute(&p, stream.data, stream.size);
		CHECK(error == HPE_PAUSED);
		CHECK(bytes_equal(text_bytes(&served[i].method),
			bytes_of(llhttp_method_name(p.method))));
		CHECK(bytes_equal(
			text_bytes(&served[i].target), text_bytes(&seen.target)));
		CHECK(bytes_equal(text_bytes(&served[i].body), text_bytes(&seen.body)));
		CHECK(served[i].n_headers == seen.fields);
		const char *end = llhttp_get_error_pos(&p);
		CHECK(end > stream.data && end <= stream.data + stream.size);
		stream.size -= (size_t)(end - stream.data);
		stream.data = end;
		text_fini(&seen.target);
		text_fini(&seen.body);
	}
}

/* --- the wire --- */

static const struct config_limits limits = {.handshake_timeout_usec = 10 * USEC_PER_SEC,
	.header_timeout_usec = 10 * USEC_PER_SEC,
	.body_timeout_usec = 120 * USEC_PER_SEC,
	.keep_alive_timeout_usec = 15 * USEC_PER_SEC,
	.body_min_rate = 500,
	.max_connections = 8,
	.max_header_bytes = 2048,
	.max_headers = 20,
	.max_target_bytes = 512,
	.max_body_bytes = 4096,
	.max_body_bytes_in_flight = 6000,
	.max_requests_per_connection = 40};

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	struct http_options o = {base, &handler, NULL, false};
	CHECK(base && http_server_new(&server, &o) == 0);
}

static void turn(int fd)
{
	char waste[4096];

	event_base_loop(base, EVLOOP_NONBLOCK);
	answer_held();
	while (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) > 0)
		;
}

static void send_all(int fd, struct bytes b, unsigned seed)
{
	while (b.size) {
		seed = seed * 1103515245u + 12345u;
		size_t piece = 1 + (seed >> 16) % (seed & 0x100 ? 7 : 300);
		if (piece > b.size)
			piece = b.size;
		ssize_t n = send(fd, b.data, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			return;
		if (n > 0)
			b = (struct bytes){b.data + n, b.size - (size_t)n};
		if (n < 0 || seed & 0x600)
			turn(fd);
	}
}

/* Whoever was served had a sound one. */
static struct bytes behind_proxy_header(struct bytes stream)
{
	size_t more = 0;

	if (n_served == 0)
		return stream;
	CHECK(stream.size > PROXY_FIXED_BYTES);
	CHECK(proxy_begin((struct bytes){stream.data, PROXY_FIXED_BYTES}, &more) == 0);
	CHECK(stream.size > PROXY_FIXED_BYTES + more);
	return (struct bytes){stream.data + PROXY_FIXED_BYTES + more,
		stream.size - PROXY_FIXED_BYTES - more};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_listener listener = {.server = server};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fds[2];

	if (!base) {
		set_up();
		listener.server = server;
	}
	if (size < 1)
		return 0;
	n_served = n_heads = n_ends = 0;
	refuse_some = data[0] & 1;
	listener.tcp = data[0] & 4;
	CHECK(http_server_configure(server, &limits, NULL, listener.tcp) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) ==
		0);
	conn_accept(&listener, fds[1], (struct sockaddr *)&address, sizeof(address));
	struct bytes stream = {(const char *)data + 1, size - 1};
	send_all(fds[0], stream, data[0]);
	if (data[0] & 2) {
		shutdown(fds[0], SHUT_WR);
		for (int i = 0; i < 20 && http_server_connections(server); i++)
			turn(fds[0]);
	}
	close(fds[0]);
	for (int i = 0; i < 200 && http_server_connections(server); i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		answer_held();
	}
	answer_held();
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK(http_server_connections(server) == 0);
	CHECK(n_heads == n_ends && n_served <= n_heads);
	CHECK(server->body_bytes == 0 && server->addresses.size == 0);
	if (!refuse_some) /* with some refused their place in the stream is not known */
		compare(listener.tcp ? behind_proxy_header(stream) : stream);
	return 0;
}
