/*
 * Who the client is when a proxy we trust says so: X-Forwarded-For, read from the right,
 * because only its right end was written by somebody we know.
 */
#ifndef RULES_FORWARDED_H
#define RULES_FORWARDED_H

#include "rules/cidr.h"
#include "rules/message.h"

#define FORWARDED_TEXT_SIZE 46 /* INET6_ADDRSTRLEN */

/*
 * `m` came from a trusted proxy whose address is m->peer. The nearest address that is not a
 * trusted proxy itself; all of them trusted: the farthest. What cannot be read as an address
 * ends the search, and the last one understood counts. Writes it to `out`, NUL-terminated.
 */
struct bytes forwarded_client(const struct message *m, const struct cidr_list *trusted,
	char out[static FORWARDED_TEXT_SIZE]);

/* An address as text, as struct message has peers: shortest form, IPv4-mapped as IPv4. 0 or
 * -EINVAL. `text` may have a port behind it, and brackets. */
int forwarded_address(struct bytes text, char out[static FORWARDED_TEXT_SIZE]) MUST_CHECK;
/* The same from 4 or 16 bytes in network order. */
void forwarded_format(
	const unsigned char *address, size_t size, char out[static FORWARDED_TEXT_SIZE]);

#endif
