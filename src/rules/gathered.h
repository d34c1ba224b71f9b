/*
 * What is taken out of a message to be compared, by the rule of its signature: the signatures
 * as they were sent, and the content they cover. The same for an HMAC and for a public key.
 * For verify_*.c alone.
 */
#ifndef RULES_GATHERED_H
#define RULES_GATHERED_H

#include "rules/content.h"
#include "rules/recipe.h"
#include "rules/signature.h"
#include "rules/verify_scheme.h"

#include "base/text.h"

struct gathered {
	struct signatures given;
	struct content content;
	struct form form;
	char *value;        /* of a signature in a form's field */
	char *field;        /* {form:NAME} */
	struct text sorted; /* {form} */
	char *body_hash;    /* {body_sha256} */
};

/*
 * `size` is a signature's in bytes. Begin with a zeroed *g; gathered_fini() whatever comes of
 * it. 0; 1 with the reason; negative errno.
 */
int gather(const struct scheme_input *in, const struct recipe *recipe, size_t size,
	struct gathered *g, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
void gathered_fini(struct gathered *g);

#endif
