/* Components of a request, line by line; see signature_base.h. */
#include "rules/signature_base.h"

#include "base/codec.h"

#include <errno.h>

struct base {
	const struct message *message;
	struct bytes origin;
	const struct structured *s;
	struct text *out;
	const char *problem;
};

static bool fail(struct base *b, const char *problem)
{
	b->problem = problem;
	return false;
}

/* ---- Derived components (RFC 9421, 2.2) ---- */

static bool add_method(struct base *b)
{
	text_add(b->out, b->message->method);
	return true;
}

static bool add_target_uri(struct base *b)
{
	if (!b->origin.data)
		return fail(b, "@target-uri is signed, and PublicURL= is not set");
	text_add(b->out, b->origin);
	text_add(b->out, b->message->target);
	return true;
}

/* The two halves of an origin; false without one. */
static bool split_origin(
	const struct base *b, struct bytes *scheme, struct bytes *authority)
{
	const char *colon = b->origin.data
				    ? memmem(b->origin.data, b->origin.size, "://", 3)
				    : NULL;

	if (!colon)
		return false;
	*scheme = (struct bytes){b->origin.data, (size_t)(colon - b->origin.data)};
	*authority = (struct bytes){colon + 3, b->origin.size - scheme->size - 3};
	return true;
}

static void add_small(struct text *out, struct bytes b)
{
	for (size_t i = 0; i < b.size; i++)
		text_addc(out, b.data[i] >= 'A' && b.data[i] <= 'Z'
				       ? (char)(b.data[i] - 'A' + 'a')
				       : b.data[i]);
}

static struct bytes without_port(struct bytes authority, const char *port)
{
	size_t n = strlen(port);

	if (authority.size > n &&
		memcmp(authority.data + authority.size - n, port, n) == 0)
		authority.size -= n;
	return authority;
}

/* Ours, as PublicURL= says it; a proxy may have rewritten Host. */
static bool add_authority(struct base *b)
{
	struct bytes scheme, authority;

	if (split_origin(b, &scheme, &authority))
		authority = without_port(authority,
			bytes_equal_nocase(scheme, bytes_of("https")) ? ":443" : ":80");
	else if (message_header(b->message, "Host", &authority) != MESSAGE_ONCE)
		return fail(b, "@authority is signed, and there is no header Host");
	add_small(b->out, authority);
	return true;
}

static bool add_scheme(struct base *b)
{
	struct bytes scheme, authority;

	if (!split_origin(b, &scheme, &authority))
		return fail(b, "@scheme is signed, and PublicURL= is not set");
	add_small(b->out, scheme);
	return true;
}

static bool add_request_target(struct base *b)
{
	text_add(b->out, b->message->target);
	return true;
}

static bool add_path(struct base *b)
{
	text_add(b->out, b->message->path.size ? b->message->path : bytes_of("/"));
	return true;
}

static bool add_query(struct base *b)
{
	text_addc(b->out, '?');
	text_add(b->out, b->message->query);
	return true;
}

