/* The listener's limits: sizes, counts, deadlines, addresses, descriptors. */
#include "http_world.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define H "Host: a\r\n"

static void start(struct world *w)
{
	world_configure(w, false);
	world_listen(w, false);
}

static void expect_close(struct world *w, const char *text, const char *answers)
{
	struct client c = client_open(w);

	client_sends(w, &c, text);
	UNTIL(w, closed(&c));
	if (!got(&c, answers))
		fail_msg("%.40s: %s", text, statuses(&c, false, NULL));
	client_close(&c);
}

static void test_sizes(void **state)
{
	struct world w;
	struct text t = TEXT_EMPTY;

	(void)state;
	world_init(&w, false);
	w.limits.max_body_bytes = 100;
	w.limits.max_target_bytes = 50;
	w.limits.max_header_bytes = 400;
	w.limits.max_headers = 4;
	start(&w);
	expect_close(&w, "POST / HTTP/1.1\r\n" H "Content-Length: 101\r\n\r\n", "413 ");
	expect_close(&w,
		"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
		"64\r\n0123456789012345678901234567890123456789012345678901234567890123"
		"456789012345678901234567890123456789\r\n1\r\n",
		"413 ");
	expect_close(&w,
		"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n65\r\n",
		"413 ");
	expect_close(&w,
		"GET /0123456789012345678901234567890123456789012345678901 HTTP/1.1\r\n" H
		"\r\n",
		"414 ");
	expect_close(&w, "GET / HTTP/1.1\r\n" H "1:\r\n2:\r\n3:\r\n4:\r\n\r\n", "431 ");
	for (int i = 0; i < 400; i++)
		text_addc(&t, 'a');
	expect_close(&w, t.data, "414 "); /* without an end */
	text_clear(&t);
	text_adds(&t, "GET / HTTP/1.1\r\nX: ");
	for (int i = 0; i < 400; i++)
		text_addc(&t, 'a');
	expect_close(&w, t.data, "431 ");
	expect_close(&w, "GET / HTTP/1.1\r\n" H "Content-Encoding: gzip\r\n\r\n", "415 ");
	expect_close(&w, "GET / HTTP/1.1\r\n" H "Expect: x\r\n\r\n", "417 ");
	assert_int_equal(w.heads, 2); /* the chunked ones */
	assert_int_equal(w.requests, 0);
	assert_int_equal(w.refusals, 9);

	struct client c = client_open(&w); /* all of them at their limit */
	client_sends(&w, &c,
		"POST /01234567890123456789012345678901234567890123456 HTTP/1.1\r\n" H
		"1:\r\n2:\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n");
	text_clear(&t);
	for (int i = 0; i < 100; i++)
		text_addc(&t, 'a');
	client_send(&w, &c, text_bytes(&t));
	client_sends(&w, &c, "\r\n0\r\n\r\n");
	UNTIL(&w, got(&c, "200 "));
	client_close(&c);
	text_fini(&t);
	world_fini(&w);
}

/* What is not data is bounded too: extensions and trailers. */
static void test_chunk_overhead(void **state)
{
	static const char *const pieces[] = {"1;%s\r\na\r\n", "0\r\n%s: b\r\n"};
	struct world w;

	(void)state;
	world_init(&w, false);
	w.limits.max_header_bytes = 400;
	start(&w);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct client c = client_open(&w);
		client_sends(&w, &c,
			"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
		char piece[64];
		for (int n = 0; n < 500 && !closed(&c); n++) {
			snprintf(piece, sizeof(piece), n && i ? "%s" : pieces[i],
				n && i ? "X: yyyy\r\n" : "abcdefgh");
			client_sends(&w, &c, piece);
			turn(&w);
		}
		UNTIL(&w, closed(&c));
		assert_true(got(&c, "413 "));
		client_close(&c);
	}
	assert_int_equal(w.requests, 0);
	world_fini(&w);
}

