/*
 * Bearer tokens: the examples of RFC 7515, A.2 and A.3, and tokens made on the spot that are
 * wrong in one thing each.
 */
#include "public_trial.h"

#define ISSUER   "https://accounts.google.com"
#define AUDIENCE "https://cb.example/callback/s"
#define EMAIL    "push@project.iam.gserviceaccount.com"
#define CLAIMS(more)                                  \
	"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE \
	"\",\"sub\":\"1234\",\"email\":\"" EMAIL      \
	"\",\"email_verified\":true,\"iat\":1699999990,\"exp\":1700003600" more "}"

static EVP_PKEY *p256, *rsa, *other;
static char *issuers[] = {(char *)"accounts.google.com", (char *)ISSUER};
static char *audience[] = {(char *)AUDIENCE};

static char *part(struct bytes b)
{
	char *encoded = codec_base64url_encode(b.data, b.size);

	assert_non_null(encoded);
	return encoded;
}

/* "Bearer ..." of these; `header` and `claims` as JSON. Owned by the caller. */
static char *token(EVP_PKEY *key, const char *header, const char *claims)
{
	CLEANUP(freep) char *h = part(bytes_of(header));
	CLEANUP(freep) char *c = part(bytes_of(claims));
	CLEANUP(freep) char *input = text_format("%s.%s", h, c);
	unsigned char raw[SIGNATURE_MAX];
	size_t n = sign_raw(
		key, "SHA256", key == rsa ? HOW_PLAIN : HOW_ES256, bytes_of(input), raw);
	CLEANUP(freep) char *s = part((struct bytes){(char *)raw, n});

	return text_format("Bearer %s.%s", input, s);
}

static void begin_with(struct trial *t, EVP_PKEY *key, const char *value)
{
	begin(t, VERIFY_JWT, "/callback/s");
	t->source.issuers = (struct words){issuers, 2};
	t->source.audience = (struct words){audience, 1};
	set_body(t, "{}");
	add_keys(t, set_of_key(key));
	set_header(t, "Authorization", value);
}

static void begin_token(
	struct trial *t, EVP_PKEY *key, const char *header, const char *claims)
{
	CLEANUP(freep) char *value = token(key, header, claims);

	begin_with(t, key, value);
}

