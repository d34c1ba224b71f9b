/*
 * Amazon SNS: its documents as AWS' documentation lays them out, signed with certificates of
 * authorities made on the spot; the URLs that may be asked and those that look like them; and
 * what a certificate must be to be believed.
 */
#include "public_trial.h"

#include "io/trust.h"
#include "rules/certificate.h"
#include "rules/sns.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#define TOPIC "arn:aws:sns:us-west-2:123456789012:MyTopic"
#define CERT  "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb72.pem"
#define SUBSCRIBE                              \
	"https://sns.us-west-2.amazonaws.com/" \
	"?Action=ConfirmSubscription&TopicArn=" TOPIC "&Token=2336412f37"
/* 2023-11-14T22:13:20Z is NOW. */
#define TIME "2023-11-14T22:13:00.655Z"

static EVP_PKEY *root_key, *key;
static X509 *root, *leaf;
static struct keyset *leaf_set;
static char *topics[] = {(char *)"arn:aws:sns:eu-west-1:1:other", (char *)TOPIC};

/* ---- Certificates ---- */

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

struct wish {
	const char *common, *names; /* names: NULL for none */
	bool ca;
	long from, until; /* seconds from NOW */
};

static X509 *certify(EVP_PKEY *subject, const struct wish *w, X509 *issuer, EVP_PKEY *by)
{
	static long serial;
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)w->common, -1, -1, 0);
	X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name);
	ASN1_TIME_set(X509_getm_notBefore(x), NOW + w->from);
	ASN1_TIME_set(X509_getm_notAfter(x), NOW + w->until);
	X509_set_pubkey(x, subject);
	add_extension(x, issuer ? issuer : x, NID_basic_constraints,
		w->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (w->names)
		add_extension(x, issuer ? issuer : x, NID_subject_alt_name, w->names);
	assert_true(X509_sign(x, by, EVP_sha256()) > 0);
	return x;
}

static void add_pem(struct text *t, X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;

	PEM_write_bio_X509(bio, x);
	long n = BIO_get_mem_data(bio, &data);
	text_add(t, (struct bytes){data, (size_t)n});
	BIO_free(bio);
}

static X509_STORE *store_of(X509 *x)
{
	X509_STORE *store = X509_STORE_new();

	X509_STORE_add_cert(store, x);
	return store;
}

/* What certificate_keyset() says of these, NULL when it believes them. */
static const char *problem_of(X509 *x, X509 *more, X509 *trusted, struct keyset **ret)
{
	CLEANUP(text_fini) struct text pem = TEXT_EMPTY;
	X509_STORE *store = store_of(trusted);
	struct keyset *set = NULL;
	const char *problem = NULL;

	add_pem(&pem, x);
	if (more)
		add_pem(&pem, more);
	int r = certificate_keyset(text_bytes(&pem), store, NOW * SEC, &set, &problem);
	assert_int_equal(r, problem != NULL);
	X509_STORE_free(store);
	if (ret)
		*ret = set;
	else
		keyset_unref(set);
	return problem;
}

static void test_chains(void **state)
{
	const struct wish ca = {"An Intermediate", NULL, true, -1000, 1000};
	const struct wish no_ca = {"Not One", NULL, false, -1000, 1000};
	const struct wish ours = {"sns.amazonaws.com", NULL, false, -1000, 1000};
	EVP_PKEY *between_key = key_rsa(2048), *small = key_rsa(1024);
	X509 *between = certify(between_key, &ca, root, root_key);
	X509 *fake = certify(between_key, &no_ca, root, root_key);
	X509 *deep = certify(key, &ours, between, between_key);
	X509 *under_fake = certify(key, &ours, fake, between_key);
	X509 *own = certify(key, &ours, NULL, key);
	X509 *weak = certify(small, &ours, root, root_key);
	X509 *point;
	EVP_PKEY *p256 = key_p256();

	(void)state;
	point = certify(p256, &ours, root, root_key);
	assert_null(problem_of(leaf, NULL, root, NULL));
	assert_null(problem_of(deep, between, root, NULL));
	assert_non_null(problem_of(deep, NULL, root, NULL));
	assert_non_null(problem_of(under_fake, fake, root, NULL));
	assert_non_null(problem_of(own, NULL, root, NULL));
	assert_non_null(problem_of(own, root, root, NULL));
	assert_non_null(problem_of(leaf, NULL, between, NULL));
	assert_non_null(problem_of(weak, NULL, root, NULL));
	struct keyset *set;
	assert_null(problem_of(point, NULL, root, &set));
	assert_int_equal(set->keys[0].kind, KEYSET_P256);
	keyset_unref(set);
	X509 *all[] = {between, fake, deep, under_fake, own, weak, point};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		X509_free(all[i]);
	EVP_PKEY_free(between_key);
	EVP_PKEY_free(small);
	EVP_PKEY_free(p256);
}

