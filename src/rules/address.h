/*
 * Where to listen, as a person writes it: "127.0.0.1:8080", "[::1]:8080" or an absolute path.
 * Read here alone, by who checks a configuration and by who opens the socket. And where not to
 * connect to at somebody else's word.
 */
#ifndef RULES_ADDRESS_H
#define RULES_ADDRESS_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	int family;           /* AF_INET, AF_INET6 or AF_UNIX */
	unsigned char ip[16]; /* of AF_INET the first four; network order */
	uint16_t port;        /* host order; 0: the kernel chooses */
	const char *path;     /* of AF_UNIX; borrowed */
};

/* 0; -EINVAL it is none; -ENAMETOOLONG a path that no unix socket can have. */
int address_parse(const char *text, struct address *ret) MUST_CHECK;
/*
 * Does it stand in the public Internet, and on port 443? Not: what IANA's registries of
 * special-purpose addresses (RFC 6890) keep for ourselves, our networks, carriers, tunnels,
 * documentation or groups, nor a form of IPv6 that hides such a one of IPv4.
 */
bool address_is_public(const struct sockaddr *a, socklen_t size);

#endif
