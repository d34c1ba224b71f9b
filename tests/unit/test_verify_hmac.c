/*
 * The HMAC verifier: the published vectors that it can express, each then damaged in every
 * way a forger or a bad line would, and each made again by our own signer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/span.h"
#include "fail_malloc.h"
#include "rules/content.h"
#include "verify_trial.h"

#include <pthread.h>
#include <stdio.h>

/* A scheme as senders.md has it, and a message that verifies. */
struct vector {
	const char *name;
	struct signature_rule rule;
	const char *key; /* as used, raw; or base64 when `key_base64` */
	bool key_base64;
	const char *body, *target, *public_url, *id;
	int64_t timestamp; /* 0: none */
	const char *value; /* of the signature header */
	bool published;    /* else made once with Python's hmac module */
};

#define HEADER(n)                                                          \
	{                                                                  \
		.kind = FIELD_HEADER, .text = (char *)n, .name = (char *)n \
	}
#define TEXT(t) (char *)(t)

static const char slack_body[] =
	"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&"
	"channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&"
	"command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F"
	"commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
	"398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

static const struct vector vectors[] = {
	{.name = "GitHub",
		.rule = {.place = HEADER("X-Hub-Signature-256"),
			.algorithm = HASH_SHA256,
			.encoding = ENCODING_HEX,
			.prefix = TEXT("sha256="),
			.content = TEXT("{body}")},
		.key = "It's a Secret to Everybody",
		.body = "Hello, World!",
		.value = "sha256="
			 "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1"
			 "7",
		.published = true},
	{.name = "Slack",
		.rule = {.place = HEADER("X-Slack-Signature"),
			.algorithm = HASH_SHA256,
			.encoding = ENCODING_HEX,
			.prefix = TEXT("v0="),
			.content = TEXT("v0:{timestamp}:{body}"),
			.timestamp_header = TEXT("X-Slack-Request-Timestamp")},
		.key = "8f742231b10e8888abcd99yyyzzz85a5",
		.body = slack_body,
		.timestamp = 1531420618,
		.value = "v0="
			 "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b50"
			 "3",
		.published = true},
	{.name = "Transloadit-like",
		.rule = {.place = HEADER("X-Signature"),
			.algorithm = HASH_SHA384,
			.encoding = ENCODING_HEX,
			.prefix = TEXT("sha384:"),
			.content = TEXT("{body}")},
		.key = "foo_secret",
		.body = "{\"ok\":\"ASSEMBLY_COMPLETED\"}",
		.value =
			"sha384:"
			"bf26800c5256b38bbf9375c76894d5b649751903973f99d0f036c8e52f6cda28"
			"7bed711b73c21dbde4d4df6c8fc540a1",
		.published = true},
	{.name = "plain SHA-1",
		.rule = {.place = HEADER("X-Signature"),
			.algorithm = HASH_SHA1,
			.encoding = ENCODING_HEX,
			.prefix = TEXT(""),
			.content = TEXT("{body}")},
		.key = "secret",
		.body = "{\"a\": \"z\"}",
		.value = "b17e04cbb22afa8ffbff8796fc1894ed27badd9e",
		.published = true},
	{.name = "plain SHA-256",
		.rule = {.place = HEADER("X-Signature"),
			.algorithm = HASH_SHA256,
			.encoding = ENCODING_HEX,
			.prefix = TEXT("sha256="),
			.content = TEXT("{body}")},
		.key = "secret",
		.body = "{\"a\": \"z\"}",
		/* A prefix is stripped where it is there. */
		.value = "f417af3a21bd70379b5796d5f013915e7029f62c580fb0f500f59a35a6f04c8"
			 "9",
		.published = true},
	{.name = "Standard Webhooks",
		.rule = {.place = HEADER("webhook-signature"),
			.algorithm = HASH_SHA256,
			.encoding = ENCODING_BASE64,
			.prefix = TEXT("v1,"),
			.style = STYLE_LIST,
			.content = TEXT("{id}.{timestamp}.{body}"),
			.timestamp_header = TEXT("webhook-timestamp")},
		.key = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		.key_base64 = true,
		.body = "{\"test\": 2432232314}",
		.id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
		.timestamp = 1614265330,
		.value = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		.published = true},
	{.name = "OpenAI",
		.rule = {.place = HEADER("webhook-signature"),
			.algorithm = HASH_SHA256,
			.encoding = ENCODING_BASE64,
			.prefix = TEXT(""),
			.signature_field = TEXT("v1"),
			.style = STYLE_LIST,
			.content = TEXT("{id}.{timestamp}.{body}"),
			.timestamp_header = TEXT("webhook-timestamp")},
		.key = "RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=",
		.key_base64 = true,
		.body = "{\"id\": \"evt_685c059ae3a481909bdc86819b066fb6\", \"object\": "
			"\"event\", \"created_at\": 1750861210, \"type\": "
			"\"response.completed\", \"data\": {\"id\": \"resp_123\"}}",
		.id = "wh_685c059ae39c8190af8c71ed1022a24d",
		.timestamp = 1750861210,
		.value = "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=",
		.published = true},
	{.name = "Stripe-like",
		.rule = {.place = HEADER("Stripe-Signature"),
			.algorithm = HASH_SHA256,
			.encoding = ENCODING_HEX,
			.prefix = TEXT(""),
			.style = STYLE_PAIRS,
			.signature_field = TEXT("v1"),
			.timestamp_field = TEXT("t"),
			.content = TEXT("{timestamp}.{body}")},
		.key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		.body = "{\"object\":\"event\"}",
		.timestamp = 1614265330,
		.value = "t=1614265330,v1="
			 "4c116bab8942617141a8a0484b57cf65fd50109426121097ce47cda494c094a"
			 "f"},
	{.name = "URL, SHA-512, base64",
		.rule = {.place = HEADER("X-Signature"),
			.algorithm = HASH_SHA512,
			.encoding = ENCODING_BASE64,
			.prefix = TEXT(""),
			.content = TEXT("{url}|{body}")},
		.key = "k",
		.body = "{}",
		.target = "/callback/x?a=1",
		.public_url = "https://callbacks.example.org",
		.value = "ep+p8fmEB2Y4t10VxHEp/BvP1CdQ9Njf6yo2yl7r2WY/"
			 "dK2ZqFvgYyXvEaiTMtrW6hLdq1pMpHAXVKV6afNjFg=="},
};

