/*
 * The PROXY protocol, version 2 (HAProxy, proxy-protocol.txt, 2.2): who is behind the
 * balancer, in 16 bytes and what they announce. A pure reader of bytes; the listener takes
 * exactly as many from the socket as this asks for.
 */
#ifndef RULES_PROXY_H
#define RULES_PROXY_H

#include "rules/forwarded.h"

#define PROXY_FIXED_BYTES 16
#define PROXY_KEPT_BYTES  (PROXY_FIXED_BYTES + 36) /* with two IPv6 addresses and ports */

/* Whether the first `head.size` (1 to 16) bytes can begin a header; at 16 *ret_more is how
 * many bytes follow. 0 or -EINVAL. */
int proxy_begin(struct bytes head, size_t *ret_more) MUST_CHECK;
/*
 * The header's first min(16 + more, PROXY_KEPT_BYTES) bytes. 0 and the client's address in
 * `out`; 1: the balancer speaks for itself (LOCAL, or no internet address): the connection's
 * own address counts; -EINVAL.
 */
int proxy_client(struct bytes header, char out[static FORWARDED_TEXT_SIZE]) MUST_CHECK;

#endif