/* RFC 7515, A.2 and A.3: {"iss":"joe","exp":1300819380,...} */
static void test_rfc7515(void **state)
{
	static const struct {
		const char *key, *token;
	} cases[] = {
		{"{\"kty\":\"RSA\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"n\":"
		 "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
		 "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
		 "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
		 "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
		 "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_"
		 "I5IhlJH7aGhyxXFvUK-"
		 "DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}",
			"Bearer "
			"eyJhbGciOiJSUzI1NiJ9."
			"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
			"cGxlL"
			"mNvbS9pc19yb290Ijp0cnVlfQ."
			"cC4hiUPoj9Eetdgtv3hF80EGrhuB__"
			"dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
			"O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
			"nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"
			"eSN9383LcOLn6_dO--"
			"xi12jzDwusC-"
			"eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9F"
			"s98rq"
			"Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
		{"{\"kty\":\"EC\",\"crv\":\"P-256\","
		 "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		 "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
			"Bearer "
			"eyJhbGciOiJFUzI1NiJ9."
			"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
			"cGxlL"
			"mNvbS9pc19yb290Ijp0cnVlfQ."
			"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
			"F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
	};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(&t, VERIFY_JWT, "/callback/s");
		t.m.received_usec = 1300819000 * SEC;
		add_keys(&t, set_of(bytes_of(cases[i].key)));
		set_header(&t, "Authorization", cases[i].token);
		expect_ok(&t, "RFC 7515");
		char *value = value_of(&t, "Authorization");
		char *signature = strrchr(value, '.') + 1;
		size_t n = strlen(signature) - 1;
		for (size_t b = 0; b < 8; b++) {
			char *c = signature + n * b / 8;
			char was = *c;
			*c = was == 'A' ? 'B' : 'A';
			expect_refused(&t, "altered", "none of 1 public key", false);
			*c = was;
		}
		t.m.received_usec = (1300819380 + 299) * SEC;
		expect_ok(&t, "within Tolerance=");
		t.m.received_usec = (1300819380 + 300) * SEC;
		expect_refused(&t, "expired", "expired", true);
		end(&t);
	}
}

static void test_good(void **state)
{
	static const char *const claims[] = {CLAIMS(""), CLAIMS(",\"nbf\":1700000299"),
		"{\"iss\":\"accounts.google.com\",\"aud\":[\"x\",\"" AUDIENCE
		"\"],\"exp\":1699999701}",
		"{\"iss\":\"" ISSUER "\",\"aud\":[\"" AUDIENCE
		"\"],\"exp\":1699999701.5}"};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
		begin_token(&t, rsa, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", claims[i]);
		expect_ok(&t, claims[i]);
		end(&t);
		begin_token(&t, p256, "{\"alg\":\"ES256\"}", claims[i]);
		expect_ok(&t, claims[i]);
		char *value = value_of(&t, "Authorization");
		memcpy(value, "bEARER", 6);
		expect_ok(&t, "the scheme in any case");
		end(&t);
	}
}

static void test_claims(void **state)
{
	static const struct {
		const char *claims, *why;
	} cases[] = {
		{"{}", "exp is missing"},
		{"{\"exp\":\"1700003600\"}", "exp is not a time"},
		{"{\"exp\":null}", "exp is not a time"},
		{"{\"exp\":-1}", "exp is not a time"},
		{"{\"exp\":1e300}", "exp is not a time"},
		{"{\"exp\":99999999999999999999999999}", "exp is not a time"},
		{"{\"exp\":1699999700}", "expired"},
		{"{\"exp\":0}", "expired"},
		{"{\"exp\":1700003600,\"nbf\":1700000301}", "nbf"},
		{"{\"exp\":1700003600,\"nbf\":true}", "nbf is not a time"},
		{"{\"exp\":1700003600,\"iat\":1700000301}", "iat"},
		{"{\"exp\":1700003600}", "iss"},
		{"{\"exp\":1700003600,\"iss\":\"https://"
		 "accounts.google.com.evil.example\"}",
			"iss"},
		{"{\"exp\":1700003600,\"iss\":[\"" ISSUER "\"]}", "iss"},
		{"{\"exp\":1700003600,\"iss\":\"" ISSUER "\\u0000\"}", "iss"},
		{"{\"exp\":1700003600,\"iss\":\"" ISSUER "\"}", "aud"},
		{"{\"exp\":1700003600,\"iss\":\"" ISSUER
		 "\",\"aud\":\"https://cb.example\"}",
			"aud"},
		{"{\"exp\":1700003600,\"iss\":\"" ISSUER "\",\"aud\":[]}", "aud"},
		{"{\"exp\":1700003600,\"iss\":\"" ISSUER "\",\"aud\":{\"a\":\"" AUDIENCE
		 "\"}}",
			"aud"},
		{"{\"exp\":1700003600,\"exp\":1700003601}", "no JSON object"},
		{"[]", "no JSON object"},
		{"\"x\"", "no JSON object"},
		{"{", "no JSON object"},
	};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin_token(&t, rsa, "{\"alg\":\"RS256\"}", cases[i].claims);
		expect_refused(&t, cases[i].claims, cases[i].why, true);
		end(&t);
	}
}

static void test_subject(void **state)
{
	static const struct {
		const char *wanted, *claims;
		bool good;
	} cases[] = {
		{EMAIL, CLAIMS(""), true},
		{"1234", CLAIMS(""), true},
		{"12345", CLAIMS(""), false},
		{EMAIL,
			"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE
			"\",\"exp\":1700003600,\"email\":\"" EMAIL "\"}",
			false},
		{EMAIL,
			"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE
			"\",\"exp\":1700003600,\"email\":\"" EMAIL
			"\",\"email_verified\":\"true\"}",
			false},
		{EMAIL,
			"{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE
			"\",\"exp\":1700003600}",
			false},
	};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *word = (char *)cases[i].wanted;
		begin_token(&t, rsa, "{\"alg\":\"RS256\"}", cases[i].claims);
		t.source.subject = (struct words){&word, 1};
		if (cases[i].good)
			expect_ok(&t, cases[i].claims);
		else
			expect_refused(&t, cases[i].claims, "Subject=", true);
		end(&t);
	}
}