static void test_names(void **state)
{
	static const struct {
		struct wish w;
		bool good;
	} cases[] = {
		{{"sns.amazonaws.com", NULL, false, -9, 9}, true},
		{{"sns.us-west-2.amazonaws.com", NULL, false, -9, 9}, true},
		{{"x", "DNS:sns.amazonaws.com", false, -9, 9}, true},
		{{"x", "DNS:other.example,DNS:sns.us-west-2.amazonaws.com", false, -9, 9},
			true},
		{{"sns.cn-north-1.amazonaws.com.cn", NULL, false, -9, 9}, true},
		/* the common name does not count beside others */
		{{"sns.amazonaws.com", "DNS:other.example", false, -9, 9}, false},
		{{"sqs.amazonaws.com", NULL, false, -9, 9}, false},
		{{"*.amazonaws.com", NULL, false, -9, 9}, false},
		{{"sns.amazonaws.com.evil.example", NULL, false, -9, 9}, false},
		{{"evil.example", "DNS:*.amazonaws.com", false, -9, 9}, false},
		{{"x", "email:sns.amazonaws.com@evil.example", false, -9, 9}, false},
		{{"sns.amazonaws.com", NULL, false, -9, -1}, false},
		{{"sns.amazonaws.com", NULL, false, 1, 9}, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		X509 *x = certify(key, &cases[i].w, root, root_key);
		struct keyset *set = NULL;
		const char *problem = problem_of(x, NULL, root, &set);
		if (!problem != cases[i].good)
			fail_msg("%s %s: %s", cases[i].w.common,
				cases[i].w.names ? cases[i].w.names : "",
				problem ? problem : "believed");
		if (set) {
			assert_int_equal(set->keys[0].from_usec, (NOW - 9) * SEC);
			assert_int_equal(set->keys[0].until_usec, (NOW + 9) * SEC);
		}
		keyset_unref(set);
		X509_free(x);
	}
	/* A name with NUL in it is longer than it looks. */
	X509 *x = certify(key, &cases[0].w, root, root_key);
	X509_NAME *name = X509_get_subject_name(x);
	X509_NAME_ENTRY_free(X509_NAME_delete_entry(name, 0));
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)"sns.amazonaws.com\0.evil.example", 31, -1, 0);
	X509_sign(x, root_key, EVP_sha256());
	assert_non_null(problem_of(x, NULL, root, NULL));
	X509_free(x);
}

