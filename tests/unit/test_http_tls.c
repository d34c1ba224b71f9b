/* TLS on the listener: certificates made here, a client that shares the loop's thread. */
#include "http_world.h"
#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define H "Host: a\r\n"

struct files {
	char certificate[64], key[64], other_key[64];
	X509 *x509;
	EVP_PKEY *pkey;
};

static struct files f;

static void write_key(const char *path, EVP_PKEY *key)
{
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(out);
}

static int make_files(void **state)
{
	(void)state;
	snprintf(f.certificate, sizeof(f.certificate), "/tmp/cbd-%d.crt", (int)getpid());
	snprintf(f.key, sizeof(f.key), "/tmp/cbd-%d.key", (int)getpid());
	snprintf(f.other_key, sizeof(f.other_key), "/tmp/cbd-%d.oth", (int)getpid());
	f.pkey = EVP_EC_gen("P-256");
	f.x509 = X509_new();
	X509_set_version(f.x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(f.x509), 1);
	X509_gmtime_adj(X509_getm_notBefore(f.x509), -60);
	X509_gmtime_adj(X509_getm_notAfter(f.x509), 3600);
	X509_set_pubkey(f.x509, f.pkey);
	X509_NAME *name = X509_get_subject_name(f.x509);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)"callbackd", -1, -1, 0);
	X509_set_issuer_name(f.x509, name);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(
		NULL, NULL, NID_basic_constraints, "CA:TRUE");
	X509_add_ext(f.x509, e, -1);
	X509_EXTENSION_free(e);
	X509_sign(f.x509, f.pkey, EVP_sha256());
	FILE *out = fopen(f.certificate, "w");
	assert_non_null(out);
	PEM_write_X509(out, f.x509);
	fclose(out);
	write_key(f.key, f.pkey);
	EVP_PKEY *other = EVP_EC_gen("P-256");
	write_key(f.other_key, other);
	EVP_PKEY_free(other);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	unlink(f.certificate);
	unlink(f.key);
	unlink(f.other_key);
	X509_free(f.x509);
	EVP_PKEY_free(f.pkey);
	return 0;
}

static SSL_CTX *server_context(const char *ca)
{
	SSL_CTX *ctx = NULL;
	char *error = NULL;
	int64_t expires = 0;

	assert_int_equal(
		tls_server_context(f.certificate, f.key, ca, &ctx, &expires, &error), 0);
	int64_t left = expires - clock_wall_usec();
	assert_true(left > 3590 * (int64_t)USEC_PER_SEC &&
		    left < 3610 * (int64_t)USEC_PER_SEC);
	/* Asked for by name: the machine's own policy may refuse old versions already. */
	assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
	assert_true(SSL_CTX_get_options(ctx) & SSL_OP_NO_RENEGOTIATION);
	assert_true(SSL_CTX_get_mode(ctx) & SSL_MODE_RELEASE_BUFFERS);
	return ctx;
}

static void start(struct world *w, const char *ca)
{
	world_init(w, false);
	SSL_CTX *ctx = server_context(ca);
	http_server_set_tls(w->server, ctx);
	SSL_CTX_free(ctx);
}

struct secure {
	struct client c;
	SSL_CTX *ctx;
	SSL *ssl;
	struct text in;
	bool eof, failed;
};

static struct secure secure_open(struct world *w)
{
	struct secure s = {.c = client_open(w), .ctx = SSL_CTX_new(TLS_client_method())};
	static const unsigned char alpn[] = "\x02h2\x08http/1.1";

	s.ssl = SSL_new(s.ctx);
	SSL_set_fd(s.ssl, s.c.fd);
	SSL_set_alpn_protos(s.ssl, alpn, sizeof(alpn) - 1);
	SSL_set_connect_state(s.ssl);
	return s;
}

static void secure_close(struct secure *s)
{
	SSL_free(s->ssl);
	SSL_CTX_free(s->ctx);
	text_fini(&s->in);
	client_close(&s->c);
}

static bool shaken(struct secure *s)
{
	ERR_clear_error();
	int r = SSL_do_handshake(s->ssl);
	if (r == 1)
		return true;
	int e = SSL_get_error(s->ssl, r);
	s->failed = e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE;
	return s->failed;
}

static bool secure_got(struct secure *s, const char *expected)
{
	char buffer[4096];
	int n;

	ERR_clear_error();
	while ((n = SSL_read(s->ssl, buffer, sizeof(buffer))) > 0)
		text_add(&s->in, (struct bytes){buffer, (size_t)n});
	int e = SSL_get_error(s->ssl, n);
	s->eof = e == SSL_ERROR_ZERO_RETURN;
	s->failed = e == SSL_ERROR_SSL || e == SSL_ERROR_SYSCALL;
	struct client c = {.fd = -1, .in = s->in};
	return strcmp(statuses(&c, false, NULL), expected) == 0;
}

