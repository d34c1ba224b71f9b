/*
 * Ed25519 over the content of a template: what hmac does, with public keys. The parameters are
 * the source's signature_rule, or those of Standard Webhooks' v1a where a key begins with
 * whpk_ (standard-webhooks.md, "Signature scheme"; Discord: "Validating Security Request
 * Headers"; fal.ai: "Verifying Your Webhook").
 */
#include "rules/verify_ed25519.h"

#include "rules/gathered.h"
#include "rules/verify_public.h"

#include <errno.h>

#define ED25519_SIGNATURE_SIZE 64

static int compare(const struct scheme_input *in, const struct recipe *recipe,
	bool webhook, const struct gathered *g, char reason[static SCHEME_REASON_SIZE])
{
	static const enum pubkey_algorithm algorithm = PUBKEY_ED25519;
	CLEANUP(text_fini) struct text content = TEXT_EMPTY;
	struct bytes signatures[SIGNATURES_MAX];

	content_write(recipe->rule->content, &g->content, &content);
	if (content.failed)
		return -ENOMEM;
	for (size_t i = 0; i < g->given.size; i++)
		signatures[i] = (struct bytes){
			(const char *)g->given.list[i], ED25519_SIGNATURE_SIZE};
	return scheme_try_public(in,
		&(struct attempt){.algorithms = &algorithm,
			.n_algorithms = 1,
			.webhook = webhook,
			.signatures = signatures,
			.n_signatures = g->given.size,
			.data = text_bytes(&content)},
		reason);
}

static int check(const struct scheme_input *in, const struct recipe *recipe, bool webhook,
	char reason[static SCHEME_REASON_SIZE])
{
	struct gathered g = {0};
	int r = gather(in, recipe, ED25519_SIGNATURE_SIZE, &g, reason);

	if (r == 0 && !in->head_only)
		r = compare(in, recipe, webhook, &g, reason);
	gathered_fini(&g);
	return r;
}

bool ed25519_has_webhook_key(const struct source *s)
{
	for (size_t i = 0; i < s->n_secrets; i++)
		if (s->secrets[i].keys && s->secrets[i].keys->keys[0].webhook)
			return true;
	return false;
}

int ed25519_check_webhook(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	struct recipe recipe;
	struct bytes value;
	int r = scheme_refuse(reason,
		"neither header webhook-signature nor header svix-signature is there");

	for (size_t i = 0; recipe_of(VERIFY_ED25519, i, &recipe); i++) {
		if (message_header(in->message, recipe.rule->place.name, &value) ==
			MESSAGE_ABSENT)
			continue;
		r = check(in, &recipe, true, reason);
		if (r != 1)
			return r;
	}
	return r;
}

/* Nothing but Standard Webhooks' own header is there. */
static bool is_webhook(const struct scheme_input *in)
{
	const struct field *place = &in->source->signature.place;
	struct bytes value;

	return place->kind == FIELD_HEADER &&
	       message_header(in->message, place->name, &value) == MESSAGE_ABSENT &&
	       (message_header(in->message, "webhook-signature", &value) !=
			       MESSAGE_ABSENT ||
		       message_header(in->message, "svix-signature", &value) !=
			       MESSAGE_ABSENT);
}

/* A key that says whose it is says where its signatures stand, too. */
int scheme_ed25519(const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	const struct recipe own = recipe_own(in->source);

	if (ed25519_has_webhook_key(in->source)) {
		int r = ed25519_check_webhook(in, reason);
		if (r != 1 || is_webhook(in))
			return r;
	}
	return check(in, &own, false, reason);
}
