/* Address ranges: AllowFrom= and TrustedProxy=. IPv4-mapped IPv6 addresses count as IPv4.
 */
#ifndef RULES_CIDR_H
#define RULES_CIDR_H

#include "base/bytes.h"

struct cidr {
	int family; /* AF_INET, AF_INET6, AF_UNIX for the word "unix" */
	unsigned char address[16];
	unsigned bits;
};

struct cidr_list {
	struct cidr *ranges;
	size_t size;
};

/* "192.0.2.0/24", "2001:db8::/32", "192.0.2.1", "unix". 0, -ENOMEM, or -EINVAL (host bits
 * set too). */
int cidr_list_add(struct cidr_list *l, const char *text) MUST_CHECK;
void cidr_list_fini(struct cidr_list *l);
/* `peer` as in struct message. */
bool cidr_list_contains(const struct cidr_list *l, struct bytes peer);

#endif
