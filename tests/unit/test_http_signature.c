/*
 * HTTP Message Signatures: the vectors of RFC 9421, Appendix B.2 and B.4, and a request signed
 * as our policy wants it, which is then damaged in each way.
 */
#include "public_trial.h"

#include "rules/content_digest.h"
#include "rules/mac.h"
#include "rules/pubkey.h"
#include "rules/sign.h"
#include "rules/signature_base.h"

/* ---- Appendix B ---- */

static const char rsa_pss_pem[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2\n"
	"+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+\n"
	"oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq\n"
	"gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W\n"
	"Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4\n"
	"aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI\n"
	"2wIDAQAB\n"
	"-----END PUBLIC KEY-----\n";
static const char ecc_p256_jwk[] =
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"test-key-ecc-p256\","
	"\"x\":\"qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA\","
	"\"y\":\"Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0\"}";
static const char ed25519_jwk[] =
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"test-key-ed25519\","
	"\"x\":\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"}";

#define CREATED 1618884473
#define DIGEST_512                                                                      \
	"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyea" \
	"ldVLvRwEmTHWXvJwew==:"

static const struct {
	const char *name, *key, *input, *signature;
} vectors[] = {
	{"B.2.1", rsa_pss_pem,
		"sig-b21=();created=1618884473;keyid=\"test-key-rsa-pss\";nonce="
		"\"b3k2pp5k7z-50gnwp.yemd\"",
		"sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/"
		"lkbbHAve4cRAtx31Iq786U7it++"
		"wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S"
		"+oxNFlD4dzVuwe8DhTSja8xxbR/"
		"Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+"
		"O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++"
		"v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==:"},
	{"B.2.2", rsa_pss_pem,
		"sig-b22=(\"@authority\" \"content-digest\" "
		"\"@query-param\";name=\"Pet\");"
		"created=1618884473;keyid=\"test-key-rsa-pss\";tag=\"header-example\"",
		"sig-b22=:"
		"LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiL"
		"MlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/"
		"0PIXxi0A0nxKyB09RNrCQibbUjsLS/"
		"2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+"
		"4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/"
		"lankenQ99PZfB4jY3I5rSV2"
		"DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/"
		"XaVe4bXTugEjHSw==:"},
	{"B.2.3", rsa_pss_pem,
		"sig-b23=(\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" "
		"\"content-type\" \"content-digest\" "
		"\"content-length\");created=1618884473;"
		"keyid=\"test-key-rsa-pss\"",
		"sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/"
		"5MR6fb0Kh1rIRASVxFkeGt683+"
		"qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+"
		"V5B1TP/"
		"yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/"
		"CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+"
		"QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:"},
	{"B.2.5", NULL,
		"sig-b25=(\"date\" \"@authority\" "
		"\"content-type\");created=1618884473;keyid="
		"\"test-shared-secret\"",
		"sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"},
	{"B.2.6", ed25519_jwk,
		"sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" "
		"\"content-length\");created=1618884473;keyid=\"test-key-ed25519\"",
		"sig-b26=:"
		"wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0"
		"w6vuQv5lIp5WPpBKRCw==:"},
};

static unsigned char shared[64];

/* The request of B.2. */
static void begin_vector(struct trial *t, const char *key)
{
	begin(t, VERIFY_HTTP_SIGNATURE, "/foo?param=Value&Pet=dog");
	t->public_url = NULL;
	t->m.received_usec = CREATED * SEC;
	set_body(t, "{\"hello\": \"world\"}");
	set_header(t, "Host", "example.com");
	set_header(t, "Date", "Tue, 20 Apr 2021 02:07:55 GMT");
	set_header(t, "Content-Type", "application/json");
	set_header(t, "Content-Digest", DIGEST_512);
	set_header(t, "Content-Length", "18");
	if (key) {
		add_keys(t, set_of(bytes_of(key)));
		return;
	}
	ptrdiff_t n = codec_base64_decode(
		bytes_of(
			"uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtb"
			"mHhIDi6pcl8jsasjlTMtDQ=="),
		shared, sizeof(shared));
	assert_int_equal(n, 64);
	t->secrets[t->source.n_secrets++] = (struct secret){.data = shared, .size = 64};
}

