/*
 * What senders with public keys send, and what they publish: the first byte chooses. Nothing
 * verifies that was not signed; what is read is written again as it was; a URL that passes
 * leads to SNS.
 *
 *   j JWT   h Signature-Input, Signature, then the body   s SNS   k keys   d a dictionary
 */
#include "rules/sns.h"
#include "rules/structured.h"
#include "rules/verify.h"

#include <stdint.h>

#include <openssl/evp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1700000000

static struct keyset *keys;
static char *words[] = {(char *)"arn:aws:sns:eu-west-1:1:t"};
static char *components[] = {(char *)"content-digest"};
static unsigned char secret[] = "no fuzzer guesses it: 8a1f0c";

/* Of each kind one, whose other half is thrown away. */
static void make_keys(void)
{
	EVP_PKEY *of[] = {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
		EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"),
		EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)};
	static const enum keyset_kind kinds[] = {KEYSET_ED25519, KEYSET_P256, KEYSET_RSA};

	keys = calloc(1, sizeof(*keys));
	keys->keys = calloc(3, sizeof(*keys->keys));
	atomic_init(&keys->refs, 1);
	for (; keys->size < 3; keys->size++)
		keys->keys[keys->size] = (struct keyset_key){.kind = kinds[keys->size],
			.key = of[keys->size],
			.until_usec = INT64_MAX};
}

static const struct keyset *on_find(
	void *arg, const struct source *s, enum verify_keys_kind kind, const char *url)
{
	(void)arg, (void)s;
	if (kind == VERIFY_KEYS_CERTIFICATE &&
		(strncmp(url, "https://sns.", 12) != 0 || !strstr(url, ".amazonaws.com")))
		abort();
	return keys;
}

static void verify(unsigned scheme, const struct message_header *headers,
	size_t n_headers, struct bytes body)
{
	struct secret secrets[] = {{.data = secret, .size = sizeof(secret) - 1},
		{.keys = keys, .data = secret, .size = sizeof(secret) - 1}};
	const struct source s = {.name = (char *)"s",
		.verify = scheme,
		.secrets = secrets,
		.n_secrets = 2,
		.keys_url = (char *)"https://h/k",
		.topics = {words, 1},
		.components = {components, 1},
		.signature.tolerance_usec = 1000000000 * USEC_PER_SEC};
	const struct message m = {.method = bytes_of("POST"),
		.target = bytes_of("/p?q=1&a=b+c"),
		.path = bytes_of("/p"),
		.query = bytes_of("q=1&a=b+c"),
		.headers = headers,
		.n_headers = n_headers,
		.body = body,
		.received_usec = NOW * (int64_t)USEC_PER_SEC};
	const struct verify_keys at_hand = {on_find, NULL};
	struct verify_result early, result;

	int refused = verify_head(&s, &m, BYTES_NONE, &early);
	if (verify_ask(&(struct verify_input){.source = &s,
			       .message = &m,
			       .public_url = "https://h",
			       .keys = &at_hand},
		    &result) != 0)
		abort();
	if (result.verdict == VERIFY_OK || !result.reason[0])
		abort();
	/* What the head refuses stays refused. */
	if (refused && result.verdict != VERIFY_REFUSED)
		abort();
}

static void read_keys(struct bytes text)
{
	struct keyset *set;
	const char *problem;

	if (keyset_of_text(text, &set, &problem) != 0)
		return;
	if (set->size == 0 || set->size > KEYSET_KEYS_MAX)
		abort();
	for (size_t i = 0; i < set->size; i++)
		if (!set->keys[i].key || !set->keys[i].kind)
			abort();
	keyset_unref(set);
}

/* Written anew it reads the same, and is written the same. */
static void read_dictionary(struct bytes text)
{
	static struct structured first, second;
	struct text one = TEXT_EMPTY, two = TEXT_EMPTY;
	const char *problem;

	if (structured_parse(text, &first, &problem) != 0)
		return;
	for (size_t i = 0; i < first.n_members; i++) {
		text_clear(&one);
		text_clear(&two);
		text_adds(&one, "a=");
		structured_write(&first, &first.members[i], &one);
		if (structured_parse(text_bytes(&one), &second, &problem) != 0)
			abort();
		text_adds(&two, "a=");
		structured_write(&second, &second.members[0], &two);
		if (!bytes_equal(text_bytes(&one), text_bytes(&two)))
			abort();
	}
	text_fini(&one);
	text_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest = {(const char *)data + 1, size - 1}, body;

	if (size == 0)
		return 0;
	if (!keys)
		make_keys();
	if (data[0] == 'j') {
		CLEANUP(text_fini) struct text value = TEXT_EMPTY;
		text_adds(&value, "Bearer ");
		text_add(&value, rest);
		const struct message_header h = {
			bytes_of("Authorization"), text_bytes(&value)};
		verify(VERIFY_JWT, &h, 1, bytes_of("{}"));
	} else if (data[0] == 'h') {
		struct bytes input = bytes_split(rest, '\n', &rest);
		struct bytes signature = bytes_split(rest, '\n', &rest);
		struct bytes digest = bytes_split(rest, '\n', &body);
		const struct message_header h[] = {{bytes_of("Signature-Input"), input},
			{bytes_of("Signature"), signature},
			{bytes_of("Content-Digest"), digest},
			{bytes_of("x-dict"), bytes_of("a=1, b=(1 \"x\");p")}};
		verify(VERIFY_HTTP_SIGNATURE, h, 4, body);
	} else if (data[0] == 's') {
		verify(VERIFY_SNS, NULL, 0, rest);
	} else if (data[0] == 'k') {
		read_keys(rest);
	} else {
		read_dictionary(rest);
	}
	return 0;
}
