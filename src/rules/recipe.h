/*
 * The schemes that are an HMAC with nothing left to choose, as the parameters of the one
 * verifier: what hmac is told by keys stands here. For verify and sign.
 */
#ifndef RULES_RECIPE_H
#define RULES_RECIPE_H

#include "rules/source.h"

struct recipe {
	const struct signature_rule *rule;
	/* The header of {id}; NULL: the one that DeliveryField= names. */
	const char *id_header;
	/* The key that a secret is; size 0: it is none. */
	struct bytes (*key)(const struct secret *s);
};

/* Of Verify=hmac: the source's own. */
struct recipe recipe_own(const struct source *s);
/*
 * standard-webhooks has two spellings, webhook- and svix-, and so has its version with public
 * keys, which goes by ed25519; twilio one. `i` counts them; false
 * behind the last.
 */
bool recipe_of(enum verify_scheme scheme, size_t i, struct recipe *ret);

#endif
