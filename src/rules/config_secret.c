/*
 * Files that hold secrets: read, one newline cut off, decoded, and every copy that is not
 * kept overwritten. No finding ever holds a byte of one; see config_build.h.
 */
#include "rules/config_build.h"

#include "base/codec.h"
#include "rules/head.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

bool config_secret_handles(enum key_type type)
{
	return type == KEY_SECRETS || type == KEY_API_KEYS || type == KEY_SECRET ||
	       type == KEY_KEY_FILE;
}

static void tell_warning(
	struct convert *c, const struct setting_value *v, const char *text)
{
	findings_warning(&c->build->findings, v->at, "%s=%s: %s", c->key->name,
		findings_quote(bytes_of(v->text)).text, text);
}

/* 0 and the content, 1: there is none (told), -ENOMEM. The warning is the caller's to tell. */
static int read_file(struct convert *c, const struct setting_value *v, char **ret,
	size_t *ret_size, char **ret_path, char **ret_warning)
{
	const struct config_world *world = c->build->world;
	CLEANUP(freep) char *reason = NULL;
	if (!world->read_secret) {
		config_refuse(c, v, "cannot be read here");
		return 1;
	}
	int r = world->read_secret(
		world->arg, v->text, ret, ret_size, ret_path, &reason, ret_warning);
	if (r < 0)
		return r;
	if (r == 0)
		return 0;
	if (r == 2 && world->checking)
		tell_warning(c, v, reason ? reason : "cannot be found");
	else
		config_refuse(c, v, "%s", reason ? reason : "cannot be found");
	return 1;
}

static size_t size_without_newline(const char *text, size_t size)
{
	if (size > 0 && text[size - 1] == '\n')
		size -= size > 1 && text[size - 2] == '\r' ? 2 : 1;
	return size;
}

/* Frees nothing of `text`. */
static int fill_secret(struct secret *s, const char *file, const char *text, size_t size)
{
	s->file = strdup(file);
	s->text = malloc(size + 1);
	s->data = malloc(size + 1);
	if (!s->file || !s->text || !s->data) {
		bytes_wipe(s->text, 0);
		bytes_wipe(s->data, 0);
		free(s->file);
		*s = (struct secret){0};
		return -ENOMEM;
	}
	memcpy(s->text, text, size);
	memcpy(s->data, text, size);
	s->text[size] = s->data[size] = '\0';
	s->text_size = s->size = size;
	return 0;
}

/* The schemes that may find public keys in SecretFile=. */
#define PUBLIC_SCHEMES \
	(VERIFY_ED25519 | VERIFY_JWT | VERIFY_HTTP_SIGNATURE | VERIFY_STANDARD_WEBHOOKS)

/*
 * Public keys, where a scheme of the source is for them. What may as well be a shared secret,
 * 32 bytes in some spelling, is a public key to ed25519 alone: http-signature would take the
 * one for the other. The file as it is: 32 bytes may end with a newline. 0 or -ENOMEM.
 */
static int read_keys(unsigned verify, struct bytes file, struct secret *s)
{
	const char *problem;
	struct keyset *keys;

	if (!(verify & PUBLIC_SCHEMES))
		return 0;
	int r = keyset_of_text(file, &keys, &problem);
	if (r != 0)
		return r < 0 ? r : 0;
	const struct keyset_key *first = &keys->keys[0];
	bool wanted = first->plain ? verify & VERIFY_ED25519
				   : first->webhook || verify != VERIFY_STANDARD_WEBHOOKS;
	if (wanted)
		s->keys = keys;
	else
		keyset_unref(keys);
	return 0;
}

/* 0 and *ret filled, 1: nothing to fill it with (told), -ENOMEM. */
static int read_secret(struct convert *c, const struct setting_value *v, unsigned verify,
	struct secret *ret)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *warning = NULL;
	char *text = NULL;
	size_t room = 0;
	int r = read_file(c, v, &text, &room, &path, &warning);
	if (r != 0)
		return r;
	size_t size = size_without_newline(text, room);
	if (size == 0) {
		config_refuse(c, v, "the file is empty");
		r = 1;
	} else {
		r = fill_secret(ret, v->text, text, size);
	}
	if (r == 0)
		r = read_keys(verify, (struct bytes){text, room}, ret);
	/* Who else may read a public key is of no interest. */
	if (warning && !ret->keys)
		tell_warning(c, v, warning);
	bytes_wipe(text, room);
	return r;
}

