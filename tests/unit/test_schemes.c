/*
 * Each sender's signature as a person sets it up: Preset= or keys, a secret's file, a message.
 * Every message is then damaged in each way a forger or a bad line would. Vectors that are not
 * published by the vendor were made with Python's hmac module and say so.
 */
#include "config_world.h"

#include "rules/verify.h"

#include <stdio.h>

#define HEADERS_MAX 6
#define BODY_MAX    2048
#define SEC         ((int64_t)USEC_PER_SEC)
#define JSON        "Content-Type", "application/json"
#define FORM        "Content-Type", "application/x-www-form-urlencoded"
#define STRIPE_LIKE "SignatureStyle=pairs\nTimestampField=t\n"

struct scheme {
	const char *name;
	const char *config; /* lines of its section, without SecretFile= */
	const char *key;
	const char *target; /* NULL: /callback/a */
	const char *headers[HEADERS_MAX][2];
	const char *body;
	const char *place; /* the header of the signature; NULL: it stands in the body */
	const char *covered; /* the part of the body that is signed; NULL: all of it */
	int64_t timestamp;   /* 0: none */
	bool published;
};

static const char slack_body[] =
	"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&"
	"channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&"
	"command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F"
	"commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
	"398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

#define TRANSLOADIT_SIGNATURE                                                            \
	"sha384:bf26800c5256b38bbf9375c76894d5b649751903973f99d0f036c8e52f6cda287bed711" \
	"b73c21dbde4d4df6c8fc540a1"

