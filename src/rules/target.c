/*
 * Targets and hosts; see target.h. One table says for each byte of which sets of RFC 3986
 * it is a member; '%' is a member of none and must be followed by two hex digits.
 */
#include "rules/target.h"

#include <errno.h>

enum {
	UNRESERVED = 1, /* RFC 3986, 2.3 */
	SUB_DELIM = 2,  /* RFC 3986, 2.2 */
	HEX = 4,
	DIGIT = 8,
	PATH_EXTRA = 16,  /* ':' '@' '/' of pchar and path, RFC 3986, 3.3 */
	QUERY_EXTRA = 32, /* '?' beside these, RFC 3986, 3.4 */
	/* In no grammar, and yet sent: what the URL standard (url.spec.whatwg.org, "query
	 * percent-encode set") leaves alone. RFC 9112, 3.2, has a server refuse it or
	 * redirect lest somebody repair it; nobody does here. */
	QUERY_TOLERATED = 64,
};

static const unsigned char sets[256] = {
	['0' ... '9'] = UNRESERVED | HEX | DIGIT,
	['a' ... 'f'] = UNRESERVED | HEX,
	['A' ... 'F'] = UNRESERVED | HEX,
	['g' ... 'z'] = UNRESERVED,
	['G' ... 'Z'] = UNRESERVED,
	['-'] = UNRESERVED,
	['.'] = UNRESERVED,
	['_'] = UNRESERVED,
	['~'] = UNRESERVED,
	['!'] = SUB_DELIM,
	['$'] = SUB_DELIM,
	['&'] = SUB_DELIM,
	['\''] = SUB_DELIM,
	['('] = SUB_DELIM,
	[')'] = SUB_DELIM,
	['*'] = SUB_DELIM,
	['+'] = SUB_DELIM,
	[','] = SUB_DELIM,
	[';'] = SUB_DELIM,
	['='] = SUB_DELIM,
	[':'] = PATH_EXTRA,
	['@'] = PATH_EXTRA,
	['/'] = PATH_EXTRA,
	['?'] = QUERY_EXTRA,
	['['] = QUERY_TOLERATED,
	[']'] = QUERY_TOLERATED,
	['{'] = QUERY_TOLERATED,
	['}'] = QUERY_TOLERATED,
	['|'] = QUERY_TOLERATED,
	['\\'] = QUERY_TOLERATED,
	['^'] = QUERY_TOLERATED,
	['`'] = QUERY_TOLERATED,
};

#define IN_PATH  (UNRESERVED | SUB_DELIM | PATH_EXTRA)
#define IN_QUERY (IN_PATH | QUERY_EXTRA | QUERY_TOLERATED)
#define IN_NAME  (UNRESERVED | SUB_DELIM)

static bool is(char c, unsigned set)
{
	return (sets[(unsigned char)c] & set) != 0;
}

static bool all_in(struct bytes b, unsigned set)
{
	for (size_t i = 0; i < b.size; i++) {
		if (is(b.data[i], set))
			continue;
		if (b.data[i] != '%' || b.size - i < 3 || !is(b.data[i + 1], HEX) ||
			!is(b.data[i + 2], HEX))
			return false;
		i += 2;
	}
	return true;
}

/* RFC 3986, 3.2.2. What is inside the brackets is only coarsely checked: nobody here
 * connects to it. */
static bool literal_valid(struct bytes inside)
{
	bool colon = false;

	if (inside.size > 1 && (inside.data[0] == 'v' || inside.data[0] == 'V')) {
		struct bytes rest, version = bytes_split(inside, '.', &rest);
		if (version.size < 2 || rest.size == 0)
			return false;
		for (size_t i = 1; i < version.size; i++)
			if (!is(version.data[i], HEX))
				return false;
		for (size_t i = 0; i < rest.size; i++)
			if (!is(rest.data[i], IN_NAME) && rest.data[i] != ':')
				return false;
		return true;
	}
	for (size_t i = 0; i < inside.size; i++) {
		if (inside.data[i] == ':')
			colon = true;
		else if (!is(inside.data[i], HEX) && inside.data[i] != '.')
			return false;
	}
	return colon;
}

static bool port_valid(struct bytes port)
{
	unsigned value = 0;

	for (size_t i = 0; i < port.size; i++) {
		if (!is(port.data[i], DIGIT))
			return false;
		value = value * 10 + (unsigned)(port.data[i] - '0');
		if (value > 65535)
			return false;
	}
	return true; /* RFC 3986, 3.2.3: it may be empty */
}

bool target_host_valid(struct bytes host)
{
	struct bytes port = BYTES_NONE;

	if (host.size == 0)
		return false;
	if (host.data[0] == '[') {
		const char *end = memchr(host.data, ']', host.size);
		if (!end || !literal_valid((struct bytes){
				    host.data + 1, (size_t)(end - host.data) - 1}))
			return false;
		struct bytes rest = {end + 1, host.size - (size_t)(end + 1 - host.data)};
		if (rest.size == 0)
			return true;
		return rest.data[0] == ':' &&
		       port_valid((struct bytes){rest.data + 1, rest.size - 1});
	}
	struct bytes name = bytes_split(host, ':', &port);
	return name.size > 0 && all_in(name, IN_NAME) && port_valid(port);
}

bool target_authority_valid(struct bytes text)
{
	const char *colon = text.size ? memrchr(text.data, ':', text.size) : NULL;

	/* Of a literal without a port the last colon is in the brackets. */
	return colon && colon + 1 < text.data + text.size && is(colon[1], DIGIT) &&
	       text.data[text.size - 1] != ']' && target_host_valid(text);
}

static bool starts_nocase(struct bytes whole, const char *start)
{
	struct bytes s = bytes_of(start);

	return whole.size >= s.size &&
	       bytes_equal_nocase((struct bytes){whole.data, s.size}, s);
}

/* "http://host" in front of a path: cuts it off `text`. RFC 9112, 3.2.2. */
static int take_authority(struct bytes *text, struct target *t, const char **ret_reason)
{
	size_t scheme = starts_nocase(*text, "http://")    ? 7
			: starts_nocase(*text, "https://") ? 8
							   : 0;
	if (scheme == 0) {
		*ret_reason = "target in neither origin nor absolute form";
		return -EINVAL;
	}
	size_t end = scheme;
	while (end < text->size && text->data[end] != '/' && text->data[end] != '?')
		end++;
	t->authority = (struct bytes){text->data + scheme, end - scheme};
	/* User information in an http URI is a lure (RFC 9110, 4.2.4); '@' is in no host. */
	if (!target_host_valid(t->authority)) {
		*ret_reason = "absolute form without a sound host";
		return -EINVAL;
	}
	if (end == text->size) {
		*text = bytes_of("/");
	} else if (text->data[end] == '?') {
		*ret_reason = "absolute form with a query and no path";
		return -EINVAL;
	} else {
		*text = (struct bytes){text->data + end, text->size - end};
	}
	return 0;
}

int target_parse(struct bytes text, struct target *ret, const char **ret_reason)
{
	struct target t = {.authority = BYTES_NONE};

	if (text.size == 0) {
		*ret_reason = "no target";
		return -EINVAL;
	}
	if (text.data[0] != '/') {
		int r = take_authority(&text, &t, ret_reason);
		if (r < 0)
			return r;
	}
	t.origin = text;
	t.path = bytes_split(text, '?', &t.query);
	if (!all_in(t.path, IN_PATH) || !all_in(t.query, IN_QUERY)) {
		*ret_reason = "target with bytes that have no place there";
		return -EINVAL;
	}
	*ret = t;
	return 0;
}
