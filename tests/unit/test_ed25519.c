/*
 * Ed25519 as Discord, fal.ai and Standard Webhooks sign with it. The vector of Standard Webhooks
 * is published; the others are signed here, by the form their documentation gives.
 */
#include "public_trial.h"

#include "rules/content.h"

#define BODY "{\"type\":1,\"id\":\"1\"}"
#define WHPK "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="

static EVP_PKEY *key, *other;

static char *hex_signature(EVP_PKEY *by, const char *text)
{
	unsigned char raw[SIGNATURE_MAX];
	size_t n = sign_raw(by, NULL, HOW_PLAIN, bytes_of(text), raw);

	return codec_hex_encode(raw, n);
}

static void begin_discord(struct trial *t)
{
	begin(t, VERIFY_ED25519, "/callback/s");
	t->source.signature.place = (struct field){.kind = FIELD_HEADER,
		.text = (char *)"X-Signature-Ed25519",
		.name = (char *)"X-Signature-Ed25519"};
	t->source.signature.content = (char *)"{timestamp}{body}";
	t->source.signature.timestamp_header = (char *)"X-Signature-Timestamp";
	add_keys(t, set_of_key(key));
	set_body(t, BODY);
	CLEANUP(freep) char *signature = hex_signature(key, "1700000000" BODY);
	set_header(t, "X-Signature-Ed25519", signature);
	set_header(t, "X-Signature-Timestamp", "1700000000");
}

static void test_discord(void **state)
{
	static const char *const headers[] = {
		"X-Signature-Ed25519", "X-Signature-Timestamp"};
	struct trial t;

	(void)state;
	begin_discord(&t);
	expect_ok(&t, "good");
	EACH_BIT(t.body, strlen(BODY), i)
	expect_refused(&t, "body", "none of 1 public key", false);
	char *signature = value_of(&t, headers[0]);
	for (size_t i = 0; i < 8; i++) {
		char *c = signature + 128 * i / 8;
		char was = *c;
		*c = was == '0' ? '1' : '0';
		expect_refused(&t, "signature", "none of 1 public key", false);
		*c = was;
	}
	set_header(&t, "X-Signature-Timestamp", "1700000001");
	expect_refused(&t, "timestamp", "none of 1 public key", false);
	t.m.received_usec += 302 * SEC;
	expect_refused(&t, "stale", "5 min old", true);
	t.m.received_usec -= 604 * SEC;
	expect_refused(&t, "future", "5 min ahead", true);
	end(&t);
	for (size_t i = 0; i < 2; i++) {
		begin_discord(&t);
		CLEANUP(freep) char *value = strdup(value_of(&t, headers[i]));
		double_header(&t, headers[i], value);
		expect_refused(&t, headers[i], "twice", true);
		drop_header(&t, headers[i]);
		expect_refused(&t, headers[i], "missing", true);
		end(&t);
	}
	begin_discord(&t);
	set_header(&t, headers[0], "00");
	expect_refused(&t, "short", "length and encoding", true);
	/* The key's bytes as an HMAC's, in the length of a signature. */
	CLEANUP(freep) char *forged = hex_signature(other, "1700000000" BODY);
	set_header(&t, headers[0], forged);
	expect_refused(&t, "another key", "none of 1 public key", false);
	add_keys(&t, set_of_key(other));
	expect_ok(&t, "any of two keys");
	end(&t);
}

static void test_wrong_curve(void **state)
{
	EVP_PKEY *keys[] = {key_p256(), key_rsa(2048)};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin_discord(&t);
		keyset_unref(t.secrets[0].keys);
		t.secrets[0].keys = set_of_key(keys[i]);
		expect_refused(&t, "another kind", "no key is there", false);
		end(&t);
		EVP_PKEY_free(keys[i]);
	}
}