/* What the token says of its algorithm opens nothing. */
static void test_confusion(void **state)
{
	static const char *const refused[] = {"{}", "{\"alg\":\"none\"}",
		"{\"alg\":\"None\"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"RS512\"}",
		"{\"alg\":\"PS256\"}", "{\"alg\":\"ES384\"}", "{\"alg\":\"EdDSA\"}",
		"{\"alg\":\"rs256\"}", "{\"alg\":\"RS256\\u0000\"}",
		"{\"alg\":[\"RS256\"]}", "{\"alg\":7}"};
	CLEANUP(freep) char *pem = pem_of(rsa);
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		begin_token(&t, rsa, refused[i], CLAIMS(""));
		expect_refused(&t, refused[i], "not RS256 or ES256", true);
		end(&t);
	}
	begin_token(&t, rsa, "{\"alg\":\"RS256\",\"crit\":[\"b64\"],\"b64\":false}",
		CLAIMS(""));
	expect_refused(&t, "crit", "extension", true);
	end(&t);
	begin_token(&t, rsa, "{\"alg\":\"RS256\",\"kid\":7}", CLAIMS(""));
	expect_refused(&t, "kid", "kid", true);
	end(&t);
	/* ES256 with an RSA key at hand, and the other way round. */
	begin_token(&t, rsa, "{\"alg\":\"ES256\"}", CLAIMS(""));
	expect_refused(&t, "RSA as ES256", "no key is there", false);
	end(&t);
	begin_token(&t, p256, "{\"alg\":\"RS256\"}", CLAIMS(""));
	expect_refused(&t, "ES256 as RSA", "no key is there", false);
	end(&t);
	/* A key that is published for another algorithm. */
	begin_token(&t, rsa, "{\"alg\":\"RS256\"}", CLAIMS(""));
	t.secrets[0].keys->keys[0].algorithm = strdup("PS256");
	expect_refused(&t, "another alg", "none of 1 public key", false);
	end(&t);
	/* Without a signature; with that of another key; with one in DER. */
	CLEANUP(freep) char *good = token(rsa, "{\"alg\":\"RS256\"}", CLAIMS(""));
	char *dot = strrchr(good, '.');
	dot[1] = '\0';
	begin_with(&t, rsa, good);
	expect_refused(&t, "no signature", "empty", true);
	end(&t);
	CLEANUP(freep) char *forged = token(other, "{\"alg\":\"ES256\"}", CLAIMS(""));
	begin_with(&t, p256, forged);
	expect_refused(&t, "another's key", "none of 1 public key", false);
	end(&t);
	begin_token(&t, p256, "{\"alg\":\"ES256\"}", CLAIMS(""));
	CLEANUP(freep) char *input = strdup(value_of(&t, "Authorization") + 7);
	*strrchr(input, '.') = '\0';
	unsigned char der[SIGNATURE_MAX];
	size_t n = sign_raw(p256, "SHA256", HOW_PLAIN, bytes_of(input), der);
	CLEANUP(freep) char *s = part((struct bytes){(char *)der, n});
	CLEANUP(freep) char *value = text_format("Bearer %s.%s", input, s);
	set_header(&t, "Authorization", value);
	expect_refused(&t, "DER", "none of 1 public key", false);
	end(&t);
}

static void test_form(void **state)
{
	static const struct {
		const char *value, *why;
	} cases[] = {
		{"", "Bearer"}, {"Bearer", "Bearer"},
		{"Basic eyJhbGciOiJSUzI1NiJ9.e30.AA", "Bearer"}, {"Bearer ", "Bearer"},
		{"Bearer eyJhbGciOiJSUzI1NiJ9", "three parts"},
		{"Bearer eyJhbGciOiJSUzI1NiJ9.e30", "three parts"},
		{"Bearer eyJhbGciOiJSUzI1NiJ9.e30.AA.AA", "three parts"},
		{"Bearer eyJhbGciOiJSUzI1NiJ9.e30.A A", "base64url"},
		{"Bearer eyJhbGciOiJSUzI1NiJ9.e30.AA==", "base64url"},
		{"Bearer eyJhbGciOiJSUzI1NiJ9.e30=.AA", "base64url"},
		{"Bearer .e30.AA", "header is not base64url"},
		{"Bearer eyJhbGciOiJSUzI1NiJ9..AA", "payload is not base64url"},
		{"Bearer e30.e30.AB", "base64url"}, /* unused bits are set */
	};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin_with(&t, rsa, cases[i].value);
		expect_refused(&t, cases[i].value, cases[i].why, true);
		end(&t);
	}
	begin_with(&t, rsa, "x");
	drop_header(&t, "Authorization");
	expect_refused(&t, "missing", "is missing", true);
	end(&t);
	begin_token(&t, rsa, "{\"alg\":\"RS256\"}", CLAIMS(""));
	CLEANUP(freep) char *value = strdup(value_of(&t, "Authorization"));
	double_header(&t, "authorization", value);
	expect_refused(&t, "doubled", "twice", true);
	end(&t);
	/* As long as a head may be. */
	char *huge = malloc(20000);
	memset(huge, 'A', 20000);
	memcpy(huge, "Bearer ", 7);
	huge[19999] = '\0';
	begin_with(&t, rsa, "x");
	t.headers[0].value = bytes_of(huge);
	expect_refused(&t, "huge", "8 KiB", true);
	free(huge);
	end(&t);
}

