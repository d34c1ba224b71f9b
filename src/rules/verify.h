/*
 * Does a message come from whom it says? Over the raw bytes, before anything is parsed;
 * compared in constant time; every key is tried. The sender never learns why not, the
 * journal does.
 */
#ifndef RULES_VERIFY_H
#define RULES_VERIFY_H

#include "rules/keyset.h"
#include "rules/message.h"
#include "rules/source.h"
#include "rules/trace.h"

enum verify_verdict {
	VERIFY_OK = 0,
	VERIFY_REFUSED = 1,
	VERIFY_ASK_STORE = 2,  /* an upload's own token: only the store knows it
				 (token_hash is set) */
	VERIFY_NEEDS_KEYS = 3, /* no without the keys at `url`, perhaps yes with them */
};

#define VERIFY_TOKEN_HASH_SIZE 32
#define VERIFY_URL_SIZE        1024 /* with its NUL; what is longer is refused */

/* What stands behind a URL that keys are wanted from. */
enum verify_keys_kind {
	VERIFY_KEYS_SET,         /* of KeysURL=: read it with keyset_of_text() */
	VERIFY_KEYS_CERTIFICATE, /* of SNS: read it with certificate_keyset() */
};

/* What a message that holds is about; of SNS alone not always a job. */
enum verify_matter {
	VERIFY_CALLBACK,
	VERIFY_SUBSCRIPTION, /* to be confirmed by a GET of `url`, which is an allowed one */
	VERIFY_UNSUBSCRIBED, /* the topic will send no more */
};

/*
 * Keys that others publish, as far as they are at hand: the set of that URL, or NULL. Never
 * waits and never fetches. Borrowed until the call of verify_ask() that asked returns.
 */
struct verify_keys {
	const struct keyset *(*find)(void *arg, const struct source *s,
		enum verify_keys_kind kind, const char *url);
	void *arg;
};

struct verify_input {
	const struct source *source;
	const struct message *message;
	struct bytes token;     /* behind the source's path; BYTES_NONE for none */
	const char *public_url; /* the origin for {url} and @target-uri, or NULL */
	const struct verify_keys *keys; /* NULL: none are at hand */
	struct trace *trace;            /* is told the steps; may be NULL */
};

struct verify_result {
	enum verify_verdict verdict;
	enum verify_scheme scheme; /* the one that held, when OK */
	unsigned char
		token_hash[VERIFY_TOKEN_HASH_SIZE]; /* SHA-256 of the token's text */
	char reason[256]; /* when refused or keys are needed: words for an operator; no
			     secret, no signature in it */
	/*
	 * When keys are needed: what for. A call with them decides. `stale`: the set is at hand
	 * and holds no key that fits; only a newer one could (the sender may have changed its
	 * keys, or the message is forged: ask seldom). Without a newer set the answer is that of
	 * VERIFY_REFUSED, with this reason.
	 */
	enum verify_keys_kind keys_kind;
	bool stale;
	enum verify_matter matter; /* when OK */
	char url[VERIFY_URL_SIZE]; /* of the keys; when OK, of a subscription; else "" */
};

/*
 * May the body be sent at all? Refuses when the head alone shows that no scheme can hold
 * (the signature header is missing, the token is wrong). 0 or 1 (refused, reason filled).
 */
int verify_head(const struct source *s, const struct message *m, struct bytes token,
	struct verify_result *ret) MUST_CHECK;
/*
 * The verdict on a whole message; `public_url` is the origin for {url}, or NULL. No keys of
 * a URL are at hand. Returns 0, or -ENOMEM / -EIO when OpenSSL fails (answer 503, not 401).
 */
int verify_message(const struct source *s, const struct message *m, struct bytes token,
	const char *public_url, struct verify_result *ret) MUST_CHECK;
/* The same with all that may be told and asked. */
int verify_ask(const struct verify_input *in, struct verify_result *ret) MUST_CHECK;
/* Without keys at hand; its steps are told to `trace`, which may be NULL. */
int verify_message_traced(const struct source *s, const struct message *m,
	struct bytes token, const char *public_url, struct trace *trace,
	struct verify_result *ret) MUST_CHECK;
/* The word of Verify=. */
const char *verify_scheme_name(enum verify_scheme scheme);
/* Whose word it is: an enum verify_scheme, 0 for none. */
unsigned verify_scheme_of(const char *word);
/* SHA-256 of `data`. 0 or -EIO. */
int verify_hash(
	struct bytes data, unsigned char out[static VERIFY_TOKEN_HASH_SIZE]) MUST_CHECK;

#endif