static void test_appendix_b2(void **state)
{
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		begin_vector(&t, vectors[i].key);
		set_header(&t, "Signature-Input", vectors[i].input);
		set_header(&t, "Signature", vectors[i].signature);
		expect_ok(&t, vectors[i].name);
		char *value = value_of(&t, "Signature");
		char *digits = strchr(value, ':') + 1;
		EACH_BIT(digits, strlen(digits) - 4, b)
		if (ask(&t) != VERIFY_REFUSED)
			fail_msg("%s: taken", vectors[i].name);
		t.m.received_usec += 301 * SEC;
		expect_refused(&t, vectors[i].name, "Tolerance=", true);
		end(&t);
	}
}

/* B.2.4 signs a response; its base is all that we can take. */
static void test_b24(void **state)
{
	static const char base[] =
		"\"@status\": 200\n\"content-type\": "
		"application/json\n\"content-digest\": "
		"sha-512=:"
		"mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymy"
		"U0rjJuahq4l5aGgfLQ==:\n\"content-length\": 23\n\"@signature-params\": "
		"(\"@status\" \"content-type\" \"content-digest\" "
		"\"content-length\");created="
		"1618884473;keyid=\"test-key-ecc-p256\"";
	struct keyset *set = set_of(bytes_of(ecc_p256_jwk));
	unsigned char raw[64];

	(void)state;
	assert_int_equal(
		codec_base64_decode(
			bytes_of("wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NK"
				 "ocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="),
			raw, 64),
		64);
	assert_int_equal(pubkey_verify(&set->keys[0], PUBKEY_ES256, bytes_of(base),
				 (struct bytes){(char *)raw, 64}, 0),
		0);
	keyset_unref(set);
}

/* B.4: what may change on the way, and what may not. */
static void test_b4(void **state)
{
	struct trial t;

	(void)state;
	begin(&t, VERIFY_HTTP_SIGNATURE, "/demo?name1=Value1&Name2=value2");
	t.public_url = NULL;
	t.m.method = bytes_of("GET");
	t.m.received_usec = CREATED * SEC;
	add_keys(&t, set_of(bytes_of(ed25519_jwk)));
	set_header(&t, "Host", "example.org");
	set_header(&t, "Date", "Fri, 15 Jul 2022 14:24:55 GMT");
	set_header(&t, "Accept", "application/json");
	double_header(&t, "Accept", "*/*");
	set_header(&t, "Signature-Input",
		"transform=(\"@method\" \"@path\" \"@authority\" \"accept\");created="
		"1618884473;keyid=\"test-key-ed25519\"");
	set_header(&t, "Signature",
		"transform=:ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/"
		"LXlh5"
		"QMFFQ6cpLt2m0pmj3NDA==:");
	expect_ok(&t, "as it was sent");
	set_header(&t, "Accept-Language", "en-US,en;q=0.5");
	expect_ok(&t, "a field more");
	t.m.query = bytes_of("name1=Value1&Name2=value2&param=added");
	expect_ok(&t, "a query, which is not covered");
	drop_header(&t, "Accept");
	set_header(&t, "Accept", "application/json, */*");
	expect_ok(&t, "combined");
	set_header(&t, "Accept", "*/*, application/json");
	expect_refused(&t, "another order", "none of 1 public key", false);
	set_header(&t, "Accept", "application/json, */*");
	set_header(&t, "Host", "example.com");
	expect_refused(&t, "another host", "none of 1 public key", false);
	set_header(&t, "Host", "EXAMPLE.ORG");
	expect_ok(&t, "the host in capitals");
	t.m.method = bytes_of("POST");
	expect_refused(&t, "another method", "none of 1 public key", false);
	end(&t);
}

/* ---- By our policy ---- */

static EVP_PKEY *ed25519, *p256, *rsa;
static char *policy[] = {
	(char *)"@method", (char *)"@target-uri", (char *)"content-digest"};

#define COVERED "(\"@method\" \"@target-uri\" \"content-digest\")"
#define SECRET  "a shared secret"

/* Signs the base that `input` (behind the label and =) gives for this request. */
static void sign(
	struct trial *t, EVP_PKEY *key, const char *base_lines, const char *input)
{
	CLEANUP(text_fini) struct text base = TEXT_EMPTY;
	unsigned char raw[SIGNATURE_MAX];
	size_t n;

