/*
 * A source with public keys that nobody can sign for, and a message of any bytes to it: nothing
 * verifies, and what the head refuses stays refused. Include in one file.
 */
#ifndef FUZZ_PUBLIC_H
#define FUZZ_PUBLIC_H

#include "rules/verify.h"

#include <stdint.h>

#include <openssl/evp.h>

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

static inline void verify(unsigned scheme, const struct message_header *headers,
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

	if (!keys)
		make_keys();
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

#endif
