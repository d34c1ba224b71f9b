/*
 * Verify=sns: a message of Amazon SNS, signed with the key of a certificate that it names by a
 * URL. All that can be judged without the certificate is judged first: only a message about
 * one of our topics, of now, gets as far as to have it fetched.
 *
 *   document ─ AllowTopic= ─ URLs ─ Timestamp ─ certificate at hand? ─ signature ─ what is it?
 */
#include "rules/sns.h"
#include "rules/verify_public.h"

#include "base/codec.h"

#include <errno.h>
#include <stdio.h>

static bool is_allowed(const struct words *topics, struct bytes topic)
{
	for (size_t i = 0; i < topics->size; i++)
		if (bytes_equal(bytes_of(topics->list[i]), topic))
			return true;
	return false;
}

static int check_signature(const struct scheme_input *in, const struct sns *s,
	const struct keyset *set, char reason[static SCHEME_REASON_SIZE])
{
	enum pubkey_algorithm a = s->version == 1 ? PUBKEY_RSA_SHA1 : PUBKEY_RS256;
	CLEANUP(text_fini) struct text content = TEXT_EMPTY;
	unsigned char raw[PUBKEY_SIGNATURE_MAX];
	ptrdiff_t n = codec_base64_decode(s->signature, raw, sizeof(raw));
	size_t at = 0;

	if (n <= 0)
		return scheme_refuse(reason, "Signature is not base64, or much too long");
	const struct keyset_key *key = keyset_next(set, KEYSET_RSA, BYTES_NONE, &at);
	if (!key)
		return scheme_refuse(reason, "the certificate holds no RSA key");
	if (in->message->received_usec < key->from_usec ||
		in->message->received_usec > key->until_usec)
		return scheme_refuse(
			reason, "the certificate does not hold at this time");
	sns_write(s, &content);
	if (content.failed)
		return -ENOMEM;
	int r = pubkey_verify(key, a, text_bytes(&content),
		(struct bytes){(const char *)raw, (size_t)n}, in->message->received_usec);
	if (r == 1)
		scheme_refuse(
			reason, "the signature does not match the certificate's key");
	return r;
}

/* The URL fits: sns_read() saw to it. */
static void copy_url(char out[static VERIFY_URL_SIZE], struct bytes url)
{
	memcpy(out, url.data, url.size);
	out[url.size] = '\0';
}

static int check_certificate(const struct scheme_input *in, const struct sns *s,
	char reason[static SCHEME_REASON_SIZE])
{
	char url[VERIFY_URL_SIZE];

	copy_url(url, s->certificate_url);
	const struct keyset *set = in->keys ? in->keys->find(in->keys->arg, in->source,
						      VERIFY_KEYS_CERTIFICATE, url)
					    : NULL;
	if (set)
		return check_signature(in, s, set, reason);
	scheme_refuse(reason, "the certificate at SigningCertURL is not at hand");
	return scheme_need(in, VERIFY_KEYS_CERTIFICATE, false, url);
}

static int check(const struct scheme_input *in, const struct sns *s,
	char reason[static SCHEME_REASON_SIZE])
{
	if (!is_allowed(&in->source->topics, s->topic))
		return scheme_refuse(reason, "its TopicArn is not in AllowTopic=");
	if (scheme_age(in, s->timestamp_usec, reason) != 0)
		return 1;
	trace_say(in->trace, TRACE_GOOD,
		"it is of a topic in AllowTopic=, and its URLs are SNS' own");
	int r = check_certificate(in, s, reason);
	if (r != 0 || s->type == SNS_NOTIFICATION)
		return r;
	in->out->matter = s->type == SNS_SUBSCRIPTION ? VERIFY_SUBSCRIPTION
						      : VERIFY_UNSUBSCRIBED;
	if (s->type == SNS_SUBSCRIPTION)
		copy_url(in->out->url, s->subscribe_url);
	return 0;
}

int scheme_sns(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	struct bytes raw;
	const char *problem;
	struct sns s;

	if (message_header(in->message, "x-amz-sns-rawdelivery", &raw) != MESSAGE_ABSENT)
		return scheme_refuse(reason, "it was delivered raw, without a signature: "
					     "raw message delivery must be off");
	if (in->head_only)
		return 0;
	int r = sns_read(in->message->body, &s, &problem);
	if (r > 0)
		scheme_refuse(reason, "%s", problem);
	if (r == 0)
		r = check(in, &s, reason);
	sns_fini(&s);
	return r;
}
