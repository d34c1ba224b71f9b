/*
 * The head check; see head.h. First lines, then the request line, then each field's form,
 * last what the fields mean for the framing. The first thing that is wrong decides; nothing
 * is repaired.
 */
#include "rules/head.h"

#include "rules/target.h"

#include <errno.h>

enum {
	BAD = 400,
	NO_SUCH_PATH = 404,
	TARGET_TOO_LONG = 414,
	BAD_CODING = 415,
	BAD_EXPECT = 417,
	TOO_LARGE = 431
};

static const char token_extra[] = "!#$%&'*+-.^_`|~";

bool head_is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr(token_extra, c));
}

bool head_is_value_char(char c)
{
	unsigned char u = (unsigned char)c;

	return u == '\t' || (u >= 0x20 && u != 0x7f);
}

bool head_is_token(struct bytes b)
{
	for (size_t i = 0; i < b.size; i++)
		if (!head_is_token_char(b.data[i]))
			return false;
	return b.size > 0;
}

ptrdiff_t head_find_end(struct bytes input, const struct head_limits *limits)
{
	size_t window = input.size < limits->max_head_bytes ? input.size
							    : limits->max_head_bytes;
	const char *d = input.data;

	for (size_t at = 0; at < window;) {
		const char *lf = memchr(d + at, '\n', window - at);
		size_t end = lf ? (size_t)(lf - d) : window;
		const char *nul = memchr(d + at, '\0', end - at);
		if (nul)
			return nul - d + 1;
		if (!lf)
			break;
		if (end == 0 || d[end - 1] != '\r')
			return (ptrdiff_t)end + 1;
		if (end >= 3 && d[end - 2] == '\n')
			return (ptrdiff_t)end + 1;
		at = end + 1;
	}
	return input.size >= limits->max_head_bytes ? -EMSGSIZE : 0;
}

int head_overflow(struct bytes input, const char **ret_reason)
{
	if (input.size && memchr(input.data, '\n', input.size)) {
		*ret_reason = "head too large";
		return TOO_LARGE;
	}
	*ret_reason = "request line too long";
	return TARGET_TOO_LONG;
}

/* One line without its CRLF, cut off the front of *rest. */
static int take_line(struct bytes *rest, struct bytes *ret, const char **ret_reason)
{
	const char *lf = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;

	if (!lf) {
		*ret_reason = "head without an end";
		return BAD;
	}
	size_t size = (size_t)(lf - rest->data);
	if (size == 0 || lf[-1] != '\r') {
		*ret_reason = "LF without CR";
		return BAD;
	}
	*ret = (struct bytes){rest->data, size - 1};
	if (ret->size && memchr(ret->data, '\r', ret->size)) {
		*ret_reason = "CR without LF";
		return BAD;
	}
	*rest = (struct bytes){lf + 1, rest->size - size - 1};
	return 0;
}

/* RFC 9112, 2.3. HTTP/1.2 and above would have to be served as 1.1; no sender has it, and
 * the contract takes 1.0 and 1.1 alone. */
static int check_version(struct bytes text, struct head *h, const char **ret_reason)
{
	if (bytes_equal(text, bytes_of("HTTP/1.1"))) {
		h->minor = 1;
		return 0;
	}
	if (bytes_equal(text, bytes_of("HTTP/1.0"))) {
		h->minor = 0;
		return 0;
	}
	*ret_reason = "neither HTTP/1.0 nor HTTP/1.1";
	return BAD;
}

/* RFC 9112, 3.2.3: the authority form is for proxies. It is sound, and names nothing here. */
static int check_authority(struct bytes text, const char **ret_reason)
{
	*ret_reason = "CONNECT";
	return target_authority_valid(text) ? NO_SUCH_PATH : BAD;
}

static int check_request_line(struct bytes line, const struct head_limits *limits,
	struct head *h, const char **ret_reason)
{
	struct bytes rest, version;
	struct target t;