static const struct vector *const vectors_end = vectors + ARRAY_SIZE(vectors);

static void start_vector(struct trial *t, const struct vector *v)
{
	start(t, VERIFY_HMAC);
	t->source.signature = v->rule;
	t->source.signature.tolerance_usec = 300 * SEC;
	add_key(t, v->key, v->key_base64);
	t->message.body = bytes_of(v->body);
	if (v->target)
		t->message.target = bytes_of(v->target);
	t->public_url = v->public_url;
	snprintf(t->value, sizeof(t->value), "%s", v->value);
	add_header(t, "Host", "callbacks.example.org");
	add_header(t, v->rule.place.name, t->value);
	if (v->id)
		add_header(t, "webhook-id", v->id);
	if (v->timestamp) {
		t->message.received_usec = v->timestamp * SEC + SEC / 2;
		snprintf(t->timestamp, sizeof(t->timestamp), "%lld",
			(long long)v->timestamp);
	}
	if (v->rule.timestamp_header)
		add_header(t, v->rule.timestamp_header, t->timestamp);
}

static void test_vectors(void **state)
{
	struct trial t;

	(void)state;
	for (const struct vector *v = vectors; v < vectors_end; v++) {
		start_vector(&t, v);
		expect_ok(&t, v->name);
		assert_int_equal(t.result.scheme, VERIFY_HMAC);
	}
}