/* clang-format off */
static const struct scheme schemes[] = {
	{.name = "GitHub", .config = "Preset=github", .key = "It's a Secret to Everybody",
		.headers = {{"X-GitHub-Delivery", "d-1"}, {"X-Hub-Signature-256", "sha256="
			"757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}},
		.body = "Hello, World!", .place = "X-Hub-Signature-256", .published = true},
	{.name = "Standard Webhooks", .config = "Preset=standard-webhooks",
		.key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		.headers = {{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
			{"webhook-timestamp", "1614265330"},
			{"webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}},
		.body = "{\"test\": 2432232314}", .place = "webhook-signature",
		.timestamp = 1614265330, .published = true},
	{.name = "Standard Webhooks, spelled svix-, the secret without its prefix",
		.config = "Verify=standard-webhooks",
		.key = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		.headers = {{"svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
			{"svix-timestamp", "1614265330"},
			{"Svix-Signature", "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== "
				"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}},
		.body = "{\"test\": 2432232314}", .place = "svix-signature",
		.timestamp = 1614265330, .published = true},
	{.name = "OpenAI", .config = "Preset=openai",
		.key = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=",
		.headers = {{"webhook-id", "wh_685c059ae39c8190af8c71ed1022a24d"},
			{"webhook-timestamp", "1750861210"},
			{"webhook-signature", "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY="}},
		.body = "{\"id\": \"evt_685c059ae3a481909bdc86819b066fb6\", \"object\": "
			"\"event\", \"created_at\": 1750861210, \"type\": "
			"\"response.completed\", \"data\": {\"id\": \"resp_123\"}}",
		.place = "webhook-signature", .timestamp = 1750861210, .published = true},
	{.name = "Svix", .config = "Preset=svix", .key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		.headers = {{"svix-id", "msg_1"}, {"svix-timestamp", "1753900000"},
			{"svix-signature", "v1,VejWMlojsXtv+yMgSvec5D2siUA8Ue7T1VXSX9CGbMI="}},
		.body = "{\"type\":\"user.created\"}", .place = "svix-signature",
		.timestamp = 1753900000},
	{.name = "Slack", .config = "Preset=slack", .key = "8f742231b10e8888abcd99yyyzzz85a5",
		.headers = {{FORM}, {"X-Slack-Request-Timestamp", "1531420618"},
			{"X-Slack-Signature", "v0="
			"a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"}},
		.body = slack_body, .place = "X-Slack-Signature", .timestamp = 1531420618,
		.published = true},
	{.name = "Twilio, a form", .config = "Preset=twilio\nPath=/myapp.php", .key = "12345",
		.target = "/myapp.php?foo=1&bar=2",
		.headers = {{FORM}, {"X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="}},
		.body = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&"
			"To=%2B18005551212&Caller=%2B14158675309",
		.place = "X-Twilio-Signature", .published = true},
	{.name = "Twilio, in another order, by hmac",
		.config = "Verify=hmac\nPath=/myapp.php\nSignatureHeader=X-Twilio-Signature\n"
			"SignatureAlgorithm=sha1\nSignatureEncoding=base64\nSignedContent={url}{form}",
		.key = "12345", .target = "/myapp.php?foo=1&bar=2",
		.headers = {{FORM}, {"X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="}},
		.body = "To=%2B18005551212&Caller=%2B14158675309&From=%2B14158675309&"
			"Digits=1234&CallSid=CA1234567890ABCDE",
		.place = "X-Twilio-Signature", .published = true},
	{.name = "Twilio, a name twice", .config = "Preset=twilio\nPath=/myapp.php",
		.key = "12345", .target = "/myapp.php",
		.headers = {{FORM}, {"X-Twilio-Signature", "kqc9TR/YxCHOXGSoOTJHLBt+n70="}},
		.body = "A=2&B=x+y&A=1&A=2", .place = "X-Twilio-Signature"},
	{.name = "Twilio, JSON", .config = "Preset=twilio\nPath=/myapp.php", .key = "12345",
		.target = "/myapp.php?x=1&bodySHA256="
			"015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862",
		.headers = {{JSON}, {"X-Twilio-Signature", "vbJo9yzU/mWojPoZPfW+qpOVZSw="}},
		.body = "{\"a\":1}", .place = "X-Twilio-Signature"},
	{.name = "Transloadit, multipart", .config = "Preset=transloadit", .key = "foo_secret",
		.headers = {{"Content-Type", "multipart/form-data; boundary=----B"}},
		.body = "------B\r\nContent-Disposition: form-data; name=\"transloadit\"\r\n\r\n"
			"{\"ok\":\"ASSEMBLY_COMPLETED\"}\r\n------B\r\n"
			"Content-Disposition: form-data; name=\"signature\"\r\n\r\n"
			TRANSLOADIT_SIGNATURE "\r\n------B--\r\n",
		.covered = "{\"ok\":\"ASSEMBLY_COMPLETED\"}", .published = true},
	{.name = "Transloadit, urlencoded", .config = "Preset=transloadit", .key = "foo_secret",
		.headers = {{FORM}},
		.body = "transloadit={\"ok\":\"ASSEMBLY_COMPLETED\"}&signature="
			TRANSLOADIT_SIGNATURE,
		.covered = "{\"ok\":\"ASSEMBLY_COMPLETED\"}", .published = true},
	{.name = "plain SHA-1", .config = "Verify=hmac\nSignatureAlgorithm=sha1", .key = "secret",
		.headers = {{"X-Signature", "b17e04cbb22afa8ffbff8796fc1894ed27badd9e"}},
		.body = "{\"a\": \"z\"}", .place = "X-Signature", .published = true},
	{.name = "plain SHA-256", .config = "Verify=hmac", .key = "secret",
		.headers = {{"X-Signature",
			"f417af3a21bd70379b5796d5f013915e7029f62c580fb0f500f59a35a6f04c89"}},
		.body = "{\"a\": \"z\"}", .place = "X-Signature", .published = true},
	{.name = "Stripe", .config = "Preset=stripe",
		.key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		.headers = {{"Stripe-Signature", "t=1753900000,v1="
			"00e99b7f2de06e1c7a08ed594a8671d7c32db8c302cf1a16abef24a5ae2db579"}},
		.body = "{\"id\":\"evt_1\",\"type\":\"invoice.paid\"}",
		.place = "Stripe-Signature", .timestamp = 1753900000},
	{.name = "Mux", .config = "Preset=mux", .key = "mux-secret",
		.headers = {{"Mux-Signature", "t=1753900000,v1="
			"acf6f8731d148696aaa83f90dd48b8b776705f333bf28fc4995ebe59f6b298d4"}},
		.body = "{\"type\":\"video.asset.ready\",\"data\":{\"id\":\"a1\"}}",
		.place = "Mux-Signature", .timestamp = 1753900000},
	{.name = "Cloudflare Stream", .config = "Preset=cloudflare-stream", .key = "cf-secret",
		.headers = {{"Webhook-Signature", "time=1753900000,sig1="
			"a71d48c55b7c7b6c9406ffa81ca3b92c9f3166a34b2acf26e04f66ac9ba48a9c"}},
		.body = "{\"uid\":\"u1\",\"status\":{\"state\":\"ready\"}}",
		.place = "Webhook-Signature", .timestamp = 1753900000},
	{.name = "ElevenLabs", .config = "Preset=elevenlabs", .key = "wsec_abc",
		.headers = {{"ElevenLabs-Signature", "t=1753900000,v0="
			"31f54a4666b1978f89ab3766634f3dbbf61c451bfa82618a78e4c42950cd4900"}},
		.body = "{\"type\":\"post_call_transcription\",\"data\":{\"conversation_id\":"
			"\"c1\",\"status\":\"done\"}}",
		.place = "ElevenLabs-Signature", .timestamp = 1753900000},
	{.name = "CloudConvert", .config = "Preset=cloudconvert", .key = "cc-secret",
		.headers = {{"CloudConvert-Signature",
			"8b8d5f47c74b31c0d48fb225908fda9435d57b5282a69ba4ef940c842080d361"}},
		.body = "{\"event\":\"job.finished\",\"job\":{\"id\":\"j1\"}}",
		.place = "CloudConvert-Signature"},
	{.name = "Bunny Stream", .config = "Preset=bunny-stream", .key = "bunny-key",
		.headers = {{"X-BunnyStream-Signature",
			"af0f530b71d4a0546f3329e6931205d75068255307a91d9b6640c505ccc2cc6c"}},
		.body = "{\"VideoLibraryId\":133,\"VideoGuid\":\"657bb740\",\"Status\":3}",
		.place = "X-BunnyStream-Signature"},
	{.name = "Shopify", .config = "Preset=shopify", .key = "shop-secret",
		.headers = {{"X-Shopify-Hmac-Sha256",
			"sWBzhPd/7df84FLG/NU/mSs846a9/6TBxQcqmaJFdFo="}},
		.body = "{\"id\":820982911946154508}", .place = "X-Shopify-Hmac-Sha256"},
};
/* clang-format on */

/* A message that verifies, made anew for each damage. */
struct trial {
	struct config *config;
	struct message_header headers[HEADERS_MAX + 1];
	char values[HEADERS_MAX + 1][512];
	char body[BODY_MAX];
	struct message m;
	struct verify_result result;
};

/* Secrets by their own text: SecretFile=KEY, with + for what a word may not hold. */
static const char *key_files[3];

static int on_read_key(void *arg, const char *name, char **ret, size_t *ret_size,
	char **ret_path, char **ret_reason, char **ret_warning)
{
	(void)arg, (void)ret_reason, (void)ret_warning;
	*ret = text_format("%s\n", key_files[name[0] - '0']);
	*ret_size = *ret ? strlen(*ret) : 0;
	*ret_path = strdup("/dir/secret");
	return *ret && *ret_path ? 0 : -ENOMEM;
}

static struct config *configure(const struct scheme *s, const char *files)
{
	struct text said = TEXT_EMPTY;
	CLEANUP(freep)
	char *text = text_format("[Daemon]\nPublicURL=https://mycompany.com\n"
				 "[Source a]\n%s\n%s",
		s->config, files);
	const struct config_text one = {"f", bytes_of(text)};

	world.read_secret = on_read_key;
	struct config *c = build_all(&one, 1, &said, 0);
	if (said.size)
		fail_msg("%s: %s", s->name, said.data);
	text_fini(&said);
	return c;
}

static void start_with(struct trial *t, const struct scheme *s, const char *files)
{
	t->config = configure(s, files);
	snprintf(t->body, sizeof(t->body), "%s", s->body);
	t->m = (struct message){.method = bytes_of("POST"),
		.target = bytes_of(s->target ? s->target : "/callback/a"),
		.headers = t->headers,
		.body = bytes_of(t->body),
		.peer = bytes_of("192.0.2.1"),
		.received_usec = (s->timestamp ? s->timestamp : 1700000000) * SEC +
				 SEC / 2};
	t->m.path = bytes_split(t->m.target, '?', &t->m.query);
	for (size_t i = 0; i < HEADERS_MAX && s->headers[i][0]; i++) {
		snprintf(t->values[i], sizeof(t->values[i]), "%s", s->headers[i][1]);
		t->headers[t->m.n_headers++] = (struct message_header){
			bytes_of(s->headers[i][0]), bytes_of(t->values[i])};
	}
}

static void start(struct trial *t, const struct scheme *s)
{
	*t = (struct trial){0};
	key_files[0] = s->key;
	start_with(t, s, "SecretFile=0");
}

static struct message_header *signature(struct trial *t, const struct scheme *s)
{
	for (size_t i = 0; i < t->m.n_headers; i++)
		if (bytes_equal_nocase(t->headers[i].name, bytes_of(s->place)))
			return &t->headers[i];
	fail_msg("%s: no header %s", s->name, s->place);
	return NULL;
}

/* The digits of the signature: behind its last = : , or blank. */
static char *signature_digits(struct trial *t, const struct scheme *s, size_t *ret_size)
{
	static const char digits[] = "0123456789abcdefABCDEFghijklmnopqrstuvwxyz"
				     "GHIJKLMNOPQRSTUVWXYZ+/";
	char *value = s->place ? (char *)signature(t, s)->value.data
			       : strstr(t->body, "sha384:");
	char *end = value + (s->place ? strlen(value) : strlen(TRANSLOADIT_SIGNATURE));

	while (end[-1] == '=')
		end--;
	char *p = end;
	while (p > value && strchr(digits, p[-1]))
		p--;
	*ret_size = (size_t)(end - p);
	assert_true(*ret_size > 20);
	return p;
}

static void expect_ok(struct trial *t, const struct scheme *s)
{
	const struct source *source = t->config->sources[0];
	struct message head = t->m;

	head.body = BYTES_NONE;
	if (verify_head(source, &head, BYTES_NONE, &t->result) != 0)
		fail_msg("%s: by its head: %s", s->name, t->result.reason);
	assert_int_equal(verify_message(source, &t->m, BYTES_NONE,
				 "https://mycompany.com", &t->result),
		0);
	if (t->result.verdict != VERIFY_OK)
		fail_msg("%s: %s", s->name, t->result.reason);
	config_unref(t->config);
}

static void expect_refused(struct trial *t, const struct scheme *s, const char *why)
{
	assert_int_equal(verify_message(t->config->sources[0], &t->m, BYTES_NONE,
				 "https://mycompany.com", &t->result),
		0);
	if (t->result.verdict != VERIFY_REFUSED)
		fail_msg("%s: taken in spite of <%s>", s->name, why);
	if (!strstr(t->result.reason, why))
		fail_msg("%s: <%s>, not <%s>", s->name, t->result.reason, why);
	if (strlen(s->key) > 5)
		assert_null(strstr(t->result.reason, s->key));
	config_unref(t->config);
}

#define EACH(s) \
	for (const struct scheme *s = schemes; s < schemes + ARRAY_SIZE(schemes); s++)

static void test_vectors(void **state)
{
	struct trial t;

	(void)state;
	EACH(s)
	{
		start(&t, s);
		expect_ok(&t, s);
	}
}

static void test_wrong_key(void **state)
{
	struct trial t = {0};

	(void)state;
	EACH(s)
	{
		CLEANUP(freep) char *other = strdup(s->key);
		size_t last = strlen(other) - 1;
		while (other[last] == '=')
			last--;
		other[last / 2] = other[last / 2] == 'A' ? 'B' : 'A';
		t = (struct trial){0};
		key_files[0] = other;
		start_with(&t, s, "SecretFile=0");
		expect_refused(&t, s, "of 1 key");
	}
}

/* One bit in each of eight places of what is signed: each of the bits, too. */
static void test_altered_body(void **state)
{
	struct trial t;

	(void)state;
	EACH(s)
	{
		for (size_t place = 0; place < 8; place++) {
			start(&t, s);
			char *from = s->covered ? strstr(t.body, s->covered) : t.body;
			size_t n = strlen(s->covered ? s->covered : t.body);
			from[place * (n - 1) / 7] ^= (char)(1 << place % 7);
			expect_refused(&t, s, "");
		}
		if (s->covered)
			continue;
		start(&t, s);
		t.m.body.size--;
		expect_refused(&t, s, "");
		start(&t, s);
		t.body[t.m.body.size++] = 'x';
		expect_refused(&t, s, "");
	}
}

static void test_bad_signature(void **state)
{
	struct trial t;
	size_t n;

	(void)state;
	EACH(s)
	{
		for (size_t place = 0; place < 8; place++) {
			start(&t, s);
			char *digits = signature_digits(&t, s, &n);
			/* Not the last: of its bits some must be zero. */
			char *c = digits + place * (n - 2) / 7;
			*c = *c == '0' ? '1' : '0';
			expect_refused(&t, s, "match");
		}
		start(&t, s);
		signature_digits(&t, s, &n)[n / 2] = '*'; /* neither hex nor base64 */
		expect_refused(&t, s, "no signature of that length and encoding");
		start(&t, s);
		signature_digits(&t, s, &n)[n / 2] = '\0';
		if (s->place)
			signature(&t, s)->value = bytes_of(signature(&t, s)->value.data);
		expect_refused(&t, s, "no signature of that length and encoding");
	}
}

static void test_missing_and_doubled(void **state)
{
	struct trial t;

	(void)state;
	EACH(s)
	{
		if (!s->place)
			continue; /* test_signature_in_form */
		start(&t, s);
		signature(&t, s)->name = bytes_of("X-Other");
		expect_refused(&t, s,
			s->place[0] == 'w' || s->place[0] == 's'
				? "neither header webhook-signature nor"
				: "is missing");
		start(&t, s);
		t.headers[t.m.n_headers++] = *signature(&t, s);
		expect_refused(&t, s, "stands there twice");
		start(&t, s);
		signature(&t, s)->value = bytes_of("");
		expect_refused(&t, s, "holds no");
	}
}

static void test_age(void **state)
{
	struct trial t;

	(void)state;
	EACH(s)
	{
		if (!s->timestamp)
			continue;
		start(&t, s);
		int64_t tolerance =
			(int64_t)t.config->sources[0]->signature.tolerance_usec;
		assert_int_equal(tolerance,
			strcmp(s->name, "ElevenLabs") == 0 ? 1800 * SEC : 300 * SEC);
		t.m.received_usec = s->timestamp * SEC + tolerance;
		expect_ok(&t, s);
		start(&t, s);
		t.m.received_usec = s->timestamp * SEC - tolerance;
		expect_ok(&t, s);
		start(&t, s);
		t.m.received_usec = s->timestamp * SEC + tolerance + 1;
		expect_refused(&t, s, "min old, Tolerance=");
		start(&t, s);
		t.m.received_usec = s->timestamp * SEC - tolerance - 1;
		expect_refused(&t, s, "min ahead, Tolerance=");
		/* What is refused for its age is refused by the head. */
		start(&t, s);
		t.m.received_usec += 86400 * SEC;
		assert_int_equal(
			verify_head(t.config->sources[0], &t.m, BYTES_NONE, &t.result),
			1);
		expect_refused(&t, s, "24 h old");
	}
}

static void test_timestamp_is_signed_as_written(void **state)
{
	struct trial t;

	(void)state;
	EACH(s)
	{
		if (!s->timestamp)
			continue;
		start(&t, s);
		for (size_t i = 0; i < t.m.n_headers; i++) {
			char *at = strstr(t.values[i], s->headers[i][1]);
			char digits[24];
			snprintf(digits, sizeof(digits), "%lld", (long long)s->timestamp);
			at = strstr(t.values[i], digits);
			if (at) /* the same second, written otherwise */
				memmove(at + 1, at, strlen(at) + 1), *at = '0';
			t.headers[i].value = bytes_of(t.values[i]);
		}
		expect_refused(&t, s, "match");
	}
}

static void test_rotation(void **state)
{
	static const char *const files[] = {"SecretFile=0\nSecretFile=1",
		"SecretFile=1\nSecretFile=0", "SecretFile=1\nSecretFile=2\nSecretFile=0"};
	struct trial t;

	(void)state;
	EACH(s)
	{
		bool base64 = strstr(s->key, "MfKQ") || strstr(s->key, "Rdva");
		key_files[1] = base64 ? "whsec_b3RoZXIga2V5" : "other key";
		key_files[2] = base64 ? "whsec_dGhpcmQga2V5" : "third key";
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			t = (struct trial){0};
			key_files[0] = s->key;
			start_with(&t, s, files[i]);
			expect_ok(&t, s);
		}
		t = (struct trial){0};
		start_with(&t, s, "SecretFile=1\nSecretFile=2");
		expect_refused(&t, s, "of 2 keys");
	}
}

static const struct scheme *scheme_of(const char *name)
{
	EACH(s)
	if (strcmp(s->name, name) == 0)
		return s;
	fail_msg("no %s", name);
	return NULL;
}

static void with_body(struct trial *t, const struct scheme *s, const char *body)
{
	start(t, s);
	snprintf(t->body, sizeof(t->body), "%s", body);
	t->m.body = bytes_of(t->body);
}

static void test_signature_in_form(void **state)
{
	const struct scheme *s = scheme_of("Transloadit, urlencoded");
	struct trial t;

	(void)state;
	with_body(&t, s, "transloadit={}");
	expect_refused(&t, s, "the form has no field signature");
	with_body(&t, s, "signature=" TRANSLOADIT_SIGNATURE);
	expect_refused(&t, s, "the form has no field transloadit");
	with_body(&t, s,
		"transloadit={\"ok\":\"ASSEMBLY_COMPLETED\"}&signature=x&"
		"signature=" TRANSLOADIT_SIGNATURE);
	expect_refused(&t, s, "field signature stands there twice");
	with_body(&t, s,
		"transloadit={\"ok\":\"ASSEMBLY_COMPLETED\"}&transloadit={}&"
		"signature=" TRANSLOADIT_SIGNATURE);
	expect_refused(&t, s, "field transloadit stands there twice");
	with_body(&t, s, "transloadit=%zz&signature=" TRANSLOADIT_SIGNATURE);
	expect_refused(&t, s, "broken escape");
	with_body(&t, s, s->body);
	t.headers[0].value = bytes_of("application/json");
	expect_refused(&t, s, "the body is no form, as Content-Type says");
	with_body(&t, s, s->body);
	t.headers[0].value = bytes_of("multipart/form-data");
	expect_refused(&t, s, "names no boundary");
	with_body(&t, s, s->body);
	t.headers[t.m.n_headers++] = t.headers[0];
	expect_refused(&t, s, "header Content-Type stands there twice");
	s = scheme_of("Transloadit, multipart");
	start(&t, s);
	t.m.body.size -= 3; /* the closing delimiter */
	expect_refused(&t, s, "form");
	/* By the head alone: no form can come, so no body is wanted. */
	start(&t, s);
	t.headers[0].value = bytes_of("text/plain");
	assert_int_equal(
		verify_head(t.config->sources[0], &t.m, BYTES_NONE, &t.result), 1);
	expect_refused(&t, s, "no form");
}

static void test_twilio(void **state)
{
	const struct scheme *s = scheme_of("Twilio, a form"),
			    *json = scheme_of("Twilio, JSON");
	struct trial t;

	(void)state;
	start(&t, s);
	t.m.target = bytes_of("/myapp.php?foo=1&bar=3");
	expect_refused(&t, s, "matches none of 1 key");
	/* Said to be JSON, a form is not covered. */
	start(&t, s);
	t.headers[0].value = bytes_of("application/json");
	expect_refused(&t, s, "the URL does not hold bodySHA256 once");
	start(&t, json);
	t.m.query = t.m.target = bytes_of("/myapp.php?x=1&bodySHA256=00");
	t.m.query.data += 11, t.m.query.size -= 11;
	expect_refused(&t, json, "bodySHA256 in the URL is no SHA-256");
	start(&t, json);
	t.body[1] ^= 1;
	expect_refused(&t, json, "bodySHA256 in the URL is not the body's");
	/* Said to be a form, it is the same body: the URL decides, not Content-Type. */
	start(&t, json);
	t.headers[0].value = bytes_of("application/x-www-form-urlencoded");
	expect_ok(&t, json);
	/* A form that adds nothing to what is signed would stand for any body. */
	with_body(&t, json, "=&=");
	t.headers[0].value = bytes_of("application/x-www-form-urlencoded");
	expect_refused(&t, json, "bodySHA256 in the URL is not the body's");
	with_body(&t, json, "");
	t.headers[0].value = bytes_of("application/x-www-form-urlencoded");
	expect_refused(&t, json, "bodySHA256 in the URL is not the body's");
	start(&t, json);
	assert_int_equal(
		verify_message(t.config->sources[0], &t.m, BYTES_NONE, NULL, &t.result),
		0);
	assert_non_null(strstr(t.result.reason, "PublicURL= is not set"));
	expect_ok(&t, json);
	/* Spelled otherwise, and the same fields. */
	with_body(&t, s,
		"To=%2b18005551212&&Caller=%2B14158675309&From=%2B14158675309&"
		"Digits=%31234&CallSid=CA1234567890ABCDE&");
	expect_ok(&t, s);
	with_body(&t, s, "To=%2");
	expect_refused(&t, s, "a field of the form has a broken escape");
	/* An empty form is signed by the URL alone. */
	start(&t, s);
	t.m.target = bytes_of("/myapp.php");
	t.m.body = BYTES_NONE;
	snprintf(t.values[1], sizeof(t.values[1]), "ZEVhNTf/+0VuA9ofUWb9iscKI5Y=");
	expect_ok(&t, s);
}

static void test_standard_webhooks(void **state)
{
	const struct scheme *s = scheme_of("Standard Webhooks");
	struct trial t;

	(void)state;
	start(&t, s);
	t.headers[0].value = bytes_of("msg_other");
	expect_refused(&t, s, "matches none");
	start(&t, s);
	t.headers[0].name = bytes_of("X-Id");
	expect_refused(&t, s, "header webhook-id is missing");
	start(&t, s);
	t.headers[t.m.n_headers++] = t.headers[0];
	expect_refused(&t, s, "header webhook-id stands there twice");
	start(&t, s);
	t.headers[t.m.n_headers++] = t.headers[1];
	expect_refused(&t, s, "header webhook-timestamp stands there twice");
	start(&t, s);
	t.headers[1].value = bytes_of("yesterday");
	expect_refused(&t, s, "timestamp is not a number of seconds");
	/* The spellings are not mixed. */
	start(&t, s);
	t.headers[0].name = bytes_of("svix-id");
	expect_refused(&t, s, "header webhook-id is missing");
	/* Both are there: one that holds suffices, and its headers alone count. */
	start(&t, s);
	t.headers[t.m.n_headers++] = (struct message_header){
		bytes_of("svix-signature"), bytes_of("v1,AAAA")};
	expect_ok(&t, s);
	/* Signed by public key alone: another version. */
	start(&t, s);
	t.headers[2].value = bytes_of("v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/"
				      "enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+"
				      "m7TBAg==");
	expect_refused(&t, s, "holds no signature");
}

/* Each scheme takes the secrets that are keys for it, and leaves the others alone. */
static void test_several_schemes(void **state)
{
	struct scheme s = *scheme_of("Standard Webhooks");
	struct trial t = {0};

	(void)state;
	s.config = "Verify=header standard-webhooks\nIdField=header:webhook-id\n"
		   "StatusField=";
	key_files[0] = "not base64!";
	key_files[1] = s.key;
	start_with(&t, &s, "SecretFile=0\nSecretFile=1");
	expect_ok(&t, &s);
	t = (struct trial){0};
	start_with(&t, &s, "SecretFile=0\nSecretFile=1");
	t.headers[2] = (struct message_header){
		bytes_of("X-Webhook-Secret"), bytes_of("not base64!")};
	expect_ok(&t, &s);
	t = (struct trial){0};
	start_with(&t, &s, "SecretFile=0\nSecretFile=1");
	t.body[0] ^= 1;
	expect_refused(&t, &s,
		"header: header X-Webhook-Secret is missing; standard-webhooks: the "
		"signature matches none of 1 key");

	/* hmac and standard-webhooks read one secret in two ways. */
	s.config = "Verify=hmac standard-webhooks";
	key_files[0] = s.key;
	t = (struct trial){0};
	start_with(&t, &s, "SecretFile=0");
	expect_ok(&t, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_altered_body),
		cmocka_unit_test(test_bad_signature),
		cmocka_unit_test(test_missing_and_doubled),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_timestamp_is_signed_as_written),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_signature_in_form),
		cmocka_unit_test(test_twilio),
		cmocka_unit_test(test_standard_webhooks),
		cmocka_unit_test(test_several_schemes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
