/*
 * Inside of keyring: a place a URL. keyring.c decides who waits and when it is asked;
 * keyring_place.c is what an answer makes of a place. Nobody else includes this.
 */
#ifndef FLOW_KEYRING_PRIVATE_H
#define FLOW_KEYRING_PRIVATE_H

#include "base/bucket.h"
#include "base/map.h"
#include "flow/keyring.h"

#include <sys/queue.h>

struct keyring_wait {
	TAILQ_ENTRY(keyring_wait) entry;
	struct place *place;
	struct event *deadline;
	uint64_t round; /* the attempt that it waits for */
	void (*on_keys)(void *arg, enum keyring_verdict verdict);
	void *arg;
};

/* One URL, as one file of authorities judges it. */
struct place {
	struct map_entry by_key;
	TAILQ_ENTRY(place) used;
	struct keyring *ring;
	char *key; /* KIND CAFILE\nURL */
	const char *url;
	char *ca_file; /* or NULL */
	enum verify_keys_kind kind;
	char *source; /* who asked first, for the journal */
	struct keyset *keys;
	char *text; /* that they were read from: does a new one differ? */
	size_t text_size;
	struct fetch *fetch;
	bool telling; /* those who waited: it stays */
	TAILQ_HEAD(, keyring_wait) waiting;
	unsigned n_waiting;
	struct bucket renewals;
	int64_t fetched_usec, tried_usec; /* wall clock */
	uint64_t old_usec;                /* monotonic, as those below; with keys */
	uint64_t gone_usec;
	uint64_t pause_usec, again_usec; /* after a failure */
	uint64_t asked;
	int ailment; /* with trouble: negative errno, or the answer's status */
	char *trouble;
};

struct keyring {
	struct flow *flow;
	struct map by_key;
	TAILQ_HEAD(, place) used; /* longest ago first */
	unsigned n_waiting, n_certificates;
	struct bucket certificates;
};

/* An answer came: keys, or a pause until the next attempt. True: there are newer keys. */
bool place_take(struct place *p, const struct fetch_answer *a);
void place_drop_keys(struct place *p);

#endif
