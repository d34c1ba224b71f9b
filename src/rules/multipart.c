/* A strict reader of multipart/form-data; see multipart.h. */
#include "rules/multipart.h"

#include "rules/head.h"

static const struct bytes crlf = {"\r\n", 2};

static struct bytes skip(struct bytes b, size_t n)
{
	return (struct bytes){b.data + n, b.size - n};
}

/* A quoted string that *b begins with; *ret_escaped when there is a backslash in it. */
static bool take_quoted(struct bytes *b, struct bytes *ret, bool *ret_escaped)
{
	size_t i = 1;

	*ret_escaped = false;
	for (; i < b->size && b->data[i] != '"'; i++) {
		unsigned char c = (unsigned char)b->data[i];
		if (c < ' ' || c == 0x7f)
			return false;
		if (c == '\\') {
			*ret_escaped = true;
			i++;
		}
	}
	if (i >= b->size)
		return false;
	*ret = (struct bytes){b->data + 1, i - 1};
	*b = skip(*b, i + 1);
	return true;
}

struct parameter {
	struct bytes name, value;
	bool escaped; /* the value holds a backslash, and readers differ about those */
};

/* The next "; name=value" of *rest. 0, 1 at the end, 2 when it is none. */
static int take_parameter(struct bytes *rest, struct parameter *ret)
{
	struct bytes b = bytes_trim(*rest), value;

	if (b.size == 0)
		return 1;
	if (b.data[0] != ';')
		return 2;
	b = bytes_trim(skip(b, 1));
	ret->escaped = false;
	ret->name = bytes_split(b, '=', &value);
	if (!head_is_token(ret->name) || value.size == 0)
		return 2;
	if (value.data[0] == '"') {
		if (!take_quoted(&value, &ret->value, &ret->escaped))
			return 2;
	} else {
		size_t n = 0;
		while (n < value.size && head_is_token_char(value.data[n]))
			n++;
		ret->value = (struct bytes){value.data, n};
		value = skip(value, n);
		if (n == 0)
			return 2;
	}
	*rest = value;
	return 0;
}

struct bytes multipart_media_type(struct bytes content_type)
{
	struct bytes rest;

	return bytes_trim(bytes_split(content_type, ';', &rest));
}

/*
 * The one parameter `wanted` of a value like form-data; name="x". 0 and *ret; 1: not there,
 * there twice, with a backslash in it, or the parameters are none.
 */
static int one_parameter(struct bytes value, const char *wanted, struct bytes *ret)
{
	struct bytes rest = skip(value, value.size), found = BYTES_NONE;
	const char *semicolon = memchr(value.data, ';', value.size);
	struct parameter p;
	int r;

	if (semicolon)
		rest = skip(value, (size_t)(semicolon - value.data));
	while ((r = take_parameter(&rest, &p)) == 0) {
		if (!bytes_equal_nocase(p.name, bytes_of(wanted)))
			continue;
		if (found.data || p.escaped)
			return 1;
		found = p.value;
	}
	if (r == 2 || !found.data)
		return 1;
	*ret = found;
	return 0;
}

/* RFC 2046, 5.1.1: bchars, and no blank at the end. */
static bool is_boundary(struct bytes b)
{
	for (size_t i = 0; i < b.size; i++) {
		char c = b.data[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') ||
			    (c != '\0' && strchr("'()+_,-./:=? ", c))))
			return false;
	}
	return b.size > 0 && b.size <= MULTIPART_BOUNDARY_MAX &&
	       b.data[b.size - 1] != ' ';
}

int multipart_boundary(
	struct multipart *m, struct bytes content_type, const char **ret_reason)
{
	struct bytes boundary;

	*m = (struct multipart){0};
	if (!content_type.data ||
		one_parameter(content_type, "boundary", &boundary) != 0 ||
		!is_boundary(boundary)) {
		*ret_reason = "Content-Type names no boundary of the form's parts";
		return 1;
	}
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary.data, boundary.size);
	m->delimiter_size = 4 + boundary.size;
	return 0;
}