	h->message.method = bytes_split(line, ' ', &rest);
	if (!head_is_token(h->message.method)) {
		*ret_reason = "method is no token";
		return BAD;
	}
	h->request_target = bytes_split(rest, ' ', &version);
	if (h->request_target.size > limits->max_target_bytes) {
		*ret_reason = "target too long";
		return TARGET_TOO_LONG;
	}
	int r = check_version(version, h, ret_reason);
	if (r)
		return r;
	if (bytes_equal(h->message.method, bytes_of("CONNECT")))
		return check_authority(h->request_target, ret_reason);
	if (bytes_equal(h->message.method, bytes_of("OPTIONS")) &&
		bytes_equal(h->request_target, bytes_of("*"))) {
		/* RFC 9112, 3.2.4: of the server as a whole. No path is the asterisk. */
		h->message.target = h->message.path = h->request_target;
		h->message.query = h->host = BYTES_NONE;
		return 0;
	}
	if (target_parse(h->request_target, &t, ret_reason) < 0)
		return BAD;
	h->message.target = t.origin;
	h->message.path = t.path;
	h->message.query = t.query;
	h->host = t.authority;
	return 0;
}

/* RFC 9112, 5: field-name ":" OWS field-value OWS */
static int check_field(
	struct bytes line, struct message_header *ret, const char **ret_reason)
{
	struct bytes value;

	if (line.data[0] == ' ' || line.data[0] == '\t') {
		*ret_reason = "line that begins with a blank"; /* 5.2, and 2.2 */
		return BAD;
	}
	ret->name = bytes_split(line, ':', &value);
	if (!value.data) {
		*ret_reason = "field without a colon";
		return BAD;
	}
	if (!head_is_token(ret->name)) { /* 5.1: no blank before the colon either */
		*ret_reason = "field name is no token";
		return BAD;
	}
	for (size_t i = 0; i < value.size; i++) {
		if (!head_is_value_char(value.data[i])) {
			*ret_reason = "control byte in a field value";
			return BAD;
		}
	}
	ret->value = bytes_trim(value);
	return 0;
}

struct framing { /* how often each stood there */
	unsigned hosts, lengths, codings;
	struct bytes host, coding;
	bool close, keep_alive;
};

/* RFC 9110, 8.6: digits and nothing else. */
static int read_length(struct bytes text, uint64_t *ret, const char **ret_reason)
{
	uint64_t value = 0;

	*ret_reason = "Content-Length is no number";
	if (text.size == 0)
		return BAD;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' ||
			__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(
				value, (uint64_t)(text.data[i] - '0'), &value))
			return BAD;
	}
	*ret = value;
	return 0;
}

static void read_connection(struct bytes list, struct framing *f)
{
	while (list.data) {
		struct bytes option = bytes_trim(bytes_split(list, ',', &list));
		if (bytes_equal_nocase(option, bytes_of("close")))
			f->close = true;
		else if (bytes_equal_nocase(option, bytes_of("keep-alive")))
			f->keep_alive = true;
	}
}

static int read_field(const struct message_header *f, struct framing *framing,
	struct head *h, const char **ret_reason)
{
	if (bytes_equal_nocase(f->name, bytes_of("Host"))) {
		framing->hosts++;
		framing->host = f->value;
	} else if (bytes_equal_nocase(f->name, bytes_of("Content-Length"))) {
		framing->lengths++;
		h->has_length = true;
		return read_length(f->value, &h->length, ret_reason);
	} else if (bytes_equal_nocase(f->name, bytes_of("Transfer-Encoding"))) {
		framing->codings++;
		framing->coding = f->value;
	} else if (bytes_equal_nocase(f->name, bytes_of("Connection"))) {
		read_connection(f->value, framing);
	} else if (bytes_equal_nocase(f->name, bytes_of("Content-Encoding"))) {
		if (f->value.size &&
			!bytes_equal_nocase(f->value, bytes_of("identity"))) {
			*ret_reason = "Content-Encoding";
			return BAD_CODING;
		}
	} else if (bytes_equal_nocase(f->name, bytes_of("Expect"))) {
		if (!bytes_equal_nocase(f->value, bytes_of("100-continue"))) {
			*ret_reason = "Expect";
			return BAD_EXPECT;
		}
		h->expect_continue = h->minor == 1; /* RFC 9110, 10.1.1 */
	}
	return 0;
}

