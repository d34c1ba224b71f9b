/* The listener: framing, answers, streams, orderly ends. Limits are in test_http_limits.c. */
#include "http_world.h"

#include <malloc.h>

#define H "Host: a\r\n"

static void test_keep_alive(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	struct client c = client_open(&w);
	for (unsigned i = 1; i <= 3; i++) {
		client_sends(&w, &c,
			"POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
		UNTIL(&w, w.ends == i);
	}
	UNTIL(&w, got(&c, "200 200 200 "));
	assert_true(has(&c, "Content-Type: application/json\r\n"));
	assert_true(has(&c, "Date: "));
	assert_false(has(&c, "Connection:"));
	assert_int_equal(http_server_connections(w.server), 1);
	client_sends(&w, &c, "POST /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "200 200 200 200 "));
	assert_true(has(&c, "Connection: close\r\n") && !c.reset);
	client_close(&c);
	UNTIL(&w, http_server_connections(w.server) == 0);

	c = client_open(&w);
	client_sends(&w, &c, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	UNTIL(&w, got(&c, "200 "));
	assert_true(has(&c, "Connection: keep-alive\r\n"));
	client_sends(&w, &c, "GET /echo HTTP/1.0\r\n\r\n");
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "200 200 "));
	client_close(&c);
	assert_int_equal(w.refusals, 0);
	world_fini(&w);
}

static const char *const talks[][2] = {
	{"GET /a HTTP/1.1\r\n" H "\r\n", "GET /a []\n"},
	{"POST /a?b HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
		"POST /a?b [hello]\n"},
	{"POST /a HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n" H
	 "\r\n",
		"POST /a [abc]\nGET /b []\n"},
	{"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	 "5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\nGET /b HTTP/1.1\r\n" H "\r\n",
		"POST /a [hello!]\nGET /b []\n"},
	{"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	 "a\r\n0123456789\r\n0\r\nHost: evil\r\nX: y\r\n\r\nGET /b HTTP/1.1\r\n" H "\r\n",
		"POST /a [0123456789]\nGET /b []\n"},
	{"POST /a HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n\r\nPUT /b HTTP/1.1\r\n" H
	 "Content-Length: 4\r\n\r\n\r\n\r\n",
		"POST /a []\nPUT /b [\r\n\r\n]\n"},
	{"BREW /a HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nxPRI /b HTTP/1.1\r\n" H
	 "\r\n",
		"BREW /a [x]\nPRI /b []\n"},
	{"SOURCE /a HTTP/1.1\r\n" H "\r\nPLAY /b HTTP/1.1\r\n" H
	 "\r\nM-SEARCH /c HTTP/1.1\r\n" H "\r\n",
		"SOURCE /a []\nPLAY /b []\nM-SEARCH /c []\n"},
	{"GET http://x/a HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"
	 "GET /b HTTP/1.1\r\n" H "\r\n",
		"GET /a []\nGET /b []\n"},
	{"POST /a HTTP/1.1\r\n" H
	 "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n"
	 "\r\nhiGET /b HTTP/1.1\r\n" H "\r\n",
		"POST /a [hi]\nGET /b []\n"},
};

static void talk(
	struct world *w, struct bytes text, size_t cut, bool each, const char *log)
{
	struct client c = client_open(w);

	text_clear(&w->log);
	if (each) {
		for (size_t i = 0; i < text.size; i++) {
			client_send(w, &c, (struct bytes){text.data + i, 1});
			turn(w);
		}
	} else {
		client_send(w, &c, (struct bytes){text.data, cut});
		settle(w);
		client_send(w, &c, (struct bytes){text.data + cut, text.size - cut});
	}
	shutdown(c.fd, SHUT_WR);
	UNTIL(w, closed(&c));
	assert_log(w, log);
	assert_int_equal(w->refusals, 0);
	client_close(&c);
}

/* The same bytes, however they are cut, are the same requests. */
static void test_cuts(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	for (size_t i = 0; i < ARRAY_SIZE(talks); i++) {
		struct bytes text = bytes_of(talks[i][0]);
		for (size_t cut = 0; cut <= text.size; cut++)
			talk(&w, text, cut, false, talks[i][1]);
		talk(&w, text, 0, true, talks[i][1]);
	}
	UNTIL(&w, http_server_connections(w.server) == 0);
	world_fini(&w);
}

static void test_pipelining(void **state)
{
	struct world w;
	struct text t = TEXT_EMPTY, expected = TEXT_EMPTY;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	for (int i = 0; i < 200; i++) {
		text_addf(&t, "POST /%d HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\n%03d",
			i, i);
		text_addf(&expected, "POST /%d [%03d]\n", i, i);
	}
	struct client c = client_open(&w);
	client_send(&w, &c, text_bytes(&t));
	UNTIL(&w, w.ends == 200);
	assert_log(&w, expected.data);

	/* While one is in flight no other is looked at, and the kernel holds what comes. */
	client_sends(&w, &c, "POST /later HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, w.held);
	for (int i = 0; i < 100; i++) {
		if (send(c.fd, t.data, t.size, MSG_NOSIGNAL) < 0)
			break;
		settle(&w);
	}
	assert_int_equal(w.requests, 201);
	struct http_conn *conn = LIST_FIRST(&w.server->conns);
	assert_true(evbuffer_get_length(bufferevent_get_input(conn->bev)) <= 2 * 16384);
	http_reply(w.held, 200, NULL, BYTES_NONE);
	UNTIL(&w, w.requests > 400);
	client_close(&c);
	text_fini(&t);
	text_fini(&expected);
	world_fini(&w);
}

/* A client that pipelines and never reads its answers costs a constant. */
static void test_unread_answers(void **state)
{
	static const char one[] = "POST /echo HTTP/1.1\r\n" H
				  "Content-Length: 1000\r\n\r\n";
	struct world w;
	char body[1000];
	struct text t = TEXT_EMPTY;

	(void)state;
	world_init(&w, false);
	w.limits.max_requests_per_connection = 1000000;
	world_configure(&w, false);
	world_listen(&w, false);
	memset(body, 'x', sizeof(body));
	for (int i = 0; i < 50; i++) {
		text_adds(&t, one);
		text_add(&t, (struct bytes){body, sizeof(body)});
	}
	struct client c = client_open(&w);
	size_t before = mallinfo2().uordblks;
	size_t most = 0;
	for (int i = 0; i < 2000; i++) {
		if (send(c.fd, t.data, t.size, MSG_NOSIGNAL) < 0 && i > 1900)
			break;
		turn(&w);
		size_t now = mallinfo2().uordblks;
		most = now > most ? now : most;
	}
	text_clear(&w.log);
	assert_true(most < before + 16 * (1u << 20)); /* our own log is most of it */
	struct http_conn *conn = LIST_FIRST(&w.server->conns);
	assert_non_null(conn);
	assert_true(evbuffer_get_length(bufferevent_get_output(conn->bev)) < 16384);
	client_close(&c);
	text_fini(&t);
	world_fini(&w);
}

static void test_trailers_are_dropped(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	struct client c = client_open(&w);
	client_sends(&w, &c,
		"POST /later HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
		"1\r\nx\r\n0\r\nX-Hub-Signature: forged\r\n\r\n");
	UNTIL(&w, w.held);
	struct bytes v;
	assert_int_equal(http_message(w.held)->n_headers, 2);
	assert_int_equal(message_header(http_message(w.held), "X-Hub-Signature", &v),
		MESSAGE_ABSENT);
	http_reply(w.held, 200, NULL, BYTES_NONE);
	UNTIL(&w, got(&c, "200 "));
	client_close(&c);
	world_fini(&w);
}

static void test_continue(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	struct client c = client_open(&w);
	client_sends(&w, &c,
		"POST /echo HTTP/1.1\r\n" H
		"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	UNTIL(&w, got(&c, "100 "));
	assert_int_equal(w.heads, 1);
	client_sends(&w, &c, "abc");
	UNTIL(&w, got(&c, "100 200 "));
	/* Who does not wait needs none; without a body there is nothing to wait for. */
	client_sends(&w, &c,
		"POST /echo HTTP/1.1\r\n" H
		"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
	UNTIL(&w, got(&c, "100 200 200 "));
	client_sends(&w, &c, "GET /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n");
	UNTIL(&w, got(&c, "100 200 200 200 "));
	/* Refused: the final answer at once, no 100 before it. */
	client_sends(&w, &c,
		"POST /refuse HTTP/1.1\r\n" H
		"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "100 200 200 200 404 "));
	client_close(&c);

	c = client_open(&w);
	client_sends(&w, &c,
		"POST /echo HTTP/1.1\r\n" H
		"Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n");
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "413 "));
	client_close(&c);

	c = client_open(&w);
	client_sends(&w, &c,
		"POST /echo HTTP/1.0\r\n" H
		"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	settle(&w);
	assert_true(got(&c, ""));
	client_sends(&w, &c, "abc");
	UNTIL(&w, got(&c, "200 "));
	client_close(&c);
	world_fini(&w);
}

/* Refused before the body: the answer arrives although the body is still being sent, and
 * nothing behind it is served. */
static void test_refused_before_body(void **state)
{
	struct world w;
	static char body[900000];

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	struct client c = client_open(&w);
	client_sends(
		&w, &c, "POST /refuse HTTP/1.1\r\n" H "Content-Length: 900000\r\n\r\n");
	memset(body, 'x', sizeof(body));
	client_send(&w, &c, (struct bytes){body, sizeof(body)});
	client_sends(&w, &c, "GET /echo HTTP/1.1\r\n" H "\r\n");
	shutdown(c.fd, SHUT_WR);
	UNTIL(&w, closed(&c));
	assert_false(c.reset);
	assert_true(got(&c, "404 "));
	assert_true(has(&c, "Connection: close\r\n"));
	assert_int_equal(w.requests, 0);
	UNTIL(&w, http_server_connections(w.server) == 0);
	client_close(&c);

	/* Without a body the framing is whole, and the connection goes on. */
	c = client_open(&w);
	client_sends(&w, &c,
		"GET /refuse HTTP/1.1\r\n" H "\r\nGET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&c, "404 200 "));
	client_close(&c);
	world_fini(&w);
}

static const char *const unsound[] = {
	"POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
	"POST /echo HTTP/1.1\r\n" H
	"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
	"0\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" H
	"Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" H
	"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
	"POST /echo HTTP/1.1\r\n" H
	"Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" H
	"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" H
	"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\rc\r\n\r\n",
	/* Sound by RFC 9112, 7.1.1, but llhttp 8.1 refuses both (measured): its opinion
	 * counts too. */
	"POST /echo HTTP/1.1\r\n" H
	"Transfer-Encoding: chunked\r\n\r\n1;a=b;c\r\na\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\n" H
	"Transfer-Encoding: chunked\r\n\r\n1;a=\"\\b\"\r\na\r\n0\r\n\r\n",
	"GET /echo\r\n\r\n",
	"GET /echo HTTP/1.1\nHost: a\n\n",
	"GET /echo HTTP/2.0\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"\x16\x03\x01\x02",
};

static void test_unsound(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	for (size_t i = 0; i < ARRAY_SIZE(unsound); i++) {
		struct client c = client_open(&w);
		unsigned refusals = w.refusals;
		client_send(&w, &c,
			(struct bytes){unsound[i],
				strlen(unsound[i]) + (i + 1 == ARRAY_SIZE(unsound))});
		client_sends(&w, &c, "GET /echo HTTP/1.1\r\n" H "\r\n");
		UNTIL(&w, closed(&c));
		if (!got(&c, "400 "))
			fail_msg("%s: %s", unsound[i], statuses(&c, false, NULL));
		assert_true(has(&c, "Connection: close\r\n"));
		assert_true(has(&c, "{\"error\":\"bad request\"}"));
		assert_int_equal(w.refusals, refusals + 1);
		assert_int_equal(w.last_refused, 400);
		assert_string_equal(w.last_refused_peer, "127.0.0.1");
		client_close(&c);
	}
	assert_int_equal(w.requests, 0);
	assert_log(&w, "");
	world_fini(&w);
}

/* One head for the check, another for the parser: every difference is seen. */
static void test_second_opinion(void **state)
{
	static const char ours[] = "POST /a HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n";
	static const struct {
		const char *theirs;
		int expected;
	} table[] = {
		{ours, 0},
		{"POST /b HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", -EBADMSG},
		{"POST /a HTTP/1.0\r\n" H "Content-Length: 5\r\n\r\n", -EBADMSG},
		{"PUT /a HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", -EBADMSG},
		{"POST /a HTTP/1.1\r\n" H "Content-Length: 6\r\n\r\n", -EBADMSG},
		{"POST /a HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", -EBADMSG},
		{"POST /a HTTP/1.1\r\n" H "X: 5\r\n\r\n", -EBADMSG},
		{"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", -EBADMSG},
		{"POST /a HTTP/1.1\r\n" H "X: 5\r\nContent-Length: 5\r\n\r\n", -EBADMSG},
		{"POST /a HTTP/1.1\r\n" H "Content-Length: 5\r\n", -EBADMSG},
	};
	const struct head_limits limits = {4096, 8, 100};
	const char *reason;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct http_request *r = calloc(
			1, sizeof(*r) + 8 * sizeof(r->headers[0]));
		struct bytes theirs = bytes_of(table[i].theirs);
		assert_non_null(r);
		assert_int_equal(0, head_check(bytes_of(ours), &limits, r->headers,
					    &r->head, &reason));
		r->head.message.method = (struct bytes){theirs.data, 4};
		int v = request_second_opinion(r, theirs);
		if (v != table[i].expected)
			fail_msg("%s: %d", table[i].theirs, v);
		if (i == 0) { /* the other way round: ours is chunked */
			r->head.chunked = true;
			r->seen_head = r->seen_end = false;
			r->seen_fields = 0;
			assert_int_equal(request_second_opinion(r, theirs), -EBADMSG);
		}
		free(r);
	}
}

static void test_half_close(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	struct client c = client_open(&w);
	client_sends(&w, &c, "POST /later HTTP/1.1\r\n" H "\r\n");
	shutdown(c.fd, SHUT_WR);
	UNTIL(&w, w.held);
	settle(&w);
	assert_false(closed(&c));
	http_reply(w.held, 200, "text/plain", bytes_of("late"));
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "200 ") && !c.reset);
	client_close(&c);

	/* Within a request it is its end: 400, never a request. */
	c = client_open(&w);
	client_sends(&w, &c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabc");
	shutdown(c.fd, SHUT_WR);
	UNTIL(&w, closed(&c));
	assert_true(got(&c, "400 "));
	assert_int_equal(w.requests, 1);
	client_close(&c);
	world_fini(&w);
}

/* The public listener does not care whether the peer is still there: the request is kept
 * until its handler is done with it. */
static void test_peer_gone(void **state)
{
	struct world w;
	struct linger hard = {1, 0};

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	struct client c = client_open(&w);
	client_sends(&w, &c, "POST /later HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi");
	UNTIL(&w, w.held);
	setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	client_close(&c);
	settle(&w);
	assert_int_equal(w.ends, 0);
	assert_int_equal(w.gone, 0);
	assert_true(bytes_equal(http_message(w.held)->body, bytes_of("hi")));
	http_reply(w.held, 200, NULL, BYTES_NONE);
	UNTIL(&w, w.ends == 1 && http_server_connections(w.server) == 0);
	world_fini(&w);
}

static void test_gone_is_told(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, true);
	world_listen_unix(&w);
	struct client c = client_open(&w);
	client_sends(&w, &c, "GET /later HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, w.held);
	assert_string_equal(w.last_peer, "unix");
	client_close(&c);
	UNTIL(&w, w.gone == 1 && w.ends == 1);

	/* One that only sends no more wants its answer. */
	c = client_open(&w);
	client_sends(&w, &c, "GET /later HTTP/1.1\r\n" H "\r\n");
	shutdown(c.fd, SHUT_WR);
	UNTIL(&w, w.held);
	settle(&w);
	assert_int_equal(w.gone, 1);
	http_reply(w.held, 200, NULL, BYTES_NONE);
	UNTIL(&w, got(&c, "200 "));
	client_close(&c);

	c = client_open(&w);
	client_sends(&w, &c, "GET /stream HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, w.held);
	client_close(&c);
	UNTIL(&w, w.gone == 2 && w.ends == 3);
	assert_int_equal(http_server_connections(w.server), 0);
	world_fini(&w);
}

static void test_streams(void **state)
{
	struct world w;
	struct text big = TEXT_EMPTY;

	(void)state;
	world_init(&w, true);
	world_listen(&w, false);
	struct client c = client_open(&w);
	client_sends(&w, &c,
		"GET /stream HTTP/1.1\r\n" H "\r\nGET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, w.held);
	assert_int_equal(http_stream_write(w.held, bytes_of("one\n")), 0);
	assert_int_equal(http_stream_write(w.held, BYTES_NONE), 0);
	UNTIL(&w, has(&c, "Transfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n"));
	assert_int_equal(http_stream_write(w.held, bytes_of("two\n")), 0);
	http_stream_end(w.held);
	UNTIL(&w, has(&c, "one\n\r\n4\r\ntwo\n\r\n0\r\n\r\nHTTP/1.1 200 OK"));
	assert_int_equal(w.ends, 2);
	client_close(&c);

	c = client_open(&w);
	client_sends(&w, &c, "GET /stream HTTP/1.0\r\n\r\n");
	UNTIL(&w, w.held);
	http_stream_write(w.held, bytes_of("one\n"));
	UNTIL(&w, has(&c, "Connection: close\r\n\r\none\n"));
	http_stream_end(w.held); /* with nothing left to write */
	UNTIL(&w, closed(&c));
	assert_false(has(&c, "chunked"));
	client_close(&c);

	/* Who does not read is not kept. */
	for (int i = 0; i < 65536; i++)
		text_addc(&big, 'x');
	c = client_open(&w);
	client_sends(&w, &c, "GET /stream HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, w.held);
	int r = 0;
	for (int i = 0; i < 1000 && r == 0; i++) {
		size_t room = http_stream_room(w.held);
		r = http_stream_write(w.held, text_bytes(&big));
		assert_int_equal(r == 0, room > 0);
		turn(&w);
		if (r == 0)
			assert_true(evbuffer_get_length(
					    bufferevent_get_output(w.held->conn->bev)) <=
				    HTTP_STREAM_ROOM + 2 * big.size);
	}
	assert_int_equal(r, -EPIPE);
	UNTIL(&w, w.ends == 4);
	UNTIL(&w, closed(&c));
	client_close(&c);
	text_fini(&big);
	world_fini(&w);
}

static void test_answers(void **state)
{
	struct world w;
	struct bytes rest;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	struct client c = client_open(&w);
	client_sends(&w, &c, "POST /allow HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&c, "405 "));
	assert_true(has(&c, "Allow: POST\r\n"));
	assert_true(has(&c, "Content-Length: 0\r\n"));
	assert_false(has(&c, "Set-Cookie"));
	client_close(&c);

	/* RFC 9110, 9.3.2: no body behind the answer to a HEAD. */
	c = client_open(&w);
	client_sends(&w, &c,
		"HEAD /refuse HTTP/1.1\r\n" H "\r\nHEAD /refuse HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, w.ends == 3);
	UNTIL(&w, (client_read(&c), strcmp(statuses(&c, true, &rest), "404 404 ")) == 0);
	assert_int_equal(rest.size, 0);
	assert_true(has(&c, "Content-Length: 2\r\n"));
	client_close(&c);

	c = client_open(&w);
	client_sends(&w, &c, "GET /big HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&c, "200 "));
	assert_true(c.in.size > 8u << 20);
	client_close(&c);
	world_fini(&w);
}

static void test_drain(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	struct client idle = client_open(&w), busy = client_open(&w),
		      fresh = client_open(&w), kept = client_open(&w);
	client_sends(&w, &idle, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&idle, "200 "));
	client_sends(&w, &kept, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&kept, "200 "));
	client_sends(&w, &busy, "GET /later HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, w.held && http_server_connections(w.server) == 4);
	clock_freeze(clock_wall_usec(), clock_mono_usec());
	http_server_drain(w.server, on_drained, &w);
	/* What was on its way in a kept connection is answered, and closes it. */
	text_clear(&kept.in);
	settle(&w);
	client_sends(&w, &kept, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&kept, "200 "));
	assert_true(has(&kept, "Connection: close\r\n"));
	client_close(&kept);
	clock_thaw();
	UNTIL(&w, closed(&idle));
	assert_false(closed(&busy) || closed(&fresh));
	/* What connected before the end is still served, once. */
	client_sends(&w, &fresh, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&fresh, "200 "));
	assert_true(has(&fresh, "Connection: close\r\n"));
	assert_int_equal(w.drained, 0);
	http_reply(w.held, 200, NULL, BYTES_NONE);
	UNTIL(&w, got(&busy, "200 "));
	assert_true(has(&busy, "Connection: close\r\n"));
	client_close(&busy);
	client_close(&fresh);
	UNTIL(&w, w.drained == 1);
	assert_int_equal(http_server_connections(w.server), 0);
	client_close(&idle);
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)w.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), -1);
	close(fd);
	world_fini(&w);

	world_init(&w, false); /* nobody there: at once */
	world_listen(&w, false);
	http_server_drain(w.server, on_drained, &w);
	assert_int_equal(w.drained, 1);
	world_fini(&w);
}

/* Its bytes are in the kernel when its time is over: it is served and not reset. */
static void test_a_request_at_the_last_moment(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	struct client c = client_open(&w);
	client_sends(&w, &c, "GET /echo HTTP/1.1\r\n" H "\r\n");
	UNTIL(&w, got(&c, "200 "));
	text_clear(&c.in);
	settle(&w);
	client_sends(&w, &c, "GET /echo HTTP/1.1\r\n" H "\r\n");
	clock_freeze(clock_wall_usec(), clock_mono_usec() + 16 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	clock_thaw();
	UNTIL(&w, got(&c, "200 "));
	clock_freeze(clock_wall_usec(), clock_mono_usec() + 32 * USEC_PER_SEC);
	server_run_deadlines(w.server);
	UNTIL(&w, closed(&c));
	clock_thaw();
	assert_false(c.reset);
	client_close(&c);
	world_fini(&w);
}

/* In every state at once; world_fini() counts the ends. */
static void test_free_anywhere(void **state)
{
	static const char *const texts[] = {"", "GET /ec",
		"POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab",
		"GET /later HTTP/1.1\r\n" H "\r\n", "GET /stream HTTP/1.1\r\n" H "\r\n",
		"GET /big HTTP/1.1\r\n" H "\r\n", "GET / HTTP/1.1\n\n"};
	struct client c[ARRAY_SIZE(texts)];
	struct world w;

	(void)state;
	world_init(&w, true);
	world_listen(&w, false);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		c[i] = client_open(&w);
		client_sends(&w, &c[i], texts[i]);
	}
	UNTIL(&w, w.requests == 3 && w.refusals == 1);
	assert_int_equal(http_server_connections(w.server), ARRAY_SIZE(texts));
	world_fini(&w);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		client_close(&c[i]);
}

#if !defined(__SANITIZE_ADDRESS__)
/* 15,000 idle connections: at most 4 KiB each. */
static void test_idle_memory(void **state)
{
	enum { N = 400 };
	static struct client c[N];
	struct world w;

	(void)state;
	world_init(&w, false);
	world_listen(&w, false);
	size_t before = mallinfo2().uordblks;
	for (unsigned i = 0; i < N; i++) {
		c[i] = client_open(&w);
		client_sends(&w, &c[i],
			"POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
		UNTIL(&w, w.ends == i + 1);
	}
	size_t each = (mallinfo2().uordblks - before) / N;
	print_message("an idle connection: %zu bytes\n", each);
	assert_true(each < 2048);
	for (unsigned i = 0; i < N; i++)
		client_close(&c[i]);
	world_fini(&w);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_unread_answers),
		cmocka_unit_test(test_trailers_are_dropped),
		cmocka_unit_test(test_continue),
		cmocka_unit_test(test_refused_before_body),
		cmocka_unit_test(test_unsound),
		cmocka_unit_test(test_second_opinion),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_peer_gone),
		cmocka_unit_test(test_gone_is_told),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_a_request_at_the_last_moment),
		cmocka_unit_test(test_free_anywhere),
#if !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(test_idle_memory),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
