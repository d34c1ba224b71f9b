/*
 * The public keys that others publish: what stands at KeysURL=, and the certificates that SNS
 * names. Fetched when a callback first needs them, one fetch for all who wait, and kept:
 *
 *   absent ─► fetched ─► fresh ─► old: used on, fetched anew ─► KEYRING_KEPT_USEC old: absent
 *      ▲         │                        ▲          │
 *      └─ pause ─┴─ fails             pause ◄────────┘ fails
 *
 * Sets never change: who holds one may use it to the end. The journal is told of a URL when
 * its keys come, differ, or cannot be had any more; never of each callback.
 */
#ifndef FLOW_KEYRING_H
#define FLOW_KEYRING_H

#include "flow/flow.h"
#include "rules/verify.h"

#define KEYRING_WAIT_USEC    (5 * USEC_PER_SEC)    /* a callback waits so long */
#define KEYRING_WAITING_MAX  1024                  /* callbacks */
#define KEYRING_FRESH_USEC   (3600 * USEC_PER_SEC) /* without a max-age */
#define KEYRING_FRESH_MIN    (300 * USEC_PER_SEC)  /* whatever max-age says */
#define KEYRING_FRESH_MAX    (24 * 3600 * USEC_PER_SEC)
#define KEYRING_KEPT_USEC    (24 * 3600 * USEC_PER_SEC) /* behind its freshness */
#define KEYRING_RENEW_USEC   (60 * USEC_PER_SEC) /* for the sake of an unknown key id */
#define KEYRING_PAUSE_MAX    (30 * USEC_PER_SEC) /* between failures; from 1 s on */
#define KEYRING_CERTS_MAX    32           /* at hand; the one not used longest goes */
#define KEYRING_CERTS_USEC   USEC_PER_SEC /* one fetch of a certificate each, … */
#define KEYRING_CERTS_BURST  20           /* … so many at once after a rest */
#define KEYRING_ANSWER_BYTES (64u << 10)

struct keyring;
struct keyring_wait;

int keyring_new(struct keyring **ret, struct flow *flow) MUST_CHECK;
/* After fetch_pool_free(). Who still waits is forgotten: on_keys does not come. NULL is fine. */
void keyring_free(struct keyring *k);
/* A new configuration: URLs of nobody's are forgotten, pauses end, what is kept is old: a
 * reload is how somebody says that keys have changed. */
void keyring_refresh(struct keyring *k);

/*
 * verify_keys.find, with the keyring as `arg`. peek only looks; find also has keys that are old
 * fetched anew behind the scenes. Borrowed until the loop turns.
 */
const struct keyset *keyring_peek(void *keyring, const struct source *s,
	enum verify_keys_kind kind, const char *url);
const struct keyset *keyring_find(void *keyring, const struct source *s,
	enum verify_keys_kind kind, const char *url);

enum keyring_verdict {
	KEYRING_CAME = 0, /* there is a newer set: verify again */
	KEYRING_NEWEST =
		1, /* what is at hand is as new as can be had: the verdict stands */
	KEYRING_ABSENT = 2, /* not to be had now: let the sender repeat it */
};
/*
 * Has the keys fetched that VERIFY_NEEDS_KEYS in `v` is about, unless they are on their way.
 * KEYRING_CAME: they may come; on_keys comes once, from the loop, with CAME or ABSENT, at
 * `deadline_usec` (monotonic) at the latest. Else the verdict, or -ENOMEM; then it does not come.
 */
int keyring_await(struct keyring *k, const struct source *s,
	const struct verify_result *v, uint64_t deadline_usec,
	void (*on_keys)(void *arg, enum keyring_verdict verdict), void *arg,
	struct keyring_wait **ret) MUST_CHECK;
/* on_keys will not come. */
void keyring_forget(struct keyring_wait *w);

struct keyring_state { /* of one URL */
	const char *url;
	enum verify_keys_kind kind;
	size_t n_keys;        /* 0: none at hand */
	int64_t fetched_usec; /* wall clock, of what is at hand; 0 = none */
	int64_t tried_usec;   /* wall clock, of the last attempt; 0 = none */
	uint64_t asked;       /* attempts since start */
	unsigned waiting;     /* callbacks */
	const char *trouble;  /* why the last attempt failed; NULL = it did not */
};
/* Of one source's URL; all zero but url and kind where it was not wanted yet. */
void keyring_look(const struct keyring *k, const struct source *s,
	enum verify_keys_kind kind, const char *url, struct keyring_state *ret);
/* All that were wanted, in the order of their last use; `ret` is borrowed. */
void keyring_each(const struct keyring *k,
	void (*tell)(void *arg, const struct keyring_state *ret), void *arg);

#endif
