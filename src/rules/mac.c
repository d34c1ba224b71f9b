/* HMAC by OpenSSL's EVP_MAC; see mac.h. */
#include "rules/mac.h"

#include <errno.h>
#include <pthread.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define N_ALGORITHMS (HASH_SHA512 + 1)

static const struct {
	const char *name;
	size_t size;
} algorithms[N_ALGORITHMS] = {
	[HASH_SHA1] = {"SHA1", 20},
	[HASH_SHA256] = {"SHA256", 32},
	[HASH_SHA384] = {"SHA384", 48},
	[HASH_SHA512] = {"SHA512", 64},
};

struct contexts {
	EVP_MAC_CTX *of[N_ALGORITHMS];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key;
static bool contexts_usable;

static void on_thread_end(void *arg)
{
	struct contexts *c = arg;

	for (size_t i = 0; i < N_ALGORITHMS; i++)
		EVP_MAC_CTX_free(c->of[i]);
	free(c);
}

static void on_first_use(void)
{
	contexts_usable = pthread_key_create(&contexts_key, on_thread_end) == 0;
}

static struct contexts *own_contexts(void)
{
	if (pthread_once(&once, on_first_use) != 0 || !contexts_usable)
		return NULL;
	struct contexts *c = pthread_getspecific(contexts_key);
	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (c && pthread_setspecific(contexts_key, c) != 0) {
		free(c);
		return NULL;
	}
	return c;
}

static EVP_MAC_CTX *new_context(enum hash_algorithm a)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *c = mac ? EVP_MAC_CTX_new(mac) : NULL;
	OSSL_PARAM params[] = {
		/* OpenSSL reads the name and leaves it alone. */
		OSSL_PARAM_construct_utf8_string(
			OSSL_MAC_PARAM_DIGEST, (char *)algorithms[a].name, 0),
		OSSL_PARAM_construct_end(),
	};

	EVP_MAC_free(mac);
	if (c && EVP_MAC_CTX_set_params(c, params) != 1) {
		EVP_MAC_CTX_free(c);
		c = NULL;
	}
	return c;
}

size_t mac_size(enum hash_algorithm a)
{
	return algorithms[a].size;
}

int mac_begin(struct mac *m, enum hash_algorithm a, struct bytes key)
{
	struct contexts *c = own_contexts();

	*m = (struct mac){0};
	if (!c || key.size == 0)
		return -EIO;
	if (!c->of[a])
		c->of[a] = new_context(a);
	m->context = c->of[a];
	if (m->context && EVP_MAC_init(m->context, (const unsigned char *)key.data,
				  key.size, NULL) == 1)
		return 0;
	/* A stale error in the queue would be taken for one of the next TLS record. */
	ERR_clear_error();
	return -EIO;
}

void mac_add(struct mac *m, struct bytes piece)
{
	if (m->failed || piece.size == 0)
		return;
	m->failed = EVP_MAC_update(m->context, (const unsigned char *)piece.data,
			    piece.size) != 1;
}

int mac_end(struct mac *m, unsigned char out[static MAC_SIZE_MAX])
{
	size_t size;

	if (!m->failed && EVP_MAC_final(m->context, out, &size, MAC_SIZE_MAX) == 1)
		return 0;
	ERR_clear_error();
	return -EIO;
}
