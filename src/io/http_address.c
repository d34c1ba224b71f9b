/*
 * How much each client address holds, over all connections of a server. An IPv6 client is
 * its /64: that is what one host is given, and it may use every address in it.
 */
#include "io/http_private.h"

#include <arpa/inet.h>
#include <errno.h>

static void address_key(const char *peer, char out[static FORWARDED_TEXT_SIZE])
{
	unsigned char address[16];

	if (inet_pton(AF_INET6, peer, address) == 1) {
		memset(address + 8, 0, 8);
		forwarded_format(address, 16, out);
		return;
	}
	strncpy(out, peer, FORWARDED_TEXT_SIZE - 1);
	out[FORWARDED_TEXT_SIZE - 1] = '\0';
}

static uint64_t address_cap(const struct config_limits *limits)
{
	uint64_t cap = limits->max_connections_per_address;

	if (cap == 0)
		cap = limits->max_connections / 4;
	return cap ? cap : 1;
}

int address_take(struct http_server *s, const char *peer, struct http_address **ret)
{
	char key[FORWARDED_TEXT_SIZE];

	address_key(peer, key);
	struct map_entry *e = map_find(&s->addresses, bytes_of(key));
	struct http_address *a = e ? container_of(e, struct http_address, entry) : NULL;
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return -ENOMEM;
		memcpy(a->text, key, sizeof(key));
		map_put(&s->addresses, &a->entry, bytes_of(a->text));
	} else if (a->count >= address_cap(&s->limits)) {
		return 1;
	}
	a->count++;
	*ret = a;
	return 0;
}

static void maybe_forget(struct http_server *s, struct http_address *a)
{
	if (a->count > 0 || a->bodies > 0)
		return;
	map_remove(&s->addresses, &a->entry);
	free(a);
}

void address_release(struct http_server *s, struct http_address *a)
{
	if (!a)
		return;
	a->count--;
	maybe_forget(s, a);
}

/* As of connections, nobody has more than a quarter; but one whole body always fits. */
bool address_may_hold(
	const struct http_server *s, const struct http_address *a, uint64_t more)
{
	uint64_t share = s->limits.max_body_bytes_in_flight / 4;

	if (share < s->limits.max_body_bytes)
		share = s->limits.max_body_bytes;
	return !a || (more <= share && a->body_bytes <= share - more);
}

void address_begin_body(struct http_address *a)
{
	if (a)
		a->bodies++;
}

void address_end_body(struct http_server *s, struct http_address *a, uint64_t bytes)
{
	if (!a)
		return;
	a->bodies--;
	a->body_bytes -= bytes;
	maybe_forget(s, a);
}