static void secure_sends(struct world *w, struct secure *s, const char *text)
{
	size_t size = strlen(text);
	int n;

	while ((n = SSL_write(s->ssl, text, (int)size)) <= 0)
		turn(w);
	assert_int_equal(n, size);
}

static void test_exchange(void **state)
{
	struct world w;
	struct text t = TEXT_EMPTY;

	(void)state;
	start(&w, NULL);
	world_listen(&w, true);
	struct secure s = secure_open(&w);
	UNTIL(&w, shaken(&s));
	assert_false(s.failed);
	const unsigned char *protocol;
	unsigned size;
	SSL_get0_alpn_selected(s.ssl, &protocol, &size);
	assert_int_equal(size, 8);
	assert_memory_equal(protocol, "http/1.1", 8);
	secure_sends(&w, &s,
		"POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"
		"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
		"2\r\nhi\r\n0\r\n\r\n");
	UNTIL(&w, secure_got(&s, "200 200 "));
	assert_log(&w, "POST /echo [hello]\nPOST /echo [hi]\n");
	/* More than one record, both ways. */
	text_adds(&t, "POST /later HTTP/1.1\r\n" H "Content-Length: 200000\r\n\r\n");
	for (int i = 0; i < 200000; i++)
		text_addc(&t, (char)('a' + i % 26));
	for (size_t at = 0; at < t.size;) {
		int n = SSL_write(s.ssl, t.data + at, (int)(t.size - at));
		at += n > 0 ? (size_t)n : 0;
		turn(&w);
	}
	UNTIL(&w, w.held);
	assert_true(http_is_tls(w.held));
	assert_int_equal(http_message(w.held)->body.size, 200000);
	assert_memory_equal(
		http_message(w.held)->body.data, t.data + t.size - 200000, 200000);
	http_reply(w.held, 200, "text/plain", http_message(w.held)->body);
	assert_int_equal(w.ends, 2); /* not from within */
	UNTIL(&w, secure_got(&s, "200 200 200 "));
	secure_sends(&w, &s, "GET /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	UNTIL(&w, secure_got(&s, "200 200 200 200 ") && s.eof); /* with close_notify */
	assert_false(s.failed);
	secure_close(&s);
	UNTIL(&w, http_server_connections(w.server) == 0);
	assert_int_equal(w.refusals, 0);
	text_fini(&t);
	world_fini(&w);
}

/* However a peer goes, it is an ordinary end. */
static void test_ends(void **state)
{
	struct world w;

	(void)state;
	start(&w, NULL);
	world_listen(&w, true);
	for (int i = 0; i < 3; i++) {
		struct secure s = secure_open(&w);
		UNTIL(&w, shaken(&s));
		secure_sends(&w, &s, "GET /echo HTTP/1.1\r\n" H "\r\n");
		UNTIL(&w, secure_got(&s, "200 "));
		if (i == 1)
			SSL_shutdown(s.ssl);
		if (i == 2)
			secure_sends(&w, &s, "GET /later HTTP/1.1\r\n" H "\r\n");
		secure_close(&s);
		if (i == 2) {
			UNTIL(&w, w.held);
			settle(&w);
			http_reply(w.held, 200, NULL, BYTES_NONE);
		}
		UNTIL(&w, http_server_connections(w.server) == 0);
		assert_int_equal(w.refusals, 0);
	}
	/* Half a close waits for its answer here too. */
	struct secure s = secure_open(&w);
	UNTIL(&w, shaken(&s));
	secure_sends(&w, &s,
		"GET /later HTTP/1.1\r\n" H "\r\nGET /echo HTTP/1.1\r\n" H "\r\n");
	SSL_shutdown(s.ssl);
	shutdown(s.c.fd, SHUT_WR);
	UNTIL(&w, w.held);
	settle(&w);
	http_reply(w.held, 200, NULL, BYTES_NONE);
	UNTIL(&w, secure_got(&s, "200 200 "));
	secure_close(&s);
	UNTIL(&w, http_server_connections(w.server) == 0);
	world_fini(&w);
}

static void test_refusals(void **state)
{
	struct world w;

	(void)state;
	start(&w, NULL);
	world_listen(&w, true);
	/* Before the body: the answer comes through, then close_notify, and no reset. */
	struct secure s = secure_open(&w);
	UNTIL(&w, shaken(&s));
	secure_sends(&w, &s,
		"POST /refuse HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\nabc");
	UNTIL(&w, secure_got(&s, "404 ") && s.eof);
	secure_close(&s);
	/* Plain bytes on a TLS port. */
	struct client c = client_open(&w);
	client_sends(&w, &c, "GET / HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, closed(&c));
	assert_string_equal(w.last_reason, "TLS handshake failed");
	client_close(&c);
	/* TLS 1.1, renegotiation, h2 alone. */
	s = secure_open(&w);
	SSL_set_security_level(s.ssl, 0);
	SSL_set_min_proto_version(s.ssl, TLS1_1_VERSION);
	SSL_set_max_proto_version(s.ssl, TLS1_1_VERSION);
	UNTIL(&w, shaken(&s));
	assert_true(s.failed);
	secure_close(&s);
	s = secure_open(&w);
	SSL_set_alpn_protos(s.ssl, (const unsigned char *)"\x02h2", 3);
	UNTIL(&w, shaken(&s));
	assert_true(s.failed);
	secure_close(&s);
	s = secure_open(&w);
	SSL_set_max_proto_version(s.ssl, TLS1_2_VERSION);
	UNTIL(&w, shaken(&s));
	assert_false(s.failed);
	SSL_renegotiate(s.ssl);
	SSL_do_handshake(s.ssl);
	UNTIL(&w, (secure_got(&s, ""), s.failed || s.eof));
	secure_close(&s);
	UNTIL(&w, http_server_connections(w.server) == 0);
	assert_int_equal(w.requests, 0);
	world_fini(&w);
}

static void test_handshake_deadline(void **state)
{
	struct world w;

	(void)state;
	start(&w, NULL);
	w.limits.handshake_timeout_usec = 100 * USEC_PER_MSEC;
	world_configure(&w, false);
	world_listen(&w, true);
	struct client c = client_open(&w);
	uint64_t began = clock_mono_usec();
	while (!closed(&c)) { /* a ClientHello that never ends */
		client_send(&w, &c,
			(struct bytes){clock_mono_usec() - began < 5000
					       ? "\x16\x03\x01\x40"
					       : "\x00",
				1});
		usleep(2000);
		turn(&w);
		assert_true(clock_mono_usec() - began < WAIT_USEC);
	}
	assert_int_equal(w.refusals, 1);
	client_close(&c);
	world_fini(&w);
}

/* A new context is for new connections; old ones go on with theirs. */
static void test_swap(void **state)
{
	struct world w;

	(void)state;
	start(&w, NULL);
	world_listen(&w, true);
	struct secure s = secure_open(&w);
	UNTIL(&w, shaken(&s));
	SSL_CTX *next = server_context(f.certificate); /* wants client certificates */
	http_server_set_tls(w.server, next);
	SSL_CTX_free(next);
	secure_sends(&w, &s, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, secure_got(&s, "200 "));
	secure_close(&s);

	s = secure_open(&w); /* without one: TLS 1.3 tells after its own part */
	UNTIL(&w, shaken(&s));
	UNTIL(&w, (secure_got(&s, ""), s.failed || s.eof));
	secure_close(&s);
	assert_int_equal(w.requests, 1);

	s = secure_open(&w);
	SSL_use_certificate(s.ssl, f.x509);
	SSL_use_PrivateKey(s.ssl, f.pkey);
	UNTIL(&w, shaken(&s));
	secure_sends(&w, &s, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, secure_got(&s, "200 "));
	secure_close(&s);
	world_fini(&w);
}

/* The PROXY header stands in front of the handshake, and its bytes are not TLS's. */
static void test_behind_proxy(void **state)
{
	static const char head[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"
				   "\xc0\x00\x02\x05\x0a\0\0\1\x12\x34\x00\x50";
	struct world w;

	(void)state;
	start(&w, NULL);
	world_configure(&w, true);
	world_listen(&w, true);
	struct secure s = secure_open(&w);
	client_send(&w, &s.c, (struct bytes){head, sizeof(head) - 1});
	UNTIL(&w, shaken(&s)); /* its first flight follows at once */
	secure_sends(&w, &s, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, secure_got(&s, "200 "));
	assert_string_equal(w.last_peer, "192.0.2.5");
	secure_close(&s);
	world_fini(&w);
}

static void test_files(void **state)
{
	SSL_CTX *ctx = NULL;
	char *error = NULL;
	int64_t expires = 0;

	(void)state;
	const char *const bad[][3] = {
		{"/nonexistent", f.key, NULL},
		{f.certificate, "/nonexistent", NULL},
		{f.certificate, f.other_key, NULL},
		{f.key, f.key, NULL},
		{f.certificate, f.key, f.key},
	};
	static const int named[] = {0, 1, 1, 0, 2};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(tls_server_context(bad[i][0], bad[i][1], bad[i][2], &ctx,
				    &expires, &error) < 0);
		assert_non_null(error);
		assert_memory_equal(error, bad[i][named[i]], strlen(bad[i][named[i]]));
		assert_null(ctx);
		assert_int_equal(ERR_peek_error(), 0);
		free(error);
		error = NULL;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_handshake_deadline),
		cmocka_unit_test(test_swap),
		cmocka_unit_test(test_behind_proxy),
		cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
