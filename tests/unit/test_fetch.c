/*
 * Outgoing HTTP against a small server on the same loop: what it answers is chosen by the
 * path. Ports are the kernel's choice; nothing leaves the machine.
 */
#include "base/clock.h"
#include "io/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define N_MANY 100

/* ---- the server ---- */

static struct event_base *base;
static struct fetch_pool *pool;
static struct evconnlistener *plain, *tls, *local;
static SSL_CTX *tls_ctx;
static char directory[] = "/tmp/test_fetch.XXXXXX", ca_path[64], socket_path[64];
static unsigned port, tls_port;
static unsigned n_requests, n_open, n_open_max;
static struct evbuffer *last_request;
static const char *extra_header = "";

static void answer(struct bufferevent *bev, const char *head, const char *body)
{
	evbuffer_add_printf(bufferevent_get_output(bev),
		"HTTP/1.1 %s\r\nContent-Length: %zu\r\nContent-Type: "
		"text/plain\r\n%s\r\n%s",
		head, strlen(body), extra_header, body);
}

static void on_hold_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	answer(arg, "200 OK", "held");
}

static void serve(struct bufferevent *bev, const char *path)
{
	struct evbuffer *out = bufferevent_get_output(bev);
	static char filler[100000];

	memset(filler, 'x', sizeof(filler));
	if (strstr(path, "/slow"))
		return;
	if (strstr(path, "/announced")) {
		evbuffer_add_printf(
			out, "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n");
	} else if (strstr(path, "/endless")) {
		evbuffer_add_printf(out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
		evbuffer_add(out, filler, sizeof(filler));
	} else if (strstr(path, "/headers")) {
		evbuffer_add_printf(out, "HTTP/1.1 200 OK\r\n");
		for (int i = 0; i < 100; i++)
			evbuffer_add_printf(out, "X-%d: %.900s\r\n", i, filler);
	} else if (strstr(path, "/redirect")) {
		evbuffer_add_printf(out, "HTTP/1.1 302 Found\r\nLocation: "
					 "/ok\r\nContent-Length: 0\r\n\r\n");
	} else if (strstr(path, "/hangup")) {
		shutdown(bufferevent_getfd(bev), SHUT_RDWR);
	} else if (strstr(path, "/hold")) {
		struct timeval tv = {0, 30000};

		event_base_once(base, -1, EV_TIMEOUT, on_hold_over, bev, &tv);
	} else if (strstr(path, "/exact")) {
		answer(bev, "200 OK", "0123456789");
	} else {
		answer(bev, "200 OK", "hello");
	}
}

static void on_request(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	size_t need, length = 0;
	char *text, *at, path[256] = "";

	(void)arg;
	if (end.pos < 0)
		return;
	text = (char *)evbuffer_pullup(in, -1);
	at = memmem(text, (size_t)end.pos, "Content-Length: ", 16);
	if (at)
		length = strtoul(at + 16, NULL, 10);
	need = (size_t)end.pos + 4 + length;
	if (evbuffer_get_length(in) < need)
		return;
	n_requests++;
	evbuffer_drain(last_request, evbuffer_get_length(last_request));
	evbuffer_add(last_request, text, need);
	sscanf(text, "%*s %255s", path);
	evbuffer_drain(in, need);
	serve(bev, path);
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
		n_open--;
		bufferevent_free(bev);
	}
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *peer,
	int size, void *arg)
{
	struct bufferevent *bev;

	(void)l;
	(void)peer;
	(void)size;
	bev = arg ? bufferevent_openssl_socket_new(base, fd, SSL_new(arg),
			    BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
		  : bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(bev, on_request, NULL, on_end, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	if (++n_open > n_open_max)
		n_open_max = n_open;
}

static struct evconnlistener *listen_on(void *ctx, unsigned *ret_port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(in);
	struct evconnlistener *l = evconnlistener_new_bind(base, on_accept, ctx,
		LEV_OPT_CLOSE_ON_FREE, 128, (struct sockaddr *)&in, sizeof(in));

	assert_non_null(l);
	getsockname(evconnlistener_get_fd(l), (struct sockaddr *)&in, &size);
	*ret_port = ntohs(in.sin_port);
	return l;
}

/* A certificate of 127.0.0.1 alone, its own authority, in ca_path. */
static void make_certificate(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *alt = X509V3_EXT_conf_nid(
		NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
	FILE *out;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_add_ext(cert, alt, -1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	out = fopen(ca_path, "w");
	PEM_write_X509(out, cert);
	fclose(out);
	tls_ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(tls_ctx, cert);
	SSL_CTX_use_PrivateKey(tls_ctx, key);
	X509_EXTENSION_free(alt);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static int set_up_all(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the daemon has it */
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	unsetenv("http_proxy");
	assert_non_null(mkdtemp(directory));
	snprintf(ca_path, sizeof(ca_path), "%s/ca.pem", directory);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
	make_certificate();
	base = event_base_new();
	last_request = evbuffer_new();
	plain = listen_on(NULL, &port);
	tls = listen_on(tls_ctx, &tls_port);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", socket_path);
	local = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 16,
		(struct sockaddr *)&un, sizeof(un));
	assert_non_null(local);
	return 0;
}

static int tear_down_all(void **state)
{
	(void)state;
	evconnlistener_free(plain);
	evconnlistener_free(tls);
	evconnlistener_free(local);
	SSL_CTX_free(tls_ctx);
	evbuffer_free(last_request);
	event_base_free(base);
	unlink(ca_path);
	unlink(socket_path);
	rmdir(directory);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	n_requests = 0;
	n_open_max = 0;
	extra_header = "";
	return fetch_pool_new(&pool, base);
}

/* The server notices that its peers are gone before the next test counts. */
static int tear_down(void **state)
{
	struct timeval tv = {5, 0};

	(void)state;
	fetch_pool_free(pool);
	event_base_loopexit(base, &tv);
	while (n_open > 0 && !event_base_got_exit(base))
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(n_open, 0);
	return 0;
}

/* ---- one fetch at a time ---- */

struct result {
	unsigned calls;
	int error;
	bool sent;
	long status;
	char text[256], body[256], type[64];
	size_t size;
	uint64_t retry_after_usec;
};

static void on_done(void *arg, const struct fetch_answer *a)
{
	struct result *r = arg;

	r->calls++;
	r->error = a->error;
	r->sent = a->sent;
	r->status = a->status;
	r->size = a->body.size;
	r->retry_after_usec = a->retry_after_usec;
	snprintf(r->text, sizeof(r->text), "%s", a->error_text ? a->error_text : "");
	snprintf(r->type, sizeof(r->type), "%s", a->content_type ? a->content_type : "");
	snprintf(r->body, sizeof(r->body), "%.*s", BYTES_FMT(a->body));
	event_base_loopbreak(base);
}

static const char *url_of(const char *scheme, unsigned at, const char *path)
{
	static char url[256];

	snprintf(url, sizeof(url), "%s://127.0.0.1:%u%s", scheme, at, path);
	return url;
}

static struct result run(struct fetch_request request)
{
	struct result result = {0};
	struct fetch *f;

	if (!request.method)
		request.method = "GET";
	assert_int_equal(fetch_start(pool, &request, on_done, &result, &f), 0);
	assert_int_equal(result.calls, 0);
	event_base_dispatch(base);
	assert_int_equal(result.calls, 1);
	return result;
}

static struct result get(const char *path)
{
	return run((struct fetch_request){.url = url_of("http", port, path)});
}

static const char *request_text(void)
{
	evbuffer_add(last_request, "", 1);
	return (char *)evbuffer_pullup(last_request, -1);
}

static void test_get(void **state)
{
	struct result r = get("/ok");

	(void)state;
	assert_int_equal(r.error, 0);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "hello");
	assert_string_equal(r.type, "text/plain");
	assert_int_equal(r.retry_after_usec, 0);
	assert_non_null(strstr(request_text(), "GET /ok HTTP/1.1\r\n"));
}

static void test_post_sends_exactly_what_it_was_given(void **state)
{
	char body[] = "{\"a\":1}", key[] = "X-API-Key: k1";
	const char *headers[] = {"Content-Type: application/json", key, NULL};
	struct fetch_request request = {.method = "POST",
		.url = url_of("http", port, "/ok"),
		.headers = headers,
		.body = bytes_of(body)};
	struct result r = {0};
	struct fetch *f;
	const char *text;

	(void)state;
	assert_int_equal(fetch_start(pool, &request, on_done, &r, &f), 0);
	memset(body, '!', sizeof(body) - 1); /* it was copied */
	memset(key, '!', sizeof(key) - 1);
	event_base_dispatch(base);
	assert_int_equal(r.status, 200);
	text = request_text();
	assert_non_null(strstr(text, "POST /ok HTTP/1.1\r\n"));
	assert_non_null(strstr(text, "\r\nX-API-Key: k1\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Length: 7\r\n"));
	assert_non_null(strstr(text, "\r\n\r\n{\"a\":1}"));
	assert_null(strstr(text, "Expect"));
	assert_null(strstr(text, "Transfer-Encoding"));
}

static void test_post_without_a_body_has_length_zero(void **state)
{
	struct result r = run((struct fetch_request){
		.method = "POST", .url = url_of("http", port, "/ok")});

	(void)state;
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(request_text(), "\r\nContent-Length: 0\r\n"));
}

static void test_method_is_the_callers(void **state)
{
	static char large[1100 * 1024]; /* from 1 MiB on libcurl would ask first */
	struct result r;

	(void)state;
	memset(large, 'x', sizeof(large));
	r = run((struct fetch_request){.method = "PATCH",
		.url = url_of("http", port, "/ok"),
		.body = {large, sizeof(large)}});
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(request_text(), "PATCH /ok HTTP/1.1\r\n"));
	assert_null(strstr(request_text(), "Expect"));
}

static void test_header_with_a_line_end_is_refused(void **state)
{
	const char *headers[] = {"X-API-Key: a\r\nHost: evil", NULL};
	struct fetch_request request = {
		.method = "GET", .url = url_of("http", port, "/ok"), .headers = headers};
	struct result result = {0};
	struct fetch *f;

	(void)state;
	assert_int_equal(fetch_start(pool, &request, on_done, &result, &f), -EINVAL);
	assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	assert_int_equal(result.calls, 0);
}

static void test_size_limit(void **state)
{
	const char *const paths[] = {"/announced", "/endless", "/headers"};
	struct result r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		r = run((struct fetch_request){.url = url_of("http", port, paths[i]),
			.max_bytes = i < 2 ? 1000 : 1000000});
		assert_int_equal(r.error, -EMSGSIZE);
		assert_true(r.sent);
	}
	r = run((struct fetch_request){
		.url = url_of("http", port, "/exact"), .max_bytes = 10});
	assert_int_equal(r.error, 0);
	assert_int_equal(r.size, 10);
	r = run((struct fetch_request){
		.url = url_of("http", port, "/exact"), .max_bytes = 9});
	assert_int_equal(r.error, -EMSGSIZE);
}