static void begin_fal(struct trial *t)
{
	unsigned char hash[32];

	begin(t, VERIFY_ED25519, "/callback/s");
	t->source.signature.place = (struct field){.kind = FIELD_HEADER,
		.text = (char *)"X-Fal-Webhook-Signature",
		.name = (char *)"X-Fal-Webhook-Signature"};
	t->source.signature.content = (char *)"{id}{newline}{header:X-Fal-Webhook-User-"
					      "Id}{newline}{timestamp}{newline}"
					      "{body_sha256}";
	t->source.signature.timestamp_header = (char *)"X-Fal-Webhook-Timestamp";
	t->delivery = (struct field){.kind = FIELD_HEADER,
		.text = (char *)"header:X-Fal-Webhook-Request-Id",
		.name = (char *)"X-Fal-Webhook-Request-Id"};
	t->source.delivery = (struct field_list){&t->delivery, 1};
	t->source.keys_url = (char *)"https://rest.alpha.fal.ai/.well-known/jwks.json";
	t->fetched = set_of_key(key);
	set_body(t, BODY);
	assert_int_equal(verify_hash(bytes_of(BODY), hash), 0);
	CLEANUP(freep) char *hex = codec_hex_encode(hash, 32);
	CLEANUP(freep) char *text = text_format("req-1\nuser-2\n1700000000\n%s", hex);
	CLEANUP(freep) char *signature = hex_signature(key, text);
	set_header(t, "X-Fal-Webhook-Request-Id", "req-1");
	set_header(t, "X-Fal-Webhook-User-Id", "user-2");
	set_header(t, "X-Fal-Webhook-Timestamp", "1700000000");
	set_header(t, "X-Fal-Webhook-Signature", signature);
}

static void test_fal(void **state)
{
	static const char *const headers[] = {"X-Fal-Webhook-Request-Id",
		"X-Fal-Webhook-User-Id", "X-Fal-Webhook-Timestamp",
		"X-Fal-Webhook-Signature"};
	struct trial t;

	(void)state;
	begin_fal(&t);
	expect_ok(&t, "good");
	/* fal names no key: one that fits may be in a newer set. */
	EACH_BIT(t.body, strlen(BODY), i)
	expect_needs(&t, "body", VERIFY_KEYS_SET, true, t.source.keys_url);
	keyset_unref(t.fetched);
	t.fetched = NULL;
	expect_needs(&t, "not fetched", VERIFY_KEYS_SET, false, t.source.keys_url);
	end(&t);
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		begin_fal(&t);
		char *value = value_of(&t, headers[i]);
		value[0] = value[0] == '1' ? '0' : '1';
		if (i == 2)
			expect_refused(&t, headers[i], "old", true);
		else
			expect_needs(
				&t, headers[i], VERIFY_KEYS_SET, true, t.source.keys_url);
		CLEANUP(freep) char *copy = strdup(value);
		double_header(&t, headers[i], copy);
		expect_refused(&t, headers[i], "twice", true);
		drop_header(&t, headers[i]);
		expect_refused(&t, headers[i], "missing", true);
		end(&t);
	}
}

/* standard-webhooks' vector, under either word of Verify=. */
static void begin_standard(struct trial *t, unsigned verify, const char *spelling)
{
	char name[64];
	static const char *const names[] = {"id", "timestamp", "signature"};
	static const char *const values[] = {"msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
		"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "
		"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/"
		"enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="};

	begin(t, verify, "/callback/s");
	t->source.signature.place = (struct field){.kind = FIELD_HEADER,
		.text = (char *)"X-Signature",
		.name = (char *)"X-Signature"};
	t->m.received_usec = 1614265330 * SEC;
	add_keys(t, set_of(bytes_of(WHPK)));
	set_body(t, "{\"test\": 2432232314}");
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s-%s", spelling, names[i]);
		double_header(t, strdup(name), values[i]);
	}
}

static void end_standard(struct trial *t)
{
	for (size_t i = 0; i < t->m.n_headers; i++)
		free((char *)t->headers[i].name.data);
	end(t);
}