static void test_wrong_key(void **state)
{
	struct trial t;

	(void)state;
	for (const struct vector *v = vectors; v < vectors_end; v++) {
		start_vector(&t, v);
		t.keys[0][0] ^= 1;
		expect_refused(&t, v->name, "matches none of 1 key", false);
		start_vector(&t, v);
		t.secrets[0].size--;
		if (t.secrets[0].size > 0)
			expect_refused(&t, v->name, "matches none", false);
		/* An empty key verifies nothing, not even what it signed. */
		t.secrets[0].size = 0;
		expect_refused(&t, v->name, "matches none", false);
		t.source.n_secrets = 0;
		expect_refused(&t, v->name, "matches none of 0 keys", false);
	}
}

/* One bit altered in each of eight places of what is signed, and of the signature. */
static void test_one_bit(void **state)
{
	struct trial t;
	char copy[1024];

	(void)state;
	for (const struct vector *v = vectors; v < vectors_end; v++) {
		for (size_t place = 0; place < 8; place++) {
			start_vector(&t, v);
			size_t n = t.message.body.size;
			memcpy(copy, t.message.body.data, n);
			copy[place * (n - 1) / 7] ^= (char)(1 << place % 7);
			t.message.body.data = copy;
			expect_refused(&t, v->name, "matches none", false);

			start_vector(&t, v);
			/* Still hex or base64, and another one: the digits behind the last
			 * separator, less padding. */
			char *sig = t.value;
			for (char *p = t.value; *p; p++)
				if (*p == ',' ||
					((*p == '=' || *p == ':') && p[1] && p[1] != '='))
					sig = p + 1;
			n = strcspn(sig, "=") -
			    1; /* not the last: its low bits are zero */
			char *c = sig + place * (n - 1) / 7;
			*c = *c == '0' ? '1' : '0';
			expect_refused(&t, v->name, "matches none", false);
		}
		/* Longer and shorter bodies. */
		start_vector(&t, v);
		t.message.body.size--;
		expect_refused(&t, v->name, "matches none", false);
		start_vector(&t, v);
		t.message.body.size++; /* its NUL */
		expect_refused(&t, v->name, "matches none", false);
	}
}

static void test_header_forms(void **state)
{
	struct trial t;
	char reason[128];

	(void)state;
	for (const struct vector *v = vectors; v < vectors_end; v++) {
		const char *name = v->rule.place.name;

		start_vector(&t, v);
		find(&t, name)->name = bytes_of("X-Other");
		snprintf(reason, sizeof(reason), "header %s is missing", name);
		expect_refused(&t, v->name, reason, true);

		start_vector(&t, v);
		add_header(&t, name, t.value); /* the same one twice is one too many */
		expect_refused(&t, v->name, "twice", true);

		start_vector(&t, v);
		t.value[strlen(t.value) - 5] = '\0';
		find(&t, name)->value.size -= 5;
		expect_refused(&t, v->name, "no signature of that", true);

		start_vector(&t, v);
		t.value[strlen(t.value) - 5] = '*';
		expect_refused(&t, v->name, "no signature of that", true);

		start_vector(&t, v);
		find(&t, name)->value = bytes_of("");
		expect_refused(&t, v->name, "no signature", true);

		start_vector(&t, v);
		snprintf(t.value, sizeof(t.value), "%s00", v->value);
		find(&t, name)->value = bytes_of(t.value);
		expect_refused(&t, v->name, "no signature of that", true);
	}
}

