/*
 * Looking a field up in a message. A pointer never reads outside the parsed body; header and
 * query never need one. What stands twice is no value: two readers would pick two different
 * ones.
 */
#include "rules/field.h"

#include "base/codec.h"

#include <errno.h>
#include <stdio.h>

#define REAL_DIGITS_MIN 15 /* every decimal of so many digits survives a double */
#define REAL_DIGITS_MAX 17 /* so many tell any two doubles apart */

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

static const json_t *member(const json_t *json, struct bytes token)
{
	if (json_is_object(json))
		return object_member(json, token);
	return json_is_array(json) ? array_member(json, token) : NULL;
}

const json_t *field_pointer(const json_t *json, const char *pointer)
{
	if (*pointer != '\0' && *pointer != '/')
		return NULL;
	while (json && *pointer == '/') {
		const char *start = pointer + 1;
		struct bytes token = {start, strcspn(start, "/")};

		json = member(json, token);
		pointer = start + token.size;
	}
	return json;
}

/*
 * The same, and through strings that hold JSON, as text or in base64: where a pointer goes on
 * behind a string, what is in the string is meant. 0, 1, -ENOMEM.
 */
static int walk(
	struct document *d, const json_t *json, const char *pointer, const json_t **ret)
{
	while (json && *pointer == '/') {
		const char *start = pointer + 1;
		struct bytes token = {start, strcspn(start, "/")};

		if (json_is_string(json)) {
			struct bytes text = {
				json_string_value(json), json_string_length(json)};
			int r = document_inner(d, text.data, text, &json);
			if (r != 0)
				return r;
		}
		json = member(json, token);
		pointer = start + token.size;
	}
	if (!json)
		return 1;
	*ret = json;
	return 0;
}

/* The JSON in a field of a form. As field_json(). */
static int walk_form(const struct field *f, struct document *d, const json_t **ret)
{
	const struct form *form = document_form(d);
	CLEANUP(freep) char *value = NULL;
	const json_t *json;
	struct bytes raw;
	size_t size = 0;

	int r = (int)form_find(form, bytes_of(f->name), &raw);
	if (r != MESSAGE_ONCE)
		return r;
	r = document_recall(d, raw.data, &json);
	if (r == 2)
		r = form_decode(form, raw, &value, &size);
	if (r == 0 && value)
		r = document_inner(d, raw.data, (struct bytes){value, size}, &json);
	return r == 0 ? walk(d, json, f->pointer, ret) : r;
}

bool field_in_json(const struct field *f)
{
	return f->kind == FIELD_POINTER || f->pointer;
}

int field_json(const struct field *f, struct document *d, const json_t **ret)
{
	const json_t *json;

	if (f->kind == FIELD_FORM && f->pointer)
		return walk_form(f, d, ret);
	if (f->kind != FIELD_POINTER)
		return 1;
	int r = document_json(d, &json);
	return r == 0 ? walk(d, json, f->name, ret) : r;
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

static int give_query(
	struct bytes text, const char *name, char **ret_value, size_t *ret_size)
{
	static const struct form urlencoded = {.kind = FORM_URLENCODED};
	struct bytes raw;
	int found = (int)message_parameter(text, bytes_of(name), &raw);

	return found == MESSAGE_ONCE ? form_decode(&urlencoded, raw, ret_value, ret_size)
				     : found;
}

static int give_form(
	struct document *d, const char *name, char **ret_value, size_t *ret_size)
{
	const struct form *form = document_form(d);
	struct bytes raw;
	int found = (int)form_find(form, bytes_of(name), &raw);

	return found == MESSAGE_ONCE ? form_decode(form, raw, ret_value, ret_size)
				     : found;
}

static int give_header(
	const struct message *m, const char *name, char **ret_value, size_t *ret_size)
{
	struct bytes value;
	int found = (int)message_header(m, name, &value);

	return found == MESSAGE_ONCE ? give(value.data, value.size, ret_value, ret_size)
				     : found;
}

/* What is behind the last dot; all of it where nothing is. */
static void keep_last(char *value, size_t *size)
{
	const char *dot = memrchr(value, '.', *size);
	size_t skip = dot ? (size_t)(dot + 1 - value) : 0;

	if (skip == *size)
		return;
	*size -= skip;
	memmove(value, value + skip, *size + 1);
}

int field_read(
	const struct field *f, struct document *d, char **ret_value, size_t *ret_size)
{
	const json_t *json;
	int r = 1;

	if (field_in_json(f)) {
		r = field_json(f, d, &json);
		if (r == 0)
			r = give_json(json, ret_value, ret_size);
	} else if (f->kind == FIELD_HEADER) {
		r = give_header(d->message, f->name, ret_value, ret_size);
	} else if (f->kind == FIELD_QUERY) {
		r = give_query(d->message->query, f->name, ret_value, ret_size);
	} else {
		r = give_form(d, f->name, ret_value, ret_size);
	}
	if (r == 0 && f->last)
		keep_last(*ret_value, ret_size);
	return r;
}

int field_list_read(const struct field_list *l, struct document *d, char **ret_value,
	size_t *ret_size)
{
	for (size_t i = 0; i < l->size; i++) {
		int r = field_read(&l->fields[i], d, ret_value, ret_size);
		if (r != 1)
			return r;
	}
	return 1;
}

int condition_list_holds(const struct condition_list *l, struct document *d)
{
	for (size_t i = 0; i < l->size; i++) {
		const struct condition *c = &l->conditions[i];
		CLEANUP(freep) char *value = NULL;
		size_t size = 0;
		int r = field_read(&c->field, d, &value, &size);

		if (r < 0)
			return r;
		bool equal = r == 0 &&
			     bytes_equal((struct bytes){value, size}, bytes_of(c->value));
		if (equal == c->negated)
			return 0;
	}
	return 1;
}
