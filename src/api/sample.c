/*
 * Making a callback is reading one backwards: what IdField=, StatusField= and Where= would
 * read is put there, then rules/sign.h does what verify.h will undo.
 */
#include "api/sample.h"

#include "base/codec.h"
#include "base/random.h"
#include "base/utf8.h"
#include "rules/sign.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#define ID_PREFIX "test-"

/* What is made before it is written down. */
struct draft {
	json_t *json;
	struct text form, query, headers;
	bool pointers, forms;
};

static void draft_fini(struct draft *d)
{
	json_decref(d->json);
	text_fini(&d->form);
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

/* 0; 1: another field stands in the way; -ENOMEM. Members only: an index is one too. */
static int put_pointer(json_t *json, const char *pointer, const char *value)
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
			if (next)
				return 1;
			return json_object_set_new(json, name, json_string(value))
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

static int put(struct draft *d, const struct field *f, const char *value)
{
	switch (f->kind) {
	case FIELD_POINTER:
		d->pointers = true;
		return put_pointer(d->json, f->name, value);
	case FIELD_FORM:
		d->forms = true;
		add_parameter(&d->form, f->name, value);
		return 0;
	case FIELD_QUERY: add_parameter(&d->query, f->name, value); return 0;
	case FIELD_HEADER:
		if (strpbrk(value, "\r\n"))
			return 1;
		text_addf(&d->headers, "%s: %s\r\n", f->name, value);
		return 0;
	}
	return 1;
}

static bool same_field(const struct field *a, const struct field *b)
{
	return a->kind == b->kind && !strcmp(a->name, b->name);
}

/* Where= is met as far as an "=" can be; what id and status already say stays theirs. */
static int put_conditions(struct draft *d, const struct source *s)
{
	for (size_t i = 0; i < s->where.size; i++) {
		const struct condition *c = &s->where.conditions[i];
		int r;

		if (c->negated || (s->id.size && same_field(&c->field, s->id.fields)) ||
			(s->status.size && same_field(&c->field, s->status.fields)))
			continue;
		r = put(d, &c->field, c->value);
		if (r != 0)
			return r;
	}
	return 0;
}

static int draft_make(struct draft *d, const struct source *s, const char *id,
	const char *status, const char **ret_problem)
{
	int r = 0;

	d->json = json_object();
	if (!d->json)
		return -ENOMEM;
	if (s->id.size)
		r = put(d, &s->id.fields[0], id);
	if (r == 0 && status && s->status.size)
		r = put(d, &s->status.fields[0], status);
	if (r == 0)
		r = put_conditions(d, s);
	if (r == 0 && d->pointers && d->forms)
		r = 1;
	if (r > 0)
		*ret_problem =
			"id, status and Where= cannot stand in one sample: give a body";
	return r;
}

/* The words of the request. 0, 1 or -ENOMEM. */
static int read_id(const json_t *request, char **ret, const char **ret_problem)
{
	const json_t *id = json_object_get(request, "id");
	const char *text = json_string_value(id);
	char random[RANDOM_TOKEN_SIZE];

	if (id && !text) {
		*ret_problem = "id is not a string";
		return 1;
	}
	random_token(random);
	if (text && !strncmp(text, ID_PREFIX, strlen(ID_PREFIX)))
		*ret = strdup(text);
	else
		*ret = text_format(
			ID_PREFIX "%.*s", text ? 256 : 16, text ? text : random);
	if (!*ret)
		return -ENOMEM;
	if (!utf8_valid_id(bytes_of(*ret))) {
		*ret_problem = "that is no job id";
		return 1;
	}
	return 0;
}

static int read_status(const struct source *s, const json_t *request, const char **ret,
	const char **ret_problem)
{
	const json_t *status = json_object_get(request, "status");

	*ret = json_string_value(status);
	if (status && !*ret) {
		*ret_problem = "status is not a string";
		return 1;
	}
	if (status && s->status.size == 0) {
		*ret_problem = "this source has no StatusField=";
		return 1;
	}
	if (!*ret && s->success.size)
		*ret = s->success.list[0];
	return 0;
}

/* 0 taken; 1 with the problem; 2: none was given; -ENOMEM. */
static int read_body(const json_t *request, struct text *body, const char **ret_problem)
{
	const json_t *text = json_object_get(request, "body");
	const json_t *base64 = json_object_get(request, "body_base64");

	if (!text && !base64)
		return 2;
	if (json_is_string(text)) {
		text_add(body, (struct bytes){json_string_value(text),
				       json_string_length(text)});
	} else if (!text && json_is_string(base64)) {
		struct bytes b = {json_string_value(base64), json_string_length(base64)};
		CLEANUP(freep) unsigned char *raw = malloc(b.size + 1);
		ptrdiff_t n = raw ? codec_base64_decode(b, raw, b.size) : 0;

		if (!raw)
			return -ENOMEM;
		if (n < 0) {
			*ret_problem = "body_base64 is not base64";
			return 1;
		}
		text_add(body, (struct bytes){(char *)raw, (size_t)n});
	} else {
		*ret_problem = "body is not a string";
		return 1;
	}
	return body->failed ? -ENOMEM : 0;
}

static int sign(const struct source *s, struct bytes body, const char *id,
	const char *public_url, int64_t now_usec, const struct text *query,
	struct sample *ret)
{
	const struct sign_input in = {
		.body = body, .id = id, .now_usec = now_usec, .public_url = public_url};
	int r;

	text_clear(&ret->headers);
	text_clear(&ret->target);
	text_adds(&ret->target, s->path);
	/* The URL may be signed, query and all; a token stands at the end of the path. */
	if (query->size && !(s->verify & VERIFY_TOKEN))
		text_addf(&ret->target, "?%s", query->data);
	r = sign_message(s, &in, &ret->headers, &ret->target);
	if (query->size && (s->verify & VERIFY_TOKEN))
		text_addf(&ret->target, "?%s", query->data);
	return r;
}

static void spoil_last(char *text, size_t size)
{
	while (size > 0 && !isalnum((unsigned char)text[size - 1]))
		size--;
	if (size > 0)
		text[size - 1] = text[size - 1] == 'A' ? 'B' : 'A';
}

/* The proof itself: the last letter of each header's value, and of the token. */
static void spoil_proof(struct sample *m, size_t path_size, size_t query_size)
{
	size_t end = m->target.size - (query_size ? query_size + 1 : 0);

	for (size_t i = 1; i < m->headers.size; i++)
		if (m->headers.data[i] == '\n')
			spoil_last(m->headers.data, i);
	if (end > path_size)
		spoil_last(m->target.data, end);
}

/*
 * What is signed is changed, if anything is: signing another body shows whether the proof
 * covers it. If not, the proof is what has to be wrong.
 */
static int tamper(const struct source *s, const char *id, const char *public_url,
	int64_t now_usec, const struct draft *d, struct sample *ret)
{
	struct sample other = {0};
	int r;

	text_add(&other.body, text_bytes(&ret->body));
	text_adds(&other.body, d->forms ? "&tampered=1" : " ");
	if (other.body.failed)
		r = -ENOMEM;
	else
		r = sign(s, text_bytes(&other.body), id, public_url, now_usec, &d->query,
			&other);
	if (r == 0 &&
		bytes_equal(text_bytes(&other.headers), text_bytes(&ret->headers)) &&
		bytes_equal(text_bytes(&other.target), text_bytes(&ret->target))) {
		spoil_proof(ret, strlen(s->path), d->query.size);
	} else if (r == 0) {
		struct text t = ret->body;

		ret->body = other.body;
		other.body = t;
	}
	ret->tampered = true;
	sample_fini(&other);
	return r;
}

static bool has_header(const struct text *headers, const char *line)
{
	size_t name = strcspn(line, ":") + 1;
	const char *at = headers->data;

	while (at && *at) {
		if (!strncasecmp(at, line, name))
			return true;
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return false;
}

/* The signer's own headers come first: it may have put the id there, too. */
static void add_headers(struct sample *m, const struct draft *d)
{
	struct bytes rest = text_bytes(&d->headers);
	const char *type = d->forms
				   ? "Content-Type: application/x-www-form-urlencoded\r\n"
				   : "Content-Type: application/json\r\n";

	while (rest.size) {
		struct bytes line = bytes_split(rest, '\n', &rest);

		if (line.size && !has_header(&m->headers, line.data)) {
			text_add(&m->headers, line);
			text_addc(&m->headers, '\n');
		}
	}
	if (!has_header(&m->headers, type))
		text_adds(&m->headers, type);
}

static int write_body(struct draft *d, struct sample *ret)
{
	CLEANUP(freep) char *json = NULL;

	if (d->forms) {
		text_add(&ret->body, text_bytes(&d->form));
		return 0;
	}
	json = json_dumps(d->json, JSON_COMPACT);
	if (!json)
		return -ENOMEM;
	text_adds(&ret->body, json);
	return 0;
}

int sample_make(const struct source *s, const json_t *request, const char *public_url,
	int64_t now_usec, struct sample *ret, const char **ret_problem)
{
	struct draft d = {0};
	const char *status = NULL;
	bool given;
	int r;

	*ret = (struct sample){0};
	r = read_id(request, &ret->id, ret_problem);
	if (r == 0)
		r = read_body(request, &ret->body, ret_problem);
	given = r == 0 && ret->body.data;
	if (r == 2) {
		r = read_status(s, request, &status, ret_problem);
		if (r == 0)
			r = draft_make(&d, s, ret->id, status, ret_problem);
		if (r == 0)
			r = write_body(&d, ret);
	}
	if (r == 0) {
		r = sign(s, text_bytes(&ret->body), ret->id, public_url, now_usec,
			&d.query, ret);
		if (r > 0)
			*ret_problem =
				"no scheme of Verify= can be signed with what this "
				"source has";
	}
	if (r == 0 && json_is_true(json_object_get(request, "tamper")))
		r = tamper(s, ret->id, public_url, now_usec, &d, ret);
	if (r == 0)
		add_headers(ret, &d);
	if (given && !json_object_get(request, "id")) { /* the body says which */
		free(ret->id);
		ret->id = NULL;
	}
	if (r == 0 && (ret->body.failed || ret->target.failed || ret->headers.failed ||
			      d.form.failed || d.query.failed || d.headers.failed))
		r = -ENOMEM;
	draft_fini(&d);
	return r;
}

void sample_fini(struct sample *s)
{
	free(s->id);
	text_fini(&s->body);
	text_fini(&s->target);
	text_fini(&s->headers);
}