static void test_body_budget(void **state)
{
	struct world w;
	static char body[600];

	(void)state;
	world_init(&w, false);
	w.limits.max_body_bytes_in_flight = 1000;
	start(&w);
	memset(body, 'x', sizeof(body));
	struct client a = client_open(&w), b = client_open(&w), c = client_open(&w);
	client_sends(&w, &a, "POST /later HTTP/1.1\r\n" H "Content-Length: 600\r\n\r\n");
	client_send(&w, &a, (struct bytes){body, 600});
	UNTIL(&w, w.held);
	assert_int_equal(w.server->body_bytes, 600); /* no more room than announced */
	/* Known from the head: no 100, no body. */
	client_sends(&w, &b,
		"POST /echo HTTP/1.1\r\n" H
		"Expect: 100-continue\r\nContent-Length: 600\r\n\r\n");
	UNTIL(&w, closed(&b));
	assert_true(got(&b, "503 ") && has(&b, "Retry-After: 5\r\n"));
	/* Known only as it grows. */
	client_sends(&w, &c,
		"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n258\r\n");
	client_send(&w, &c, (struct bytes){body, 600});
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "503 ") && has(&c, "Retry-After: 5\r\n"));
	http_reply(w.held, 200, NULL, BYTES_NONE);
	UNTIL(&w, got(&a, "200 "));
	UNTIL(&w, w.server->body_bytes == 0);
	client_sends(&w, &a, "POST /echo HTTP/1.1\r\n" H "Content-Length: 600\r\n\r\n");
	client_send(&w, &a, (struct bytes){body, 600});
	UNTIL(&w, got(&a, "200 200 "));
	client_close(&a);
	client_close(&b);
	client_close(&c);
	world_fini(&w);
}

static void test_requests_per_connection(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	w.limits.max_requests_per_connection = 3;
	start(&w);
	struct client c = client_open(&w);
	for (int i = 0; i < 6; i++)
		client_sends(&w, &c, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "200 200 200 ") && !c.reset);
	assert_true(has(&c, "Connection: close\r\n"));
	assert_int_equal(w.requests, 3);
	client_close(&c);
	world_fini(&w);
}

static void test_connections(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	w.limits.max_connections = 2;
	start(&w);
	struct client a = client_open(&w), b = client_open(&w);
	UNTIL(&w, http_server_connections(w.server) == 2);
	struct client c = client_open(&w);
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "503 ") && has(&c, "Retry-After: "));
	assert_int_equal(w.last_refused, 503);
	client_close(&a);
	UNTIL(&w, http_server_connections(w.server) == 1);
	struct client d = client_open(&w);
	client_sends(&w, &d, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&d, "200 "));
	client_close(&b);
	client_close(&c);
	client_close(&d);
	world_fini(&w);
}

static void test_address_cap(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	w.limits.max_connections = 8;
	w.limits.max_connections_per_address = 0; /* a quarter */
	start(&w);
	struct client a = client_open(&w), b = client_open(&w);
	UNTIL(&w, http_server_connections(w.server) == 2);
	struct client c = client_open(&w);
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "503 "));
	assert_string_equal(w.last_reason, "too many connections of one address");
	client_close(&a);
	UNTIL(&w, http_server_connections(w.server) == 1);
	client_close(&c);
	c = client_open(&w);
	client_sends(&w, &c, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&c, "200 "));
	client_close(&b);
	client_close(&c);
	UNTIL(&w, w.server->addresses.size == 0);
	world_fini(&w);
}

/* Behind a trusted proxy the cap counts requests of the forwarded address. */
static void test_trusted_proxy(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	w.limits.max_connections_per_address = 1;
	assert_int_equal(cidr_list_add(&w.trusted, "127.0.0.0/8"), 0);
	start(&w);
	struct client a = client_open(&w), b = client_open(&w), c = client_open(&w);
	client_sends(&w, &a,
		"GET /later HTTP/1.1\r\n" H
		"X-Forwarded-For: 9.9.9.9, 192.0.2.7\r\n\r\n");
	UNTIL(&w, w.held);
	assert_string_equal(w.last_peer, "192.0.2.7");
	client_sends(
		&w, &b, "GET /echo HTTP/1.1\r\n" H "X-Forwarded-For: 192.0.2.7\r\n\r\n");
	UNTIL(&w, closed(&b));
	assert_true(got(&b, "503 "));
	assert_string_equal(w.last_refused_peer, "192.0.2.7");
	client_sends(
		&w, &c, "GET /echo HTTP/1.1\r\n" H "X-Forwarded-For: 192.0.2.8\r\n\r\n");
	UNTIL(&w, got(&c, "200 "));
	assert_string_equal(w.last_peer, "192.0.2.8");
	assert_true(LIST_FIRST(&w.server->conns)->deadline.key >
		    clock_mono_usec() + 60 * USEC_PER_SEC); /* nginx reuses for 60 s */
	http_reply(w.held, 200, NULL, BYTES_NONE);
	UNTIL(&w, got(&a, "200 "));
	client_sends(
		&w, &a, "GET /echo HTTP/1.1\r\n" H "X-Forwarded-For: 192.0.2.7\r\n\r\n");
	UNTIL(&w, got(&a, "200 200 "));
	UNTIL(&w, w.server->addresses.size == 0);
	client_close(&a);
	client_close(&b);
	client_close(&c);
	world_fini(&w);

	/* Who is not trusted is not believed. */
	world_init(&w, false);
	start(&w);
	a = client_open(&w);
	client_sends(
		&w, &a, "GET /echo HTTP/1.1\r\n" H "X-Forwarded-For: 192.0.2.7\r\n\r\n");
	UNTIL(&w, got(&a, "200 "));
	assert_string_equal(w.last_peer, "127.0.0.1");
	client_close(&a);
	world_fini(&w);
}