static void test_standard_webhooks(void **state)
{
	static const unsigned schemes[] = {VERIFY_ED25519, VERIFY_STANDARD_WEBHOOKS};
	static const char *const spellings[] = {"webhook", "svix"};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		begin_standard(&t, schemes[i / 2], spellings[i % 2]);
		expect_ok(&t, spellings[i % 2]);
		EACH_BIT(t.body, strlen(t.body), b)
		expect_refused(&t, "body", "none of 1 public key", false);
		t.m.received_usec += 301 * SEC;
		expect_refused(&t, "stale", "5 min old", true);
		t.m.received_usec -= 301 * SEC;
		/* v1 is another version, and its secret is not here. */
		char *list = (char *)t.headers[2].value.data;
		char *version = strstr(list, "v1a");
		version[2] = 'b';
		expect_refused(&t, "no v1a", "holds no signature", true);
		version[2] = 'a';
		t.headers[0].value.size--;
		expect_refused(&t, "id", "none of 1 public key", false);
		t.m.n_headers--;
		expect_refused(&t, "no signature", "", true);
		t.m.n_headers++;
		end_standard(&t);
	}
	/* The same bytes, not written whpk_, are no key of Standard Webhooks. */
	begin_standard(&t, VERIFY_STANDARD_WEBHOOKS, "webhook");
	t.secrets[0].keys->keys[0].webhook = false;
	assert_int_equal(ask(&t), VERIFY_REFUSED);
	end_standard(&t);
	/* Nor does such a key beside a whpk_ one sign for it. */
	begin_standard(&t, VERIFY_STANDARD_WEBHOOKS, "webhook");
	add_keys(&t, set_of_key(key));
	unsigned char signature[SIGNATURE_MAX];
	size_t size = sign_raw(key, NULL, HOW_PLAIN,
		bytes_of(
			"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}"),
		signature);
	CLEANUP(freep) char *encoded = codec_base64_encode(signature, size);
	CLEANUP(freep) char *list = text_format("v1a,%s", encoded);
	t.headers[2].value = bytes_of(list);
	expect_refused(&t, "a key of another kind", "none of 1 public key", false);
	end_standard(&t);
	/* A shared secret beside it: either suffices. */
	begin_standard(&t, VERIFY_STANDARD_WEBHOOKS, "webhook");
	unsigned char raw[32];
	ptrdiff_t n = codec_base64_decode(
		bytes_of("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), raw, sizeof(raw));
	t.secrets[t.source.n_secrets++] = (struct secret){
		.whsec = raw, .whsec_size = (size_t)n};
	expect_ok(&t, "both");
	((char *)t.headers[2].value.data)[60] ^= 1;
	expect_ok(&t, "v1 holds");
	((char *)t.headers[2].value.data)[10] ^= 1;
	expect_refused(&t, "neither", "none of 1 public key", false);
	end_standard(&t);
}

/* The parts of a template that these senders brought. */
static void test_content(void **state)
{
	static const struct {
		const char *template, *problem;
	} cases[] = {
		{"{body_sha256}", NULL},
		{"{id}{newline}{header:X-A}{newline}{body_sha256}", NULL},
		{"{header:X-A}", "without {body}"},
		{"{newline}", "without {body}"},
		{"{body}{header:}", "the parts are"},
		{"{body}{header:X", "the parts are"},
		{"{body}{header:"
		 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		 "A}",
			"the parts are"},
		{"{body}{nl}", "the parts are"},
	};
	const char *problem;
	struct text out = TEXT_EMPTY;
	struct message_header headers[] = {
		{bytes_of("x-a"), bytes_of("1")}, {bytes_of("X-B"), bytes_of("{body}")}};
	const struct message m = {.headers = headers, .n_headers = 2};
	const struct content c = {.body = bytes_of("B"),
		.body_hash = bytes_of("H"),
		.id = bytes_of("I"),
		.message = &m};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = content_check(cases[i].template, &problem);
		assert_int_equal(r, cases[i].problem != NULL);
		if (r && !strstr(problem, cases[i].problem))
			fail_msg("%s: %s", cases[i].template, problem);
	}
	content_write("{id}\\n{newline}{header:X-A}.{header:X-B}.{body_sha256}{body}", &c,
		&out);
	assert_string_equal(out.data, "I\\n\n1.{body}.HB");
	text_fini(&out);
}

static int on_setup(void **state)
{
	(void)state;
	key = key_ed25519();
	other = key_ed25519();
	return 0;
}

static int on_teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discord),
		cmocka_unit_test(test_wrong_curve),
		cmocka_unit_test(test_fal),
		cmocka_unit_test(test_standard_webhooks),
		cmocka_unit_test(test_content),
	};
	return cmocka_run_group_tests(tests, on_setup, on_teardown);
}
