/* A chain to a trusted root, and a name that is SNS' own; see certificate.h. */
#include "rules/certificate.h"

#include "rules/keyset_private.h"
#include "rules/sns.h"

#include <errno.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CHAIN_MAX 8
#define NAME_SIZE 256

/* 0, 1 with the problem, -ENOMEM. */
static int read_pem(struct bytes pem, STACK_OF(X509) * ret, const char **ret_problem)
{
	BIO *bio = pem.size <= KEYSET_TEXT_MAX
			   ? BIO_new_mem_buf(pem.data ? pem.data : "", (int)pem.size)
			   : NULL;
	X509 *x = NULL;
	int r = 0;

	if (!bio) {
		*ret_problem = "it is longer than 256 KiB";
		return pem.size <= KEYSET_TEXT_MAX ? -ENOMEM : 1;
	}
	while (r == 0 && sk_X509_num(ret) < CHAIN_MAX &&
		(x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		if (sk_X509_push(ret, x) <= 0) {
			X509_free(x);
			r = -ENOMEM;
		}
	BIO_free(bio);
	if (r == 0 && sk_X509_num(ret) == 0) {
		*ret_problem = "it holds no certificate";
		r = 1;
	}
	return r;
}

static bool is_ours(struct bytes name)
{
	return bytes_equal(name, bytes_of("sns.amazonaws.com")) || sns_is_host(name);
}

/*
 * The names a certificate is made out to: those of subjectAltName, and the common name only
 * where there are none (RFC 6125, 6.4.4). Wildcards are not taken.
 */
static bool is_for_sns(X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	char common[NAME_SIZE];
	bool found = false;

	if (!names) {
		int n = X509_NAME_get_text_by_NID(
			X509_get_subject_name(x), NID_commonName, common, sizeof(common));
		return n > 0 && strlen(common) == (size_t)n && is_ours(bytes_of(common));
	}
	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS)
			continue;
		found = is_ours((struct bytes){
			(const char *)ASN1_STRING_get0_data(name->d.dNSName),
			(size_t)ASN1_STRING_length(name->d.dNSName)});
	}
	GENERAL_NAMES_free(names);
	return found;
}

/* 0, 1 with the problem, -ENOMEM. */
static int check_chain(X509 *x, STACK_OF(X509) * others, X509_STORE *roots,
	int64_t now_usec, const char **ret_problem)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int r = 0;

	if (!ctx || X509_STORE_CTX_init(ctx, roots, x, others) != 1) {
		X509_STORE_CTX_free(ctx);
		return -ENOMEM;
	}
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)(now_usec / (int64_t)USEC_PER_SEC));
	X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, 1);
	if (X509_verify_cert(ctx) != 1) {
		int error = X509_STORE_CTX_get_error(ctx);
		*ret_problem = X509_verify_cert_error_string(error);
		r = error == X509_V_ERR_OUT_OF_MEM ? -ENOMEM : 1;
	}
	X509_STORE_CTX_free(ctx);
	return r;
}

static int64_t usec_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * (int64_t)USEC_PER_SEC
					    : 0;
}

/* The set of that one key. 0, 1, -ENOMEM. */
static int make_set(X509 *x, struct keyset **ret, const char **ret_problem)
{
	struct keyset_key key = {.from_usec = usec_of(X509_get0_notBefore(x)),
		.until_usec = usec_of(X509_get0_notAfter(x)),
		.key = X509_get_pubkey(x)};
	struct keyset *set = NULL;
	int r = 1;

	if (!key.key)
		*ret_problem = "its key cannot be read";
	else
		r = keyset_classify(&key, ret_problem);
	if (r == 0)
		r = keyset_add(&set, &key, ret_problem);
	else
		keyset_key_fini(&key);
	if (r == 0)
		*ret = set;
	else
		keyset_unref(set);
	return r;
}

int certificate_keyset(struct bytes pem, X509_STORE *roots, int64_t now_usec,
	struct keyset **ret, const char **ret_problem)
{
	STACK_OF(X509) *all = sk_X509_new_null();

	if (!all)
		return -ENOMEM;
	int r = read_pem(pem, all, ret_problem);
	X509 *x = r == 0 ? sk_X509_value(all, 0) : NULL;
	if (x && !is_for_sns(x)) {
		*ret_problem = "it is not made out to SNS";
		r = 1;
	}
	if (r == 0)
		r = check_chain(x, all, roots, now_usec, ret_problem);
	if (r == 0)
		r = make_set(x, ret, ret_problem);
	sk_X509_pop_free(all, X509_free);
	ERR_clear_error();
	return r;
}
