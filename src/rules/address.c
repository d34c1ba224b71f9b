/* Addresses to listen on, and those to keep away from; see address.h. */
#include "rules/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

/* ---- What is public ---- */

#define HTTPS_PORT 443

struct block {
	unsigned char ip[16];
	unsigned bits;
};

static bool is_in(const unsigned char *ip, const struct block *b)
{
	size_t whole = b->bits / 8;
	unsigned mask = 0xff00u >> b->bits % 8 & 0xff;

	return memcmp(ip, b->ip, whole) == 0 &&
	       (b->bits % 8 == 0 || (ip[whole] & mask) == b->ip[whole]);
}

static bool is_public_v4(const unsigned char ip[static 4])
{
	/* clang-format off */
	static const struct block kept[] = {
		{{0}, 8},               {{10}, 8},           {{100, 64}, 10},
		{{127}, 8},             {{169, 254}, 16},    {{172, 16}, 12},
		{{192, 0, 0}, 24},      {{192, 0, 2}, 24},   {{192, 31, 196}, 24},
		{{192, 52, 193}, 24},   {{192, 88, 99}, 24}, {{192, 168}, 16},
		{{192, 175, 48}, 24},   {{198, 18}, 15},     {{198, 51, 100}, 24},
		{{203, 0, 113}, 24},    {{224}, 3}, /* groups, and what is reserved */
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (is_in(ip, &kept[i]))
			return false;
	return true;
}

static bool is_public_v6(const unsigned char ip[static 16])
{
	static const struct block global = {{0x20}, 3}; /* RFC 4291, 2.4 */
	/* Of IPv4 by DNS64 (RFC 6052): the only road there for who has no other. */
	static const struct block nat64 = {{0, 0x64, 0xff, 0x9b}, 96};
	static const struct block kept[] = {
		{{0x20, 0x01}, 23}, /* protocols, Teredo and ORCHID among them */
		{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
		{{0x20, 0x02}, 16},             /* 6to4 */
		{{0x3f, 0xff}, 20},             /* documentation */
	};

	if (is_in(ip, &nat64))
		return is_public_v4(ip + 12);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (is_in(ip, &kept[i]))
			return false;
	return is_in(ip, &global);
}

bool address_is_public(const struct sockaddr *a, socklen_t size)
{
	struct sockaddr_in6 six;
	struct sockaddr_in four;

	if (a->sa_family == AF_INET && size >= sizeof(four)) {
		memcpy(&four, a, sizeof(four));
		return four.sin_port == htons(HTTPS_PORT) &&
		       is_public_v4((const unsigned char *)&four.sin_addr);
	}
	if (a->sa_family == AF_INET6 && size >= sizeof(six)) {
		memcpy(&six, a, sizeof(six));
		return six.sin6_port == htons(HTTPS_PORT) &&
		       is_public_v6(six.sin6_addr.s6_addr);
	}
	return false;
}
