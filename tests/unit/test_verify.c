/*
 * Verification: the schemes that send the secret itself, an upload's own token, several schemes
 * at once, and our own signer for each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "verify_trial.h"

#include <stdio.h>

/* GitHub's published vector; test_verify_hmac.c has the others. */
static const struct signature_rule github = {.place = HEADER("X-Hub-Signature-256"),
	.algorithm = HASH_SHA256,
	.encoding = ENCODING_HEX,
	.prefix = TEXT("sha256="),
	.content = TEXT("{body}")};
static const char github_value[] =
	"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

static void sign_and_verify(
	struct trial *t, const char *want_header, const char *want_target)
{
	struct text lines = TEXT_EMPTY, target = TEXT_EMPTY;
	const struct sign_input in = {
		.body = bytes_of("{}"), .id = "test-1", .now_usec = SEC};

	text_adds(&target, "/callback/x");
	assert_int_equal(sign_message(&t->source, &in, &lines, &target), 0);
	assert_string_equal(lines.size ? lines.data : "", want_header);
	assert_string_equal(target.data, want_target);
	t->message.n_headers = 0;
	t->token = BYTES_NONE;
	if (lines.size) {
		struct bytes value, name = bytes_split(text_bytes(&lines), ':', &value);
		value.size -= 2;
		t->headers[t->message.n_headers++] = (struct message_header){
			name, bytes_trim(value)};
	}
	if (target.size > strlen("/callback/x"))
		t->token = bytes_of(target.data + strlen("/callback/x/"));
	expect_ok(t, want_target);
	text_fini(&lines);
	text_fini(&target);
}

static void test_token(void **state)
{
	static const char upload[] = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE";
	struct trial t;

	(void)state;
	start(&t, VERIFY_TOKEN);
	expect_refused(&t, "no token", "no token", true);
	t.token = bytes_of("tok");
	expect_refused(&t, "no secret", "none of 0 secrets", true);
	add_key(&t, "tokem", false);
	add_key(&t, "tok/e+n", false);
	expect_refused(&t, "short", "none of 2 secrets", true);
	t.token = bytes_of("tokem");
	expect_ok(&t, "first");
	assert_int_equal(t.result.scheme, VERIFY_TOKEN);
	t.token = bytes_of("tok/e+n");
	expect_ok(&t, "second");
	t.token = bytes_of("tok%2Fe%2bn");
	expect_ok(&t, "encoded");
	t.token = bytes_of("tok%2Fe%2b%6");
	expect_refused(&t, "broken escape", "none of", true);
	t.token = bytes_of("tokeM");
	expect_refused(&t, "case", "none of", true);
	t.token = bytes_of("");
	expect_refused(&t, "empty", "none of", true);
	t.secrets[0].text_size = 0;
	expect_refused(&t, "empty secret", "none of", true);

	/* An upload's own token: its form, and a source that can have uploads. */
	t.token = bytes_of(upload);
	expect_refused(&t, "no UploadURL", "none of", true);
	t.source.upload_url = TEXT("https://storage.example/uploads");
	assert_int_equal(verify(&t), VERIFY_ASK_STORE);
	assert_int_equal(head(&t), 0);
	unsigned char hash[VERIFY_TOKEN_HASH_SIZE];
	assert_int_equal(verify_hash(bytes_of(upload), hash), 0);
	assert_memory_equal(t.result.token_hash, hash, sizeof(hash));
	t.source.n_secrets = 0;
	assert_int_equal(verify(&t), VERIFY_ASK_STORE);
	t.token.size--;
	expect_refused(&t, "42", "none of", true);
	char other[64];
	snprintf(other, sizeof(other), "%s", upload);
	other[10] = '+';
	t.token = bytes_of(other);
	expect_refused(&t, "not base64url", "none of", true);
	t.token = bytes_of(upload);
	t.source.verify = VERIFY_HEADER;
	t.source.token_header = TEXT("X-Secret");
	expect_refused(&t, "not a token source", "missing", true);

	start(&t, VERIFY_TOKEN);
	add_key(&t, "se/c ret", false);
	sign_and_verify(&t, "", "/callback/x/se%2Fc%20ret");
}

static void test_header(void **state)
{
	struct trial t;

	(void)state;
	start(&t, VERIFY_HEADER);
	t.source.token_header = TEXT("X-Webhook-Secret");
	add_key(&t, "old secret", false);
	add_key(&t, "new secret", false);
	expect_refused(&t, "missing", "header X-Webhook-Secret is missing", true);
	add_header(&t, "x-webhook-secret", "new secret");
	expect_ok(&t, "new");
	assert_int_equal(t.result.scheme, VERIFY_HEADER);
	t.headers[0].value = bytes_of("old secret");
	expect_ok(&t, "old");
	t.headers[0].value = bytes_of("old secreT");
	expect_refused(&t, "case", "none of 2 secrets", true);
	t.headers[0].value = bytes_of("old secre");
	expect_refused(&t, "short", "none of 2 secrets", true);
	t.headers[0].value = bytes_of("");
	expect_refused(&t, "empty", "none of 2 secrets", true);
	t.headers[0].value = bytes_of("old secret");
	add_header(&t, "X-Webhook-Secret", "old secret");
	expect_refused(&t, "doubled", "twice", true);
	t.message.n_headers = 1;
	/* The token in the path is not the header. */
	t.headers[0].name = bytes_of("X-Other");
	t.token = bytes_of("old secret");
	expect_refused(&t, "token", "missing", true);
	sign_and_verify(&t, "X-Webhook-Secret: old secret\r\n", "/callback/x");
	t.source.token_header = NULL;
	expect_refused(&t, "unset", "TokenHeader= is not set", true);
}

