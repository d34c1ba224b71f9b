/*
 * The one HMAC verifier. Its parameters are a source's signature_rule, or a scheme's own
 * (recipe.h). Cheap refusals come first, then one HMAC for each key, over the body where it
 * lies; each is compared with each signature that is listed.
 */
#include "rules/gathered.h"
#include "rules/verify_ed25519.h"

#include <openssl/crypto.h>

/* 1 and the number of keys tried, or negative errno; *ret_held tells. */
static int try_keys(const struct scheme_input *in, const struct recipe *recipe,
	const struct gathered *g, size_t *ret_tried, bool *ret_held)
{
	const struct source *s = in->source;
	const struct signature_rule *rule = recipe->rule;
	unsigned char mac[MAC_SIZE_MAX];
	int r = 0, held = 0;

	*ret_tried = 0;
	/* All keys, even after one that fits: time shall not tell which. */
	for (size_t i = 0; r == 0 && i < s->n_secrets; i++) {
		struct bytes key = recipe->key(&s->secrets[i]);
		struct mac m;
		if (key.size == 0)
			continue;
		++*ret_tried;
		r = mac_begin(&m, rule->algorithm, key);
		if (r < 0)
			break;
		content_add(rule->content, &g->content, &m);
		r = mac_end(&m, mac);
		if (r == 0)
			held |= signatures_hold(
				&g->given, mac, mac_size(rule->algorithm));
	}
	OPENSSL_cleanse(mac, sizeof(mac));
	*ret_held = held != 0;
	return r;
}

static int compare(const struct scheme_input *in, const struct recipe *recipe,
	const struct gathered *g, char reason[static SCHEME_REASON_SIZE])
{
	size_t tried, listed = g->given.size;
	bool held;

	int r = try_keys(in, recipe, g, &tried, &held);
	if (r < 0)
		return r;
	trace_say(in->trace, TRACE_NOTE, "%zu key%s tried, each against %zu signature%s",
		tried, tried == 1 ? "" : "s", listed, listed == 1 ? "" : "s");
	if (held)
		return 0;
	if (listed > 1)
		return scheme_refuse(reason,
			"none of %zu signatures matches any of %zu key%s", listed, tried,
			tried == 1 ? "" : "s");
	return scheme_refuse(reason, "the signature matches none of %zu key%s", tried,
		tried == 1 ? "" : "s");
}

static int check(const struct scheme_input *in, const struct recipe *recipe,
	char reason[static SCHEME_REASON_SIZE])
{
	struct gathered g = {0};
	int r = gather(in, recipe, mac_size(recipe->rule->algorithm), &g, reason);

	if (r == 0 && !in->head_only)
		r = compare(in, recipe, &g, reason);
	gathered_fini(&g);
	return r;
}

int scheme_hmac(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	const struct recipe own = recipe_own(in->source);

	return check(in, &own, reason);
}

/* Of the two spellings those that are there; one that holds suffices. */
static int check_shared(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	int r = scheme_refuse(reason,
		"neither header webhook-signature nor header svix-signature is there");
	struct recipe recipe;
	struct bytes value;

	for (size_t i = 0; recipe_of(VERIFY_STANDARD_WEBHOOKS, i, &recipe); i++) {
		if (message_header(in->message, recipe.rule->place.name, &value) ==
			MESSAGE_ABSENT)
			continue;
		r = check(in, &recipe, reason);
		if (r <= 0)
			return r;
	}
	return r;
}

static bool has_shared_key(const struct source *s)
{
	for (size_t i = 0; i < s->n_secrets; i++)
		if (s->secrets[i].whsec_size)
			return true;
	return false;
}

/* whsec_ keys sign v1, whpk_ keys v1a; a source may have both. */
int scheme_standard(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	bool has_public = ed25519_has_webhook_key(in->source);
	int r = 1;

	if (!has_public || has_shared_key(in->source))
		r = check_shared(in, reason);
	if (r == 1 && has_public)
		r = ed25519_check_webhook(in, reason);
	return r;
}

int scheme_twilio(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	struct recipe recipe;

	return recipe_of(VERIFY_TWILIO, 0, &recipe) ? check(in, &recipe, reason) : 1;
}
