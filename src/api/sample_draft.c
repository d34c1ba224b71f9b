/* Reading backwards: see rules/field_read.c for the other direction. */
#include "api/sample_draft.h"

#include "base/codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BOUNDARY "callbackd-test-sample-0d5c1f6e"

int draft_init(struct draft *d, const struct shape *shape)
{
	*d = (struct draft){.kind = shape ? shape->kind : SHAPE_JSON,
		.own_headers = shape ? shape->headers : ""};
	d->json = shape ? json_loads(shape->body, 0, NULL) : json_object();
	d->put = json_object();
	return d->json && d->put ? 0 : -ENOMEM;
}

void draft_fini(struct draft *d)
{
	json_decref(d->json);
	json_decref(d->put);
	text_fini(&d->query);
	text_fini(&d->headers);
}

static void add_parameter(struct text *t, const char *name, const char *value)
{
	CLEANUP(freep) char *n = codec_percent_encode(bytes_of(name));
	CLEANUP(freep) char *v = codec_percent_encode(bytes_of(value));

	if (n && v)
		text_addf(t, "%s%s=%s", t->size ? "&" : "", n, v);
	else
		t->failed = true;
}

/* One token of a pointer (RFC 6901, 4): ~1 is '/', ~0 is '~'. */
static char *unescape(struct bytes token)
{
	struct text t = TEXT_EMPTY;

	text_adds(&t, "");
	for (size_t i = 0; i < token.size; i++) {
		bool escape = token.data[i] == '~' && i + 1 < token.size;

		if (escape && token.data[i + 1] == '1')
			text_addc(&t, '/');
		else if (escape && token.data[i + 1] == '0')
			text_addc(&t, '~');
		else
			text_addc(&t, token.data[i]);
		i += escape;
	}
	text_addc(&t, 0); /* never NULL for the empty token */
	return text_take(&t);
}

/*
 * The value in the manner of what is there: a number stays one, and of a dotted word of
 * which only the last part is read the rest stays. NULL: memory is short.
 */
static json_t *value_like(const json_t *there, bool last, const char *value)
{
	const char *text = json_string_value(there);
	const char *dot = text ? strrchr(text, '.') : NULL;
	char *end;

	if (json_is_integer(there)) {
		long long n = strtoll(value, &end, 10);
		if (*value && !*end)
			return json_integer(n);
	}
	if (last && dot)
		return json_sprintf("%.*s.%s", (int)(dot - text), text, value);
	return json_string(value);
}

/* Members only: nobody reads an id out of a list. 0, 1, -ENOMEM. */
static int put_pointer(
	json_t *json, const struct field *f, const char *pointer, const char *value)
{
	struct bytes rest = bytes_of(pointer + 1);

	if (pointer[0] != '/')
		return 1; /* the whole document */
	for (;;) {
		CLEANUP(freep) char *name = unescape(bytes_split(rest, '/', &rest));
		json_t *next;

		if (!name)
			return -ENOMEM;
		next = json_object_get(json, name);
		if (!rest.data) {
			if (json_is_object(next) || json_is_array(next))
				return 1;
			return json_object_set_new(
				       json, name, value_like(next, f->last, value))
				       ? -ENOMEM
				       : 0;
		}
		if (!next) {
			if (json_object_set_new(json, name, json_object()))
				return -ENOMEM;
			next = json_object_get(json, name);
		}
		if (!json_is_object(next))
			return 1;
		json = next;
	}
}

static int put_form(struct draft *d, const struct field *f, const char *value)
{
	json_t *there = json_object_get(d->json, f->name);

	if (!f->pointer) {
		if (json_is_object(there))
			return 1;
		return json_object_set_new(
			       d->json, f->name, value_like(there, f->last, value))
			       ? -ENOMEM
			       : 0;
	}
	if (!there) {
		if (json_object_set_new(d->json, f->name, json_object()))
			return -ENOMEM;
		there = json_object_get(d->json, f->name);
	}
	return json_is_object(there) ? put_pointer(there, f, f->pointer, value) : 1;
}

static int put(struct draft *d, const struct field *f, const char *value)
{
	switch (f->kind) {
	case FIELD_POINTER:
		d->pointers = true;
		return d->forms || d->kind != SHAPE_JSON
			       ? 1
			       : put_pointer(d->json, f, f->name, value);
	case FIELD_FORM:
		d->forms = true;
		if (d->pointers)
			return 1;
		if (d->kind == SHAPE_JSON)
			d->kind = SHAPE_URLENCODED;
		return put_form(d, f, value);
	case FIELD_QUERY: add_parameter(&d->query, f->name, value); return 0;
	case FIELD_HEADER:
		if (strpbrk(value, "\r\n"))
			return 1;
		text_addf(&d->headers, "%s: %s\r\n", f->name, value);
		return 0;
	}
	return 1;
}

int draft_put(struct draft *d, const struct field *f, const char *value)
{
	const char *before = json_string_value(json_object_get(d->put, f->text));

	if (before)
		return strcmp(before, value) != 0;
	if (json_object_set_new(d->put, f->text, json_string(value)))
		return -ENOMEM;
	return put(d, f, value);
}

/* A form's field: text as it is, anything else as JSON. NULL: memory is short. */
static char *text_of(const json_t *value)
{
	return json_is_string(value) ? strdup(json_string_value(value))
				     : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

int draft_field(const struct draft *d, const char *name, char **ret)
{
	const json_t *value = json_object_get(d->json, name);

	if (d->kind == SHAPE_JSON || !value)
		return 1;
	*ret = text_of(value);
	return *ret ? 0 : -ENOMEM;
}

static void add_part(struct text *body, const char *name, const char *value)
{
	text_addf(body,
		"--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n",
		name);
	text_adds(body, value);
	text_adds(body, "\r\n");
}

int draft_write(const struct draft *d, struct text *body)
{
	const char *name;
	json_t *value;

	if (d->kind == SHAPE_JSON) {
		CLEANUP(freep) char *json = json_dumps(d->json, JSON_COMPACT);
		if (!json)
			return -ENOMEM;
		text_adds(body, json);
		return body->failed ? -ENOMEM : 0;
	}
	json_object_foreach(d->json, name, value)
	{
		CLEANUP(freep) char *text = text_of(value);
		if (!text)
			return -ENOMEM;
		if (d->kind == SHAPE_MULTIPART)
			add_part(body, name, text);
		else
			add_parameter(body, name, text);
	}
	if (d->kind == SHAPE_MULTIPART)
		text_adds(body, "--" BOUNDARY "--\r\n");
	return body->failed ? -ENOMEM : 0;
}

const char *draft_type(enum shape_kind kind)
{
	switch (kind) {
	case SHAPE_URLENCODED:
		return "Content-Type: application/x-www-form-urlencoded\r\n";
	case SHAPE_MULTIPART:
		return "Content-Type: multipart/form-data; boundary=" BOUNDARY "\r\n";
	case SHAPE_JSON: break;
	}
	return "Content-Type: application/json\r\n";
}
