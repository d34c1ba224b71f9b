/*
 * Where a value stands in a callback, parsed once when the configuration is read and looked
 * up in every message. A pointer never reads outside the parsed body; header, query and form
 * never need one. What stands twice is no value: two readers would pick two different ones.
 */
#include "rules/field.h"

#include "base/codec.h"
#include "base/text.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>

#define REAL_DIGITS_MIN 15 /* every decimal of so many digits survives a double */
#define REAL_DIGITS_MAX 17 /* so many tell any two doubles apart */

static bool is_token_char(char c)
{
	/* RFC 9110, 5.6.2 */
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *check_header_name(const char *name)
{
	if (!*name)
		return "header: needs a name";
	for (const char *p = name; *p; p++)
		if (!is_token_char(*p))
			return "header: is followed by what cannot be the name of a "
			       "header";
	return NULL;
}

static const char *check_pointer(const char *text)
{
	for (const char *p = strchr(text, '~'); p; p = strchr(p + 1, '~'))
		if (p[1] != '0' && p[1] != '1')
			return "in a JSON pointer ~ is written ~0, and / inside a name "
			       "~1";
	if (!utf8_valid(bytes_of(text)))
		return "a JSON pointer is UTF-8";
	return NULL;
}

/* Finds the kind and what follows its word; NULL, or why it is no field. */
static const char *classify(const char *text, enum field_kind *ret_kind, size_t *ret_skip)
{
	static const struct {
		const char *word;
		enum field_kind kind;
	} words[] = {{"header:", FIELD_HEADER}, {"query:", FIELD_QUERY},
		{"form:", FIELD_FORM}};

	*ret_skip = 0;
	*ret_kind = FIELD_POINTER;
	if (text[0] == '\0' || text[0] == '/')
		return check_pointer(text);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i].word);
		if (strncmp(text, words[i].word, n) != 0)
			continue;
		*ret_kind = words[i].kind;
		*ret_skip = n;
		if (words[i].kind == FIELD_HEADER)
			return check_header_name(text + n);
		return text[n] ? NULL : "query: and form: need a name";
	}
	return "a field is a JSON pointer (/name/name), header:NAME, query:NAME or "
	       "form:NAME";
}

int field_parse(struct field *f, const char *text, const char **ret_reason)
{
	enum field_kind kind;
	size_t skip;
	const char *problem = classify(text, &kind, &skip);

	if (problem) {
		*ret_reason = problem;
		return 1;
	}
	CLEANUP(freep) char *whole = strdup(text);
	CLEANUP(freep) char *name = strdup(text + skip);
	if (!whole || !name)
		return -ENOMEM;
	*f = (struct field){.kind = kind, .text = CONSUME(whole), .name = CONSUME(name)};
	return 0;
}

void field_fini(struct field *f)
{
	free(f->text);
	free(f->name);
	*f = (struct field){0};
}

/* Reading a form is there; what the signature of a form covers is not yet. */
static int parse_listed(struct field *f, const char *text, const char **ret_reason)
{
	int r = field_parse(f, text, ret_reason);

	if (r == 0 && f->kind == FIELD_FORM) {
		field_fini(f);
		*ret_reason = "form: fields are not supported yet";
		return 1;
	}
	return r;
}

int field_list_add(struct field_list *l, const char *text, const char **ret_reason)
{
	struct field f;
	int r = parse_listed(&f, text, ret_reason);

	if (r != 0)
		return r;
	struct field *grown = reallocarray(l->fields, l->size + 1, sizeof(*grown));
	if (!grown) {
		field_fini(&f);
		return -ENOMEM;
	}
	l->fields = grown;
	l->fields[l->size++] = f;
	return 0;
}

void field_list_fini(struct field_list *l)
{
	for (size_t i = 0; i < l->size; i++)
		field_fini(&l->fields[i]);
	free(l->fields);
	*l = (struct field_list){0};
}

int condition_list_add(
	struct condition_list *l, const char *text, const char **ret_reason)
{
	/* The first '=' parts them: a name with one in it must be written otherwise. */
	const char *equals = strchr(text, '=');

	if (!equals || equals == text || (equals == text + 1 && *text == '!')) {
		*ret_reason = "a condition is FIELD=VALUE or FIELD!=VALUE";
		return 1;
	}
	struct condition c = {.negated = equals[-1] == '!'};
	CLEANUP(freep) char *field = strndup(text, equals - text - (c.negated ? 1 : 0));
	c.value = strdup(equals + 1);
	if (!field || !c.value) {
		free(c.value);
		return -ENOMEM;
	}
	int r = parse_listed(&c.field, field, ret_reason);
	if (r != 0) {
		free(c.value);
		return r;
	}
	struct condition *grown = reallocarray(
		l->conditions, l->size + 1, sizeof(*grown));
	if (!grown) {
		field_fini(&c.field);
		free(c.value);
		return -ENOMEM;
	}
	l->conditions = grown;
	l->conditions[l->size++] = c;
	return 0;
}

void condition_list_fini(struct condition_list *l)
{
	for (size_t i = 0; i < l->size; i++) {
		field_fini(&l->conditions[i].field);
		free(l->conditions[i].value);
	}
	free(l->conditions);
	*l = (struct condition_list){0};
}

/* Is `key` what the reference token says once ~1 and ~0 are undone (RFC 6901, 4)? */
static bool token_equals(struct bytes token, struct bytes key)
{
	size_t k = 0;

	for (size_t i = 0; i < token.size; i++, k++) {
		char c = token.data[i];
		if (c == '~' && i + 1 < token.size)
			c = token.data[++i] == '1' ? '/' : '~';
		if (k >= key.size || key.data[k] != c)
			return false;
	}
	return k == key.size;
}

