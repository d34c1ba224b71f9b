/*
 * The head check, the chunk check, and what is read out of a request: tables of bytes and
 * what they must give. `status` 0 is a head that is served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/chunk.h"
#include "rules/forwarded.h"
#include "rules/head.h"
#include "rules/proxy.h"
#include "rules/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#define MAX_HEADERS 8

static const struct head_limits limits = {512, MAX_HEADERS, 64};

struct head_case {
	const char *rule; /* RFC 9112 where no other is named */
	const char *text;
	int status;
	size_t size; /* 0: strlen */
};

#define H              "Host: a\r\n"
#define P              "POST / HTTP/1.1\r\n"
#define OK(f)          P H f "\r\n"
#define NUL(s, status) s, status, sizeof(s) - 1

static const struct head_case cases[] = {
	/* the request line */
	{"3 plain", P H "\r\n", 0, 0},
	{"3 GET", "GET / HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3 1.0", "POST / HTTP/1.0\r\n\r\n", 0, 0},
	{"3.1 any token is a method", "BREW / HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.1 all token characters", "!#$%&'*+-.^_`|~09 / HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.1 methods have case", "post / HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.1 no method", " / HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.1 method is no token", "PO(ST / HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.1 colon in the method", "POST: / HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.1 method above ASCII", "P\xc3\x96ST / HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3 two blanks", "POST  / HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3 two blanks", "POST /  HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3 tab", "POST\t/ HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3 tab", "POST /\tHTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3 blank at the end", "POST / HTTP/1.1 \r\n" H "\r\n", 400, 0},
	{"3 vertical tab", "POST\v/ HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3 a word more", "POST / x HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"2.2 one empty line in front", "\r\n" P H "\r\n", 0, 0},
	{"2.2 two empty lines in front", "\r\n\r\n" P H "\r\n", 400, 0},
	{"2.2 bare CR in front", "\r" P H "\r\n", 400, 0},
	{"2.2 bare LF in front", "\n" P H "\r\n", 400, 0},
	{"2.2 blank in front", " " P H "\r\n", 400, 0},
	{"2.2 LF alone ends the request line", "POST / HTTP/1.1\n" H "\r\n", 400, 0},
	{"2.2 LF alone ends a field", P "Host: a\n\r\n", 400, 0},
	{"2.2 LF alone ends the head", P H "\n", 400, 0},
	{"2.2 CR CR LF", P "Host: a\r\r\n\r\n", 400, 0},
	{"2.2 bare CR in a value", P H "X: a\rb\r\n\r\n", 400, 0},
	{"2.2 bare CR in a name", P H "X\rY: a\r\n\r\n", 400, 0},
	{"2.2 bare CR in the request line", "POST /\r HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"2.2 bare CR as the end", P H "\r\r\n", 400, 0},
	{"2.3 0.9", "GET /\r\n\r\n", 400, 0},
	{"2.3 no version", "POST / \r\n" H "\r\n", 400, 0},
	{"2.3 0.9 written out", "GET / HTTP/0.9\r\n" H "\r\n", 400, 0},
	{"2.3 1.2", "GET / HTTP/1.2\r\n" H "\r\n", 400, 0},
	{"2.3 2.0", "GET / HTTP/2.0\r\n" H "\r\n", 400, 0},
	{"2.3 2", "GET / HTTP/2\r\n" H "\r\n", 400, 0},
	{"2.3 3", "GET / HTTP/3\r\n" H "\r\n", 400, 0},
	{"2.3 10.1", "GET / HTTP/10.1\r\n" H "\r\n", 400, 0},
	{"2.3 1.10", "GET / HTTP/1.10\r\n" H "\r\n", 400, 0},
	{"2.3 01.1", "GET / HTTP/01.1\r\n" H "\r\n", 400, 0},
	{"2.3 1,1", "GET / HTTP/1,1\r\n" H "\r\n", 400, 0},
	{"2.3 case", "GET / http/1.1\r\n" H "\r\n", 400, 0},
	{"2.3 blank in it", "GET / HTTP /1.1\r\n" H "\r\n", 400, 0},
	{"2.3 cut", "GET / HTTP/1.\r\n" H "\r\n", 400, 0},
	{"2.3 RTSP", "DESCRIBE / RTSP/1.0\r\n" H "\r\n", 400, 0},
	{"2.3 ICE", "SOURCE / ICE/1.0\r\n" H "\r\n", 400, 0},
	{"RFC 9113, 3.4 preface", "PRI * HTTP/2.0\r\n\r\n", 400, 0},
	/* the target */
	{"3.2.1 path", "GET /a/b;c=d/%20~ HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.2.1 empty segments", "GET //a//b/ HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.2.1 query", "GET /?a=/?:@!$&'()*+,;= HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.2.1 empty query", "GET /? HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.2 no target", "GET  HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 relative", "GET a HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 query alone", "GET ?a HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 fragment behind a query", "GET /a?b#c HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 above ASCII", "GET /\xc3\xbc HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 DEL", "GET /\x7f HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 control byte", "GET /\x01 HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 backslash", "GET /\\a HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 quote", "GET /\"a HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 angle bracket", "GET /<a> HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 brace", "GET /{a} HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.1 bracket", "GET /a[0] HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2 what browsers leave in a query", "GET /?a[]={\\|^`} HTTP/1.1\r\n" H "\r\n",
		0, 0},
	{"3.2 quote in a query", "GET /?\" HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2 angle in a query", "GET /?<> HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"RFC 3986, 2.1 percent", "GET /%zz HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"RFC 3986, 2.1 percent cut", "GET /%2 HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"RFC 3986, 2.1 percent in a query", "GET /?% HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.2 absolute", "GET http://a/b?c HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.2.2 absolute, https and port", "GET HTTPS://a:8443/ HTTP/1.1\r\n" H "\r\n", 0,
		0},
	{"3.2.2 absolute without a path", "GET http://a HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.2.2 absolute, IPv6", "GET http://[::1]:80/ HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.2.2 absolute still needs Host", "GET http://a/ HTTP/1.1\r\n\r\n", 400, 0},
	{"RFC 9110, 4.2.1 empty host", "GET http:///b HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"RFC 9110, 4.2.4 user", "GET http://u@a/ HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.2 another scheme", "GET ftp://a/ HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.2 no slashes", "GET http:a HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.2 bad port", "GET http://a:x/ HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.3 authority", "CONNECT a:443 HTTP/1.1\r\n" H "\r\n", 404, 0},
	{"3.2.3 authority, IPv6", "CONNECT [::1]:443 HTTP/1.1\r\n" H "\r\n", 404, 0},
	{"3.2.3 authority, no port", "CONNECT a HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.3 authority, IPv6, no port", "CONNECT [::1] HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"RFC 9110, 9.3.6 empty port", "CONNECT a: HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"RFC 9110, 9.3.6 bad port", "CONNECT a:65536 HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.3 CONNECT, no Host", "CONNECT a:443 HTTP/1.1\r\n\r\n", 400, 0},
	{"3.2.3 CONNECT, unsound otherwise", "CONNECT a:443 HTTP/1.1\r\n" H "X\r\n\r\n",
		400, 0},
	{"3.2.3 CONNECT with a path", "CONNECT / HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.3 CONNECT with a URL", "CONNECT http://a/ HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.3 authority, other method", "GET a:443 HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.4 asterisk", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, 0},
	{"3.2.4 asterisk and more", "OPTIONS *a HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.4 asterisk with a query", "OPTIONS *?a HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3.2.4 asterisk, another method", "GET * HTTP/1.1\r\n" H "\r\n", 400, 0},
	{"3 target at the limit",
		"GET /23456789012345678901234567890123456789012345678901234567890123"
		"4 HTTP/1.1\r\n" H "\r\n",
		0, 0},
	{"3 target over the limit",
		"GET /234567890123456789012345678901234567890123456789012345678901234"
		"5 HTTP/1.1\r\n" H "\r\n",
		414, 0},
	/* fields */
	{"5 empty value", OK("X:\r\n"), 0, 0},
	{"5 blanks around a value", OK("X: \t a b \t\r\n"), 0, 0},
	{"5 colon in a value", OK("X: a:b\r\n"), 0, 0},
	{"RFC 9110, 5.5 obs-text", OK("X: \xc3\xbc\xff\r\n"), 0, 0},
	{"RFC 9110, 5.6.2 name", OK("!#$%&'*+-.^_`|~z: 1\r\n"), 0, 0},
	{"5 no colon", OK("X\r\n"), 400, 0},
	{"5 no name", OK(": a\r\n"), 400, 0},
	{"5.1 blank before the colon", OK("X : a\r\n"), 400, 0},
	{"5.1 tab before the colon", OK("X\t: a\r\n"), 400, 0},
	{"5.1 blank in the name", OK("X Y: a\r\n"), 400, 0},
	{"5.1 blank before CL's colon", OK("Content-Length : 0\r\n"), 400, 0},
	{"5.1 blank before TE's colon", OK("Transfer-Encoding : chunked\r\n"), 400, 0},
	{"5 name above ASCII", OK("\xc3\x9c: a\r\n"), 400, 0},
	{"5 name with a separator", OK("X(Y): a\r\n"), 400, 0},
	{"5 name with a control byte", OK("X\x01: a\r\n"), 400, 0},
	{"5.2 fold", OK("X: a\r\n b\r\n"), 400, 0},
	{"5.2 fold by tab", OK("X: a\r\n\tb: c\r\n"), 400, 0},
	{"5.2 fold of nothing", OK("X:\r\n \r\n"), 400, 0},
	{"2.2 blank before the first field", P " X: a\r\n" H "\r\n", 400, 0},
	{"RFC 9110, 5.5 control byte", OK("X: a\x01\r\n"), 400, 0},
	{"RFC 9110, 5.5 DEL", OK("X: a\x7f\r\n"), 400, 0},
	{"RFC 9110, 5.5 escape", OK("X: \x1b[0m\r\n"), 400, 0},
	{"RFC 9110, 5.5 vertical tab", OK("X: a\vb\r\n"), 400, 0},
	{"RFC 9110, 5.5 NUL in a value", NUL(P H "X: a\0b\r\n\r\n", 400)},
	{"RFC 9110, 5.5 NUL in a name", NUL(P H "X\0: a\r\n\r\n", 400)},
	{"3 NUL in the request line", NUL("POST /\0 HTTP/1.1\r\n" H "\r\n", 400)},
	{"RFC 6585, 5 fields at the limit",
		P H "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n\r\n", 0, 0},
	{"RFC 6585, 5 fields over the limit",
		P H "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n\r\n", 431, 0},
	/* Host */
	{"3.2 no Host", P "\r\n", 400, 0},
	{"3.2 two Hosts", P H H "\r\n", 400, 0},
	{"3.2 two Hosts, case", P H "hOST: b\r\n\r\n", 400, 0},
	{"3.2 two Hosts in 1.0", "POST / HTTP/1.0\r\n" H H "\r\n", 400, 0},
	{"3.2 one Host in 1.0", "POST / HTTP/1.0\r\n" H "\r\n", 0, 0},
	{"RFC 9110, 4.2.1 empty Host", P "Host:\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 port", P "Host: a.example:8080\r\n\r\n", 0, 0},
	{"RFC 9110, 7.2 empty port", P "Host: a:\r\n\r\n", 0, 0},
	{"RFC 9110, 7.2 IPv6", P "Host: [2001:db8::1]:80\r\n\r\n", 0, 0},
	{"RFC 3986, 3.2.2 IPvFuture", P "Host: [v1.a:b]\r\n\r\n", 0, 0},
	{"RFC 9110, 7.2 bad port", P "Host: a:8x\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 port above 65535", P "Host: a:65536\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 two", P "Host: a, b\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 two by blank", P "Host: a b\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 path", P "Host: a/b\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 user", P "Host: u@a\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 query", P "Host: a?b\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 fragment", P "Host: a#b\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 above ASCII", P "Host: \xc3\xbc\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 port alone", P "Host: :80\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 open bracket", P "Host: [::1\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 no IPv6", P "Host: [abc]\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 bytes behind", P "Host: [::1]a\r\n\r\n", 400, 0},
	{"RFC 9110, 7.2 naked IPv6", P "Host: ::1\r\n\r\n", 400, 0},
	/* the length of the body */
	{"6.2 length", OK("Content-Length: 5\r\n"), 0, 0},
	{"6.2 zero", OK("Content-Length: 0\r\n"), 0, 0},
	{"6.2 leading zeros", OK("Content-Length: 0005\r\n"), 0, 0},
	{"6.2 the greatest", OK("Content-Length: 18446744073709551615\r\n"), 0, 0},
	{"6.2 overflow", OK("Content-Length: 18446744073709551616\r\n"), 400, 0},
	{"6.2 long overflow", OK("Content-Length: 99999999999999999999999\r\n"), 400, 0},
	{"6.3 twice", OK("Content-Length: 5\r\nContent-Length: 6\r\n"), 400, 0},
	{"6.3 twice the same", OK("Content-Length: 5\r\nContent-Length: 5\r\n"), 400, 0},
	{"6.3 list", OK("Content-Length: 5, 5\r\n"), 400, 0},
	{"6.2 plus", OK("Content-Length: +5\r\n"), 400, 0},
	{"6.2 minus", OK("Content-Length: -5\r\n"), 400, 0},
	{"6.2 hex", OK("Content-Length: 0x5\r\n"), 400, 0},
	{"6.2 fraction", OK("Content-Length: 5.0\r\n"), 400, 0},
	{"6.2 blank inside", OK("Content-Length: 5 5\r\n"), 400, 0},
	{"6.2 underscore", OK("Content-Length: 1_0\r\n"), 400, 0},
	{"6.2 empty", OK("Content-Length:\r\n"), 400, 0},
	{"6.2 quoted", OK("Content-Length: \"5\"\r\n"), 400, 0},
	{"6.2 word", OK("Content-Length: five\r\n"), 400, 0},
	{"6.1 chunked", OK("Transfer-Encoding: chunked\r\n"), 0, 0},
	{"7 case", OK("Transfer-Encoding: Chunked\r\n"), 0, 0},
	{"6.1 with Content-Length",
		OK("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400, 0},
	{"6.1 with Content-Length in front",
		OK("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), 400, 0},
	{"6.1 twice", OK("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
		400, 0},
	{"6.1 two codings", OK("Transfer-Encoding: gzip, chunked\r\n"), 400, 0},
	{"6.1 chunked twice", OK("Transfer-Encoding: chunked, chunked\r\n"), 400, 0},
	{"6.1 chunked not last", OK("Transfer-Encoding: chunked, gzip\r\n"), 400, 0},
	{"6.1 identity", OK("Transfer-Encoding: identity\r\n"), 400, 0},
	{"6.1 unknown", OK("Transfer-Encoding: xchunked\r\n"), 400, 0},
	{"6.1 parameter", OK("Transfer-Encoding: chunked;a=b\r\n"), 400, 0},
	{"6.1 quoted", OK("Transfer-Encoding: \"chunked\"\r\n"), 400, 0},
	{"6.1 empty", OK("Transfer-Encoding:\r\n"), 400, 0},
	{"6.1 comma", OK("Transfer-Encoding: chunked,\r\n"), 400, 0},
	{"6.1 vertical tab", OK("Transfer-Encoding: \vchunked\r\n"), 400, 0},
	{"6.1 with 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0},
	{"6.1 a near name is another field", OK("Transfer_Encoding: chunked\r\n"), 0, 0},
	/* what is not served */
	{"RFC 9110, 8.4 gzip", OK("Content-Encoding: gzip\r\n"), 415, 0},
	{"RFC 9110, 8.4 identity", OK("Content-Encoding: Identity\r\n"), 0, 0},
	{"RFC 9110, 8.4 second line",
		OK("Content-Encoding: identity\r\nContent-Encoding: br\r\n"), 415, 0},
	{"RFC 9110, 10.1.1", OK("Expect: 100-Continue\r\n"), 0, 0},
	{"RFC 9110, 10.1.1 another", OK("Expect: tea\r\n"), 417, 0},
	{"RFC 9110, 10.1.1 list", OK("Expect: 100-continue, tea\r\n"), 417, 0},
	{"unsound wins over unsupported", P "Expect: tea\r\n\r\n", 400, 0},
	{"RFC 9110, 7.8 Upgrade is ignored",
		OK("Connection: upgrade\r\nUpgrade: h2c\r\n"), 0, 0},
	/* not a head at all */
	{"TLS on the plain port", NUL("\x16\x03\x01\0\xa5\x01\0\0\xa1\r\n\r\n", 400)},
	{"nothing", "", 400, 0},
	{"no end", "POST / HTTP/1.1\r\n" H, 400, 0},
	{"bytes behind the end", P H "\r\nx", 400, 0},
};

static int check(struct bytes text, struct head *h, struct message_header *headers)
{
	const char *reason = NULL;
	int status = head_check(text, &limits, headers, h, &reason);

	if (status)
		assert_non_null(reason);
	return status;
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct message_header headers[MAX_HEADERS];
		struct head h;
		struct bytes text = {cases[i].text,
			cases[i].size ? cases[i].size : strlen(cases[i].text)};
		int status = check(text, &h, headers);
		if (status != cases[i].status)
			fail_msg(
				"%s: %d, not %d", cases[i].rule, status, cases[i].status);
	}
	assert_true(ARRAY_SIZE(cases) >= 150);
}

/* Whatever is served must have been found whole, and no shorter. */
static void test_find_end(void **state)
{
	const char *reason;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes text = {cases[i].text,
			cases[i].size ? cases[i].size : strlen(cases[i].text)};
		if (cases[i].status)
			continue;
		for (size_t n = 0; n < text.size; n++)
			assert_int_equal(
				head_find_end((struct bytes){text.data, n}, &limits), 0);
		assert_int_equal(head_find_end(text, &limits), text.size);
	}
	assert_int_equal(head_find_end(bytes_of("GET / HTTP/1.1\nX"), &limits), 15);
	assert_int_equal(head_find_end((struct bytes){"GE\0", 3}, &limits), 3);
	assert_int_equal(head_find_end(bytes_of("\r\n\r\nGET"), &limits), 4);

	char big[512];
	memset(big, 'a', sizeof(big));
	assert_int_equal(head_find_end((struct bytes){big, 511}, &limits), 0);
	assert_int_equal(head_find_end((struct bytes){big, 512}, &limits), -EMSGSIZE);
	assert_int_equal(head_overflow((struct bytes){big, 512}, &reason), 414);
	memcpy(big + 20, "\r\n", 2);
	assert_int_equal(head_find_end((struct bytes){big, 512}, &limits), -EMSGSIZE);
	assert_int_equal(head_overflow((struct bytes){big, 512}, &reason), 431);
	memcpy(big + 508, "\r\n\r\n", 4); /* the last byte that may be */
	assert_int_equal(head_find_end((struct bytes){big, 512}, &limits), 512);
}

#define assert_bytes(b, s) assert_true(bytes_equal(b, bytes_of(s)))

static void test_meaning(void **state)
{
	struct message_header headers[MAX_HEADERS];
	struct bytes value;
	struct head h;

	(void)state;
	assert_int_equal(0,
		check(bytes_of("PUT http://b.example:81/p/q?x=1 HTTP/1.1\r\nHost: a\r\n"
			       "X-One:  1 \r\nx-two: 2\r\nX-TWO: 3\r\n"
			       "Content-Length: 17\r\nExpect: 100-continue\r\n\r\n"),
			&h, headers));
	assert_bytes(h.message.method, "PUT");
	assert_bytes(h.request_target, "http://b.example:81/p/q?x=1");
	assert_bytes(h.message.target, "/p/q?x=1");
	assert_bytes(h.message.path, "/p/q");
	assert_bytes(h.message.query, "x=1");
	assert_bytes(h.host, "b.example:81");
	assert_int_equal(h.minor, 1);
	assert_true(h.has_length && h.length == 17 && !h.chunked);
	assert_true(h.expect_continue && h.keep_alive);
	assert_int_equal(h.message.n_headers, 6);
	assert_int_equal(message_header(&h.message, "x-ONE", &value), MESSAGE_ONCE);
	assert_bytes(value, "1");
	assert_int_equal(message_header(&h.message, "X-Two", &value), MESSAGE_TWICE);
	assert_bytes(value, "1"); /* untouched */
	assert_int_equal(message_header(&h.message, "X-Three", &value), MESSAGE_ABSENT);

	assert_int_equal(0,
		check(bytes_of("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n"), &h, headers));
	assert_bytes(h.message.path, "/");
	assert_null(h.message.query.data);
	assert_int_equal(
		0, check(bytes_of("GET /? HTTP/1.1\r\nHost: a\r\n\r\n"), &h, headers));
	assert_true(h.message.query.data && h.message.query.size == 0);
	assert_bytes(h.host, "a");
}

static void test_keep_alive(void **state)
{
	static const struct {
		const char *text;
		bool keep;
	} table[] = {
		{OK(""), true},
		{OK("Connection: close\r\n"), false},
		{OK("Connection: Foo ,CLOSE\r\n"), false},
		{OK("Connection: keep-alive\r\nConnection: close\r\n"), false},
		{OK("Connection: closed\r\n"), true},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
	};
	struct message_header headers[MAX_HEADERS];
	struct head h;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(0, check(bytes_of(table[i].text), &h, headers));
		assert_int_equal(h.keep_alive, table[i].keep);
	}
	assert_int_equal(
		0, check(bytes_of("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), &h,
			   headers));
	assert_false(h.expect_continue);
}

static void test_parameters(void **state)
{
	struct bytes v = BYTES_NONE;
	struct bytes text = bytes_of("a=1&b=%41+c&%61b=3&c&d=&e=1&e=2&=x&%zz=4&a%00b=5");

	(void)state;
	assert_int_equal(message_parameter(text, bytes_of("a"), &v), MESSAGE_ONCE);
	assert_bytes(v, "1");
	assert_int_equal(message_parameter(text, bytes_of("b"), &v), MESSAGE_ONCE);
	assert_bytes(v, "%41+c");
	assert_int_equal(message_parameter(text, bytes_of("ab"), &v), MESSAGE_ONCE);
	assert_bytes(v, "3");
	assert_int_equal(message_parameter(text, bytes_of("c"), &v), MESSAGE_ONCE);
	assert_true(v.data && v.size == 0);
	assert_int_equal(message_parameter(text, bytes_of("d"), &v), MESSAGE_ONCE);
	assert_int_equal(message_parameter(text, bytes_of("%zz"), &v), MESSAGE_ONCE);
	assert_bytes(v, "4");
	assert_int_equal(message_parameter(text, bytes_of("e"), &v), MESSAGE_TWICE);
	assert_bytes(v, "4");
	assert_int_equal(message_parameter(text, bytes_of("f"), &v), MESSAGE_ABSENT);
	assert_int_equal(
		message_parameter(BYTES_NONE, bytes_of("f"), &v), MESSAGE_ABSENT);
}

struct chunk_case {
	const char *rule, *text;
	int verdict; /* 1 done, 0 more, else a status */
	size_t used; /* of a body that is done; 0: all of it */
};

static const struct chunk_limits chunk_limits = {100, 40};

static const struct chunk_case chunks[] = {
	{"7.1 empty", "0\r\n\r\n", 1, 0},
	{"7.1 one", "3\r\nabc\r\n0\r\n\r\n", 1, 0},
	{"7.1 what is behind stays", "1\r\na\r\n0\r\n\r\nGET /", 1, 11},
	{"7.1 hex, both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 1, 0},
	{"7.1 leading zeros", "0003\r\nabc\r\n000\r\n\r\n", 1, 0},
	{"7.1 CRLF in data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", 1, 0},
	{"7.1 cut", "3\r\nab", 0, 0},
	{"7.1 no last CRLF", "0\r\n", 0, 0},
	{"7.1 no size", "\r\nabc\r\n0\r\n\r\n", 400, 0},
	{"7.1 no hex", "g\r\n", 400, 0},
	{"7.1 minus", "-1\r\n", 400, 0},
	{"7.1 plus", "+1\r\n", 400, 0},
	{"7.1 0x", "0x1\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1 blank in front", " 1\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1 blank behind", "1 \r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1 tab behind", "1\t\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1 LF behind the size", "1\na\r\n0\r\n\r\n", 400, 0},
	{"7.1 CR behind the size", "1\ra\r\n0\r\n\r\n", 400, 0},
	{"7.1 CR CR LF", "1\r\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1 LF behind the data", "1\r\na\n0\r\n\r\n", 400, 0},
	{"7.1 nothing behind the data", "1\r\na0\r\n\r\n", 400, 0},
	{"7.1 data too long", "1\r\nab\r\n0\r\n\r\n", 400, 0},
	{"7.1 data too short", "2\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1 LF ends the body", "0\r\n\n", 400, 0},
	{"7.1 NUL", "1\r\na\r\n0\r\n\x01", 400, 0},
	{"7.1 17 digits", "00000000000000001\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1 overflow", "10000000000000000\r\n", 400, 0},
	{"the greatest", "ffffffffffffffff\r\n", 413, 0},
	{"too large at once", "65\r\n", 413, 0},
	{"too large in sum", "1\r\na\r\n64\r\n", 413, 0},
	{"7.1.1 extension", "1;a\r\na\r\n0;b=c;d=\"e\\\"\"\r\n\r\n", 1, 0},
	{"7.1.1 no name", "1;\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1.1 no value", "1;a=\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1.1 LF in a name", "1;a\nb\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1.1 LF in quotes", "1;a=\"\n\"\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1.1 CRLF in quotes", "1;a=\"\r\n\"\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1.1 quotes open", "1;a=\"b\r\n", 400, 0},
	{"7.1.1 blank", "1; a=b\r\na\r\n0\r\n\r\n", 400, 0},
	{"7.1.1 too large", "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 413,
		0},
	{"7.1.2 trailer", "0\r\nA: b\r\nC:\r\n\r\n", 1, 0},
	{"7.1.2 fold", "0\r\nA: b\r\n c\r\n\r\n", 400, 0},
	{"7.1.2 no colon", "0\r\nA\r\n\r\n", 400, 0},
	{"7.1.2 blank before the colon", "0\r\nA : b\r\n\r\n", 400, 0},
	{"7.1.2 no name", "0\r\n: b\r\n\r\n", 400, 0},
	{"7.1.2 LF", "0\r\nA: b\n\r\n", 400, 0},
	{"7.1.2 CR", "0\r\nA: b\rC: d\r\n\r\n", 400, 0},
	{"7.1.2 control byte", "0\r\nA: \x01\r\n\r\n", 400, 0},
	{"7.1.2 too large", "0\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n\r\n",
		413, 0},
};

static void test_chunks(void **state)
{
	const char *reason;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		const struct chunk_case *t = &chunks[i];
		struct chunk whole = {0}, single = {0};
		size_t used = 0, sum = 0;
		int v = chunk_check(
			&whole, &chunk_limits, bytes_of(t->text), &used, &reason);
		if (v != t->verdict)
			fail_msg("%s: %d, not %d", t->rule, v, t->verdict);
		if (v == CHUNK_DONE)
			assert_int_equal(used, t->used ? t->used : strlen(t->text));
		/* Cut at every byte it must come to the same. */
		for (size_t n = 0; t->text[n]; n++) {
			v = chunk_check(&single, &chunk_limits,
				(struct bytes){t->text + n, 1}, &used, &reason);
			sum += used;
			if (v != CHUNK_MORE)
				break;
		}
		assert_int_equal(v, t->verdict);
		if (v == CHUNK_DONE)
			assert_int_equal(sum, t->used ? t->used : strlen(t->text));
	}
}

static void test_forwarded(void **state)
{
	static const struct {
		const char *one, *two, *client;
	} table[] = {
		{NULL, NULL, "10.0.0.1"},
		{"192.0.2.1", NULL, "192.0.2.1"},
		{"198.51.100.7, 192.0.2.1", NULL, "192.0.2.1"}, /* forged in front */
		{"192.0.2.1, 10.0.0.9", NULL, "192.0.2.1"},
		{"192.0.2.1", "10.0.0.9", "192.0.2.1"},
		{"192.0.2.1", "192.0.2.2", "192.0.2.2"},
		{"10.0.0.3, 10.0.0.2", NULL, "10.0.0.3"},
		{"192.0.2.1, unknown", NULL, "10.0.0.1"},
		{"192.0.2.1, unknown, 10.0.0.9", NULL, "10.0.0.9"},
		{"192.0.2.1:4711", NULL, "192.0.2.1"},
		{"[2001:DB8:0::1]:4711", NULL, "2001:db8::1"},
		{"2001:db8::1", NULL, "2001:db8::1"},
		{"::ffff:192.0.2.1", NULL, "192.0.2.1"},
		{" 192.0.2.1 , ,", NULL, "192.0.2.1"},
		{"", NULL, "10.0.0.1"},
		{"1.2.3.4.5", NULL, "10.0.0.1"},
		{"[::1", NULL, "10.0.0.1"},
	};
	struct cidr_list trusted = {0};
	char out[FORWARDED_TEXT_SIZE];

	(void)state;
	assert_int_equal(cidr_list_add(&trusted, "10.0.0.0/8"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct message_header headers[] = {
			{bytes_of("x-forwarded-for"), bytes_of(table[i].one)},
			{bytes_of("X-Forwarded-For"), bytes_of(table[i].two)},
		};
		struct message m = {.headers = headers,
			.n_headers = table[i].two   ? 2
				     : table[i].one ? 1
						    : 0,
			.peer = bytes_of("10.0.0.1")};
		struct bytes client = forwarded_client(&m, &trusted, out);
		if (!bytes_equal(client, bytes_of(table[i].client)))
			fail_msg("%s, %s: %s", table[i].one, table[i].two, out);
	}
	cidr_list_fini(&trusted);
}

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static void test_proxy(void **state)
{
	char v4[] = SIG "\x21\x11\x00\x0c\xc0\x00\x02\x01\x0a\0\0\1\x12\x34\x00\x50";
	char v6[] = SIG "\x21\x21\x00\x24"
			"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
			"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
			"\0\0\0\0";
	char out[FORWARDED_TEXT_SIZE];
	size_t more = 0;

	(void)state;
	for (size_t n = 1; n <= 16; n++)
		assert_int_equal(proxy_begin((struct bytes){v4, n}, &more), 0);
	assert_int_equal(more, 12);
	assert_int_equal(proxy_client((struct bytes){v4, 28}, out), 0);
	assert_string_equal(out, "192.0.2.1");
	assert_int_equal(proxy_client((struct bytes){v6, 52}, out), 0);
	assert_string_equal(out, "2001:db8::1");
	assert_int_equal(proxy_client((struct bytes){v4, 27}, out), -EINVAL);
	v4[15] = 11; /* shorter than two addresses */
	assert_int_equal(proxy_client((struct bytes){v4, 27}, out), -EINVAL);
	v4[15] = 12;
	v4[13] = 0; /* AF_UNSPEC */
	assert_int_equal(proxy_client((struct bytes){v4, 28}, out), 1);
	v4[12] = 0x20; /* LOCAL */
	assert_int_equal(proxy_client((struct bytes){v4, 28}, out), 1);
	v4[12] = 0x22; /* no such command */
	assert_int_equal(proxy_begin((struct bytes){v4, 16}, &more), -EINVAL);
	v4[12] = 0x11; /* version 1 */
	assert_int_equal(proxy_begin((struct bytes){v4, 16}, &more), -EINVAL);
	assert_int_equal(proxy_begin(bytes_of("PROXY TCP4"), &more), -EINVAL);
	assert_int_equal(proxy_begin(bytes_of("\r\nG"), &more), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_find_end),
		cmocka_unit_test(test_meaning),
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_forwarded),
		cmocka_unit_test(test_proxy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
