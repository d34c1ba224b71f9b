/*
 * The schemes that send the secret itself: in the path, in a header, or as Basic. All
 * secrets are compared, each in a time that depends on the lengths alone.
 */
#include "rules/verify_scheme.h"

#include "base/codec.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/crypto.h>

#define CREDENTIALS_MAX 1024 /* user:password */

int scheme_refuse(char reason[static SCHEME_REASON_SIZE], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, SCHEME_REASON_SIZE, format, ap);
	va_end(ap);
	return 1;
}

int scheme_need(const struct scheme_input *in, enum verify_keys_kind kind, bool stale,
	const char *url)
{
	in->out->keys_kind = kind;
	in->out->stale = stale;
	/* What is longer was refused before: by the configuration, or by the scheme. */
	snprintf(in->out->url, sizeof(in->out->url), "%s", url);
	return SCHEME_NEEDS_KEYS;
}

int scheme_header_once(const struct message *m, const char *name, struct bytes *ret,
	char reason[static SCHEME_REASON_SIZE])
{
	switch (message_header(m, name, ret)) {
	case MESSAGE_ONCE: return 0;
	case MESSAGE_ABSENT: break;
	case MESSAGE_TWICE:
		return scheme_refuse(reason, "header %s stands there twice", name);
	}
	return scheme_refuse(reason, "header %s is missing", name);
}

static bool is_a_secret(const struct source *s, struct bytes given)
{
	int found = 0;

	for (size_t i = 0; i < s->n_secrets; i++) {
		const struct secret *secret = &s->secrets[i];
		/* An empty secret would let everybody in; nothing is equal to it. */
		if (secret->text_size > 0 && secret->text_size == given.size)
			found |= CRYPTO_memcmp(secret->text, given.data, given.size) == 0;
	}
	return found;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

int scheme_token(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	const struct source *s = in->source;

	if (!in->token.data)
		return scheme_refuse(reason, "the path has no token behind it");
	if (is_a_secret(s, in->token))
		return 0;
	/* A secret that does not fit a path as it is stands there percent-encoded. */
	if (memchr(in->token.data, '%', in->token.size)) {
		char *plain = malloc(in->token.size);
		if (!plain)
			return -ENOMEM;
		ptrdiff_t n = codec_percent_decode(
			in->token, false, plain, in->token.size);
		bool held = n > 0 && is_a_secret(s, (struct bytes){plain, (size_t)n});
		OPENSSL_cleanse(plain, in->token.size);
		free(plain);
		if (held)
			return 0;
	}
	return scheme_refuse(reason, "the token in the path is none of %zu secret%s",
		s->n_secrets, plural(s->n_secrets));
}

int scheme_header(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	const struct source *s = in->source;
	struct bytes value;

	if (!s->token_header || !*s->token_header)
		return scheme_refuse(reason, "TokenHeader= is not set");
	if (scheme_header_once(in->message, s->token_header, &value, reason) != 0)
		return 1;
	if (is_a_secret(s, value))
		return 0;
	return scheme_refuse(reason, "header %s is none of %zu secret%s", s->token_header,
		s->n_secrets, plural(s->n_secrets));
}

int scheme_basic(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	const struct source *s = in->source;
	unsigned char plain[CREDENTIALS_MAX];
	struct bytes value, encoded;

	if (scheme_header_once(in->message, "Authorization", &value, reason) != 0)
		return 1;
	/* RFC 7617, 2: the scheme's name in any case, blanks, base64 of user:password. */
	struct bytes scheme = bytes_split(value, ' ', &encoded);
	if (!bytes_equal_nocase(scheme, bytes_of("Basic")) || !encoded.data)
		return scheme_refuse(reason, "header Authorization is not of type Basic");
	ptrdiff_t n = codec_base64_decode(bytes_trim(encoded), plain, sizeof(plain));
	if (n < 0)
		return scheme_refuse(
			reason, "header Authorization is not base64, or much too long");
	bool held = is_a_secret(s, (struct bytes){(const char *)plain, (size_t)n});
	OPENSSL_cleanse(plain, sizeof(plain));
	if (held)
		return 0;
	return scheme_refuse(reason, "user and password are none of %zu secret%s",
		s->n_secrets, plural(s->n_secrets));
}
