/*
 * Is a source with public keys complete: where its keys come from, and what a signature must
 * say besides being one? What would verify more than was meant is an error.
 */
#include "rules/config_build.h"

#include "rules/verify.h"

/* Each, and the kinds of keys that are of use to it. */
static const struct {
	enum verify_scheme scheme;
	unsigned kinds;
} users[] = {
	{VERIFY_ED25519, KEYSET_ED25519},
	{VERIFY_JWT, KEYSET_P256 | KEYSET_RSA},
	{VERIFY_HTTP_SIGNATURE, KEYSET_ED25519 | KEYSET_P256 | KEYSET_RSA},
};

static bool has_public_url(const struct build *b)
{
	return settings_of(&b->origins->sections[0], "PublicURL")->size > 0;
}

static struct place place_of(const struct section *s, const char *key)
{
	return settings_of(s, key)->at;
}

/* ---- Where the keys come from ---- */

static bool has_key(const struct secret *secret, unsigned kinds)
{
	size_t at = 0;

	return secret->keys && keyset_next(secret->keys, kinds, BYTES_NONE, &at);
}

/* PEM or JSON: no shared secret, however damaged it may be. */
static bool looks_public(const struct secret *s)
{
	return memmem(s->text, s->text_size, "-----BEGIN ", 11) ||
	       s->text[strspn((const char *)s->text, " \t\r\n")] == '{';
}

static void tell_secret(struct build *b, const struct section *section,
	const struct secret *s, const char *problem)
{
	findings_error(&b->findings, place_of(section, "SecretFile"), "SecretFile=%s: %s",
		findings_quote(bytes_of(s->file)).text, problem);
}

/* Why it is no key of that scheme. */
static void tell_no_key(struct build *b, const struct section *section,
	const struct secret *s, enum verify_scheme scheme)
{
	const char *problem = scheme == VERIFY_JWT
				      ? "Verify=jwt wants keys of RSA or P-256"
				      : "Verify=ed25519 wants a key of Ed25519";
	struct keyset *keys = NULL;

	if (!s->keys &&
		keyset_of_text((struct bytes){(const char *)s->text, s->text_size}, &keys,
			&problem) < 0)
		b->findings.failed = true;
	keyset_unref(keys);
	tell_secret(b, section, s, problem);
}

/* Some secret must be a key of the scheme, unless its keys come from a URL. */
static void check_secrets(struct build *b, const struct section *section,
	const struct source *source, size_t user)
{
	enum verify_scheme scheme = users[user].scheme;
	size_t n = 0;

	for (size_t i = 0; i < source->n_secrets; i++) {
		const struct secret *s = &source->secrets[i];
		bool shared = scheme == VERIFY_HTTP_SIGNATURE && !s->keys;
		if (shared && looks_public(s))
			tell_no_key(b, section, s, scheme);
		n += shared || has_key(s, users[user].kinds);
	}
	if (n == 0 && source->n_secrets > 0 && !source->keys_url)
		tell_no_key(b, section, &source->secrets[0], scheme);
}

/* By https. Nothing that stands between can change what this very machine says. */
static bool is_safe(const char *url)
{
	static const char *const starts[] = {"https://",
		"http://127.0.0.1:", "http://127.0.0.1/",
		"http://[::1]:", "http://[::1]/"};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		if (bytes_starts(bytes_of(url), bytes_of(starts[i])))
			return true;
	return false;
}

static void check_url(
	struct build *b, const struct section *s, const struct source *source)
{
	struct place at = place_of(s, "KeysURL");
	unsigned wanting = 0;

	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		wanting |= users[i].scheme;
	if (!is_safe(source->keys_url))
		findings_error(&b->findings, at,
			"KeysURL=: https is wanted (http to 127.0.0.1 and [::1] alone): "
			"who can change the keys on their way can sign anything");
	else if (strlen(source->keys_url) >= VERIFY_URL_SIZE)
		findings_error(&b->findings, at, "KeysURL= is longer than %d bytes",
			VERIFY_URL_SIZE - 1);
	else if (!(source->verify & wanting) &&
		 settings_of(s, "KeysURL")->values[0].origin == ORIGIN_FILE)
		findings_warning(&b->findings, at,
			"KeysURL= is of no use without ed25519, jwt or http-signature in "
			"Verify=");
}

