/* Public keys in every form, what is not taken for one, and signatures with them. */
#include "public_trial.h"

#include "base/text.h"
#include "rules/pubkey.h"

#define X25519_RAW "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="

static void expect_no_keys(const char *name, const char *text, const char *why)
{
	struct keyset *set = NULL;
	const char *problem = "";
	int r = keyset_of_text(bytes_of(text), &set, &problem);

	if (r != 1)
		fail_msg("%s: %d", name, r);
	if (!strstr(problem, why))
		fail_msg("%s: <%s>, not <%s>", name, problem, why);
	assert_null(set);
}

/* RFC 9421, B.1.4, in each spelling: one and the same key. */
static void test_forms_of_ed25519(void **state)
{
	static const char pem[] =
		"-----BEGIN PUBLIC KEY-----\n"
		"MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n"
		"-----END PUBLIC KEY-----\n";
	static const char *const texts[] = {pem, X25519_RAW, X25519_RAW "\n",
		"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs", "whpk_" X25519_RAW "\n",
		"26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d1bb\n",
		"26B40B8F93FFF3D897112F7EBC582B232DBD72517D082FE83CFB30DDCE43D1BB",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":"
		"\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"}",
		"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"use\":\"sig\",\"x\":"
		"\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"}]}"};
	struct keyset *first = set_of(bytes_of(pem));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct keyset *set = set_of(bytes_of(texts[i]));
		assert_int_equal(set->size, 1);
		assert_int_equal(set->keys[0].kind, KEYSET_ED25519);
		assert_int_equal(EVP_PKEY_eq(set->keys[0].key, first->keys[0].key), 1);
		assert_int_equal(set->keys[0].webhook, i == 4);
		assert_int_equal(set->keys[0].plain,
			i == 1 || i == 2 || i == 3 || i == 5 || i == 6);
		keyset_unref(set);
	}
	keyset_unref(first);
}

/* 32 bytes as they are, even where they look like blanks. */
static void test_raw(void **state)
{
	char raw[34] = "\n0123456789abcdef0123456789abcde";
	struct keyset *a, *b;

	(void)state;
	raw[31] = '\n';
	a = set_of((struct bytes){raw, 32});
	raw[32] = '\n';
	b = set_of((struct bytes){raw, 33});
	assert_int_equal(EVP_PKEY_eq(a->keys[0].key, b->keys[0].key), 1);
	keyset_unref(a);
	keyset_unref(b);
	expect_no_keys("31", "0123456789abcdef0123456789abcde", "it is no public key");
}

static void test_not_keys(void **state)
{
	static const struct {
		const char *name, *text, *why;
	} cases[] = {
		{"nothing", "", "no public key"},
		{"words", "secret", "no public key"},
		{"whpk_ of a secret", "whpk_c2VjcmV0", "32 bytes"},
		{"whpk_ and hex",
			"whpk_"
			"26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d"
			"1bb",
			"32 bytes"},
		{"whsec_", "whsec_" X25519_RAW, "no public key"},
		{"PEM cut off", "-----BEGIN PUBLIC KEY-----\nMCow\n", "damaged"},
		{"PEM of nothing",
			"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n",
			"nothing readable"},
		{"a request", "-----BEGIN X-----\nMCow\n-----END X-----\n", "neither"},
		{"no set", "{}", "no key for signatures"},
		{"an empty set", "{\"keys\":[]}", "holds no key"},
		{"broken JSON", "{\"keys\":[", ""},
		{"symmetric", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
			"no key for signatures"},
		{"another curve",
			"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AAAA\",\"y\":"
			"\"AAAA\"}",
			"no key for signatures"},
		{"a point off the curve",
			"{\"kty\":\"EC\",\"crv\":\"P-256\","
			"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}",
			"no key for signatures"},
		{"for encryption",
			"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"use\":\"enc\",\"x\":"
			"\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"}",
			"no key for signatures"},
		{"for signing only",
			"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"key_ops\":[\"sign\"],"
			"\"x\":"
			"\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"}",
			"no key for signatures"},
		{"the private half",
			"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"AAAA\",\"x\":"
			"\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"}",
			"no key for signatures"},
		{"padding",
			"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
			"\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs=\"}",
			"no key for signatures"},
		{"an id that is no text",
			"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":7,\"x\":"
			"\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"}",
			"no key for signatures"},
		{"one id for two",
			"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\","
			"\"x\":\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"},"
			"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\","
			"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
			"same id"},
		{"one key twice",
			"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\","
			"\"x\":\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"},"
			"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"b\","
			"\"x\":\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"}]}",
			"twice"},
		{"an exponent of one",
			"{\"kty\":\"RSA\",\"e\":\"AQ\",\"n\":"
			"\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAk"
			"d_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
			"4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-"
			"yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_"
			"7OMg0LOL-"
			"bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
			"UTo7WTBEMa2R2CapHg665xsmt"
			"dVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
			"DWNmoudF8NAco9_"
			"h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}",
			"no key for signatures"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_no_keys(cases[i].name, cases[i].text, cases[i].why);
}