static void test_time_limit(void **state)
{
	struct result r = run((struct fetch_request){.url = url_of("http", port, "/slow"),
		.timeout_usec = 100 * USEC_PER_MSEC});

	(void)state;
	assert_int_equal(r.error, -ETIMEDOUT);
	assert_true(r.sent);
	assert_string_not_equal(r.text, "");
}

static void test_redirect_is_an_answer(void **state)
{
	struct result r = get("/redirect");

	(void)state;
	assert_int_equal(r.error, 0);
	assert_int_equal(r.status, 302);
	assert_int_equal(n_requests, 1);
}

static void test_refused_connection(void **state)
{
	unsigned closed;
	struct result r;

	(void)state;
	evconnlistener_free(listen_on(NULL, &closed));
	r = run((struct fetch_request){.url = url_of("http", closed, "/")});
	assert_int_equal(r.error, -ECONNREFUSED);
	assert_false(r.sent);
	assert_string_not_equal(r.text, "");
}

static void test_hangup_may_have_been_heard(void **state)
{
	struct result r = get("/hangup");

	(void)state;
	assert_int_equal(r.error, -EIO);
	assert_true(r.sent);
}

static void test_only_http(void **state)
{
	const char *const urls[] = {"file:///etc/hostname", "ftp://127.0.0.1/",
		"gopher://a/", "http://", "no url at all"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct result r = run((struct fetch_request){.url = urls[i]});

		assert_int_equal(r.error, -EINVAL);
		assert_false(r.sent);
	}
}

