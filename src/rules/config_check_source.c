/* Is a source complete: can it be verified, is its signature described in full? */
#include "rules/config_build.h"

#include "rules/content.h"
#include "rules/verify.h"
#include "rules/words.h"

/* In the order in which they are complained of. */
static const enum verify_scheme need_secret[] = {VERIFY_HMAC, VERIFY_HEADER, VERIFY_BASIC,
	VERIFY_STANDARD_WEBHOOKS, VERIFY_TWILIO};

/* The first that cannot do without; NULL when all can. */
static const char *who_needs_secret(const struct source *source)
{
	for (size_t i = 0; i < ARRAY_SIZE(need_secret); i++)
		if (source->verify & need_secret[i])
			return verify_scheme_name(need_secret[i]);
	return NULL;
}

static const char *text_of(const struct section *s, const char *key)
{
	return settings_text(s, key);
}

static bool has_public_url(const struct build *b)
{
	return settings_of(&b->origins->sections[0], "PublicURL")->size > 0;
}

static void check_secrets(
	struct build *b, const struct section *s, const struct source *source)
{
	struct place at = settings_of(s, "Verify")->at;
	bool given = settings_of(s, "SecretFile")->size > 0;
	if (given && source->verify == VERIFY_NONE)
		findings_warning(&b->findings, settings_of(s, "SecretFile")->at,
			"SecretFile= is of no use beside Verify=none");
	const char *needing = who_needs_secret(source);
	if (!given && needing)
		findings_error(&b->findings, at, "Verify=%s needs SecretFile=", needing);
	else if (!given && source->verify & VERIFY_TOKEN && !text_of(s, "UploadURL"))
		findings_error(&b->findings, at,
			"Verify=token needs SecretFile=, or UploadURL= where every "
			"upload gets a token of its own");
	else if (!given && source->verify & VERIFY_TOKEN && !has_public_url(b))
		findings_warning(&b->findings, at,
			"without SecretFile= only tokens of uploads verify, and "
			"without PublicURL= in [Daemon] there are none");
	if (!(source->verify & VERIFY_BASIC))
		return;
	for (size_t i = 0; i < source->n_secrets; i++) {
		const struct secret *secret = &source->secrets[i];
		if (!memchr(secret->text, ':', secret->text_size))
			findings_error(&b->findings, settings_of(s, "SecretFile")->at,
				"SecretFile=%s: Verify=basic wants user:password in it",
				findings_quote(bytes_of(secret->file)).text);
	}
}

static void check_verify(
	struct build *b, const struct section *s, const struct source *source)
{
	const struct setting *verify = settings_of(s, "Verify");
	if (verify->size == 0) {
		if (settings_of(s, "Preset")->size == 0 || s->preset)
			findings_error(&b->findings, verify->at,
				"[Source %s] has no Verify=: write Verify=token (or "
				"header, basic, hmac, standard-webhooks, twilio, "
				"ed25519, jwt, sns, http-signature) and "
				"SecretFile=, or Verify=none to believe anybody",
				s->name);
		return;
	}
	if (source->verify & VERIFY_NONE && source->verify != VERIFY_NONE)
		findings_error(&b->findings, verify->at,
			"Verify=none stands alone: with it nothing else is asked for");
	else
		check_secrets(b, s, source);
}

/* Where only one field of a form is signed, id and status must stand in it. */
static void check_covered(struct build *b, const struct section *s, const char *key,
	const struct field_list *fields, struct bytes signed_field)
{
	for (size_t i = 0; i < fields->size; i++) {
		const struct field *f = &fields->fields[i];
		if (f->kind != FIELD_FORM ||
			!bytes_equal(bytes_of(f->name), signed_field))
			findings_warning(&b->findings, settings_of(s, key)->at,
				"%s=%s stands outside the form's field %.*s, which is "
				"all "
				"that SignedContent= covers",
				key, findings_quote(bytes_of(f->text)).text,
				BYTES_FMT(signed_field));
	}
}

/* A signature that stands in the form cannot cover itself. */
static void check_form(struct build *b, const struct section *s,
	const struct source *source, unsigned parts)
{
	const struct signature_rule *rule = &source->signature;
	struct bytes field = content_form_field(rule->content);

	if (rule->place.kind == FIELD_FORM &&
		(parts & (CONTENT_BODY | CONTENT_FORM) ||
			bytes_equal(field, bytes_of(rule->place.name))))
		findings_error(&b->findings, settings_of(s, "SignedContent")->at,
			"SignedContent= would cover the signature itself, which stands "
			"in the form: {form:NAME} of another field is wanted");
	if (!field.data || parts & CONTENT_BODY)
		return;
	check_covered(b, s, "IdField", &source->id, field);
	check_covered(b, s, "StatusField", &source->status, field);
}

static bool has_delivery_header(const struct source *source)
{
	for (size_t i = 0; i < source->delivery.size; i++)
		if (source->delivery.fields[i].kind == FIELD_HEADER)
			return true;
	return false;
}

