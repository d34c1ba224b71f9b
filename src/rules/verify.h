/*
 * Does a message come from whom it says? Over the raw bytes, before anything is parsed;
 * compared in constant time; every key is tried. The sender never learns why not, the
 * journal does.
 */
#ifndef RULES_VERIFY_H
#define RULES_VERIFY_H

#include "rules/message.h"
#include "rules/source.h"
#include "rules/trace.h"

enum verify_verdict {
	VERIFY_OK = 0,
	VERIFY_REFUSED = 1,
	VERIFY_ASK_STORE = 2, /* an upload's own token: only the store knows it
				 (token_hash is set) */
};

#define VERIFY_TOKEN_HASH_SIZE 32

struct verify_result {
	enum verify_verdict verdict;
	enum verify_scheme scheme; /* the one that held, when OK */
	unsigned char
		token_hash[VERIFY_TOKEN_HASH_SIZE]; /* SHA-256 of the token's text */
	char reason[256]; /* when refused: words for an operator; no secret, no signature
			     in it */
};

/*
 * May the body be sent at all? Refuses when the head alone shows that no scheme can hold
 * (the signature header is missing, the token is wrong). 0 or 1 (refused, reason filled).
 */
int verify_head(const struct source *s, const struct message *m, struct bytes token,
	struct verify_result *ret) MUST_CHECK;
/*
 * The verdict on a whole message; `public_url` is the origin for {url}, or NULL. Returns
 * 0, or -ENOMEM / -EIO when OpenSSL fails (answer 503, not 401).
 */
int verify_message(const struct source *s, const struct message *m, struct bytes token,
	const char *public_url, struct verify_result *ret) MUST_CHECK;
/* The same; its steps are told to `trace`, which may be NULL. */
int verify_message_traced(const struct source *s, const struct message *m,
	struct bytes token, const char *public_url, struct trace *trace,
	struct verify_result *ret) MUST_CHECK;
/* The word of Verify=. */
const char *verify_scheme_name(enum verify_scheme scheme);
/* SHA-256 of `data`. 0 or -EIO. */
int verify_hash(
	struct bytes data, unsigned char out[static VERIFY_TOKEN_HASH_SIZE]) MUST_CHECK;

#endif