	text_addf(&base, "%s\"@signature-params\": %s", base_lines, input);
	if (!key) {
		struct mac m;
		assert_int_equal(mac_begin(&m, HASH_SHA256, bytes_of(SECRET)), 0);
		mac_add(&m, text_bytes(&base));
		assert_int_equal(mac_end(&m, raw), 0);
		n = 32;
	} else {
		n = sign_raw(key,
			key == ed25519 ? NULL
			: key == p256  ? "SHA256"
				       : "SHA512",
			key == rsa    ? HOW_PSS
			: key == p256 ? HOW_ES256
				      : HOW_PLAIN,
			text_bytes(&base), raw);
	}
	CLEANUP(freep) char *encoded = codec_base64_encode(raw, n);
	CLEANUP(freep) char *line = text_format("sig1=%s", input);
	CLEANUP(freep) char *value = text_format("sig1=:%s:", encoded);
	set_header(t, "Signature-Input", line);
	set_header(t, "Signature", value);
}

#define TARGET     "/callback/s?a=b%20c&d=1"
#define BODY       "{\"id\":\"1\",\"status\":\"completed\"}"
#define PARAMETERS ";created=1700000000;keyid=\"k\""

static char lines[4096], digest[128];

/* Signed by `key`, or with the shared secret where it is NULL. */
static void begin_signed(struct trial *t, EVP_PKEY *key, const char *input)
{
	CLEANUP(text_fini) struct text d = TEXT_EMPTY;

	begin(t, VERIFY_HTTP_SIGNATURE, TARGET);
	t->source.components = (struct words){policy, ARRAY_SIZE(policy)};
	set_body(t, BODY);
	if (key)
		add_keys(t, set_of_key(key));
	else
		t->secrets[t->source.n_secrets++] = (struct secret){
			.data = (unsigned char *)SECRET,
			.size = strlen(SECRET),
			.text = (unsigned char *)SECRET,
			.text_size = strlen(SECRET)};
	assert_int_equal(content_digest_write(bytes_of(BODY), &d), 0);
	snprintf(digest, sizeof(digest), "%s", d.data);
	set_header(t, "Host", "inner:8080");
	set_header(t, "Content-Type", "application/json");
	set_header(t, "Content-Digest", digest);
	snprintf(lines, sizeof(lines),
		"\"@method\": POST\n\"@target-uri\": https://cb.example%s\n"
		"\"content-digest\": %s\n",
		TARGET, digest);
	sign(t, key, lines, input);
}

static void test_algorithms(void **state)
{
	EVP_PKEY *keys[] = {ed25519, p256, rsa, NULL};
	static const char *const names[] = {
		"ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512", "hmac-sha256"};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		begin_signed(&t, keys[i], COVERED PARAMETERS);
		expect_ok(&t, names[i]);
		end(&t);
		/* What it calls itself must be what the key does. */
		for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
			CLEANUP(freep)
			char *input = text_format(
				COVERED PARAMETERS ";alg=\"%s\"", names[j]);
			begin_signed(&t, keys[i], input);
			if (i == j)
				expect_ok(&t, names[j]);
			else
				assert_int_equal(ask(&t), VERIFY_REFUSED);
			end(&t);
		}
		static const char *const unknown[] = {"none", "rsa-v1_5-sha256",
			"hmac-sha512", "ED25519", "", "hs2019"};
		for (size_t j = 0; j < ARRAY_SIZE(unknown); j++) {
			CLEANUP(freep)
			char *input = text_format(
				COVERED PARAMETERS ";alg=\"%s\"", unknown[j]);
			begin_signed(&t, keys[i], input);
			expect_refused(&t, unknown[j], "algorithm", true);
			end(&t);
		}
	}
}