static void test_timestamps(void **state)
{
	struct trial t;

	(void)state;
	for (const struct vector *v = vectors; v < vectors_end; v++) {
		if (!v->timestamp)
			continue;
		start_vector(&t, v);
		t.message.received_usec = (v->timestamp + 300) * SEC;
		expect_ok(&t, v->name);
		t.message.received_usec = (v->timestamp - 300) * SEC;
		expect_ok(&t, v->name);
		t.message.received_usec = (v->timestamp + 300) * SEC + 1;
		expect_refused(
			&t, v->name, "timestamp is 5 min old, Tolerance=5min", true);
		t.message.received_usec = (v->timestamp + 720) * SEC;
		expect_refused(
			&t, v->name, "timestamp is 12 min old, Tolerance=5min", true);
		t.message.received_usec = (v->timestamp - 301) * SEC;
		expect_refused(
			&t, v->name, "timestamp is 5 min ahead, Tolerance=5min", true);
		t.source.signature.tolerance_usec = SPAN_FOREVER;
		t.message.received_usec = (v->timestamp + 100000000) * SEC;
		expect_ok(&t, v->name);
		if (!v->rule.timestamp_header)
			continue;

		const char *name = v->rule.timestamp_header;
		start_vector(&t, v);
		find(&t, name)->name = bytes_of("X-Other");
		expect_refused(&t, v->name, "is missing", true);
		start_vector(&t, v);
		add_header(&t, name, t.timestamp);
		expect_refused(&t, v->name, "twice", true);
		start_vector(&t, v);
		snprintf(t.timestamp, sizeof(t.timestamp), "%lld",
			(long long)v->timestamp + 1);
		expect_refused(&t, v->name, "matches none", false);
		static const char *const odd[] = {"", "x", "-1", "+1614265330", " 1",
			"1e9", "1614265330.0", "999999999999999", "0x60000000"};
		for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
			start_vector(&t, v);
			find(&t, name)->value = bytes_of(odd[i]);
			expect_refused(&t, odd[i], "not a number", true);
		}
		/* Milliseconds are understood, and are signed as they stand there. */
		start_vector(&t, v);
		snprintf(t.timestamp, sizeof(t.timestamp), "%lld000",
			(long long)v->timestamp);
		find(&t, name)->value = bytes_of(t.timestamp);
		expect_refused(&t, v->name, "matches none", false);
	}
}

static void test_ids(void **state)
{
	struct trial t;

	(void)state;
	for (const struct vector *v = vectors; v < vectors_end; v++) {
		if (!v->id)
			continue;
		start_vector(&t, v);
		find(&t, "webhook-id")->value = bytes_of("msg_other");
		expect_refused(&t, v->name, "matches none", false);
		start_vector(&t, v);
		find(&t, "webhook-id")->value = bytes_of("");
		expect_refused(&t, v->name, "header webhook-id is empty", true);
		start_vector(&t, v);
		find(&t, "webhook-id")->name = bytes_of("X-Other");
		expect_refused(&t, v->name, "header webhook-id is missing", true);
		start_vector(&t, v);
		add_header(&t, "Webhook-Id", v->id);
		expect_refused(&t, v->name, "header webhook-id stands there twice", true);
		start_vector(&t, v);
		t.source.delivery.size = 0;
		expect_refused(&t, v->name, "DeliveryField= names no header", true);
	}
}

static void test_url(void **state)
{
	const struct vector *v = &vectors[ARRAY_SIZE(vectors) - 1];
	struct trial t;

	(void)state;
	start_vector(&t, v);
	t.message.target = bytes_of("/callback/x?a=2");
	expect_refused(&t, v->name, "matches none", false);
	start_vector(&t, v);
	t.public_url = "http://callbacks.example.org";
	expect_refused(&t, v->name, "matches none", false);
	t.public_url = NULL;
	expect_refused(&t, v->name, "PublicURL= is not set", false);
}

/* Old and new key, old and new signature, in any order. */
static void test_rotation(void **state)
{
	struct trial t;

	(void)state;
	for (const struct vector *v = vectors; v < vectors_end; v++) {
		start_vector(&t, v);
		add_key(&t, "another key", false);
		expect_ok(&t, v->name);
		struct secret first = t.secrets[0];
		t.secrets[0] = t.secrets[1];
		t.secrets[1] = first;
		expect_ok(&t, v->name);
		add_key(&t, "a third", false);
		expect_ok(&t, v->name);
		t.secrets[1] = t.secrets[2];
		t.source.n_secrets = 2;
		expect_refused(&t, v->name, "matches none of 2 keys", false);
	}
}

