/* Any file or answer as public keys: JWKS, PEM, certificates, lines. */
#include "rules/keyset.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_keys(struct bytes text)
{
	struct keyset *set;
	const char *problem;

	if (keyset_of_text(text, &set, &problem) != 0)
		return;
	if (set->size == 0 || set->size > KEYSET_KEYS_MAX)
		abort();
	for (size_t i = 0; i < set->size; i++)
		if (!set->keys[i].key || !set->keys[i].kind)
			abort();
	keyset_unref(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_keys((struct bytes){(const char *)data, size});
	return 0;
}