/* RFC 9112, 3.2 (Host) and 6 (length of the body). */
static int check_framing(const struct framing *f, struct head *h, const char **ret_reason)
{
	if (f->hosts > 1 || (f->hosts == 0 && h->minor == 1)) {
		*ret_reason = f->hosts ? "more than one Host" : "no Host";
		return BAD;
	}
	if (f->hosts && !target_host_valid(f->host)) {
		*ret_reason = "unsound Host";
		return BAD;
	}
	if (f->lengths > 1) {
		*ret_reason = "more than one Content-Length";
		return BAD;
	}
	if (f->codings > 0) {
		if (f->codings > 1 ||
			!bytes_equal_nocase(f->coding, bytes_of("chunked"))) {
			*ret_reason = "Transfer-Encoding other than chunked";
			return BAD;
		}
		if (h->minor == 0) {
			*ret_reason = "Transfer-Encoding with HTTP/1.0";
			return BAD;
		}
		if (f->lengths) {
			*ret_reason = "Transfer-Encoding with Content-Length";
			return BAD;
		}
		h->chunked = true;
	}
	if (!h->host.data && f->hosts)
		h->host = f->host; /* 3.2.2: the absolute form's own host wins */
	h->keep_alive = !f->close && (h->minor == 1 || f->keep_alive);
	return 0;
}

static int check_fields(struct bytes rest, const struct head_limits *limits,
	struct message_header *headers, struct head *h, const char **ret_reason)
{
	struct framing framing = {0};
	struct bytes line;
	int r, refused = 0;
	const char *refused_reason = NULL;

	for (size_t n = 0;; n++) {
		r = take_line(&rest, &line, ret_reason);
		if (r)
			return r;
		if (line.size == 0)
			break;
		if (n == limits->max_headers) {
			*ret_reason = "too many header fields";
			return TOO_LARGE;
		}
		r = check_field(line, &headers[n], ret_reason);
		if (r)
			return r;
		h->message.n_headers = n + 1;
		r = read_field(&headers[n], &framing, h, ret_reason);
		if (r == BAD)
			return r;
		if (r && !refused) { /* a message that is unsound besides is a 400 */
			refused = r;
			refused_reason = *ret_reason;
		}
	}
	if (rest.size) {
		*ret_reason = "bytes behind the head";
		return BAD;
	}
	r = check_framing(&framing, h, ret_reason);
	if (r == 0 && refused) {
		*ret_reason = refused_reason;
		return refused;
	}
	return r;
}

int head_check(struct bytes head, const struct head_limits *limits,
	struct message_header *headers, struct head *ret, const char **ret_reason)
{
	struct head h = {.message.headers = headers, .message.peer = BYTES_NONE};
	struct bytes rest = head, line;

	if (head.size && memchr(head.data, '\0', head.size)) {
		*ret_reason = "NUL in the head";
		return BAD;
	}
	/* RFC 9112, 2.2: one empty line in front is an old client's slip, no more. */
	if (bytes_starts(rest, bytes_of("\r\n")))
		rest = (struct bytes){rest.data + 2, rest.size - 2};
	int r = take_line(&rest, &line, ret_reason);
	if (r == 0)
		r = check_request_line(line, limits, &h, ret_reason);
	if (r == 0 || r == NO_SUCH_PATH) { /* which has to be sound all the same */
		const char *reason = NULL;
		int fields = check_fields(rest, limits, headers, &h, &reason);
		if (fields) {
			r = fields;
			*ret_reason = reason;
		}
	}
	if (r == 0)
		*ret = h;
	return r;
}