static const struct vector *vector_of(const char *name)
{
	for (const struct vector *v = vectors; v < vectors_end; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	fail_msg("no vector %s", name);
	return NULL;
}

static void with_value(struct trial *t, const struct vector *v, const char *format,
	int n_before, int n_after)
{
	const char *one = v->rule.style == STYLE_LIST
				  ? "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= "
				  : "v1="
				    "0000000000000000000000000000000000000000000000000000"
				    "000000000000,";
	struct text x = TEXT_EMPTY;

	start_vector(t, v);
	for (int i = 0; i < n_before; i++)
		text_adds(&x, one);
	text_addf(&x, format, v->value);
	for (int i = 0; i < n_after; i++) {
		text_addc(&x, v->rule.style == STYLE_LIST ? ' ' : ',');
		text_add(&x, (struct bytes){one, strlen(one) - 1});
	}
	assert_true(x.size < sizeof(t->value) * 2);
	char *kept = test_malloc(x.size + 1); /* freed by the caller through the header */
	memcpy(kept, x.data, x.size + 1);
	find(t, v->rule.place.name)->value = bytes_of(kept);
	text_fini(&x);
}

static void end_value(struct trial *t, const struct vector *v)
{
	test_free((void *)find(t, v->rule.place.name)->value.data);
}

static void test_several_signatures(void **state)
{
	static const char *const names[] = {"Standard Webhooks", "OpenAI", "Stripe-like"};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct vector *v = vector_of(names[i]);
		for (int before = 0; before < 16; before += 5) {
			with_value(&t, v, "%s", before, 15 - before);
			expect_ok(&t, v->name);
			end_value(&t, v);
		}
		with_value(&t, v, "%s", 16, 0);
		expect_refused(&t, v->name, "too many signatures", true);
		end_value(&t, v);
		with_value(&t, v, "%s", 0, 16);
		expect_refused(&t, v->name, "too many signatures", true);
		end_value(&t, v);
		with_value(&t, v, i == 2 ? "v0=zz, %s ,v2=,junk" : "v1a,hnO3 v2,zz %s  x",
			1, 1);
		expect_ok(&t, v->name);
		end_value(&t, v);
	}
	const struct vector *v = vector_of("Stripe-like");
	with_value(&t, v, "t=1614265330,%s", 0, 0);
	expect_refused(&t, v->name, "two timestamps", true);
	end_value(&t, v);
	start_vector(&t, v);
	find(&t, "Stripe-Signature")->value = bytes_of(strchr(t.value, ',') + 1);
	expect_refused(&t, v->name, "no timestamp t=", true);
	/* Another version's field is no signature, even where its value would fit. */
	start_vector(&t, v);
	t.value[strlen("t=1614265330,v")] = '0';
	expect_refused(&t, v->name, "holds no signature", true);
	/* The same for the version of a list. */
	v = vector_of("OpenAI");
	start_vector(&t, v);
	t.value[1] = '2';
	expect_refused(&t, v->name, "holds no signature", true);
}

