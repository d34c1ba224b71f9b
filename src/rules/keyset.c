/* Sets of public keys: their life and the choice among them; see keyset.h. */
#include "rules/keyset.h"

#include <openssl/evp.h>

struct keyset *keyset_ref(struct keyset *k)
{
	atomic_fetch_add(&k->refs, 1);
	return k;
}

void keyset_unref(struct keyset *k)
{
	if (!k || atomic_fetch_sub(&k->refs, 1) > 1)
		return;
	for (size_t i = 0; i < k->size; i++) {
		free(k->keys[i].id);
		free(k->keys[i].algorithm);
		EVP_PKEY_free(k->keys[i].key);
	}
	free(k->keys);
	free(k);
}