/* Bytes that keep coming do not move a deadline: it is a total. */
static void drip(
	struct world *w, const char *begin, const char *drop, const char *answers)
{
	struct client c = client_open(w);
	uint64_t began = clock_mono_usec();

	client_sends(w, &c, begin);
	while (!closed(&c)) {
		client_sends(w, &c, drop);
		usleep(2000);
		turn(w);
		assert_true(clock_mono_usec() - began < WAIT_USEC);
	}
	assert_true(clock_mono_usec() - began > 90 * USEC_PER_MSEC);
	assert_true(got(&c, answers));
	client_close(&c);
}

static void test_deadlines(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	w.limits.header_timeout_usec = 100 * USEC_PER_MSEC;
	start(&w);
	drip(&w, "GET / HTTP/1.1\r\n" H "X: ", "a", "408 ");
	assert_int_equal(w.last_refused, 408);
	/* ... of the second request too, from its first byte */
	struct client c = client_open(&w);
	client_sends(&w, &c, "GET / HTTP/1.1\r\n" H "\r\nGET");
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "200 408 "));
	client_close(&c);
	world_fini(&w);

	world_init(&w, false);
	w.limits.body_timeout_usec = 100 * USEC_PER_MSEC;
	start(&w);
	drip(&w, "POST / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n", "a", "408 ");
	drip(&w, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n",
		"1\r\na\r\n", "408 ");
	assert_int_equal(w.requests, 0);
	world_fini(&w);

	world_init(&w, false);
	w.limits.keep_alive_timeout_usec = 100 * USEC_PER_MSEC;
	start(&w);
	c = client_open(&w);
	struct client d = client_open(&w);
	client_sends(&w, &c, "GET / HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, closed(&c) && closed(&d)); /* silently, a fresh one too */
	assert_true(got(&c, "200 ") && got(&d, ""));
	assert_int_equal(w.refusals, 0);
	client_close(&c);
	client_close(&d);
	world_fini(&w);
}

static size_t bodies_so_far(const struct world *w)
{
	const struct http_conn *c;
	size_t sum = 0;

	LIST_FOREACH (c, &w->server->conns, link)
		sum += c->request ? c->request->body_size : 0;
	return sum;
}