/* The public key's text as an HMAC's secret: who knows the one knows the other. */
static void test_confusion(void **state)
{
	struct trial t;
	struct mac m;
	unsigned char raw[64];

	(void)state;
	begin_signed(&t, ed25519, COVERED PARAMETERS ";alg=\"hmac-sha256\"");
	CLEANUP(text_fini) struct text base = TEXT_EMPTY;
	text_addf(&base, "%s\"@signature-params\": %s", lines,
		COVERED PARAMETERS ";alg=\"hmac-sha256\"");
	/* add_keys() gave it this as its text. */
	assert_int_equal(mac_begin(&m, HASH_SHA256, bytes_of("not a secret")), 0);
	mac_add(&m, text_bytes(&base));
	assert_int_equal(mac_end(&m, raw), 0);
	CLEANUP(freep) char *encoded = codec_base64_encode(raw, 32);
	CLEANUP(freep) char *value = text_format("sig1=:%s:", encoded);
	set_header(&t, "Signature", value);
	expect_refused(&t, "HMAC with a public key", "none of 0 secrets", false);
	/* And 32 plain bytes are no public key here. */
	t.secrets[0].keys->keys[0].plain = true;
	sign(&t, ed25519, lines, COVERED PARAMETERS);
	expect_refused(&t, "plain bytes", "no key", false);
	end(&t);
}

static void test_altered(void **state)
{
	struct trial t;

	(void)state;
	begin_signed(&t, ed25519, COVERED PARAMETERS);
	expect_ok(&t, "good");
	EACH_BIT(t.body, strlen(BODY), i)
	expect_refused(&t, "the body", "not the body's", false);
	char *d = value_of(&t, "Content-Digest") + strlen("sha-256=:");
	EACH_BIT(d, 40, i)
	assert_int_equal(ask(&t), VERIFY_REFUSED);
	expect_ok(&t, "good again");
	/* The digest of another body, which is that body's. */
	CLEANUP(text_fini) struct text other = TEXT_EMPTY;
	set_body(&t, "{}");
	assert_int_equal(content_digest_write(bytes_of("{}"), &other), 0);
	set_header(&t, "Content-Digest", other.data);
	expect_refused(&t, "another body", "none of 1 public key", false);
	set_header(&t, "Content-Digest", digest);
	set_body(&t, BODY);
	t.m.target = bytes_of("/callback/s?a=b%20c&d=2");
	expect_refused(&t, "another target", "none of 1 public key", false);
	t.m.target = bytes_of(TARGET);
	t.public_url = "https://other.example";
	expect_refused(&t, "another origin", "none of 1 public key", false);
	t.public_url = NULL;
	expect_refused(&t, "no origin", "PublicURL=", false);
	t.public_url = "https://cb.example";
	t.m.method = bytes_of("PUT");
	expect_refused(&t, "another method", "none of 1 public key", false);
	t.m.method = bytes_of("POST");
	char *input = value_of(&t, "Signature-Input");
	char *created = strstr(input, "1700000000");
	created[9] = '1';
	expect_refused(&t, "another time", "none of 1 public key", false);
	created[9] = '0';
	expect_ok(&t, "good in the end");
	end(&t);
}

static void test_missing_and_doubled(void **state)
{
	static const char *const names[] = {
		"Signature", "Signature-Input", "Content-Digest"};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		begin_signed(&t, p256, COVERED PARAMETERS);
		CLEANUP(freep) char *value = strdup(value_of(&t, names[i]));
		double_header(&t, names[i], value);
		expect_refused(&t, names[i], "twice", true);
		drop_header(&t, names[i]);
		expect_refused(&t, names[i], "is missing", true);
		set_header(&t, names[i], "");
		expect_refused(&t, names[i], "", i < 2);
		end(&t);
	}
}

