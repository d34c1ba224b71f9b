/* Addresses to listen on; see address.h. */
#include "rules/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/un.h>

/* "0" to "65535", nothing before and nothing behind it. */
static int parse_port(const char *text, uint16_t *ret)
{
	unsigned value = 0;
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 5 || text[n])
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (unsigned)(text[i] - '0');
	if (value > 65535)
		return -EINVAL;
	*ret = (uint16_t)value;
	return 0;
}

static int parse_inet(const char *text, struct address *a)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN];

	if (!colon || parse_port(colon + 1, &a->port) < 0)
		return -EINVAL;
	size_t size = (size_t)(colon - text);
	a->family = AF_INET;
	if (text[0] == '[') {
		if (size < 2 || text[size - 1] != ']')
			return -EINVAL;
		a->family = AF_INET6;
		text++;
		size -= 2;
	}
	if (size >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, size);
	host[size] = '\0';
	return inet_pton(a->family, host, a->ip) == 1 ? 0 : -EINVAL;
}

int address_parse(const char *text, struct address *ret)
{
	struct address a = {.family = AF_UNIX, .path = text};

	if (text[0] != '/') {
		a.path = NULL;
		if (parse_inet(text, &a) < 0)
			return -EINVAL;
	} else if (strlen(text) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		return -ENAMETOOLONG;
	}
	*ret = a;
	return 0;
}