/* 20 s of grace, then 500 B/s, at most BodyTimeout. */
static void test_body_rate(void **state)
{
	struct world w;
	static char body[30000];
	int64_t wall = clock_wall_usec();
	uint64_t t0 = clock_mono_usec();

	(void)state;
	clock_freeze(wall, t0);
	world_init(&w, false);
	start(&w);
	struct client slow = client_open(&w), fast = client_open(&w),
		      over = client_open(&w);
	memset(body, 'x', sizeof(body));
	client_sends(
		&w, &slow, "POST / HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\n");
	client_send(&w, &slow, (struct bytes){body, 1000}); /* good for 22 s */
	client_sends(
		&w, &fast, "POST / HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\n");
	client_send(&w, &fast, (struct bytes){body, 10000}); /* for 40 s */
	client_sends(
		&w, &over, "POST / HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\n");
	for (int i = 0; i < 3; i++)
		client_send(&w, &over, (struct bytes){body, 30000}); /* for ever */
	UNTIL(&w, bodies_so_far(&w) == 101000);
	assert_true(w.server->body_bytes >= 101000); /* with the room made for them */
	clock_freeze(wall, t0 + 21900 * USEC_PER_MSEC);
	server_run_deadlines(w.server);
	settle(&w);
	assert_false(closed(&slow) || closed(&fast) || closed(&over));
	clock_freeze(wall, t0 + 22100 * USEC_PER_MSEC);
	server_run_deadlines(w.server);
	UNTIL(&w, closed(&slow));
	assert_true(got(&slow, "408 "));
	clock_freeze(wall, t0 + 39 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	settle(&w);
	assert_false(closed(&fast) || closed(&over));
	clock_freeze(wall, t0 + 41 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	UNTIL(&w, closed(&fast));
	clock_freeze(wall, t0 + 119 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	settle(&w);
	assert_false(closed(&over));
	clock_freeze(wall, t0 + 121 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	UNTIL(&w, closed(&over));
	assert_true(got(&over, "408 "));
	clock_thaw();
	client_close(&slow);
	client_close(&fast);
	client_close(&over);
	world_fini(&w);
}

/* Who does not read its answer, and a handler that does not give one. */
static void test_answer_deadlines(void **state)
{
	struct world w;
	int64_t wall = clock_wall_usec();
	uint64_t t0 = clock_mono_usec();

	(void)state;
	world_init(&w, false);
	w.limits.body_timeout_usec = 100 * USEC_PER_MSEC;
	start(&w);
	struct client c = client_open(&w);
	client_sends(&w, &c, "GET /big HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, w.refusals == 1);
	assert_int_equal(w.last_refused, 0);
	UNTIL(&w, w.ends == 1 && http_server_connections(w.server) == 0);
	client_close(&c);
	world_fini(&w);

	clock_freeze(wall, t0);
	world_init(&w, false);
	start(&w);
	c = client_open(&w);
	client_sends(&w, &c, "POST /later HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi");
	UNTIL(&w, w.held);
	clock_freeze(wall, t0 + 29 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	settle(&w);
	assert_true(got(&c, ""));
	clock_freeze(wall, t0 + 31 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "503 ") && has(&c, "Retry-After"));
	assert_int_equal(w.ends, 0);
	assert_true(bytes_equal(http_message(w.held)->body, bytes_of("hi")));
	http_header(w.held, "X", "y"); /* it knows of nothing and answers at last */
	http_reply(w.held, 200, NULL, BYTES_NONE);
	assert_int_equal(w.ends, 0); /* never from within */
	UNTIL(&w, w.ends == 1);
	clock_thaw();
	client_close(&c);
	world_fini(&w);

	/* The control socket waits as long as its handler likes. */
	clock_freeze(wall, t0);
	world_init(&w, true);
	start(&w);
	c = client_open(&w);
	client_sends(&w, &c, "GET /later HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, w.held);
	clock_freeze(wall, t0 + 86400 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	settle(&w);
	assert_false(closed(&c));
	http_reply(w.held, 200, NULL, BYTES_NONE);
	UNTIL(&w, got(&c, "200 "));
	clock_thaw();
	client_close(&c);
	world_fini(&w);
}

/* A refused peer that neither reads nor closes is not kept for ever. */
static void test_linger(void **state)
{
	struct world w;
	int64_t wall = clock_wall_usec();
	uint64_t t0 = clock_mono_usec();
	static char body[1 << 20];

	(void)state;
	clock_freeze(wall, t0);
	world_init(&w, false);
	start(&w);
	struct client c = client_open(&w);
	client_sends(&w, &c, "GET / HTTP/1.1\n\n");
	UNTIL(&w, closed(&c)); /* its half: ours is open */
	assert_int_equal(http_server_connections(w.server), 1);
	client_sends(&w, &c, "GET /echo HTTP/1.1\r\n" H "\r\n");
	settle(&w);
	clock_freeze(wall, t0 + 6 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	assert_int_equal(http_server_connections(w.server), 0);
	assert_int_equal(w.requests, 0);
	client_close(&c);

	c = client_open(&w);
	client_sends(&w, &c, "GET / HTTP/1.1\n\n");
	UNTIL(&w, closed(&c));
	for (int i = 0; i < 20 && http_server_connections(w.server); i++)
		client_send(&w, &c, (struct bytes){body, sizeof(body)});
	UNTIL(&w, http_server_connections(w.server) == 0); /* too much of it */
	clock_thaw();
	client_close(&c);
	world_fini(&w);
}

static const char proxy_head[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10"
				 "\xc0\x00\x02\x05\x0a\0\0\1\x12\x34\x00\x50"
				 "\x04\x00\x01\x00"; /* and a TLV */

static void test_proxy_protocol(void **state)
{
	struct world w;
	struct bytes head = {proxy_head, sizeof(proxy_head) - 1};

	(void)state;
	world_init(&w, false);
	w.limits.max_connections_per_address = 1;
	world_configure(&w, true);
	world_listen(&w, false);
	for (size_t cut = 0; cut <= head.size; cut++) {
		struct client c = client_open(&w);
		client_send(&w, &c, (struct bytes){head.data, cut});
		settle(&w);
		client_send(&w, &c, (struct bytes){head.data + cut, head.size - cut});
		client_sends(
			&w, &c, "GET /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
		UNTIL(&w, closed(&c));
		assert_true(got(&c, "200 "));
		assert_string_equal(w.last_peer, "192.0.2.5");
		client_close(&c);
		UNTIL(&w, http_server_connections(w.server) == 0);
	}
	/* Counted by the client's address, not the balancer's. */
	struct client a = client_open(&w), b = client_open(&w), c = client_open(&w);
	client_send(&w, &a, head);
	UNTIL(&w, w.server->addresses.size == 1);
	client_send(&w, &b, head);
	UNTIL(&w, closed(&b));
	assert_true(got(&b, "503 "));
	assert_string_equal(w.last_refused_peer, "192.0.2.5");
	/* Without a header nothing is served. */
	client_sends(&w, &c, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, closed(&c));
	assert_true(got(&c, ""));
	assert_string_equal(w.last_reason, "no sound PROXY header");
	client_close(&a);
	client_close(&b);
	client_close(&c);
	world_fini(&w);

	world_init(&w, false);
	w.limits.handshake_timeout_usec = 100 * USEC_PER_MSEC;
	world_configure(&w, true);
	world_listen(&w, false);
	a = client_open(&w);
	client_send(&w, &a, (struct bytes){head.data, 20});
	UNTIL(&w, closed(&a));
	assert_string_equal(w.last_reason, "handshake too slow");
	client_close(&a);
	world_fini(&w);
}

/* In a child, because its descriptors run out. */
static void shortage(void)
{
	struct world w;
	struct rlimit few;
	struct client c[4];
	int filler[512];
	size_t n = 0;

	world_init(&w, false);
	start(&w);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = client_open(&w); /* they wait in the queue */
	getrlimit(RLIMIT_NOFILE, &few);
	few.rlim_cur = 100;
	setrlimit(RLIMIT_NOFILE, &few);
	while (n < ARRAY_SIZE(filler) && (filler[n] = dup(0)) >= 0)
		n++;
	assert_int_equal(errno, EMFILE);
	uint64_t began = clock_mono_usec();
	unsigned long turns = 0;
	while (clock_mono_usec() - began < 700 * USEC_PER_MSEC) {
		event_base_loop(w.base, EVLOOP_ONCE); /* sleeps where nothing is to do */
		turns++;
	}
	assert_true(turns < 100);
	assert_int_equal(w.refusals, 1);             /* one line for all of it */
	assert_true(got(&c[0], "503 ") && c[0].eof); /* by the reserve */
	while (n)
		close(filler[--n]);
	client_sends(&w, &c[3], "GET /echo HTTP/1.1\r\n" H "\r\n");
	if (!c[3].eof)
		UNTIL(&w, got(&c[3], "200 ") || closed(&c[3]));
	struct client late = client_open(&w);
	client_sends(&w, &late, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&late, "200 "));
	client_close(&late);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		client_close(&c[i]);
	world_fini(&w);
}

static void child_shortage(void **state)
{
	(void)state;
	shortage();
}

static void test_descriptors(void **state)
{
	int status = -1;

	(void)state;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		const struct CMUnitTest tests[] = {cmocka_unit_test(child_shortage)};
		_exit(cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_chunk_overhead),
		cmocka_unit_test(test_body_budget),
		cmocka_unit_test(test_requests_per_connection),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_address_cap),
		cmocka_unit_test(test_trusted_proxy),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_body_rate),
		cmocka_unit_test(test_answer_deadlines),
		cmocka_unit_test(test_linger),
		cmocka_unit_test(test_proxy_protocol),
		cmocka_unit_test(test_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