/* Input, and what is said of it; nothing of it needs a key. */
static void test_policy(void **state)
{
	static const struct {
		const char *input, *why;
		bool early;
	} cases[] = {
		{"();created=1700000000", "does not cover @method", true},
		{"(\"@method\" \"@target-uri\");created=1700000000",
			"does not cover content-digest", true},
		{"(\"@method\" \"@path\" \"content-digest\");created=1700000000",
			"does not cover @target-uri", true},
		{"(\"@method\" \"@target-uri\" "
		 "\"content-digest\";key=\"sha-256\");created="
		 "1700000000",
			"does not cover content-digest", true},
		{"(\"@method\" \"@target-uri\" content-digest);created=1700000000",
			"does not cover content-digest", true},
		{COVERED, "when it was created", true},
		{COVERED ";created=\"1700000000\"", "when it was created", true},
		{COVERED ";created=-1700000000", "when it was created", true},
		{COVERED ";created=999999999999999", "when it was created", true},
		{COVERED ";created=1699999699", "5 min old", true},
		{COVERED ";created=1700000301", "5 min ahead", true},
		{COVERED ";created=1700000000;expires=1699999999", "has expired", true},
		{COVERED ";created=1700000000;expires=\"x\"", "expires is not a time",
			true},
		{COVERED ";created=1700000000;keyid=7", "keyid", true},
		{COVERED ";created=1700000000;alg=7", "algorithm", true},
		{COVERED ";created=1700000000;created=1700000000", "twice", true},
		{"\"@method\";created=1700000000", "lists no components", true},
		{"(\"@method\" \"@target-uri\" \"content-digest\" \"@method\");created="
		 "1700000000",
			"twice", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" \"Date\");created="
		 "1700000000",
			"small letters", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" \"date\");created="
		 "1700000000",
			"not there", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" \"@status\");created="
		 "1700000000",
			"does not have", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" \"@signature-params\");"
		 "created=1700000000",
			"does not have", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" \"content-type\";sf);"
		 "created=1700000000",
			"sf", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" \"content-type\";req);"
		 "created=1700000000",
			"not supported", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" \"content-type\";tr);"
		 "created=1700000000",
			"trailer", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" \"@path\";bs);created="
		 "1700000000",
			"cannot have", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" "
		 "\"@query-param\");created="
		 "1700000000",
			"parameter name", false},
		{"(\"@method\" \"@target-uri\" \"content-digest\" "
		 "\"@query-param\";name=\"z\");created=1700000000",
			"not there once", false},
	};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin_signed(&t, ed25519, cases[i].input);
		expect_refused(&t, cases[i].input, cases[i].why, cases[i].early);
		end(&t);
	}
}

/* Each component by hand, as RFC 9421, 2 has it. */
static void test_components(void **state)
{
	static const struct {
		const char *component, *line;
	} cases[] = {
		{"\"@authority\"", "cb.example"},
		{"\"@scheme\"", "https"},
		{"\"@request-target\"", TARGET},
		{"\"@path\"", "/callback/s"},
		{"\"@query\"", "?a=b%20c&d=1"},
		{"\"@query-param\";name=\"a\"", "b%20c"},
		{"\"@query-param\";name=\"d\"", "1"},
		{"\"content-type\"", "application/json"},
		{"\"content-type\";bs", ":YXBwbGljYXRpb24vanNvbg==:"},
		{"\"x-list\"", "a, b,c"},
		{"\"x-list\";bs", ":YQ==:, :Yixj:"},
		{"\"x-empty\"", ""},
		{"\"x-dict\";key=\"b\"", "(1 \"x\" tok);p;q=?0"},
		{"\"x-dict\";key=\"a\"", "1"},
		{"\"x-dict\";key=\"c\"", "?1"},
	};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(freep)
		char *input = text_format(
			"(\"@method\" \"@target-uri\" \"content-digest\" "
			"%s);created=1700000000",
			cases[i].component);
		begin_signed(&t, ed25519, COVERED PARAMETERS);
		set_header(&t, "X-List", " a ");
		double_header(&t, "X-List", "b,c");
		set_header(&t, "X-Empty", "");
		set_header(&t, "X-Dict", "a=1,  b=( 1  \"x\" tok ); p;q=?0,c");
		CLEANUP(freep)
		char *base = text_format(
			"%s%s: %s\n", lines, cases[i].component, cases[i].line);
		sign(&t, ed25519, base, input);
		expect_ok(&t, cases[i].component);
		end(&t);
	}
}

/* Blanks in Signature-Input do not count: what is signed is written anew. */
static void test_rewritten(void **state)
{
	struct trial t;

	(void)state;
	begin_signed(&t, ed25519, COVERED PARAMETERS);
	set_header(&t, "Signature-Input",
		"sig1=( \"@method\"   \"@target-uri\" \"content-digest\" ); "
		"created=1700000000; keyid=\"k\" ");
	expect_ok(&t, "blanks");
	set_header(&t, "Signature-Input",
		"sig1=(\"@target-uri\" \"@method\" \"content-digest\")" PARAMETERS);
	expect_refused(&t, "another order", "none of 1 public key", false);
	end(&t);
}

