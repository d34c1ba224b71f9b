/*
 * The certificate behind a signature of AWS SNS: not believed because it was fetched from the
 * right place, but because a chain leads from it to a root that is trusted, and because it
 * was made out to SNS. Nothing is fetched here, no root is read here: io/trust.h does.
 */
#ifndef RULES_CERTIFICATE_H
#define RULES_CERTIFICATE_H

#include "rules/keyset.h"

/*
 * The key of the first certificate in `pem`; the others there may lead on to one of `roots`.
 * The chain must hold at `now_usec`; the subject must be `name` or a name of a region's SNS,
 * see certificate.c. 0 and *ret, a set of one key with the certificate's validity; 1: not to
 * be believed, *ret_problem (static text) says why; -ENOMEM.
 */
int certificate_keyset(struct bytes pem, X509_STORE *roots, int64_t now_usec,
	struct keyset **ret, const char **ret_problem) MUST_CHECK;

#endif
