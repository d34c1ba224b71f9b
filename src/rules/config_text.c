/*
 * Is it a header's name, a URL, an address? Looks at what a person wrote, before anything
 * is made of it; see config_build.h.
 */
#include "rules/config_build.h"

#include "rules/address.h"
#include "rules/head.h"
#include "rules/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

const char *config_text_header(const char *text)
{
	return head_is_token(bytes_of(text)) ? NULL : "the name of a header is wanted";
}

const char *config_text_variable(const char *text)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	if (!*text || (*text >= '0' && *text <= '9') || text[strspn(text, letters)])
		return "the name of a variable is made of letters, digits and _";
	return NULL;
}

/* "1" to "65535", and nothing behind it. */
static bool is_port(const char *text)
{
	unsigned port = 0;
	size_t n = strspn(text, "0123456789");
	if (n == 0 || n > 5 || text[n])
		return false;
	for (size_t i = 0; i < n; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	return port >= 1 && port <= 65535;
}

static bool is_ipv6(const char *text, size_t size)
{
	char copy[INET6_ADDRSTRLEN];
	unsigned char address[16];
	if (size == 0 || size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	return inet_pton(AF_INET6, copy, address) == 1;
}

const char *config_text_address(const char *text)
{
	struct address address;
	int r = address_parse(text, &address);
	if (r == -ENAMETOOLONG)
		return "the path is too long for a unix socket";
	return r < 0 ? "ADDR:PORT, [V6]:PORT or an absolute path is wanted" : NULL;
}

/* Past the host and its port; NULL when there is none. */
static const char *skip_authority(const char *p)
{
	static const char host[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	char port[8];
	size_t size = strcspn(p, "/?");
	const char *end = p + size;
	size_t n = strspn(p, host);
	if (p[0] == '[') {
		const char *close = memchr(p, ']', size);
		if (!close || !is_ipv6(p + 1, (size_t)(close - p - 1)))
			return NULL;
		n = (size_t)(close + 1 - p);
	}
	if (n == 0)
		return NULL;
	if (n == size)
		return end;
	size_t rest = size - n - 1;
	if (p[n] != ':' || rest >= sizeof(port))
		return NULL;
	memcpy(port, p + n + 1, rest);
	port[rest] = '\0';
	return is_port(port) ? end : NULL;
}

/* The start of a URL: behind its authority, or NULL and *ret_reason. */
static const char *skip_origin(const char *text, const char **ret_reason)
{
	size_t n = strncasecmp(text, "https://", 8) == 0  ? 8
		   : strncasecmp(text, "http://", 7) == 0 ? 7
							  : 0;
	*ret_reason = "an http:// or https:// URL is wanted";
	if (n == 0)
		return NULL;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f) {
			*ret_reason = "a URL has no blanks and nothing but ASCII";
			return NULL;
		}
	if (memchr(text + n, '@', strcspn(text + n, "/?#"))) {
		*ret_reason = "a URL must not hold a user or a password";
		return NULL;
	}
	if (strchr(text, '#')) {
		*ret_reason = "a URL that is asked for has no #fragment";
		return NULL;
	}
	*ret_reason = "the URL's host or port is wrong";
	return skip_authority(text + n);
}

const char *config_text_url(const char *text)
{
	const char *reason;
	return skip_origin(text, &reason) ? NULL : reason;
}

const char *config_text_origin(const char *text)
{
	const char *reason;
	const char *rest = skip_origin(text, &reason);
	if (!rest)
		return reason;
	return rest[0] == '\0' || strcmp(rest, "/") == 0
		       ? NULL
		       : "the origin alone is wanted, such as "
			 "https://callbacks.example.org";
}

const char *config_text_target(const char *text)
{
	struct target target;
	const char *reason;

	if (text[0] != '/')
		return "a path begins with /";
	if (strpbrk(text, "?#"))
		return "a path has no query and no fragment";
	/* What the listener does not take would never be asked for. */
	if (target_parse(bytes_of(text), &target, &reason) < 0)
		return "a path is compared as it is sent: no blanks, no controls, "
		       "anything but ASCII and all of \"<>[]{}|\\^` as %XX";
	return strcmp(text, "/healthz") == 0 ? "/healthz is the daemon's own" : NULL;
}