/* What the template needs must be somewhere. */
static void check_content(
	struct build *b, const struct section *s, const struct source *source)
{
	const struct signature_rule *rule = &source->signature;
	struct place at = settings_of(s, "SignedContent")->at;
	unsigned parts = content_parts(rule->content);
	const char *header = text_of(s, "TimestampHeader");
	bool in_pairs = rule->style == STYLE_PAIRS && rule->timestamp_field;
	if (parts & CONTENT_TIMESTAMP && !header && !in_pairs)
		findings_error(&b->findings, at,
			"SignedContent= with {timestamp} needs TimestampHeader=, or "
			"SignatureStyle=pairs and TimestampField=");
	if (!(parts & CONTENT_TIMESTAMP) && (header || in_pairs))
		findings_warning(&b->findings, at,
			"SignedContent= does not cover {timestamp}: an old callback can "
			"be given a new time");
	if (parts & CONTENT_ID && !has_delivery_header(source))
		findings_error(&b->findings, at,
			"SignedContent= with {id} needs DeliveryField=header:NAME, where "
			"the signed id stands");
	if (parts & CONTENT_URL && !has_public_url(b))
		findings_error(&b->findings, at,
			"SignedContent= with {url} needs PublicURL= in [Daemon]");
	check_form(b, s, source, parts);
}

static void check_signature(
	struct build *b, const struct section *s, const struct source *source)
{
	const struct signature_rule *rule = &source->signature;
	const char *const names[] = {rule->signature_field, rule->timestamp_field};
	const char *const keys[] = {"SignatureField", "TimestampField"};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (names[i] && strpbrk(names[i], "=, \t"))
			findings_error(&b->findings, settings_of(s, keys[i])->at,
				"%s=%s: a name is wanted, without = and ,", keys[i],
				findings_quote(bytes_of(names[i])).text);
	if (rule->style == STYLE_PAIRS && !rule->signature_field)
		findings_error(&b->findings, settings_of(s, "SignatureStyle")->at,
			"SignatureStyle=pairs needs SignatureField=, the name of the "
			"signature");
	if (rule->content)
		check_content(b, s, source);
}

static void check_urls(
	struct build *b, const struct section *s, const struct source *source)
{
	const struct setting *upload = settings_of(s, "UploadURL");
	if (!source->upload_url || upload->values[0].origin != ORIGIN_FILE)
		return;
	if (!has_public_url(b))
		findings_warning(&b->findings, upload->at,
			"UploadURL= without PublicURL= in [Daemon]: uploads will be "
			"refused, there is no callback URL to give");
	if (source->verify != 0 && !(source->verify & (VERIFY_TOKEN | VERIFY_NONE)))
		findings_warning(&b->findings, upload->at,
			"UploadURL= without Verify=token: the tokens of uploads will "
			"not verify");
}

/* A word in two lists, both written by hand, cannot be meant; nor that any is a success. */
static void check_words(
	struct build *b, const struct section *s, const struct source *source)
{
	const struct {
		const char *key;
		const struct words *words;
	} lists[] = {{"SuccessValues", &source->success}, {"ErrorValues", &source->error},
		{"CanceledValues", &source->canceled},
		{"PendingValues", &source->pending}};
	if (words_contain_nocase(&source->success, bytes_of("*")))
		findings_error(&b->findings, settings_of(s, "SuccessValues")->at,
			"SuccessValues=: * is no word: success is never guessed (with an "
			"empty StatusField= every callback is one)");
	for (size_t i = 1; i < ARRAY_SIZE(lists); i++) {
		const struct setting *later = settings_of(s, lists[i].key);
		if (later->size == 0 || later->values[0].origin != ORIGIN_FILE)
			continue;
		for (size_t j = 0; j < i; j++) {
			const struct setting *first = settings_of(s, lists[j].key);
			if (first->size == 0 || first->values[0].origin != ORIGIN_FILE)
				continue;
			for (size_t k = 0; k < lists[i].words->size; k++) {
				struct bytes word = bytes_of(lists[i].words->list[k]);
				if (words_contain_nocase(lists[j].words, word))
					findings_error(&b->findings, later->at,
						"%s=: \"%s\" is one of %s= too",
						lists[i].key, findings_quote(word).text,
						lists[j].key);
			}
		}
	}
}

/* Who can be asked, and with what the answer is understood. */
static void check_asking(
	struct build *b, const struct section *s, const struct source *source)
{
	const struct setting *url = settings_of(s, "StatusURL");
	if (source->status_url && !strstr(source->status_url, "{id}"))
		findings_error(&b->findings, url->at,
			"StatusURL= must hold {id}, which stands for the job's id");
	else if (source->confirm && url->size == 0)
		findings_error(&b->findings, settings_of(s, "Confirm")->at,
			"Confirm=yes needs StatusURL=, where the source is asked");
	if (source->confirm && source->status.size == 0)
		findings_error(&b->findings, settings_of(s, "Confirm")->at,
			"Confirm=yes needs StatusField=: without it an answer of "
			"StatusURL= says nothing");
	else if (source->status_url && source->status.size == 0)
		findings_warning(&b->findings, url->at,
			"StatusURL= is not asked: with an empty StatusField= an answer "
			"says nothing");
}

void config_check_source(
	struct build *b, const struct section *section, const struct source *source)
{
	check_verify(b, section, source);
	if (source->verify & (VERIFY_HMAC | VERIFY_ED25519))
		check_signature(b, section, source);
	if (source->verify & VERIFY_TWILIO && !has_public_url(b))
		findings_error(&b->findings, settings_of(section, "Verify")->at,
			"Verify=twilio needs PublicURL= in [Daemon], which is part of "
			"what "
			"is signed");
	config_check_keys(b, section, source);
	check_urls(b, section, source);
	check_words(b, section, source);
	check_asking(b, section, source);
}