static void test_retry_after(void **state)
{
	static const struct {
		const char *header;
		uint64_t seconds;
	} cases[] = {
		{"Retry-After: 7\r\n", 7},
		{"retry-after:  120 \r\n", 120},
		{"Retry-After: 0\r\n", 0},
		{"Retry-After: -5\r\n", 0},
		{"Retry-After: soon\r\n", 0},
		{"Retry-After: 7 apples\r\n", 0},
		{"Retry-After: 99999999999999999999\r\n", 86400},
		{"Retry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n", 30},
		{"Retry-After: Sun, 06 Nov 1994 08:49:00 GMT\r\n", 0},
		{"Retry-After: Sun, 06 Nov 2094 08:49:37 GMT\r\n", 86400},
	};

	(void)state;
	clock_freeze(784111777ll * (int64_t)USEC_PER_SEC, 0); /* 1994-11-06 08:49:37 */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		extra_header = cases[i].header;
		assert_int_equal(
			get("/ok").retry_after_usec, cases[i].seconds * USEC_PER_SEC);
	}
	clock_thaw();
}

static void test_tls_is_verified(void **state)
{
	const char *url = url_of("https", tls_port, "/ok");
	char other_name[64];
	struct result r;

	(void)state;
	r = run((struct fetch_request){.url = url});
	assert_int_equal(r.error, -EPROTO);
	assert_false(r.sent);
	assert_int_equal(n_requests, 0);
	snprintf(other_name, sizeof(other_name), "https://localhost:%u/ok", tls_port);
	r = run((struct fetch_request){.url = other_name, .ca_file = ca_path});
	assert_int_equal(r.error, -EPROTO);
	assert_int_equal(n_requests, 0);
	r = run((struct fetch_request){.url = url, .ca_file = ca_path});
	assert_int_equal(r.error, 0);
	assert_int_equal(r.status, 200);
	/* A trusted connection that is still open must not serve a request without trust. */
	r = run((struct fetch_request){.url = url});
	assert_int_equal(r.error, -EPROTO);
	r = run((struct fetch_request){.url = url, .insecure_own_listener = true});
	assert_int_equal(r.status, 200);
	r = run((struct fetch_request){.url = url});
	assert_int_equal(r.error, -EPROTO);
}

