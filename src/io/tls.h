/* Server-side TLS: the certificate, the key, client authorities; read again on reload. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/macros.h"

#include <stdint.h>

struct ssl_ctx_st;

/* An end so near is warned of: in the journal, in the status and by the doctor. */
#define TLS_EXPIRES_SOON_USEC (14 * 86400 * (int64_t)USEC_PER_SEC)

/*
 * TLS 1.2 and up, ALPN http/1.1, no renegotiation, buffers released when idle. client_ca
 * NULL: no client certificates. 0 and *ret (SSL_CTX_free), or negative errno and
 * *ret_error (owned, one line naming the file). *ret_expires_usec: wall clock, end of the
 * certificate's validity.
 */
int tls_server_context(const char *certificate, const char *key, const char *client_ca,
	struct ssl_ctx_st **ret, int64_t *ret_expires_usec, char **ret_error) MUST_CHECK;

#endif
