/* Client addresses behind proxies; see forwarded.h. */
#include "rules/forwarded.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

_Static_assert(FORWARDED_TEXT_SIZE >= INET6_ADDRSTRLEN, "room for every address");

void forwarded_format(
	const unsigned char *address, size_t size, char out[static FORWARDED_TEXT_SIZE])
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (size == 16 && memcmp(address, mapped, sizeof(mapped)) == 0) {
		address += 12;
		size = 4;
	}
	if (!inet_ntop(size == 4 ? AF_INET : AF_INET6, address, out, FORWARDED_TEXT_SIZE))
		out[0] = '\0';
}

int forwarded_address(struct bytes text, char out[static FORWARDED_TEXT_SIZE])
{
	char copy[FORWARDED_TEXT_SIZE];
	unsigned char address[16];

	if (text.size && text.data[0] == '[') { /* [2001:db8::1]:4711 */
		const char *end = memchr(text.data, ']', text.size);
		if (!end)
			return -EINVAL;
		text = (struct bytes){text.data + 1, (size_t)(end - text.data) - 1};
	} else if (text.size) { /* 192.0.2.1:4711, as some balancers write it */
		struct bytes port, host = bytes_split(text, ':', &port);
		if (port.data && !memchr(port.data, ':', port.size))
			text = host;
	}
	if (text.size == 0 || text.size >= sizeof(copy) ||
		memchr(text.data, '\0', text.size))
		return -EINVAL;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	if (inet_pton(AF_INET, copy, address) == 1)
		forwarded_format(address, 4, out);
	else if (inet_pton(AF_INET6, copy, address) == 1)
		forwarded_format(address, 16, out);
	else
		return -EINVAL;
	return 0;
}

/* The last element of a comma list, cut off its end. */
static struct bytes take_last(struct bytes *list)
{
	const char *comma = list->size ? memrchr(list->data, ',', list->size) : NULL;
	struct bytes last = *list;

	if (!comma) {
		*list = BYTES_NONE;
		return bytes_trim(last);
	}
	size_t at = (size_t)(comma - list->data);
	last = (struct bytes){comma + 1, list->size - at - 1};
	list->size = at;
	return bytes_trim(last);
}

struct bytes forwarded_client(const struct message *m, const struct cidr_list *trusted,
	char out[static FORWARDED_TEXT_SIZE])
{
	size_t n = m->peer.size < FORWARDED_TEXT_SIZE ? m->peer.size : 0;

	if (n)
		memcpy(out, m->peer.data, n);
	out[n] = '\0';
	/* Several lines are one list, in their order (RFC 9110, 5.3). */
	for (size_t i = m->n_headers; i-- > 0;) {
		if (!bytes_equal_nocase(m->headers[i].name, bytes_of("X-Forwarded-For")))
			continue;
		struct bytes list = m->headers[i].value;
		while (list.data) {
			char address[FORWARDED_TEXT_SIZE];
			struct bytes element = take_last(&list);
			if (element.size == 0) /* empty elements do not count, 5.6.1 */
				continue;
			if (forwarded_address(element, address) < 0)
				return bytes_of(out);
			memcpy(out, address, FORWARDED_TEXT_SIZE);
			if (!cidr_list_contains(trusted, bytes_of(out)))
				return bytes_of(out);
		}
	}
	return bytes_of(out);
}