static void test_unix_socket(void **state)
{
	struct result r = run((struct fetch_request){
		.url = "http://nowhere.invalid/ok", .unix_socket = socket_path});

	(void)state;
	assert_int_equal(r.error, 0);
	assert_int_equal(r.status, 200);
}

static void test_proxy_of_the_environment(void **state)
{
	unsigned closed;
	char proxy[64], target[64];
	struct result r;

	(void)state;
	evconnlistener_free(listen_on(NULL, &closed));
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", port);
	snprintf(target, sizeof(target), "http://127.0.0.1:%u/x", closed);
	setenv("http_proxy", proxy, 1);
	r = run((struct fetch_request){.url = target});
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(request_text(), "GET http://127.0.0.1:"));
	r = run((struct fetch_request){.url = target, .no_proxy = true});
	assert_int_equal(r.error, -ECONNREFUSED);
	unsetenv("http_proxy");
}

/* ---- several at a time ---- */

static struct fetch *pair[2];
static struct result pair_results[2], third;

static void on_first_of_pair(void *arg, const struct fetch_answer *a)
{
	struct result *mine = arg;
	size_t me = (size_t)(mine - pair_results);
	struct fetch_request request = {
		.method = "GET", .url = url_of("http", port, "/ok")};
	struct fetch *f;

	(void)a;
	mine->calls++;
	fetch_cancel(pair[me]);  /* nothing: it is being delivered */
	fetch_cancel(pair[!me]); /* gone, wherever it was */
	assert_int_equal(fetch_start(pool, &request, on_done, &third, &f), 0);
}

