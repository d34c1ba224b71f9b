/*
 * The authorities a certificate may be chained to: the system's, or those in a file of the
 * administrator's. Read once, when the configuration is loaded or a key is first fetched:
 * it takes tens of milliseconds.
 */
#ifndef IO_TRUST_H
#define IO_TRUST_H

#include "base/bytes.h"

#include <openssl/types.h>

/*
 * `file` NULL: the system's (OpenSSL's defaults, SSL_CERT_FILE and SSL_CERT_DIR included).
 * What stands in a file is trusted as it is, be it a root or not. *ret is for
 * X509_STORE_free(). 0; -ENOENT when nothing usable is there; -ENOMEM.
 */
int trust_load(const char *file, X509_STORE **ret) MUST_CHECK;

#endif
