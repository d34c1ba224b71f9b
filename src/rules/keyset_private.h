/* How a set of keys grows while it is read. For keyset*.c and certificate.c alone. */
#ifndef RULES_KEYSET_PRIVATE_H
#define RULES_KEYSET_PRIVATE_H

#include "rules/keyset.h"

/*
 * Fills in .kind for a key that is one of ours and strong enough: 0; 1 with *ret_problem
 * (static text).
 */
int keyset_classify(struct keyset_key *key, const char **ret_problem) MUST_CHECK;
/*
 * Takes over `key` and what it points to, whatever comes of it. *set is made when it is NULL.
 * 0; 1 it is there already, or there are too many; -ENOMEM.
 */
int keyset_add(
	struct keyset **set, struct keyset_key *key, const char **ret_problem) MUST_CHECK;
void keyset_key_fini(struct keyset_key *key);
/* Of 32 bytes. 0 or -ENOMEM. */
int keyset_key_ed25519(
	struct keyset_key *key, const unsigned char raw[static 32]) MUST_CHECK;

#endif