static void test_cancel_from_within_anothers_on_done(void **state)
{
	struct fetch_request request = {
		.method = "GET", .url = url_of("http", port, "/hold")};

	(void)state;
	memset(pair_results, 0, sizeof(pair_results));
	memset(&third, 0, sizeof(third));
	for (int i = 0; i < 2; i++)
		assert_int_equal(fetch_start(pool, &request, on_first_of_pair,
					 &pair_results[i], &pair[i]),
			0);
	event_base_dispatch(base);
	assert_int_equal(pair_results[0].calls + pair_results[1].calls, 1);
	assert_int_equal(third.calls, 1);
	assert_int_equal(third.status, 200);
}

static void test_cancel_before_its_turn_and_under_way(void **state)
{
	struct fetch_request request = {
		.method = "GET", .url = url_of("http", port, "/slow")};
	struct result canceled = {0}, other;
	struct fetch *waiting, *under_way;

	(void)state;
	assert_int_equal(fetch_start(pool, &request, on_done, &canceled, &waiting), 0);
	fetch_cancel(waiting);
	assert_int_equal(fetch_start(pool, &request, on_done, &canceled, &under_way), 0);
	other = get("/hold");
	assert_int_equal(other.status, 200);
	assert_int_equal(n_requests, 2);
	fetch_cancel(under_way);
	assert_int_equal(get("/ok").status, 200);
	assert_int_equal(canceled.calls, 0);
}

static void on_one_of_many(void *arg, const struct fetch_answer *a)
{
	unsigned *left = arg;

	assert_int_equal(a->status, 200);
	if (--*left == 0)
		event_base_loopbreak(base);
}

static void test_no_more_than_the_cap_at_a_time(void **state)
{
	struct fetch_request request = {
		.method = "GET", .url = url_of("http", port, "/hold")};
	unsigned left = N_MANY;
	struct fetch *f;

	(void)state;
	for (int i = 0; i < N_MANY; i++)
		assert_int_equal(
			fetch_start(pool, &request, on_one_of_many, &left, &f), 0);
	event_base_dispatch(base);
	assert_int_equal(left, 0);
	assert_int_equal(n_requests, N_MANY);
	assert_int_equal(n_open_max, FETCH_MAX);
}

static void test_free_cancels_all(void **state)
{
	struct fetch_request request = {
		.method = "GET", .url = url_of("http", port, "/slow")};
	struct result r = {0};
	struct fetch *f;

	(void)state;
	for (int i = 0; i < N_MANY; i++)
		assert_int_equal(fetch_start(pool, &request, on_done, &r, &f), 0);
	while (n_requests < FETCH_MAX) /* the rest waits its turn */
		event_base_loop(base, EVLOOP_ONCE);
	fetch_pool_free(pool);
	assert_int_equal(r.calls, 0);
	assert_int_equal(fetch_pool_new(&pool, base), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_get, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_post_sends_exactly_what_it_was_given, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_post_without_a_body_has_length_zero, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_method_is_the_callers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_header_with_a_line_end_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_size_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_redirect_is_an_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_refused_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_hangup_may_have_been_heard, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_http, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_retry_after, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tls_is_verified, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unix_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_proxy_of_the_environment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_cancel_from_within_anothers_on_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_cancel_before_its_turn_and_under_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_no_more_than_the_cap_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_free_cancels_all, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