/* It goes into a header as it is: what would end the line must not be in it. */
static bool fits_header(const struct secret *s)
{
	for (size_t i = 0; i < s->text_size; i++)
		if (s->text[i] < ' ' || s->text[i] >= 0x7f)
			return false;
	return true;
}

static void refuse_unfit(struct convert *c, const struct setting_value *v)
{
	config_refuse(c, v, "a key is one line of printable ASCII");
}

/* Behind the list stands how many there are. */
static_assert(offsetof(struct source, n_secrets) ==
		      offsetof(struct source, secrets) + sizeof(struct secret *),
	"SecretFile=");
static_assert(offsetof(struct config, n_status_keys) ==
		      offsetof(struct config, status_keys) + sizeof(struct secret *),
	"StatusKeyFile=");

static int convert_secrets(struct convert *c)
{
	struct secret **secrets = c->at;
	size_t *n_secrets = (size_t *)(secrets + 1);
	bool api_keys = c->key->type == KEY_API_KEYS;
	/* Verify= stands before SecretFile= in the table, and so is known. */
	unsigned verify = api_keys
				  ? 0
				  : container_of(secrets, struct source, secrets)->verify;
	int r = 0;
	for (size_t i = 0; r >= 0 && i < c->setting->size; i++) {
		const struct setting_value *v = &c->setting->values[i];
		struct secret secret = {0};
		struct secret *list = reallocarray(
			*secrets, *n_secrets + 1, sizeof(*list));
		if (!list)
			return -ENOMEM;
		*secrets = list;
		r = read_secret(c, v, verify, &secret);
		if (r != 0)
			continue;
		if (api_keys && !fits_header(&secret))
			refuse_unfit(c, v);
		list[(*n_secrets)++] = secret;
	}
	return r < 0 ? r : 0;
}

static int convert_api_key(struct convert *c, const struct setting_value *v)
{
	struct secret *secret = calloc(1, sizeof(*secret));
	if (!secret)
		return -ENOMEM;
	int r = read_secret(c, v, 0, secret);
	if (r != 0) {
		free(secret);
		return r < 0 ? r : 0;
	}
	if (!fits_header(secret))
		refuse_unfit(c, v);
	*(struct secret **)c->at = secret;
	return 0;
}

/* Read to see that it can be, and who else can; its content is OpenSSL's affair. */
static int convert_key_file(struct convert *c, const struct setting_value *v)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *warning = NULL;
	char *text = NULL;
	size_t size = 0;
	int r = read_file(c, v, &text, &size, &path, &warning);
	if (r < 0)
		return r;
	if (warning)
		tell_warning(c, v, warning);
	if (r == 0 && size == 0)
		config_refuse(c, v, "the file is empty");
	if (r == 0)
		bytes_wipe(text, size);
	char *keep = path ? CONSUME(path) : strdup(v->text);
	*(char **)c->at = keep;
	return keep ? 0 : -ENOMEM;
}

int config_secret_convert(struct convert *c)
{
	if (c->setting->size == 0)
		return 0;
	if (c->key->type == KEY_SECRETS || c->key->type == KEY_API_KEYS)
		return convert_secrets(c);
	const struct setting_value *v = &c->setting->values[0];
	return c->key->type == KEY_SECRET ? convert_api_key(c, v)
					  : convert_key_file(c, v);
}

static ptrdiff_t decode(
	enum text_encoding encoding, struct bytes text, unsigned char *out)
{
	if (encoding == ENCODING_HEX)
		return codec_hex_decode(text, out, text.size);
	if (encoding == ENCODING_BASE64)
		return codec_base64_decode(text, out, text.size);
	memcpy(out, text.data, text.size);
	return (ptrdiff_t)text.size;
}

/* Where in the configuration the secret was named. */
static struct place place_of(const struct setting *setting, const struct secret *s)
{
	for (size_t i = 0; i < setting->size; i++)
		if (strcmp(setting->values[i].text, s->file) == 0)
			return setting->values[i].at;
	return setting->at;
}

/* Those that secrets are for. */
#define SECRET_SCHEMES                                                                   \
	(VERIFY_TOKEN | VERIFY_HEADER | VERIFY_BASIC | VERIFY_HMAC |                     \
		VERIFY_STANDARD_WEBHOOKS | VERIFY_TWILIO | VERIFY_ED25519 | VERIFY_JWT | \
		VERIFY_HTTP_SIGNATURE)
#define WHSEC_PREFIX "whsec_"

/*
 * Beside other schemes a secret that is no key of this one may be theirs: then some secret
 * must be one, and that is looked at in the end.
 */