static void test_no_certificates(void **state)
{
	static const char *const texts[] = {"", "x",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
	X509_STORE *store = store_of(root);
	struct keyset *set;
	const char *problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(certificate_keyset(bytes_of(texts[i]), store, NOW * SEC,
					 &set, &problem),
			1);
	X509_STORE_free(store);
}

/* A file of the administrator's is trusted as it is; the system's roots know ours not. */
static void test_trust(void **state)
{
	char path[] = "/tmp/callbackd-trust-XXXXXX";
	int fd = mkstemp(path);
	CLEANUP(text_fini) struct text pem = TEXT_EMPTY;
	CLEANUP(text_fini) struct text leaf_pem = TEXT_EMPTY;
	X509_STORE *store;
	struct keyset *set;
	const char *problem;

	(void)state;
	assert_true(fd >= 0);
	add_pem(&pem, root);
	add_pem(&leaf_pem, leaf);
	assert_int_equal(write(fd, pem.data, pem.size), (ssize_t)pem.size);
	assert_int_equal(trust_load(path, &store), 0);
	assert_int_equal(certificate_keyset(
				 text_bytes(&leaf_pem), store, NOW * SEC, &set, &problem),
		0);
	keyset_unref(set);
	X509_STORE_free(store);
	/* An intermediate there need not be a root. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(
		pwrite(fd, leaf_pem.data, leaf_pem.size, 0), (ssize_t)leaf_pem.size);
	assert_int_equal(trust_load(path, &store), 0);
	assert_int_equal(certificate_keyset(
				 text_bytes(&leaf_pem), store, NOW * SEC, &set, &problem),
		0);
	keyset_unref(set);
	X509_STORE_free(store);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(trust_load(path, &store), -ENOENT);
	close(fd);
	unlink(path);
	assert_int_equal(trust_load(path, &store), -ENOENT);
	assert_int_equal(trust_load(NULL, &store), 0);
	assert_int_equal(certificate_keyset(
				 text_bytes(&leaf_pem), store, NOW * SEC, &set, &problem),
		1);
	X509_STORE_free(store);
}

/* ---- URLs ---- */

static void test_urls(void **state)
{
	static const struct {
		const char *url;
		bool certificate, subscribe;
	} cases[] = {
		{CERT, true, false},
		{"https://sns.us-west-2.amazonaws.com:443/x.pem", true, false},
		{"https://sns.us-gov-west-1.amazonaws.com/a/b-C_1.pem", true, false},
		{"https://sns.cn-north-1.amazonaws.com.cn/x.pem", true, false},
		{SUBSCRIBE, false, true},
		{"https://sns.eu-west-1.amazonaws.com:443/"
		 "?Token=1&Action=ConfirmSubscription",
			false, true},
		{"http://sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"HTTPS://sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"ftp://sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https:sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https:///sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"//sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https://sns.amazonaws.com/x.pem", false, false},
		{"https://sns..amazonaws.com/x.pem", false, false},
		{"https://sns.-a.amazonaws.com/x.pem", false, false},
		{"https://sns.a-.amazonaws.com/x.pem", false, false},
		{"https://sns.a--b.amazonaws.com/x.pem", false, false},
		{"https://sns.a.b.amazonaws.com/x.pem", false, false},
		{"https://sns.US-WEST-2.amazonaws.com/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com./x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com.evil.example/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com.cn.evil.example/x.pem", false,
			false},
		{"https://evil.example/sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com@evil.example/x.pem", false, false},
		{"https://evil.example@sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https://a:b@sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https://evil.example#sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https://evil.example\\.sns.us-west-2.amazonaws.com/x.pem", false,
			false},
		{"https://evil.example?.sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https://xsns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com:8443/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com:/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com:0443/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com:443:443/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com/x.pem?a", false, false},
		{"https://sns.us-west-2.amazonaws.com/?x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com/x.pem#a", false, false},
		{"https://sns.us-west-2.amazonaws.com/x.crt", false, false},
		{"https://sns.us-west-2.amazonaws.com/.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com/../x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com//x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com/%2e%2e/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com/x y.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com/x\ny.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com", false, false},
		{"https://sns.us-west-2.amazonaws.com.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com/.x.pem", false, false},
		{"https://169.254.169.254/x.pem", false, false},
		{"https://[::1]/x.pem", false, false},
		{"https://127.0.0.1/x.pem", false, false},
		{"https://sns.us-west-2.s3.amazonaws.com/x.pem", false, false},
		{" https://sns.us-west-2.amazonaws.com/x.pem", false, false},
		{"https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe&Token=1", false,
			false},
		{"https://sns.us-west-2.amazonaws.com/x?Action=ConfirmSubscription",
			false, false},
		{"https://sns.us-west-2.amazonaws.com/"
		 "?Action=ConfirmSubscription&Action=x",
			false, false},
		{"https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription#",
			false, false},
		{"https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&a= ",
			false, false},
		{"http://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription", false,
			false},
		{"https://evil.example/?Action=ConfirmSubscription", false, false},
		{"https://sns.us-west-2.amazonaws.com@evil.example/"
		 "?Action=ConfirmSubscription",
			false, false},
		{"", false, false},
	};
	char longest[VERIFY_URL_SIZE + 64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (sns_is_certificate_url(bytes_of(cases[i].url)) !=
			cases[i].certificate)
			fail_msg("certificate: %s", cases[i].url);
		if (sns_is_subscribe_url(bytes_of(cases[i].url)) != cases[i].subscribe)
			fail_msg("subscribe: %s", cases[i].url);
	}
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, CERT, strlen(CERT) - 4);
	memcpy(longest + VERIFY_URL_SIZE - 5, ".pem", 5);
	assert_true(sns_is_certificate_url(bytes_of(longest)));
	memset(longest + VERIFY_URL_SIZE - 5, 'a', 5);
	memcpy(longest + VERIFY_URL_SIZE - 4, ".pem", 5);
	assert_false(sns_is_certificate_url(bytes_of(longest)));
	assert_false(
		sns_is_certificate_url((struct bytes){CERT "\0.pem", strlen(CERT) + 5}));
}

/* ---- Documents ---- */

#define MESSAGE \
	"{\\\"detail\\\":{\\\"jobId\\\":\\\"j-1\\\",\\\"status\\\":\\\"COMPLETE\\\"}}"
#define NOTIFICATION                                                                  \
	"{\"Type\":\"Notification\",\"MessageId\":\"22b80b92\",\"TopicArn\":\"" TOPIC \
	"\",\"Subject\":\"My First Message\",\"Message\":\"" MESSAGE                  \
	"\",\"Timestamp\":\"" TIME "\",\"SignatureVersion\":\"%d\",\"Signature\":"    \
	"\"%s\",\"SigningCertURL\":\"" CERT                                           \
	"\",\"UnsubscribeURL\":\"https://evil.example/\"}"
#define NOTIFICATION_TEXT                                                                \
	"Message\n{\"detail\":{\"jobId\":\"j-1\",\"status\":\"COMPLETE\"}}\nMessageId\n" \
	"22b80b92\nSubject\nMy First Message\nTimestamp\n" TIME "\nTopicArn\n" TOPIC     \
	"\nType\nNotification\n"
#define CONFIRMATION(type)                                                            \
	"{\"Type\":\"" type "\",\"MessageId\":\"165545c9\",\"Token\":\"2336412f37\"," \
	"\"TopicArn\":\"" TOPIC                                                       \
	"\",\"Message\":\"You have\",\"SubscribeURL\":\"" SUBSCRIBE                   \
	"\",\"Timestamp\":\"" TIME "\",\"SignatureVersion\":\"%d\","                  \
	"\"Signature\":\"%s\",\"SigningCertURL\":\"" CERT "\"}"
#define CONFIRMATION_TEXT(type)                                                      \
	"Message\nYou have\nMessageId\n165545c9\nSubscribeURL\n" SUBSCRIBE           \
	"\nTimestamp\n" TIME "\nToken\n2336412f37\nTopicArn\n" TOPIC "\nType\n" type \
	"\n"

/* The document, with the signature of `text` by `version` in it. */
static void begin_sns(
	struct trial *t, const char *document, const char *text, int version)
{
	unsigned char raw[SIGNATURE_MAX];
	size_t n = sign_raw(
		key, version == 1 ? "SHA1" : "SHA256", HOW_PLAIN, bytes_of(text), raw);
	CLEANUP(freep) char *encoded = codec_base64_encode(raw, n);

	begin(t, VERIFY_SNS, "/callback/s");
	t->source.topics = (struct words){topics, 2};
	t->fetched = keyset_ref(leaf_set);
	snprintf(t->body, sizeof(t->body), document, version, encoded);
	t->m.body = bytes_of(t->body);
	set_header(t, "x-amz-sns-message-type", "Notification");
}

static void test_documents(void **state)
{
	struct trial t;

	(void)state;
	for (int version = 1; version <= 2; version++) {
		begin_sns(&t, NOTIFICATION, NOTIFICATION_TEXT, version);
		expect_ok(&t, "a notification");
		assert_int_equal(t.result.matter, VERIFY_CALLBACK);
		assert_string_equal(t.result.url, "");
		assert_string_equal(t.asked, CERT);
		end(&t);
		begin_sns(&t, CONFIRMATION("SubscriptionConfirmation"),
			CONFIRMATION_TEXT("SubscriptionConfirmation"), version);
		expect_ok(&t, "a subscription");
		assert_int_equal(t.result.matter, VERIFY_SUBSCRIPTION);
		assert_string_equal(t.result.url, SUBSCRIBE);
		end(&t);
		begin_sns(&t, CONFIRMATION("UnsubscribeConfirmation"),
			CONFIRMATION_TEXT("UnsubscribeConfirmation"), version);
		expect_ok(&t, "its end");
		assert_int_equal(t.result.matter, VERIFY_UNSUBSCRIBED);
		assert_string_equal(t.result.url, "");
		end(&t);
	}
	/* Subject is signed where it is there. */
	begin_sns(&t, NOTIFICATION, NOTIFICATION_TEXT, 2);
	char *subject = strstr(t.body, "\"Subject\"");
	memcpy(subject, "\"SUBJECT\"", 9);
	expect_refused(&t, "without Subject", "does not match", false);
	end(&t);
}

/* One member at a time, put in the place of another text. */
static void test_altered(void **state)
{
	static const struct {
		const char *from, *to, *why;
	} cases[] = {
		{"COMPLETE", "COMPLETf", "does not match"},
		{"22b80b92", "22b80b93", "does not match"},
		{"My First", "My Worst", "does not match"},
		{"22:13:00", "22:13:01", "does not match"},
		{"My First", "My\\nirst", "line break"},
		{"22b80b92", "22\\n80b9", "line break"},
		{TOPIC, "arn:aws:sns:us-west-2:123456789012:MyTopix", "AllowTopic="},
		{"22:13:00", "22:08:19", "5 min old"},
		{"22:13:00", "22:18:21", "5 min ahead"},
		{TIME, "yesterday", "Timestamp is not a time"},
		{TIME, TIME "\\u0000", "Timestamp is not a time"},
		{"\"Notification\"", "\"notification\"", "Type is none"},
		{"\"SignatureVersion\":\"2\"", "\"SignatureVersion\":\"3\"",
			"SignatureVersion"},
		{"\"SignatureVersion\":\"2\"", "\"SignatureVersion\":2",
			"SignatureVersion"},
		{"\"SignatureVersion\":\"2\"", "\"SignatureVersion\":\"1\"",
			"does not match"},
		{"\"Signature\"", "\"signature\"", "Signature is missing"},
		{"\"Signature\":\"", "\"Signature\":\"*", "not base64"},
		{"\"MessageId\":\"", "\"MessageId\":7,\"x\":\"", "missing, or no text"},
		{"\"SigningCertURL\":\"https", "\"SigningCertURL\":\"http",
			"SigningCertURL is not"},
		{"\"SigningCertURL\":\"https://sns.us-west-2.amazonaws.com/",
			"\"SigningCertURL\":\"https://evil.example/",
			"SigningCertURL is not"},
		{"\"SigningCertURL\"", "\"SigningCertUrl\"", "SigningCertURL is missing"},
		{"\"Type\"", "\"Type\":\"Notification\",\"Type\"", ""},
		{"{\"Type", "[\"Type", ""},
	};
	char body[2048];
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin_sns(&t, NOTIFICATION, NOTIFICATION_TEXT, 2);
		char *at = strstr(t.body, cases[i].from);
		assert_non_null(at);
		snprintf(body, sizeof(body), "%.*s%s%s", (int)(at - t.body), t.body,
			cases[i].to, at + strlen(cases[i].from));
		set_body(&t, body);
		expect_refused(&t, cases[i].to, cases[i].why, false);
		/* Only what could hold has its certificate asked for. */
		bool asked = !strcmp(cases[i].why, "does not match") ||
			     !strcmp(cases[i].why, "not base64");
		assert_int_equal(t.asked[0] != '\0', asked);
		end(&t);
	}
	begin_sns(&t, NOTIFICATION, NOTIFICATION_TEXT, 2);
	char *s = strstr(t.body, "\"Signature\":\"") + 13;
	for (size_t i = 0; i < 8; i++) {
		char *c = s + 340 * i / 8;
		char was = *c;
		*c = was == 'A' ? 'B' : 'A';
		expect_refused(&t, "signature", "does not match", false);
		*c = was;
	}
	expect_ok(&t, "good");
	end(&t);
}

static void test_subscriptions(void **state)
{
	static const char *const urls[] = {
		"https://evil.example/?Action=ConfirmSubscription",
		"https://sns.us-west-2.amazonaws.com/?Action=Publish",
		"http://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription"};
	struct trial t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		char text[1024], body[2048];
		snprintf(text, sizeof(text),
			"Message\nYou "
			"have\nMessageId\n165545c9\nSubscribeURL\n%s\nTimestamp\n" TIME
			"\nToken\n2336412f37\nTopicArn\n" TOPIC
			"\nType\nSubscriptionConfirmation\n",
			urls[i]);
		begin_sns(&t, CONFIRMATION("SubscriptionConfirmation"), text, 2);
		char *at = strstr(t.body, SUBSCRIBE);
		snprintf(body, sizeof(body), "%.*s%s%s", (int)(at - t.body), t.body,
			urls[i], at + strlen(SUBSCRIBE));
		set_body(&t, body);
		/* Signed as it should be, and yet not asked. */
		expect_refused(&t, urls[i], "SubscribeURL is not", false);
		assert_string_equal(t.result.url, "");
		end(&t);
	}
	/* A notification's signature does not confirm anything. */
	begin_sns(&t, CONFIRMATION("SubscriptionConfirmation"), NOTIFICATION_TEXT, 2);
	expect_refused(&t, "another type", "does not match", false);
	assert_string_equal(t.result.url, "");
	end(&t);
	begin_sns(&t, CONFIRMATION("SubscriptionConfirmation"),
		CONFIRMATION_TEXT("SubscriptionConfirmation"), 2);
	t.source.topics.size = 1;
	expect_refused(&t, "another topic", "AllowTopic=", false);
	assert_string_equal(t.result.url, "");
	end(&t);
}