/* Any one of several; what is wrong with the others is of no account. */
static void test_labels(void **state)
{
	struct trial t;

	(void)state;
	begin_signed(&t, ed25519, COVERED PARAMETERS);
	CLEANUP(freep) char *good = strdup(value_of(&t, "Signature"));
	CLEANUP(freep)
	char *both = text_format("proxy=:AAAA:, %s, third=?1", good);
	set_header(&t, "Signature-Input",
		"proxy=(\"@method\");created=1;alg=\"none\", sig1=" COVERED PARAMETERS
		", third=();created=1700000000");
	set_header(&t, "Signature", both);
	expect_ok(&t, "the second of three");
	set_header(&t, "Signature", "other=:AAAA:");
	expect_refused(&t, "none of that name", "none of that name", true);
	set_header(&t, "Signature-Input",
		"sig1=" COVERED PARAMETERS ", sig1=" COVERED PARAMETERS);
	set_header(&t, "Signature", good);
	expect_refused(&t, "one label twice", "twice", true);
	end(&t);
}

static void test_keys(void **state)
{
	static const char url[] = "https://keys.example/jwks";
	CLEANUP(freep) char *pem = pem_of(p256);
	struct trial t;

	(void)state;
	/* The vectors' key bears an id: k is none of its. */
	begin_signed(&t, ed25519, COVERED PARAMETERS);
	add_keys(&t, set_of(bytes_of(ecc_p256_jwk)));
	expect_ok(&t, "one of two");
	keyset_unref(t.secrets[0].keys);
	t.secrets[0] = t.secrets[--t.source.n_secrets];
	expect_refused(&t, "unknown key", "no key is there", false);
	t.source.keys_url = (char *)url;
	expect_needs(&t, "nothing fetched", VERIFY_KEYS_SET, false, url);
	t.fetched = set_of(bytes_of(ecc_p256_jwk));
	expect_needs(&t, "not among those fetched", VERIFY_KEYS_SET, true, url);
	keyset_unref(t.fetched);
	t.fetched = set_of_key(ed25519);
	expect_ok(&t, "fetched");
	/* The very key that is named, and it does not fit: nothing to fetch. */
	free(t.fetched->keys[0].id);
	t.fetched->keys[0].id = strdup("k");
	char *s = value_of(&t, "Signature");
	s[10] = s[10] == 'A' ? 'B' : 'A';
	expect_refused(&t, "forged", "none of 1 public key", false);
	end(&t);
}

static void test_digests(void **state)
{
	static const struct {
		const char *value, *why;
	} cases[] = {
		{"sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:", NULL},
		{"sha-512=:"
		 "J8e9yYSXVtsRTI9ZGqGoM7Rs1U3Aqoi5MZT7vW1OlPl7uW4n7wWm0R5rc5CgE2f2lPVzrJ"
		 "n0Q0eGUfWTKW2vMQ==:",
			"not the body's"},
		{"md5=:AAAA:, sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:",
			NULL},
		{"md5=:AAAA:", "neither"},
		{"", "neither"},
		{"sha-256", "not the body's"},
		{"sha-256=RBNvo1", "not the body's"},
		{"sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o:",
			"not the body's"},
		{"SHA-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:", "dictionary"},
		{"sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:, sha-512=:AAAA:",
			"not the body's"},
		{"sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:, sha-256=:AAAA:",
			"dictionary"},
	};
	const char *problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = content_digest_check(
			bytes_of(cases[i].value), bytes_of("{}"), &problem);
		if (r != (cases[i].why != NULL))
			fail_msg("%s: %d", cases[i].value, r);
		if (r && !strstr(problem, cases[i].why))
			fail_msg("%s: %s", cases[i].value, problem);
	}
	assert_int_equal(content_digest_check(bytes_of(DIGEST_512),
				 bytes_of("{\"hello\": \"world\"}"), &problem),
		0);
}

static int on_setup(void **state)
{
	(void)state;
	ed25519 = key_ed25519();
	p256 = key_p256();
	rsa = key_rsa(2048);
	return 0;
}

static int on_teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(ed25519);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(rsa);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appendix_b2),
		cmocka_unit_test(test_b24),
		cmocka_unit_test(test_b4),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_confusion),
		cmocka_unit_test(test_altered),
		cmocka_unit_test(test_missing_and_doubled),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_components),
		cmocka_unit_test(test_rewritten),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_digests),
	};
	return cmocka_run_group_tests(tests, on_setup, on_teardown);
}