/* The percent-encode set of application/x-www-form-urlencoded, but a blank is %20. */
static void add_encoded(struct text *out, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char c = data[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || (c && strchr("*-._", c)))
			text_addc(out, c);
		else
			text_addf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

/* RFC 9421, 2.2.8: decoded and encoded again; a name that stands twice is none. */
static bool add_query_parameter(struct base *b, const struct structured_item *item)
{
	const struct structured_value *name = structured_parameter(b->s, item, "name");
	struct bytes value;

	if (item->n != 1 || !name || name->type != STRUCTURED_STRING)
		return fail(b, "@query-param wants the one parameter name");
	CLEANUP(freep) char *plain = malloc(name->text.size + b->message->query.size + 1);
	if (!plain) {
		b->out->failed = true;
		return true;
	}
	ptrdiff_t n = codec_percent_decode(name->text, true, plain, name->text.size);
	if (n < 0)
		return fail(b, "the name of @query-param is not percent-encoded");
	if (message_parameter(b->message->query, (struct bytes){plain, (size_t)n},
		    &value) != MESSAGE_ONCE)
		return fail(
			b, "a parameter of the query is signed that is not there once");
	n = codec_percent_decode(value, true, plain, b->message->query.size);
	if (n < 0)
		return fail(b, "a parameter of the query is not percent-encoded");
	add_encoded(b->out, plain, (size_t)n);
	return true;
}

static const struct {
	const char *name;
	bool (*add)(struct base *b);
} derived[] = {
	{"@method", add_method},
	{"@target-uri", add_target_uri},
	{"@authority", add_authority},
	{"@scheme", add_scheme},
	{"@request-target", add_request_target},
	{"@path", add_path},
	{"@query", add_query},
};

static bool add_derived(struct base *b, const struct structured_item *item)
{
	struct bytes name = item->value.text;

	if (bytes_equal(name, bytes_of("@query-param")))
		return add_query_parameter(b, item);
	for (size_t i = 0; i < ARRAY_SIZE(derived); i++)
		if (bytes_equal(name, bytes_of(derived[i].name)))
			return item->n == 0 ? derived[i].add(b)
					    : fail(b, "a derived component has a "
						      "parameter that it cannot have");
	return fail(b, "a derived component is signed that a request does not have");
}

/* ---- Fields (RFC 9421, 2.1) ---- */

/* All lines of the field, joined; with `wrapped` each as a byte sequence (2.1.3). */
static bool add_field(struct base *b, struct bytes name, bool wrapped, struct text *out)
{
	size_t found = 0;

	for (size_t i = 0; i < b->message->n_headers; i++) {
		const struct message_header *h = &b->message->headers[i];
		if (!bytes_equal_nocase(h->name, name))
			continue;
		struct bytes value = bytes_trim(h->value);
		if (found++ > 0)
			text_adds(out, ", ");
		if (!wrapped) {
			text_add(out, value);
			continue;
		}
		CLEANUP(freep)
		char *encoded = codec_base64_encode(
			value.data ? value.data : "", value.size);
		out->failed |= !encoded;
		text_addf(out, ":%s:", encoded ? encoded : "");
	}
	return found > 0 || fail(b, "a header field is signed that is not there");
}

/* One member of a field that is a dictionary (2.1.2). */
static bool add_member(struct base *b, struct bytes name, struct bytes key)
{
	CLEANUP(text_fini) struct text whole = TEXT_EMPTY;
	CLEANUP(freep) struct structured *s = calloc(1, sizeof(*s));
	const char *problem;

	if (!s || !add_field(b, name, false, &whole) || whole.failed) {
		b->out->failed |= !b->problem;
		return !b->problem;
	}
	if (structured_parse(text_bytes(&whole), s, &problem) != 0)
		return fail(b, "a member of a field is signed, and the field is no "
			       "dictionary");
	const struct structured_item *m = structured_member(s, key);
	if (!m)
		return fail(b, "a member of a field is signed that is not there");
	structured_write(s, m, b->out);
	return true;
}

static bool add_header(struct base *b, const struct structured_item *item)
{
	const struct structured_value *key = structured_parameter(b->s, item, "key");
	const struct structured_value *bs = structured_parameter(b->s, item, "bs");
	struct bytes name = item->value.text;

	if (structured_parameter(b->s, item, "sf"))
		return fail(b, "the parameter sf of a component is not supported");
	if (structured_parameter(b->s, item, "tr"))
		return fail(b, "a trailer is signed, and trailers are dropped");
	if (item->n > 1 || (item->n == 1 && !key && !bs))
		return fail(b, "a component has parameters that are not supported");
	if (key && key->type == STRUCTURED_STRING)
		return add_member(b, name, key->text);
	if (key || (bs && (bs->type != STRUCTURED_BOOLEAN || !bs->integer)))
		return fail(b, "a component has a parameter of the wrong type");
	return add_field(b, name, bs != NULL, b->out);
}

/* ---- The whole ---- */

/* A component's name: a string in small letters, without escapes. */
static bool is_name(const struct structured_item *item)
{
	struct bytes name = item->value.text;

	if (item->value.type != STRUCTURED_STRING || name.size == 0)
		return false;
	for (size_t i = 0; i < name.size; i++)
		if ((name.data[i] >= 'A' && name.data[i] <= 'Z') ||
			strchr(" \"\\:", name.data[i]))
			return false;
	return true;
}

/* "name";parameters, the same text for the same component. */
static char *identifier(const struct structured *s, const struct structured_item *item)
{
	struct text t = TEXT_EMPTY;

	structured_write(s, item, &t);
	return text_take(&t);
}

/* RFC 9421, 2.5: no component twice. 1 it is, 0, -ENOMEM. */
static int stands_twice(
	const struct structured *s, const struct structured_value *list, size_t at)
{
	CLEANUP(freep) char *own = identifier(s, &s->items[list->first + at]);
	int r = own ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < at; i++) {
		CLEANUP(freep) char *other = identifier(s, &s->items[list->first + i]);
		r = !other ? -ENOMEM : strcmp(own, other) == 0;
	}
	return r;
}

static bool add_line(struct base *b, const struct structured_item *item)
{
	if (!is_name(item))
		return fail(b, "a component's name is no string in small letters");
	structured_write(b->s, item, b->out);
	text_adds(b->out, ": ");
	bool added = item->value.text.data[0] == '@' ? add_derived(b, item)
						     : add_header(b, item);
	text_addc(b->out, '\n');
	return added;
}

int signature_base(const struct message *message, struct bytes origin,
	const struct structured *s, const struct structured_item *m, struct text *out,
	const char **ret_problem)
{
	struct base b = {.message = message, .origin = origin, .s = s, .out = out};
	const struct structured_value *list = &m->value;

	for (size_t i = 0; i < list->n; i++) {
		int r = stands_twice(s, list, i);
		if (r < 0)
			return r;
		if (r > 0)
			b.problem = "a component stands there twice";
		if (r > 0 || !add_line(&b, &s->items[list->first + i])) {
			*ret_problem = b.problem;
			return 1;
		}
	}
	text_adds(out, "\"@signature-params\": ");
	structured_write(s, m, out);
	return out->failed ? -ENOMEM : 0;
}

/* As a person writes it. */
static bool is_component(
	const struct structured *s, const struct structured_item *item, struct bytes text)
{
	struct bytes rest, name = bytes_split(text, ';', &rest);
	size_t n = 0;

	if (item->value.type != STRUCTURED_STRING || !bytes_equal(item->value.text, name))
		return false;
	for (; rest.data; n++) {
		struct bytes value, pair = bytes_split(rest, ';', &rest);
		struct bytes key = bytes_split(pair, '=', &value);
		if (n >= item->n)
			return false;
		const struct structured_parameter *p = &s->parameters[item->first + n];
		if (!bytes_equal(p->key, key) || !bytes_equal(p->value.text, value))
			return false;
	}
	return n == item->n;
}

bool signature_base_covers(const struct structured *s, const struct structured_item *m,
	const char *component)
{
	for (size_t i = 0; i < m->value.n; i++)
		if (is_component(s, &s->items[m->value.first + i], bytes_of(component)))
			return true;
	return false;
}