static void test_basic(void **state)
{
	/* RFC 7617, 2 */
	static const char aladdin[] = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
	struct trial t;

	(void)state;
	start(&t, VERIFY_BASIC);
	add_key(&t, "Aladdin:open sesame", false);
	expect_refused(&t, "missing", "header Authorization is missing", true);
	add_header(&t, "authorization", aladdin);
	expect_ok(&t, "RFC 7617");
	assert_int_equal(t.result.scheme, VERIFY_BASIC);
	t.headers[0].value = bytes_of("basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	expect_ok(&t, "any case");
	static const struct {
		const char *value, *reason;
	} bad[] = {
		{"Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "not of type Basic"},
		{"QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "not of type Basic"},
		{"Basic", "not of type Basic"},
		{"Basic ", "none of 1 secret"},
		{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=", "not base64"},
		{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==", "not base64"},
		{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ== x", "not base64"},
		{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZg==", "none of 1 secret"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		t.headers[0].value = bytes_of(bad[i].value);
		expect_refused(&t, bad[i].value, bad[i].reason, true);
	}
	char *large = test_malloc(8001);
	memset(large, 'A', 8000);
	memcpy(large, "Basic ", 6);
	large[8000] = '\0';
	t.headers[0].value = bytes_of(large);
	expect_refused(&t, "large", "too long", true);
	test_free(large);
	t.headers[0].value = bytes_of(aladdin);
	add_header(&t, "Authorization", aladdin);
	expect_refused(&t, "doubled", "twice", true);
	sign_and_verify(&t, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n",
		"/callback/x");
}

/* One that holds suffices, and all that fail are told. */
static void test_several_schemes(void **state)
{
	static const char key[] = "It's a Secret to Everybody";
	static const char name[] = "X-Hub-Signature-256";
	struct trial t;

	(void)state;
	start(&t, VERIFY_HMAC);
	t.source.signature = github;
	t.message.body = bytes_of("Hello, World!");
	add_key(&t, key, false);
	add_header(&t, name, github_value);
	t.source.verify = VERIFY_TOKEN | VERIFY_HEADER | VERIFY_HMAC;
	t.source.token_header = TEXT("X-Secret");
	t.source.upload_url = TEXT("https://storage.example/uploads");
	expect_ok(&t, "hmac");
	assert_int_equal(t.result.scheme, VERIFY_HMAC);
	add_header(&t, "X-Secret", key);
	find(&t, name)->name = bytes_of("X-Other");
	expect_ok(&t, "header");
	assert_int_equal(t.result.scheme, VERIFY_HEADER);
	t.token = bytes_of(key);
	find(&t, "X-Secret")->value = bytes_of("wrong");
	expect_ok(&t, "token");
	assert_int_equal(t.result.scheme, VERIFY_TOKEN);
	t.token = BYTES_NONE;
	expect_refused(&t, "none",
		"token: the path has no token behind it; header: header "
		"X-Secret is none of 1 secret; hmac: header "
		"X-Hub-Signature-256 is missing",
		true);
	/* The store is asked only when nothing else holds. */
	t.token = bytes_of("AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE");
	assert_int_equal(verify(&t), VERIFY_ASK_STORE);
	find(&t, "X-Secret")->value = bytes_of(key);
	expect_ok(&t, "header beside a token");
	assert_int_equal(t.result.scheme, VERIFY_HEADER);

	start(&t, VERIFY_NONE);
	expect_ok(&t, "none");
	start(&t, 0);
	expect_refused(&t, "unset", "Verify= is not set", true);
	start(&t, VERIFY_SNS);
	expect_refused(&t, "later", "the body is empty", false);
}

static void test_sign_refuses(void **state)
{
	struct text lines = TEXT_EMPTY, target = TEXT_EMPTY;
	struct sign_input in = {
		.body = bytes_of("{}"), .id = "a\r\nX: y", .now_usec = SEC};
	struct trial t;

	(void)state;
	start(&t, VERIFY_TOKEN);
	assert_int_equal(sign_message(&t.source, &in, &lines, &target), 1);
	start(&t, VERIFY_ED25519);
	assert_int_equal(sign_message(&t.source, &in, &lines, &target), 1);
	start(&t, VERIFY_HMAC);
	t.source.signature = github;
	add_key(&t, "k", false);
	t.source.signature.content = TEXT("{id}{body}");
	assert_int_equal(sign_message(&t.source, &in, &lines, &target), 1);
	t.source.signature.content = TEXT("{url}{body}");
	assert_int_equal(sign_message(&t.source, &in, &lines, &target), 1);
	start(&t, VERIFY_HEADER);
	t.source.token_header = TEXT("X-Secret");
	add_key(&t, "two\nlines", false);
	assert_int_equal(sign_message(&t.source, &in, &lines, &target), 1);
	start(&t, VERIFY_NONE);
	assert_int_equal(sign_message(&t.source, &in, &lines, &target), 0);
	assert_int_equal(lines.size, 0);
	assert_int_equal(target.size, 0);
	text_fini(&lines);
	text_fini(&target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_several_schemes),
		cmocka_unit_test(test_sign_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