/* As JWKS is asked for: with 1 the signature is the message, an even one has no inverse. */
static void test_pem_exponents(void **state)
{
	static const char *const ends[] = {"BAQ==", "BBA=="};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		CLEANUP(text_fini) struct text pem = TEXT_EMPTY;
		text_adds(&pem, "-----BEGIN RSA PUBLIC KEY-----\nMIIBCAKCAQEA");
		/* A modulus of 256 bytes c3, and the exponent's tag and length. */
		for (size_t n = 0; n < 85; n++)
			text_adds(&pem, "w8PD");
		text_addf(&pem, "wwI%s\n-----END RSA PUBLIC KEY-----\n", ends[i]);
		expect_no_keys(ends[i], text_bytes(&pem).data, "exponent");
	}
}

/* Weak, of another kind, private: made by OpenSSL. */
static void test_kinds(void **state)
{
	EVP_PKEY *weak = key_rsa(1024), *good = key_rsa(2048), *pair = key_p256();
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
	EVP_PKEY *agree = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	CLEANUP(freep) char *weak_pem = pem_of(weak);
	CLEANUP(freep) char *other_pem = pem_of(other);
	CLEANUP(freep) char *agree_pem = pem_of(agree);
	CLEANUP(freep) char *good_pem = pem_of(good);
	CLEANUP(freep) char *pair_pem = pem_of(pair);
	CLEANUP(freep) char *both = text_format("two keys\n%s%s", good_pem, pair_pem);
	CLEANUP(freep) char *twice = text_format("%s%s", good_pem, good_pem);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;

	(void)state;
	expect_no_keys("1024", weak_pem, "2048");
	expect_no_keys("P-384", other_pem, "P-256");
	expect_no_keys("X25519", agree_pem, "neither");
	expect_no_keys("twice", twice, "twice");
	PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL);
	long n = BIO_get_mem_data(bio, &data);
	CLEANUP(freep) char *private = bytes_dup((struct bytes){data, (size_t)n});
	expect_no_keys("private", private, "private key");
	struct keyset *set = set_of(bytes_of(both));
	assert_int_equal(set->size, 2);
	assert_int_equal(set->keys[0].kind, KEYSET_RSA);
	assert_int_equal(set->keys[1].kind, KEYSET_P256);
	keyset_unref(set);
	BIO_free(bio);
	EVP_PKEY_free(weak);
	EVP_PKEY_free(good);
	EVP_PKEY_free(pair);
	EVP_PKEY_free(other);
	EVP_PKEY_free(agree);
}