/* What our own signer makes verifies, and only with that key, time and body. */
static void test_signed(void **state)
{
	(void)state;
	for (const struct vector *v = vectors; v < vectors_end; v++) {
		struct trial t;
		struct text lines = TEXT_EMPTY, target = TEXT_EMPTY;
		start_vector(&t, v);
		const struct sign_input in = {.body = t.message.body,
			.id = v->id,
			.now_usec = (v->timestamp ? v->timestamp : 5) * SEC + 7,
			.public_url = v->public_url};
		text_adds(&target, v->target ? v->target : "/callback/x");
		assert_int_equal(sign_message(&t.source, &in, &lines, &target), 0);

		t.message.n_headers = 0;
		struct bytes line, rest = text_bytes(&lines);
		while (rest.size) {
			line = bytes_split(rest, '\n', &rest);
			struct bytes value, name = bytes_split(line, ':', &value);
			assert_int_equal(line.data[line.size - 1], '\r');
			value.size--;
			t.headers[t.message.n_headers++] = (struct message_header){
				name, bytes_trim(value)};
		}
		expect_ok(&t, v->name);
		/* The published signature, to the letter; the prefix may be left out there. */
		struct bytes made = find(&t, v->rule.place.name)->value;
		if (made.size >= strlen(v->value))
			assert_memory_equal(made.data + made.size - strlen(v->value),
				v->value, strlen(v->value));
		t.keys[0][0] ^= 1;
		expect_refused(&t, v->name, "matches none", false);
		text_fini(&lines);
		text_fini(&target);
	}
}

static void test_templates(void **state)
{
	static const struct {
		const char *template;
		int result;
		unsigned parts;
	} cases[] = {
		{"{body}", 0, CONTENT_BODY},
		{"v0:{timestamp}:{body}", 0, CONTENT_TIMESTAMP | CONTENT_BODY},
		{"{id}.{timestamp}.{body}{url}", 0,
			CONTENT_ID | CONTENT_TIMESTAMP | CONTENT_BODY | CONTENT_URL},
		{"{body}{form}", 0, CONTENT_BODY | CONTENT_FORM},
		{"{url}{form}", 0, CONTENT_URL | CONTENT_FORM},
		{"{form:a b}", 0, CONTENT_FORM_FIELD},
		{"x{form:a}.{body}", 0, CONTENT_FORM_FIELD | CONTENT_BODY},
		{"{form:a}{form:b}", 1, CONTENT_FORM_FIELD},
		{"{form:}", 1, 0},
		{"{form:a", 1, 0},
		{"{bodi}", 1, 0},
		{"{timestamp}", 1, CONTENT_TIMESTAMP},
		{"{body", 1, 0},
		{"{body}}", 1, CONTENT_BODY},
		{"{{body}", 1, CONTENT_BODY},
		{"", 1, 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *reason = NULL;
		if (content_check(cases[i].template, &reason) != cases[i].result)
			fail_msg("<%s>", cases[i].template);
		assert_int_equal(reason != NULL, cases[i].result);
		assert_int_equal(content_parts(cases[i].template), cases[i].parts);
	}
}

/* In a thread of its own, which has to make its contexts first. */
static void *on_short_thread(void *arg)
{
	struct trial *t = arg;

	fail_malloc_at(t->fail_at);
	int r = verify_message(
		&t->source, &t->message, t->token, t->public_url, &t->result);
	bool fired = fail_malloc_end();
	if (r != 0 && r != -ENOMEM && r != -EIO)
		return (void *)"strange result";
	if (r == 0 && t->result.verdict != (t->forged ? VERIFY_REFUSED : VERIFY_OK))
		return (void *)"wrong verdict";
	if (r != 0 && !fired)
		return (void *)"failed without need";
	return fired ? NULL : (void *)"done";
}

/* Where memory is short the answer is 503, never 401, and never 200 for a forger. */
static void test_short_of_memory(void **state)
{
	struct trial t;

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (const struct vector *v = vectors; v < vectors_end; v++) {
		for (int forged = 0; forged < 2; forged++) {
			const char *end = NULL;
			for (long n = 1; !end; n++) {
				pthread_t thread;
				void *result;
				start_vector(&t, v);
				t.fail_at = n;
				t.forged = forged;
				t.keys[0][0] ^= (unsigned char)forged;
				assert_int_equal(pthread_create(&thread, NULL,
							 on_short_thread, &t),
					0);
				assert_int_equal(pthread_join(thread, &result), 0);
				end = result;
			}
			assert_string_equal(end, "done");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: OpenSSL does not survive short memory while it is set up. */
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_one_bit),
		cmocka_unit_test(test_header_forms),
		cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_several_signatures),
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_short_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