static void test_altered(void **state)
{
	struct trial t;

	(void)state;
	begin_token(&t, rsa, "{\"alg\":\"RS256\"}", CLAIMS(""));
	char *value = value_of(&t, "Authorization") + 7;
	for (size_t i = 0; i < 64; i++) {
		char *c = value + strlen(value) * i / 64;
		char was = *c;
		if (was == '.')
			continue;
		*c = was == 'A' ? 'B' : 'A';
		if (ask(&t) != VERIFY_REFUSED)
			fail_msg("taken with another letter at %zu", i);
		*c = was;
	}
	expect_ok(&t, "good");
	end(&t);
}

/* kid chooses; an unknown one may be of a newer set; a known one that fails is a forgery. */
static void test_keys(void **state)
{
	static const char url[] = "https://www.googleapis.com/oauth2/v3/certs";
	struct trial t;

	(void)state;
	begin_token(&t, rsa, "{\"alg\":\"RS256\",\"kid\":\"b\"}", CLAIMS(""));
	t.secrets[0].keys->keys[0].id = strdup("a");
	expect_refused(&t, "unknown", "no key is there", false);
	t.source.keys_url = (char *)url;
	expect_needs(&t, "not fetched", VERIFY_KEYS_SET, false, url);
	t.fetched = set_of_key(rsa);
	t.fetched->keys[0].id = strdup("c");
	expect_needs(&t, "of an older set", VERIFY_KEYS_SET, true, url);
	free(t.fetched->keys[0].id);
	t.fetched->keys[0].id = strdup("b");
	expect_ok(&t, "by its id");
	keyset_unref(t.fetched);
	t.fetched = set_of_key(other);
	t.fetched->keys[0].id = strdup("b");
	expect_needs(&t, "of another kind", VERIFY_KEYS_SET, true, url);
	end(&t);

	CLEANUP(freep)
	char *forged = token(other, "{\"alg\":\"ES256\",\"kid\":\"b\"}", CLAIMS(""));
	begin_with(&t, rsa, forged);
	t.source.keys_url = (char *)url;
	t.fetched = set_of_key(p256);
	t.fetched->keys[0].id = strdup("b");
	expect_refused(&t, "forged", "none of 1 public key", false);
	end(&t);

	/* What is wrong whatever the key is, is refused without asking for one. */
	begin_token(&t, other, "{\"alg\":\"ES256\"}", "{\"exp\":1}");
	t.source.keys_url = (char *)url;
	expect_refused(&t, "expired", "expired", true);
	assert_string_equal(t.asked, "");
	end(&t);
}

/* Beside another scheme: what holds comes first, then what needs keys. */
static void test_mixed(void **state)
{
	struct trial t;

	(void)state;
	CLEANUP(freep) char *value = token(other, "{\"alg\":\"ES256\"}", CLAIMS(""));
	begin_with(&t, rsa, value);
	t.source.verify |= VERIFY_HEADER;
	t.source.token_header = (char *)"X-Key";
	t.source.keys_url = (char *)"https://k.example/";
	expect_needs(&t, "header missing", VERIFY_KEYS_SET, false, "https://k.example/");
	set_header(&t, "X-Key", "not a secret");
	expect_ok(&t, "by the header");
	assert_int_equal(t.result.scheme, VERIFY_HEADER);
	assert_string_equal(t.result.url, "");
	drop_header(&t, "X-Key");
	drop_header(&t, "Authorization");
	expect_refused(&t, "neither", "jwt: header Authorization is missing", true);
	end(&t);
}

static int on_setup(void **state)
{
	(void)state;
	p256 = key_p256();
	other = key_p256();
	rsa = key_rsa(2048);
	return 0;
}

static int on_teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(p256);
	EVP_PKEY_free(other);
	EVP_PKEY_free(rsa);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc7515),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_subject),
		cmocka_unit_test(test_confusion),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_altered),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_mixed),
	};
	return cmocka_run_group_tests(tests, on_setup, on_teardown);
}