static const json_t *object_member(const json_t *object, struct bytes token)
{
	if (!memchr(token.data, '~', token.size))
		return json_object_getn(object, token.data, token.size);

	const char *key;
	size_t size;
	json_t *value;
	/* Asks for a non-const object and changes nothing in it. */
	json_object_keylen_foreach((json_t *)object, key, size,
		value) if (token_equals(token, (struct bytes){key, size})) return value;
	return NULL;
}

static const json_t *array_member(const json_t *array, struct bytes token)
{
	size_t index = 0;

	/* No leading zeros, and "-" is the place behind the end: nothing (RFC 6901, 4). */
	if (token.size == 0 || token.size > 9 || (token.data[0] == '0' && token.size > 1))
		return NULL;
	for (size_t i = 0; i < token.size; i++) {
		if (token.data[i] < '0' || token.data[i] > '9')
			return NULL;
		index = index * 10 + (size_t)(token.data[i] - '0');
	}
	return json_array_get(array, index);
}

const json_t *field_pointer(const json_t *json, const char *pointer)
{
	if (*pointer != '\0' && *pointer != '/')
		return NULL;
	while (json && *pointer == '/') {
		const char *start = pointer + 1;
		struct bytes token = {start, strcspn(start, "/")};

		if (json_is_object(json))
			json = object_member(json, token);
		else if (json_is_array(json))
			json = array_member(json, token);
		else
			json = NULL;
		pointer = start + token.size;
	}
	return json;
}

static int give(const char *data, size_t size, char **ret_value, size_t *ret_size)
{
	char *copy = malloc(size + 1);

	if (!copy)
		return -ENOMEM;
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	*ret_value = copy;
	*ret_size = size;
	return 0;
}

/* The shortest text that reads as the same number, so that 0.1 stays 0.1. */
static int give_real(const json_t *json, char **ret_value, size_t *ret_size)
{
	char text[64];

	for (size_t digits = REAL_DIGITS_MIN; digits <= REAL_DIGITS_MAX; digits++) {
		size_t n = json_dumpb(json, text, sizeof(text),
			JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
		if (n == 0 || n > sizeof(text))
			return -ENOMEM;
		json_t *again = json_loadb(text, n, JSON_DECODE_ANY, NULL);
		if (!again)
			return -ENOMEM;
		bool same = json_real_value(again) == json_real_value(json);
		json_decref(again);
		if (same || digits == REAL_DIGITS_MAX)
			return give(text, n, ret_value, ret_size);
	}
	return -ENOMEM; /* not reached */
}

static int give_json(const json_t *json, char **ret_value, size_t *ret_size)
{
	char number[32];
	int n;

	if (!json)
		return 1;
	switch (json_typeof(json)) {
	case JSON_STRING:
		return give(json_string_value(json), json_string_length(json), ret_value,
			ret_size);
	case JSON_INTEGER:
		n = snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			json_integer_value(json));
		return give(number, (size_t)n, ret_value, ret_size);
	case JSON_REAL: return give_real(json, ret_value, ret_size);
	case JSON_TRUE: return give("true", 4, ret_value, ret_size);
	case JSON_FALSE: return give("false", 5, ret_value, ret_size);
	case JSON_NULL:
	case JSON_OBJECT:
	case JSON_ARRAY: break;
	}
	return 1;
}

static int give_parameter(
	struct bytes text, const char *name, char **ret_value, size_t *ret_size)
{
	struct bytes raw;
	int found = (int)message_parameter(text, bytes_of(name), &raw);

	if (found != MESSAGE_ONCE)
		return found;
	CLEANUP(freep) char *decoded = malloc(raw.size + 1);
	if (!decoded)
		return -ENOMEM;
	ptrdiff_t n = codec_percent_decode(raw, true, decoded, raw.size);
	if (n < 0) /* a broken escape: there is no value to be had from it */
		return 1;
	decoded[n] = '\0';
	*ret_value = CONSUME(decoded);
	*ret_size = (size_t)n;
	return 0;
}

int field_read(const struct field *f, const struct message *m, const json_t *json,
	char **ret_value, size_t *ret_size)
{
	struct bytes value;
	int found;

	switch (f->kind) {
	case FIELD_POINTER:
		return give_json(field_pointer(json, f->name), ret_value, ret_size);
	case FIELD_HEADER:
		found = (int)message_header(m, f->name, &value);
		if (found != MESSAGE_ONCE)
			return found;
		return give(value.data, value.size, ret_value, ret_size);
	case FIELD_QUERY: return give_parameter(m->query, f->name, ret_value, ret_size);
	case FIELD_FORM: return give_parameter(m->body, f->name, ret_value, ret_size);
	}
	return 1;
}

int field_list_read(const struct field_list *l, const struct message *m,
	const json_t *json, char **ret_value, size_t *ret_size)
{
	for (size_t i = 0; i < l->size; i++) {
		int r = field_read(&l->fields[i], m, json, ret_value, ret_size);
		if (r != 1)
			return r;
	}
	return 1;
}

int condition_list_holds(
	const struct condition_list *l, const struct message *m, const json_t *json)
{
	for (size_t i = 0; i < l->size; i++) {
		const struct condition *c = &l->conditions[i];
		CLEANUP(freep) char *value = NULL;
		size_t size = 0;
		int r = field_read(&c->field, m, json, &value, &size);

		if (r < 0)
			return r;
		bool equal = r == 0 &&
			     bytes_equal((struct bytes){value, size}, bytes_of(c->value));
		if (equal == c->negated)
			return 0;
	}
	return 1;
}
