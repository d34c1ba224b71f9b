/* Authorities from the disk; see trust.h. */
#include "io/trust.h"

#include <errno.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

/* A certificate that the administrator put there need not be a root to be trusted. */
static bool load_file(X509_STORE *store, const char *file)
{
	return X509_STORE_load_file(store, file) == 1 &&
	       X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

int trust_load(const char *file, X509_STORE **ret)
{
	X509_STORE *store = X509_STORE_new();

	if (!store)
		return -ENOMEM;
	bool loaded = file ? load_file(store, file)
			   : X509_STORE_set_default_paths(store) == 1;
	ERR_clear_error();
	if (!loaded) {
		X509_STORE_free(store);
		return -ENOENT;
	}
	*ret = store;
	return 0;
}
