/* Version v1a of Standard Webhooks, which two schemes take. For verify_*.c alone. */
#ifndef RULES_VERIFY_ED25519_H
#define RULES_VERIFY_ED25519_H

#include "rules/verify_scheme.h"

/* Is one of the source's keys written whpk_…? */
bool ed25519_has_webhook_key(const struct source *s);
/* With those keys alone, in either spelling of the headers; as a scheme. */
int ed25519_check_webhook(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;

#endif
