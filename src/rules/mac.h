/*
 * HMAC (RFC 2104) over pieces that need not lie together. One at a time in each thread: the
 * context is the thread's own and is used again, which saves more than the hash of a small
 * body costs.
 */
#ifndef RULES_MAC_H
#define RULES_MAC_H

#include "base/bytes.h"
#include "rules/source.h"

#define MAC_SIZE_MAX 64

struct mac {
	void *context; /* the thread's; not owned */
	bool failed;   /* remembered; mac_end tells */
};

size_t mac_size(enum hash_algorithm a);
/* 0 or -EIO. `key` must not be empty. */
int mac_begin(struct mac *m, enum hash_algorithm a, struct bytes key) MUST_CHECK;
void mac_add(struct mac *m, struct bytes piece);
/* Writes mac_size() bytes. 0 or -EIO. */
int mac_end(struct mac *m, unsigned char out[static MAC_SIZE_MAX]) MUST_CHECK;

#endif
