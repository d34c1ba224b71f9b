/*
 * One message and its source, to be changed before it is verified: what the tests of
 * verification share. Include in one file.
 */
#ifndef VERIFY_TRIAL_H
#define VERIFY_TRIAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/macros.h"
#include "base/text.h"
#include "rules/sign.h"
#include "rules/verify.h"

#define SEC         ((int64_t)USEC_PER_SEC)
#define HEADERS_MAX 8
#define HEADER(n)                                                          \
	{                                                                  \
		.kind = FIELD_HEADER, .text = (char *)n, .name = (char *)n \
	}
#define TEXT(t) (char *)(t)

struct trial {
	struct field delivery;
	struct secret secrets[3];
	unsigned char keys[3][64];
	struct source source;
	struct message message;
	struct message_header headers[HEADERS_MAX];
	char timestamp[24];
	char value[1024];
	const char *public_url;
	struct bytes token;
	struct verify_result result;
	long fail_at; /* which allocation */
	bool forged;
};

static inline void add_key(struct trial *t, const char *key, bool base64)
{
	size_t n = t->source.n_secrets++;
	ptrdiff_t size = (ptrdiff_t)strlen(key);

	if (base64)
		size = codec_base64_decode(bytes_of(key), t->keys[n], sizeof(t->keys[n]));
	else
		memcpy(t->keys[n], key, (size_t)size);
	assert_true(size > 0);
	t->secrets[n] = (struct secret){.data = t->keys[n],
		.size = (size_t)size,
		.text = t->keys[n],
		.text_size = (size_t)size};
}

static inline void add_header(struct trial *t, const char *name, const char *value)
{
	assert_true(t->message.n_headers < HEADERS_MAX);
	t->headers[t->message.n_headers++] = (struct message_header){
		bytes_of(name), bytes_of(value)};
}

static inline struct message_header *find(struct trial *t, const char *name)
{
	for (size_t i = 0; i < t->message.n_headers; i++)
		if (bytes_equal_nocase(t->headers[i].name, bytes_of(name)))
			return &t->headers[i];
	fail_msg("no %s", name);
	return NULL;
}

static inline void start(struct trial *t, unsigned verify)
{
	*t = (struct trial){.delivery = HEADER("webhook-id")};
	t->source = (struct source){.name = TEXT("s"),
		.path = TEXT("/callback/x"),
		.verify = verify,
		.secrets = t->secrets,
		.delivery = {&t->delivery, 1}};
	t->message = (struct message){.method = bytes_of("POST"),
		.target = bytes_of("/callback/x"),
		.path = bytes_of("/callback/x"),
		.headers = t->headers,
		.peer = bytes_of("192.0.2.1"),
		.received_usec = 1700000000 * SEC};
}

static inline enum verify_verdict verify(struct trial *t)
{
	assert_int_equal(verify_message(&t->source, &t->message, t->token, t->public_url,
				 &t->result),
		0);
	assert_int_equal(t->result.reason[0] == '\0', t->result.verdict == VERIFY_OK);
	/* Neither the secret nor what was sent is told. */
	for (size_t i = 0; i < t->source.n_secrets; i++)
		if (t->source.secrets[i].text_size > 3 &&
			memchr(t->source.secrets[i].text, '\0',
				t->source.secrets[i].text_size) == NULL)
			assert_null(memmem(t->result.reason, strlen(t->result.reason),
				t->source.secrets[i].text,
				t->source.secrets[i].text_size));
	return t->result.verdict;
}

static inline int head(struct trial *t)
{
	struct verify_result r;
	struct message m = t->message;

	m.body = BYTES_NONE;
	int refused = verify_head(&t->source, &m, t->token, &r);
	assert_int_equal(refused, r.verdict == VERIFY_REFUSED);
	return refused;
}

static inline void expect_ok(struct trial *t, const char *name)
{
	if (verify(t) != VERIFY_OK)
		fail_msg("%s: %s", name, t->result.reason);
	assert_int_equal(head(t), 0);
}

/* Refused, for this reason; by the head alone where `early`. */
static inline void expect_refused(
	struct trial *t, const char *name, const char *part, bool early)
{
	if (verify(t) != VERIFY_REFUSED)
		fail_msg("%s: taken, not refused for <%s>", name, part);
	if (!strstr(t->result.reason, part))
		fail_msg("%s: <%s>, not <%s>", name, t->result.reason, part);
	if (head(t) != early)
		fail_msg("%s: the head alone: %d", name, !early);
}

#endif