static bool stands_alone(const struct source *source, enum verify_scheme scheme)
{
	return (source->verify & SECRET_SCHEMES & ~(unsigned)scheme) == 0 ||
	       !(source->verify & scheme);
}

/* KeyPrefix= and KeyEncoding=, in place. NULL, or why it is no key. */
static const char *decode_own(const struct signature_rule *rule, struct secret *s)
{
	struct bytes prefix = bytes_of(rule->key_prefix);
	struct bytes text = {(const char *)s->text, s->text_size};

	if (prefix.size > 0 && bytes_starts(text, prefix))
		text = (struct bytes){text.data + prefix.size, text.size - prefix.size};
	ptrdiff_t size = decode(rule->key_encoding, text, s->data);
	s->size = size > 0 ? (size_t)size : 0;
	explicit_bzero(s->data + s->size, s->text_size - s->size);
	if (size == 0)
		return "no key is left behind KeyPrefix=";
	if (size > 0)
		return NULL;
	return rule->key_encoding == ENCODING_HEX
		       ? "the secret is not hex, as KeyEncoding= says"
		       : "the secret is not base64, as KeyEncoding= says";
}

/* The same for standard-webhooks. */
static const char *decode_whsec(struct findings *f, struct secret *s)
{
	struct bytes prefix = bytes_of(WHSEC_PREFIX);
	struct bytes text = {(const char *)s->text, s->text_size};

	if (s->keys)
		return s->keys->keys[0].webhook ? NULL
						: "it is a public key, and not whpk_";
	if (bytes_starts(text, bytes_of("whpk_")))
		return "behind whpk_ there is no base64 of 32 bytes";
	if (bytes_starts(text, prefix))
		text = (struct bytes){text.data + prefix.size, text.size - prefix.size};
	s->whsec = malloc(s->text_size + 1);
	if (!s->whsec) {
		f->failed = true;
		return NULL;
	}
	ptrdiff_t size = codec_base64_decode(text, s->whsec, s->text_size);
	s->whsec_size = size > 0 ? (size_t)size : 0;
	return size > 0 ? NULL
			: "Verify=standard-webhooks wants " WHSEC_PREFIX
			  " or whpk_ and base64 behind it";
}

static void tell_secret(struct build *b, const struct section *section,
	const struct secret *s, const char *problem)
{
	findings_error(&b->findings, place_of(settings_of(section, "SecretFile"), s),
		"SecretFile=%s: %s", findings_quote(bytes_of(s->file)).text, problem);
}

/*
 * Verify=header compares with a value as it arrives, without the blanks around it (RFC 9110,
 * 5.5): what begins or ends with one, or holds a control character, never does.
 */
static void check_header_secret(
	struct build *b, const struct section *section, const struct secret *s)
{
	struct bytes text = {(const char *)s->text, s->text_size};
	bool sound = bytes_trim(text).size == text.size;

	for (size_t i = 0; i < text.size; i++)
		sound &= head_is_value_char(text.data[i]);
	if (!sound)
		findings_warning(&b->findings,
			place_of(settings_of(section, "SecretFile"), s),
			"SecretFile=%s: no header can hold it, so it never verifies: "
			"there "
			"is a blank at an end, or a control character",
			findings_quote(bytes_of(s->file)).text);
}

void config_secret_decode(
	struct build *b, const struct section *section, struct source *source)
{
	bool own_alone = stands_alone(source, VERIFY_HMAC);
	bool whsec_alone = stands_alone(source, VERIFY_STANDARD_WEBHOOKS);
	const char *own_problem = NULL, *whsec_problem = NULL, *problem;
	size_t n_own = 0, n_whsec = 0;

	for (size_t i = 0; i < source->n_secrets; i++) {
		struct secret *s = &source->secrets[i];
		if ((source->verify & VERIFY_HEADER) && !s->keys)
			check_header_secret(b, section, s);
		problem = s->keys ? NULL : decode_own(&source->signature, s);
		n_own += !problem;
		if (problem && own_alone)
			tell_secret(b, section, s, problem);
		else if (problem)
			own_problem = problem;
		if (!(source->verify & VERIFY_STANDARD_WEBHOOKS))
			continue;
		problem = decode_whsec(&b->findings, s);
		n_whsec += !problem;
		if (problem && whsec_alone)
			tell_secret(b, section, s, problem);
		else if (problem)
			whsec_problem = problem;
	}
	if (own_problem && n_own == 0)
		tell_secret(b, section, &source->secrets[0], own_problem);
	if (whsec_problem && n_whsec == 0)
		tell_secret(b, section, &source->secrets[0], whsec_problem);
}