int multipart_begin(struct multipart *m, struct bytes body, const char **ret_reason)
{
	struct bytes first = {m->delimiter + 2, m->delimiter_size - 2};

	m->n_parts = 0;
	if (!body.data || !bytes_starts(body, first)) {
		*ret_reason = "the form does not begin with its boundary";
		return 1;
	}
	m->rest = skip(body, first.size);
	return 0;
}

/* One "Name: value" line of a part. NULL, or why not. */
static const char *read_header(struct bytes line, struct bytes *name)
{
	struct bytes value, key = bytes_split(line, ':', &value);

	if (!head_is_token(key) || !value.data)
		return "a part of the form has a header that is none";
	value = bytes_trim(value);
	for (size_t i = 0; i < value.size; i++)
		if ((unsigned char)value.data[i] < ' ' && value.data[i] != '\t')
			return "a part of the form has a header that is none";
	if (bytes_equal_nocase(key, bytes_of("Content-Transfer-Encoding")) &&
		!bytes_equal_nocase(value, bytes_of("binary")) &&
		!bytes_equal_nocase(value, bytes_of("8bit")) &&
		!bytes_equal_nocase(value, bytes_of("7bit")))
		return "a part of the form is encoded (RFC 7578, 4.7, forbids it)";
	if (!bytes_equal_nocase(key, bytes_of("Content-Disposition")))
		return NULL;
	if (name->data)
		return "a part of the form has two names";
	if (!bytes_equal_nocase(multipart_media_type(value), bytes_of("form-data")) ||
		one_parameter(value, "name", name) != 0)
		return "a part of the form has no name";
	return NULL;
}

/* The lines up to the empty one; *rest is then the part's content. NULL, or why not. */
static const char *read_head(
	const struct multipart *m, struct bytes *rest, struct bytes *name)
{
	struct bytes delimiter = {m->delimiter + 2, m->delimiter_size - 2};
	size_t left = MULTIPART_HEAD_MAX;

	*name = BYTES_NONE;
	for (;;) {
		size_t room = rest->size < left ? rest->size : left;
		const char *end = memmem(rest->data, room, "\r\n", 2);
		if (!end)
			return "a part of the form has no end of its headers";
		struct bytes line = {rest->data, (size_t)(end - rest->data)};
		*rest = skip(*rest, line.size + 2);
		left -= line.size + 2;
		if (line.size == 0)
			return name->data ? NULL : "a part of the form has no name";
		if (bytes_starts(line, delimiter))
			return "a part of the form ends within its headers";
		const char *problem = read_header(line, name);
		if (problem)
			return problem;
	}
}

int multipart_next(
	struct multipart *m, struct multipart_part *ret, const char **ret_reason)
{
	struct bytes rest = m->rest, name;
	const char *problem;

	if (bytes_starts(rest, bytes_of("--"))) {
		rest = skip(rest, 2);
		if (rest.size == 0 || bytes_equal(rest, crlf))
			return 1;
		*ret_reason = "there is something behind the form's end";
		return 2;
	}
	if (!bytes_starts(rest, crlf)) {
		*ret_reason = rest.size == 0
				      ? "the form is cut short"
				      : "the form's boundary stands in its content";
		return 2;
	}
	if (m->n_parts++ == MULTIPART_PARTS_MAX) {
		*ret_reason = "the form has too many parts";
		return 2;
	}
	rest = skip(rest, 2);
	problem = read_head(m, &rest, &name);
	if (problem) {
		*ret_reason = problem;
		return 2;
	}
	/* Some readers take the empty line's end for the delimiter's beginning. */
	if (bytes_starts(rest, (struct bytes){m->delimiter + 2, m->delimiter_size - 2})) {
		*ret_reason = "the form's boundary stands in its content";
		return 2;
	}
	const char *end = memmem(rest.data, rest.size, m->delimiter, m->delimiter_size);
	if (!end) {
		*ret_reason = "the form is cut short";
		return 2;
	}
	size_t size = (size_t)(end - rest.data);
	*ret = (struct multipart_part){name, {rest.data, size}};
	m->rest = skip(rest, size + m->delimiter_size);
	return 0;
}
