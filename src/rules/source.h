/*
 * A source: who calls back, how it proves itself, and how its payload is read. Immutable
 * once its configuration is complete.
 */
#ifndef RULES_SOURCE_H
#define RULES_SOURCE_H

#include "rules/cidr.h"
#include "rules/field.h"
#include "rules/keyset.h"
#include "rules/words.h"

#include <stdint.h>

/* A bit each; Verify= is a set, one that holds suffices. */
enum verify_scheme {
	VERIFY_NONE = 1 << 0,
	VERIFY_TOKEN = 1 << 1,
	VERIFY_HEADER = 1 << 2,
	VERIFY_BASIC = 1 << 3,
	VERIFY_HMAC = 1 << 4,
	VERIFY_STANDARD_WEBHOOKS = 1 << 5,
	VERIFY_TWILIO = 1 << 6,
	VERIFY_ED25519 = 1 << 7,
	VERIFY_SNS = 1 << 8,
	VERIFY_JWT = 1 << 9,
	VERIFY_HTTP_SIGNATURE = 1 << 10,
};

enum hash_algorithm { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 };
enum text_encoding { ENCODING_RAW, ENCODING_HEX, ENCODING_BASE64 };
enum signature_style { STYLE_PLAIN, STYLE_PAIRS, STYLE_LIST };

struct secret {
	unsigned char *data; /* as used: prefix stripped and decoded; zeroed when freed */
	size_t size;         /* 0: of no use to hmac */
	unsigned char *
		text; /* as in the file, less one newline (token, header, basic use it) */
	size_t text_size;
	unsigned char *whsec; /* standard-webhooks: less whsec_, from base64; else NULL */
	size_t whsec_size;
	/* Of the schemes with public keys: it holds some, and is no shared secret. Or NULL. */
	struct keyset *keys;
	char *file; /* as written in the configuration, for messages */
};

/* What `hmac` checks. */
struct signature_rule {
	struct field place; /* header:NAME or form:NAME; SignatureHeader= */
	enum hash_algorithm algorithm;
	enum text_encoding encoding; /* hex or base64 */
	char *prefix;                /* "" for none */
	enum signature_style style;
	char *signature_field, *timestamp_field; /* of style pairs: "v1", "t" */
	char *content;          /* template over {id} {timestamp} {body} {url} {form} */
	char *timestamp_header; /* NULL for none */
	uint64_t tolerance_usec;
	char *key_prefix; /* "" for none */
	enum text_encoding key_encoding;
};

struct hook;

struct source {
	char *name;
	char *preset; /* NULL for none */
	char *path;
	unsigned verify; /* set of enum verify_scheme; never 0 in a complete configuration
			  */
	struct secret *secrets;
	size_t n_secrets;
	struct field_list id, status, delivery;
	struct condition_list where;
	struct words success, error, canceled, pending;
	struct cidr_list allow;
	char *token_header;
	struct signature_rule signature;
	char *keys_url; /* NULL for none */
	struct words issuers, audience,
		subject;         /* jwt: any one of each that is not empty */
	struct words topics;     /* sns */
	struct words components; /* http-signature: as in CoveredComponents= */
	bool confirm, reopen;
	char *status_url, *upload_url, *upload_owner; /* NULL for none */
	struct secret *api_key;                       /* NULL for none */
	char *api_key_header;
	char *ca_file; /* resolved path or NULL */
	uint64_t expect_within_usec, give_up_usec;
	char *answer; /* the 200's body; "{}" unless a preset knows better */
	/* Those that may want what comes to it, once the configuration is complete (NULL until
	 * then); they are the configuration's. */
	struct hook **hooks;
	size_t n_hooks;
	char *echo; /* the member of a verified payload that the answer repeats; or NULL */
};

/* Can it be asked for a job's status? */
static inline bool source_answers(const struct source *s)
{
	return s->status_url && s->status.size > 0;
}
/*
 * "X-API-Key: KEY", owned by the caller, who wipes it (bytes_wipe); NULL where there is no key. 0;
 * -ENOMEM; -EINVAL: the key holds bytes that no header can carry.
 */
int source_key_header(const struct source *s, char **ret) MUST_CHECK;
/*
 * Overwrites our key with stars wherever the service repeats it in what it says ("invalid key
 * k-…"). A key of less than eight bytes may be part of any word and is left.
 */
void source_hide_key(const struct source *s, char *text, size_t size);

void source_free(struct source *s);
/* Overwrites and frees what it holds. */
void secret_fini(struct secret *s);

#endif