/* What is not for us is passed over, and counted; more than 32 are too many. */
static void test_sets(void **state)
{
	struct text many = TEXT_EMPTY;
	struct keyset *set;
	const char *problem;
	size_t at = 0;

	(void)state;
	text_adds(&many,
		"{\"keys\":[7,null,{\"kty\":\"new\"},{\"kty\":\"EC\",\"kid\":\"e\","
		"\"crv\":\"P-256\",\"alg\":\"ES256\","
		"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
	CLEANUP(freep) char *start = strdup(many.data);
	text_adds(&many, "]}");
	set = set_of(text_bytes(&many));
	assert_int_equal(set->size, 1);
	assert_int_equal(set->n_left_out, 3);
	assert_string_equal(set->keys[0].algorithm, "ES256");
	assert_ptr_equal(
		keyset_next(set, KEYSET_P256, bytes_of("e"), &at), &set->keys[0]);
	assert_null(keyset_next(set, KEYSET_P256, bytes_of("e"), &at));
	at = 0;
	assert_null(keyset_next(set, KEYSET_P256, bytes_of("f"), &at));
	at = 0;
	assert_null(keyset_next(set, KEYSET_RSA, BYTES_NONE, &at));
	at = 0;
	assert_non_null(keyset_next(set, KEYSET_P256, BYTES_NONE, &at));
	keyset_unref(set);

	for (int n = 32; n <= 33; n++) {
		text_clear(&many);
		text_adds(&many, start);
		for (int i = 1; i < n; i++) {
			EVP_PKEY *key = key_ed25519();
			unsigned char raw[32];
			size_t size = 32;
			EVP_PKEY_get_raw_public_key(key, raw, &size);
			CLEANUP(freep) char *x = codec_base64url_encode(raw, 32);
			text_addf(&many,
				",{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", x);
			EVP_PKEY_free(key);
		}
		text_adds(&many, "]}");
		assert_int_equal(
			keyset_of_jwks(text_bytes(&many), &set, &problem), n == 33);
		if (n == 32)
			keyset_unref(set);
		else
			assert_non_null(strstr(problem, "32"));
	}
	text_fini(&many);
}

/* RFC 8032, 7.1: tests 1 to 3, and one bit less. */
static void test_rfc8032(void **state)
{
	static const struct {
		const char *key, *message, *signature;
	} cases[] = {
		{"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
			"5fb882"
			"1590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
		{"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
			"085ac1"
			"e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
		{"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
			"af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
			"18ff9b"
			"538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct keyset *set = set_of(bytes_of(cases[i].key));
		unsigned char message[4], raw[64];
		ptrdiff_t n = codec_hex_decode(
			bytes_of(cases[i].message), message, sizeof(message));
		struct bytes data = {(const char *)message, (size_t)n};
		struct bytes signature = {(const char *)raw, 64};
		assert_int_equal(
			codec_hex_decode(bytes_of(cases[i].signature), raw, 64), 64);
		assert_int_equal(
			pubkey_verify(&set->keys[0], PUBKEY_ED25519, data, signature, 0),
			0);
		EACH_BIT((char *)raw, 64, b)
		assert_int_equal(
			pubkey_verify(&set->keys[0], PUBKEY_ED25519, data, signature, 0),
			1);
		keyset_unref(set);
	}
}

/* A key holds nothing of another algorithm, and nothing outside its time. */
static void test_one_algorithm_each(void **state)
{
	EVP_PKEY *keys[] = {key_ed25519(), key_p256(), key_rsa(2048)};
	static const struct {
		enum pubkey_algorithm algorithm;
		int key;
		const char *digest;
		enum how how;
		const char *name; /* of a JWK */
	} ways[] = {
		{PUBKEY_ED25519, 0, NULL, HOW_PLAIN, "EdDSA"},
		{PUBKEY_ES256, 1, "SHA256", HOW_ES256, "ES256"},
		{PUBKEY_RS256, 2, "SHA256", HOW_PLAIN, "RS256"},
		{PUBKEY_RSA_SHA1, 2, "SHA1", HOW_PLAIN, NULL},
		{PUBKEY_RSA_PSS_SHA512, 2, "SHA512", HOW_PSS, "PS512"},
	};
	struct bytes data = bytes_of("what is signed");
	unsigned char raw[SIGNATURE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct bytes s = {
			(const char *)raw, sign_raw(keys[ways[i].key], ways[i].digest,
						   ways[i].how, data, raw)};
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
			struct keyset *set = set_of_key(keys[k]);
			struct keyset_key *key = &set->keys[0];
			for (size_t j = 0; j < ARRAY_SIZE(ways); j++) {
				bool right = i == j && (int)k == ways[i].key;
				assert_int_equal(
					pubkey_verify(key, ways[j].algorithm, data, s, 0),
					!right);
				key->algorithm = (char *)ways[j].name;
				assert_int_equal(
					pubkey_verify(key, ways[i].algorithm, data, s, 0),
					!((int)k == ways[i].key &&
						(i == j || !ways[j].name)));
				key->algorithm = NULL;
			}
			if ((int)k == ways[i].key) {
				struct bytes cut = {s.data, s.size - 1};
				struct bytes longer = {s.data, s.size + 1};
				assert_int_equal(pubkey_verify(key, ways[i].algorithm,
							 data, cut, 0),
					1);
				assert_int_equal(pubkey_verify(key, ways[i].algorithm,
							 data, longer, 0),
					1);
				key->from_usec = 10;
				key->until_usec = 20;
				for (int64_t at = 9; at <= 21; at++)
					assert_int_equal(
						pubkey_verify(key, ways[i].algorithm,
							data, s, at),
						at < 10 || at > 20);
			}
			keyset_unref(set);
		}
	}
	for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
		EVP_PKEY_free(keys[k]);
}

/* r and s as zeros are no signature (CVE-2022-21449), nor is a DER one of the right length. */
static void test_es256_forms(void **state)
{
	EVP_PKEY *key = key_p256();
	struct keyset *set = set_of_key(key);
	unsigned char raw[SIGNATURE_MAX] = {0};
	struct bytes data = bytes_of("x");

	(void)state;
	assert_int_equal(pubkey_verify(&set->keys[0], PUBKEY_ES256, data,
				 (struct bytes){(char *)raw, 64}, 0),
		1);
	size_t n = sign_raw(key, "SHA256", HOW_PLAIN, data, raw);
	assert_int_equal(pubkey_verify(&set->keys[0], PUBKEY_ES256, data,
				 (struct bytes){(char *)raw, n}, 0),
		1);
	keyset_unref(set);
	EVP_PKEY_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms_of_ed25519),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_not_keys),
		cmocka_unit_test(test_pem_exponents),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_rfc8032),
		cmocka_unit_test(test_one_algorithm_each),
		cmocka_unit_test(test_es256_forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
