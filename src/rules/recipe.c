/*
 * Standard Webhooks: github.com/standard-webhooks, spec/standard-webhooks.md ("Signature
 * scheme"); its elder, Svix, spells the headers svix-. v1a, with public keys, is another
 * version in the same list. Twilio: "Webhooks Security".
 */
#include "rules/recipe.h"

#define HEADER(n)                                                              \
	{                                                                      \
		.kind = FIELD_HEADER, .text = (char *)(n), .name = (char *)(n) \
	}
#define TEXT(t) (char *)(t)

#define STANDARD(spelling, version)                                                   \
	{                                                                             \
		.place = HEADER(spelling "signature"), .algorithm = HASH_SHA256,      \
		.encoding = ENCODING_BASE64, .prefix = TEXT(""), .style = STYLE_LIST, \
		.signature_field = TEXT(version),                                     \
		.content = TEXT("{id}.{timestamp}.{body}"),                           \
		.timestamp_header = TEXT(spelling "timestamp"),                       \
	}

static const struct signature_rule standard = STANDARD("webhook-", "v1"),
				   svix = STANDARD("svix-", "v1"),
				   standard_public = STANDARD("webhook-", "v1a"),
				   svix_public = STANDARD("svix-", "v1a");

/* {form} is empty where bodySHA256 in the URL stands for the body: verify_hmac.c. */
static const struct signature_rule twilio = {
	.place = HEADER("X-Twilio-Signature"),
	.algorithm = HASH_SHA1,
	.encoding = ENCODING_BASE64,
	.prefix = TEXT(""),
	.style = STYLE_PLAIN,
	.content = TEXT("{url}{form}"),
};

static struct bytes own_key(const struct secret *s)
{
	return (struct bytes){(const char *)s->data, s->size};
}

static struct bytes whsec_key(const struct secret *s)
{
	return (struct bytes){(const char *)s->whsec, s->whsec_size};
}

static struct bytes text_key(const struct secret *s)
{
	return (struct bytes){(const char *)s->text, s->text_size};
}

static struct bytes no_key(const struct secret *s)
{
	(void)s;
	return BYTES_NONE;
}

static const struct {
	enum verify_scheme scheme;
	struct recipe recipe;
} recipes[] = {
	{VERIFY_STANDARD_WEBHOOKS, {&standard, "webhook-id", whsec_key}},
	{VERIFY_STANDARD_WEBHOOKS, {&svix, "svix-id", whsec_key}},
	{VERIFY_ED25519, {&standard_public, "webhook-id", no_key}},
	{VERIFY_ED25519, {&svix_public, "svix-id", no_key}},
	{VERIFY_TWILIO, {&twilio, NULL, text_key}},
};

struct recipe recipe_own(const struct source *s)
{
	return (struct recipe){&s->signature, NULL, own_key};
}

bool recipe_of(enum verify_scheme scheme, size_t n, struct recipe *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(recipes); i++)
		if (recipes[i].scheme == scheme && n-- == 0) {
			*ret = recipes[i].recipe;
			return true;
		}
	return false;
}
