/* The PROXY protocol, version 2; see proxy.h. */
#include "rules/proxy.h"

#include <errno.h>

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

enum { SIGNATURE_BYTES = 12, VERSION_2 = 2, COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { FAMILY_INET = 1, FAMILY_INET6 = 2 };

int proxy_begin(struct bytes head, size_t *ret_more)
{
	size_t n = head.size < SIGNATURE_BYTES ? head.size : SIGNATURE_BYTES;

	if (memcmp(head.data, signature, n) != 0)
		return -EINVAL;
	if (head.size > SIGNATURE_BYTES) {
		unsigned char command = (unsigned char)head.data[12];
		if (command >> 4 != VERSION_2 || (command & 15) > COMMAND_PROXY)
			return -EINVAL;
	}
	if (head.size >= PROXY_FIXED_BYTES)
		*ret_more = (size_t)(unsigned char)head.data[14] << 8 |
			    (unsigned char)head.data[15];
	return 0;
}

int proxy_client(struct bytes header, char out[static FORWARDED_TEXT_SIZE])
{
	size_t more = 0;

	if (header.size < PROXY_FIXED_BYTES || proxy_begin(header, &more) < 0)
		return -EINVAL;
	const unsigned char *d = (const unsigned char *)header.data;
	if ((d[12] & 15) == COMMAND_LOCAL)
		return 1;
	size_t address = d[13] >> 4 == FAMILY_INET    ? 4
			 : d[13] >> 4 == FAMILY_INET6 ? 16
						      : 0;
	if (address == 0)
		return 1;
	if (more < 2 * address + 4 || header.size < PROXY_FIXED_BYTES + 2 * address + 4)
		return -EINVAL;
	forwarded_format(d + PROXY_FIXED_BYTES, address, out);
	return 0;
}
