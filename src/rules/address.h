/*
 * Where to listen, as a person writes it: "127.0.0.1:8080", "[::1]:8080" or an absolute path.
 * Read here alone, by who checks a configuration and by who opens the socket.
 */
#ifndef RULES_ADDRESS_H
#define RULES_ADDRESS_H

#include "base/macros.h"

#include <stdint.h>

struct address {
	int family;           /* AF_INET, AF_INET6 or AF_UNIX */
	unsigned char ip[16]; /* of AF_INET the first four; network order */
	uint16_t port;        /* host order; 0: the kernel chooses */
	const char *path;     /* of AF_UNIX; borrowed */
};

/* 0; -EINVAL it is none; -ENAMETOOLONG a path that no unix socket can have. */
int address_parse(const char *text, struct address *ret) MUST_CHECK;

#endif
