/*
 * Server-side TLS contexts; see tls.h. A context is never changed once it serves: a reload
 * makes a new one, and what is connected keeps the old.
 */
#include "io/tls.h"

#include "base/text.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <time.h>

static void ctx_freep(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

/* "FILE: what OpenSSL says"; empties its queue, which is the whole thread's. */
static int fail(const char *file, const char *what, char **ret_error)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	*ret_error = text_format(
		"%s: %s%s%s", file, what, reason ? ": " : "", reason ? reason : "");
	return -EINVAL;
}

/* No terminal to ask at: an encrypted key is an error. */
static int on_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)buffer, (void)size, (void)writing, (void)arg;
	return 0;
}

/* RFC 7301: http/1.1 or nothing; a client that offers others only is told so. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
	const unsigned char *in, unsigned in_size, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void)ssl, (void)arg;
	if (SSL_select_next_proto((unsigned char **)out, out_size, ours, sizeof(ours) - 1,
		    in, in_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static int set_options(SSL_CTX *ctx)
{
	static const unsigned char id[] = "callbackd";

	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets remain */
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	SSL_CTX_set_default_passwd_cb(ctx, on_passphrase);
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
		!SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1))
		return -EINVAL;
	return 0;
}

static int set_client_ca(SSL_CTX *ctx, const char *file, char **ret_error)
{
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);

	if (!names || SSL_CTX_load_verify_file(ctx, file) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return fail(file, "no certificates of client authorities", ret_error);
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

static int expiry(SSL_CTX *ctx, int64_t *ret_usec)
{
	const X509 *certificate = SSL_CTX_get0_certificate(ctx);
	struct tm tm;

	if (!certificate || !ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm))
		return -EINVAL;
	*ret_usec = (int64_t)timegm(&tm) * (int64_t)USEC_PER_SEC;
	return 0;
}

int tls_server_context(const char *certificate, const char *key, const char *client_ca,
	struct ssl_ctx_st **ret, int64_t *ret_expires_usec, char **ret_error)
{
	CLEANUP(ctx_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int64_t expires_usec = 0;

	if (!ctx || set_options(ctx) < 0) {
		fail(certificate, "no TLS context", ret_error);
		return -ENOMEM;
	}
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
		return fail(certificate, "no certificate chain in PEM", ret_error);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		/* Loading a key that does not match its certificate fails here already. */
		return fail(key, "no private key of the certificate", ret_error);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return fail(key, "not the certificate's private key", ret_error);
	if (expiry(ctx, &expires_usec) < 0)
		return fail(certificate, "end of validity cannot be read", ret_error);
	if (client_ca) {
		int r = set_client_ca(ctx, client_ca, ret_error);
		if (r < 0)
			return r;
	}
	ERR_clear_error();
	*ret_expires_usec = expires_usec;
	*ret = CONSUME(ctx);
	return 0;
}
