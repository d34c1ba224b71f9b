/*
 * Address ranges, compared bit by bit. An IPv4-mapped IPv6 address is IPv4 wherever it
 * appears: a dual-stack listener sees ::ffff:192.0.2.1 where the operator wrote 192.0.2.0/24.
 */
#include "rules/cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#define MAPPED_BITS 96u

static void unmap(struct cidr *c)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (c->family != AF_INET6 || c->bits < MAPPED_BITS ||
		memcmp(c->address, mapped, sizeof(mapped)) != 0)
		return;
	c->family = AF_INET;
	c->bits -= MAPPED_BITS;
	memmove(c->address, c->address + 12, 4);
	memset(c->address + 4, 0, 12);
}

/* An address without a range, all its bits counting. */
static int parse_address(struct bytes text, struct cidr *ret)
{
	char copy[INET6_ADDRSTRLEN];
	struct cidr c = {0};

	if (bytes_equal(text, bytes_of("unix"))) {
		*ret = (struct cidr){.family = AF_UNIX};
		return 0;
	}
	if (text.size == 0 || text.size >= sizeof(copy) ||
		memchr(text.data, '\0', text.size))
		return -EINVAL;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	if (inet_pton(AF_INET, copy, c.address) == 1) {
		c.family = AF_INET;
		c.bits = 32;
	} else if (inet_pton(AF_INET6, copy, c.address) == 1) {
		c.family = AF_INET6;
		c.bits = 128;
	} else {
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

static int parse_bits(const char *text, unsigned max, unsigned *ret)
{
	unsigned bits = 0;
	size_t n = strlen(text);

	if (n == 0 || n > 3 || (n > 1 && text[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		bits = bits * 10 + (unsigned)(text[i] - '0');
	}
	if (bits > max)
		return -EINVAL;
	*ret = bits;
	return 0;
}

/* 192.0.2.1/24 is more likely a slip than a range: which of the two was meant? */
static bool host_bits_clear(const struct cidr *c)
{
	size_t width = c->family == AF_INET ? 32 : 128;

	for (size_t i = c->bits; i < width; i++)
		if (c->address[i / 8] >> (7 - i % 8) & 1)
			return false;
	return true;
}

int cidr_list_add(struct cidr_list *l, const char *text)
{
	struct cidr c;
	const char *slash = strchr(text, '/');
	struct bytes address = {text, slash ? (size_t)(slash - text) : strlen(text)};
	int r = parse_address(address, &c);

	if (r < 0)
		return r;
	if (slash) {
		if (c.family == AF_UNIX)
			return -EINVAL;
		r = parse_bits(slash + 1, c.bits, &c.bits);
		if (r < 0 || !host_bits_clear(&c))
			return -EINVAL;
	}
	unmap(&c);
	struct cidr *grown = reallocarray(l->ranges, l->size + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->ranges = grown;
	l->ranges[l->size++] = c;
	return 0;
}

void cidr_list_fini(struct cidr_list *l)
{
	free(l->ranges);
	*l = (struct cidr_list){0};
}

static bool contains(const struct cidr *range, const struct cidr *peer)
{
	if (range->family != peer->family)
		return false;
	size_t whole = range->bits / 8, rest = range->bits % 8;
	if (memcmp(range->address, peer->address, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	unsigned mask = (0xff00u >> rest) & 0xff;
	return ((range->address[whole] ^ peer->address[whole]) & mask) == 0;
}

bool cidr_list_contains(const struct cidr_list *l, struct bytes peer)
{
	struct cidr c;
	const char *zone = peer.size ? memchr(peer.data, '%', peer.size) : NULL;

	if (zone) /* fe80::1%eth0: the zone is no part of the address (RFC 4007, 11) */
		peer.size = (size_t)(zone - peer.data);
	if (parse_address(peer, &c) < 0)
		return false;
	unmap(&c);
	for (size_t i = 0; i < l->size; i++)
		if (contains(&l->ranges[i], &c))
			return true;
	return false;
}