static void check_users(
	struct build *b, const struct section *s, const struct source *source)
{
	bool given = settings_of(s, "SecretFile")->size > 0;

	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		if (!(source->verify & users[i].scheme))
			continue;
		if (!given && settings_of(s, "KeysURL")->size == 0)
			findings_error(&b->findings, place_of(s, "Verify"),
				"Verify=%s needs SecretFile= with the sender's public "
				"key%s, or KeysURL=",
				verify_scheme_name(users[i].scheme),
				users[i].scheme == VERIFY_HTTP_SIGNATURE
					? " or the shared secret"
					: "");
		else
			check_secrets(b, s, source, i);
	}
}

/* ---- What a signature must say ---- */

/* A public issuer signs for everybody, and says for whom. */
static void check_jwt(
	struct build *b, const struct section *s, const struct source *source)
{
	static const char *const keys[] = {"Issuer", "Audience"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (settings_of(s, keys[i])->size > 0)
			continue;
		if (source->keys_url)
			findings_error(&b->findings, place_of(s, "Verify"),
				"Verify=jwt with KeysURL= needs %s=: a token that was "
				"made for somebody else would be taken",
				keys[i]);
		else if (source->n_secrets > 0)
			findings_warning(&b->findings, place_of(s, "Verify"),
				"Verify=jwt without %s=: any token that the key has "
				"signed is taken",
				keys[i]);
	}
}

static void check_sns(
	struct build *b, const struct section *s, const struct source *source)
{
	if (source->topics.size == 0)
		findings_error(&b->findings, place_of(s, "Verify"),
			"Verify=sns needs AllowTopic=, the ARNs of its topics: anybody "
			"can have SNS sign");
	for (size_t i = 0; i < source->topics.size; i++) {
		const char *topic = source->topics.list[i];
		if (!bytes_starts(bytes_of(topic), bytes_of("arn:aws")) ||
			!strstr(topic, ":sns:"))
			findings_error(&b->findings, place_of(s, "AllowTopic"),
				"AllowTopic=%s: an ARN such as "
				"arn:aws:sns:eu-west-1:123456789012:name is wanted",
				findings_quote(bytes_of(topic)).text);
	}
}

static const char *check_component(const struct build *b, const char *c)
{
	static const char *const derived[] = {"@method", "@target-uri", "@authority",
		"@scheme", "@request-target", "@path", "@query"};
	struct bytes rest, name = bytes_split(bytes_of(c), ';', &rest);

	for (size_t i = 0; i < name.size; i++)
		if (name.data[i] >= 'A' && name.data[i] <= 'Z')
			return "the names of components are written in small letters";
	if ((bytes_equal(name, bytes_of("@target-uri")) ||
		    bytes_equal(name, bytes_of("@scheme"))) &&
		!has_public_url(b))
		return "PublicURL= in [Daemon] is needed, which says what was called";
	if (name.data[0] != '@' || bytes_equal(name, bytes_of("@query-param")))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(derived); i++)
		if (bytes_equal(name, bytes_of(derived[i])))
			return rest.data ? "it has no parameters" : NULL;
	return "RFC 9421 knows no such component of a request";
}

static void check_http_signature(
	struct build *b, const struct section *s, const struct source *source)
{
	struct place at = place_of(s, "CoveredComponents");
	bool body = false;

	for (size_t i = 0; i < source->components.size; i++) {
		const char *c = source->components.list[i];
		const char *problem = check_component(b, c);
		body |= strcmp(c, "content-digest") == 0;
		if (problem)
			findings_error(&b->findings, at, "CoveredComponents=%s: %s",
				findings_quote(bytes_of(c)).text, problem);
	}
	if (!body)
		findings_error(&b->findings, at,
			"CoveredComponents= without content-digest: anyone could change "
			"the body");
}

void config_check_keys(
	struct build *b, const struct section *s, const struct source *source)
{
	if (source->keys_url)
		check_url(b, s, source);
	check_users(b, s, source);
	if (source->verify & VERIFY_JWT)
		check_jwt(b, s, source);
	if (source->verify & VERIFY_SNS)
		check_sns(b, s, source);
	if (source->verify & VERIFY_HTTP_SIGNATURE)
		check_http_signature(b, s, source);
}