static void test_keys(void **state)
{
	EVP_PKEY *other = key_rsa(2048), *p256 = key_p256();
	struct trial t;

	(void)state;
	begin_sns(&t, NOTIFICATION, NOTIFICATION_TEXT, 2);
	keyset_unref(t.fetched);
	t.fetched = NULL;
	expect_needs(&t, "not fetched", VERIFY_KEYS_CERTIFICATE, false, CERT);
	t.fetched = set_of_key(other);
	expect_refused(&t, "another key", "does not match", false);
	keyset_unref(t.fetched);
	t.fetched = set_of_key(p256);
	expect_refused(&t, "no RSA", "no RSA key", false);
	keyset_unref(t.fetched);
	t.fetched = set_of_key(key);
	t.fetched->keys[0].until_usec = NOW * SEC - 1;
	expect_refused(&t, "expired", "does not hold at this time", false);
	set_header(&t, "x-amz-sns-rawdelivery", "true");
	expect_refused(&t, "raw", "raw", true);
	end(&t);
	EVP_PKEY_free(other);
	EVP_PKEY_free(p256);
}

static int on_setup(void **state)
{
	const struct wish ca = {"A Root", NULL, true, -100000, 100000};
	const struct wish ours = {"sns.amazonaws.com", NULL, false, -1000, 1000};

	(void)state;
	root_key = key_rsa(2048);
	key = key_rsa(2048);
	root = certify(root_key, &ca, NULL, root_key);
	leaf = certify(key, &ours, root, root_key);
	return problem_of(leaf, NULL, root, &leaf_set) != NULL;
}

static int on_teardown(void **state)
{
	(void)state;
	keyset_unref(leaf_set);
	X509_free(root);
	X509_free(leaf);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_certificates),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_altered),
		cmocka_unit_test(test_subscriptions),
		cmocka_unit_test(test_keys),
	};
	return cmocka_run_group_tests(tests, on_setup, on_teardown);
}
