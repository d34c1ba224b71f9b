/* The parser and the writer of RFC 8941's values; see structured.h. */
#include "rules/structured.h"

#define INTEGER_DIGITS_MAX 15

struct reader {
	const char *at, *end;
	struct structured *out;
	const char *problem; /* set: nothing is read any more */
};

/* ---- Letters ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_small(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
	return is_small(c) || (c >= 'A' && c <= 'Z');
}

static bool is_in(char c, const char *set)
{
	return c && strchr(set, c);
}

/* RFC 8941, 3.1.2 */
static bool is_key(char c, bool first)
{
	return is_small(c) || c == '*' || (!first && (is_digit(c) || is_in(c, "_-.")));
}

/* RFC 8941, 3.3.4; tchar of RFC 9110, 5.6.2 */
static bool is_token(char c, bool first)
{
	if (is_letter(c) || c == '*')
		return true;
	return !first && (is_digit(c) || is_in(c, "!#$%&'+-.^_`|~:/"));
}

/* ---- Reading ---- */

static char look(const struct reader *r)
{
	return r->at < r->end ? *r->at : '\0';
}

static bool take(struct reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool fail(struct reader *r, const char *problem)
{
	if (!r->problem)
		r->problem = problem;
	r->at = r->end;
	return false;
}

static void skip(struct reader *r, const char *blanks)
{
	while (is_in(look(r), blanks))
		r->at++;
}

static bool read_key(struct reader *r, struct bytes *ret)
{
	const char *start = r->at;

	while (r->at < r->end && is_key(*r->at, r->at == start))
		r->at++;
	*ret = (struct bytes){start, (size_t)(r->at - start)};
	return ret->size > 0 || fail(r, "a name is missing, or not in small letters");
}

static bool read_integer(struct reader *r, struct structured_value *v)
{
	bool negative = take(r, '-');
	const char *start = r->at;

	while (is_digit(look(r)) && r->at - start <= INTEGER_DIGITS_MAX)
		v->integer = v->integer * 10 + (*r->at++ - '0');
	if (r->at == start || r->at - start > INTEGER_DIGITS_MAX || look(r) == '.')
		return fail(r, "a number is no integer of at most 15 digits");
	v->type = STRUCTURED_INTEGER;
	if (negative)
		v->integer = -v->integer;
	return true;
}

static bool read_string(struct reader *r, struct structured_value *v)
{
	const char *start = ++r->at;

	while (r->at < r->end && *r->at != '"') {
		if (*r->at == '\\' && (++r->at == r->end || !is_in(*r->at, "\"\\")))
			return fail(r, "a string has an escape that is none");
		if (*r->at < ' ' || *r->at > '~')
			return fail(r, "a string holds what is not printable ASCII");
		r->at++;
	}
	v->type = STRUCTURED_STRING;
	v->text = (struct bytes){start, (size_t)(r->at - start)};
	return take(r, '"') || fail(r, "a string has no end");
}

static bool read_bytes(struct reader *r, struct structured_value *v)
{
	const char *start = ++r->at;

	while (is_letter(look(r)) || is_digit(look(r)) || is_in(look(r), "+/="))
		r->at++;
	v->type = STRUCTURED_BYTES;
	v->text = (struct bytes){start, (size_t)(r->at - start)};
	return take(r, ':') || fail(r, "a byte sequence is not base64 between colons");
}

static bool read_boolean(struct reader *r, struct structured_value *v)
{
	r->at++;
	v->type = STRUCTURED_BOOLEAN;
	v->integer = look(r) == '1';
	return take(r, '1') || take(r, '0') || fail(r, "a boolean is neither ?0 nor ?1");
}

static bool read_token(struct reader *r, struct structured_value *v)
{
	const char *start = r->at;

	while (r->at < r->end && is_token(*r->at, r->at == start))
		r->at++;
	v->type = STRUCTURED_TOKEN;
	v->text = (struct bytes){start, (size_t)(r->at - start)};
	return true;
}

/* RFC 8941, 4.2.3.1 */
static bool read_bare(struct reader *r, struct structured_value *v)
{
	char c = look(r);

	*v = (struct structured_value){.text = BYTES_NONE};
	if (c == '-' || is_digit(c))
		return read_integer(r, v);
	if (c == '"')
		return read_string(r, v);
	if (c == ':')
		return read_bytes(r, v);
	if (c == '?')
		return read_boolean(r, v);
	if (is_token(c, true))
		return read_token(r, v);
	return fail(r, "a value is missing, or of no known type");
}

/* RFC 8941, 4.2.3.2 */
static bool read_parameters(struct reader *r, struct structured_item *item)
{
	struct structured *s = r->out;

	item->first = s->n_parameters;
	item->n = 0;
	while (take(r, ';')) {
		struct structured_parameter p = {
			.value = {.type = STRUCTURED_BOOLEAN, .integer = 1}};
		skip(r, " ");
		if (!read_key(r, &p.key) || (take(r, '=') && !read_bare(r, &p.value)))
			return false;
		for (size_t i = 0; i < item->n; i++)
			if (bytes_equal(s->parameters[item->first + i].key, p.key))
				return fail(r, "a parameter stands there twice");
		if (s->n_parameters == STRUCTURED_PARAMETERS_MAX)
			return fail(r, "there are too many parameters");
		s->parameters[s->n_parameters++] = p;
		item->n++;
	}
	return true;
}

/* RFC 8941, 4.2.1.2 */
static bool read_inner_list(struct reader *r, struct structured_value *v)
{
	struct structured *s = r->out;

	r->at++;
	*v = (struct structured_value){
		.type = STRUCTURED_INNER_LIST, .first = s->n_items};
	for (;;) {
		struct structured_item item = {.key = BYTES_NONE};
		skip(r, " ");
		if (take(r, ')'))
			return true;
		if (!read_bare(r, &item.value) || !read_parameters(r, &item))
			return false;
		if (!is_in(look(r), " )"))
			return fail(r, "a list in brackets has no end");
		if (s->n_items == STRUCTURED_ITEMS_MAX)
			return fail(r, "there are too many items");
		s->items[s->n_items++] = item;
		v->n++;
	}
}

static bool read_member(struct reader *r, struct structured_item *m)
{
	if (!read_key(r, &m->key))
		return false;
	m->value = (struct structured_value){.type = STRUCTURED_BOOLEAN, .integer = 1};
	if (take(r, '=')) {
		bool list = look(r) == '(';
		if (list ? !read_inner_list(r, &m->value) : !read_bare(r, &m->value))
			return false;
	}
	return read_parameters(r, m);
}

/* RFC 8941, 4.2.2 */
static bool read_dictionary(struct reader *r)
{
	struct structured *s = r->out;

	while (r->at < r->end) {
		struct structured_item m = {.key = BYTES_NONE};
		if (!read_member(r, &m))
			return false;
		if (structured_member(s, m.key))
			return fail(r, "a name stands there twice");
		if (s->n_members == STRUCTURED_MEMBERS_MAX)
			return fail(r, "there are too many members");
		s->members[s->n_members++] = m;
		skip(r, " \t");
		if (r->at == r->end)
			return true;
		if (!take(r, ','))
			return fail(r, "a comma is missing");
		skip(r, " \t");
		if (r->at == r->end)
			return fail(r, "it ends with a comma");
	}
	return true;
}

int structured_parse(struct bytes text, struct structured *ret, const char **ret_problem)
{
	struct reader r = {.out = ret};

	while (text.size > 0 && text.data[text.size - 1] == ' ')
		text.size--;
	r.at = text.data ? text.data : "";
	r.end = r.at + text.size;
	ret->n_members = ret->n_items = ret->n_parameters = 0;
	skip(&r, " ");
	if (read_dictionary(&r))
		return 0;
	*ret_problem = r.problem;
	return 1;
}

const struct structured_item *structured_member(
	const struct structured *s, struct bytes key)
{
	for (size_t i = 0; i < s->n_members; i++)
		if (bytes_equal(s->members[i].key, key))
			return &s->members[i];
	return NULL;
}

const struct structured_value *structured_parameter(
	const struct structured *s, const struct structured_item *item, const char *key)
{
	for (size_t i = 0; i < item->n; i++)
		if (bytes_equal(s->parameters[item->first + i].key, bytes_of(key)))
			return &s->parameters[item->first + i].value;
	return NULL;
}

/* ---- Writing ---- */

static void write_bare(const struct structured_value *v, struct text *out)
{
	switch (v->type) {
	case STRUCTURED_INTEGER: text_addf(out, "%lld", (long long)v->integer); break;
	case STRUCTURED_BOOLEAN: text_adds(out, v->integer ? "?1" : "?0"); break;
	case STRUCTURED_TOKEN: text_add(out, v->text); break;
	case STRUCTURED_STRING:
		text_addc(out, '"');
		text_add(out, v->text);
		text_addc(out, '"');
		break;
	case STRUCTURED_BYTES:
		text_addc(out, ':');
		text_add(out, v->text);
		text_addc(out, ':');
		break;
	case STRUCTURED_INNER_LIST: break;
	}
}

static void write_parameters(
	const struct structured *s, const struct structured_item *item, struct text *out)
{
	for (size_t i = 0; i < item->n; i++) {
		const struct structured_parameter *p = &s->parameters[item->first + i];
		text_addc(out, ';');
		text_add(out, p->key);
		if (p->value.type == STRUCTURED_BOOLEAN && p->value.integer)
			continue;
		text_addc(out, '=');
		write_bare(&p->value, out);
	}
}

void structured_write(
	const struct structured *s, const struct structured_item *item, struct text *out)
{
	const struct structured_value *v = &item->value;

	if (v->type == STRUCTURED_INNER_LIST) {
		text_addc(out, '(');
		for (size_t i = 0; i < v->n; i++) {
			const struct structured_item *inner = &s->items[v->first + i];
			if (i > 0)
				text_addc(out, ' ');
			write_bare(&inner->value, out);
			write_parameters(s, inner, out);
		}
		text_addc(out, ')');
	} else {
		write_bare(v, out);
	}
	write_parameters(s, item, out);
}
