/*
 * Making a callback is reading one backwards: what IdField=, StatusField= and Where= would
 * read is put there, then rules/sign.h does what verify.h will undo.
 */
#include "api/sample.h"

#include "api/sample_draft.h"
#include "base/codec.h"
#include "base/random.h"
#include "base/utf8.h"
#include "rules/content.h"
#include "rules/sign.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#define ID_PREFIX "test-"

static bool same_field(const struct field *a, const struct field *b)
{
	return !strcmp(a->text, b->text);
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
		r = draft_put(d, &c->field, c->value);
		if (r != 0)
			return r;
	}
	return 0;
}

/* A sender that tells its deliveries apart by a header does so here, too. */
static int put_delivery(struct draft *d, const struct source *s, const char *id)
{
	for (size_t i = 0; i < s->delivery.size; i++)
		if (s->delivery.fields[i].kind == FIELD_HEADER)
			return draft_put(d, &s->delivery.fields[i], id);
	return 0;
}

static int fill_draft(struct draft *d, const struct source *s, const char *id,
	const char *status, const char **ret_problem)
{
	int r = 0;

	if (s->id.size)
		r = draft_put(d, &s->id.fields[0], id);
	if (r == 0 && status && s->status.size)
		r = draft_put(d, &s->status.fields[0], status);
	if (r == 0)
		r = put_conditions(d, s);
	if (r == 0)
		r = put_delivery(d, s, id);
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

/* ---- A body that was given ---- */

static bool reads_forms(const struct source *s)
{
	const struct field_list *lists[] = {&s->id, &s->status};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t j = 0; j < lists[i]->size; j++)
			if (lists[i]->fields[j].kind == FIELD_FORM)
				return true;
	return (s->verify & VERIFY_TWILIO) != 0;
}

/* The field of a form that a signature in another one covers, as Transloadit has it. */
static struct bytes signed_field(const struct source *s)
{
	if (!(s->verify & VERIFY_HMAC) || s->signature.place.kind != FIELD_FORM)
		return BYTES_NONE;
	return content_form_field(s->signature.content);
}

/* What was given is the body, or the field that is signed. 0, 1, -ENOMEM. */
static int take_given(struct draft *d, const struct source *s, struct text *body,
	const char **ret_problem)
{
	struct bytes field = signed_field(s);
	struct bytes start = bytes_trim(text_bytes(body));
	bool json = start.size && strchr("{[", start.data[0]);

	if (!field.data) {
		d->kind = !json && reads_forms(s) ? SHAPE_URLENCODED : SHAPE_JSON;
		return 0;
	}
	CLEANUP(freep) char *name = bytes_dup(field);
	json_t *value = json_stringn(body->data, body->size);
	if (!name)
		return -ENOMEM;
	if (!value || memchr(body->data, 0, body->size)) {
		json_decref(value);
		*ret_problem = "the body is a form's field here, and that has to be text";
		return 1;
	}
	return json_object_set_new(d->json, name, value) ? -ENOMEM : 0;
}

/* ---- Signing ---- */

static int sign(const struct source *s, struct bytes body, const struct sample *m,
	const char *public_url, int64_t now_usec, const struct draft *d,
	struct sample *ret)
{
	const struct sign_input in = {.body = body,
		.id = m->id,
		.now_usec = now_usec,
		.public_url = public_url,
		.form = d->kind == SHAPE_URLENCODED};
	int r;

	text_clear(&ret->headers);
	text_clear(&ret->target);
	text_adds(&ret->target, s->path);
	/* The URL may be signed, query and all; a token stands at the end of the path. */
	if (d->query.size && !(s->verify & VERIFY_TOKEN))
		text_addf(&ret->target, "?%s", d->query.data);
	r = sign_message(s, &in, &ret->headers, &ret->target);
	if (d->query.size && (s->verify & VERIFY_TOKEN))
		text_addf(&ret->target, "?%s", d->query.data);
	return r;
}

/*
 * A signature in a form's field covers another field, however the form is written: it is
 * made for the urlencoded one and put into the draft. 0, 1, negative errno.
 */
static int sign_form(const struct source *s, const char *id, const char *public_url,
	int64_t now_usec, struct draft *d)
{
	const enum shape_kind kind = d->kind == SHAPE_JSON ? SHAPE_URLENCODED : d->kind;
	struct text body = TEXT_EMPTY, more = TEXT_EMPTY, unused = TEXT_EMPTY;
	const struct sign_input in = {.id = id,
		.now_usec = now_usec,
		.public_url = public_url,
		.form = true,
		.more_body = &more};
	struct sign_input complete = in;
	struct bytes value;

	d->kind = SHAPE_URLENCODED;
	int r = draft_write(d, &body);
	complete.body = text_bytes(&body);
	if (r == 0)
		r = sign_message(s, &complete, &unused, &unused);
	bytes_split(text_bytes(&more), '=', &value);
	if (r == 0 && !value.data) /* another scheme has signed */
		r = 1;
	if (r == 0) {
		CLEANUP(freep) char *plain = malloc(value.size + 1);
		ptrdiff_t n = plain ? codec_percent_decode(value, true, plain, value.size)
				    : -ENOMEM;
		if (n >= 0)
			plain[n] = '\0';
		r = n < 0 ? (int)n : draft_put(d, &s->signature.place, plain);
	}
	d->kind = kind;
	text_fini(&body);
	text_fini(&more);
	text_fini(&unused);
	return r;
}

/* ---- Tampering ---- */

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

/* What the signature in the form covers is changed behind it. */
static int tamper_form(const struct source *s, struct draft *d, struct sample *ret)
{
	CLEANUP(freep) char *name = bytes_dup(signed_field(s));
	CLEANUP(freep) char *value = NULL;
	int r = name ? draft_field(d, name, &value) : -ENOMEM;

	if (r != 0)
		return r;
	if (json_object_set_new(d->json, name, json_sprintf("%s ", value)))
		return -ENOMEM;
	text_clear(&ret->body);
	ret->tampered = true;
	return draft_write(d, &ret->body);
}

/*
 * What is signed is changed, if anything is: signing another body shows whether the proof
 * covers it. If not, the proof is what has to be wrong.
 */
static int tamper(const struct source *s, const char *public_url, int64_t now_usec,
	const struct draft *d, struct sample *ret)
{
	struct sample other = {0};
	int r;

	text_add(&other.body, text_bytes(&ret->body));
	text_adds(&other.body, d->kind == SHAPE_URLENCODED ? "&tampered=1" : " ");
	if (other.body.failed)
		r = -ENOMEM;
	else
		r = sign(
			s, text_bytes(&other.body), ret, public_url, now_usec, d, &other);
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

/* ---- The whole ---- */

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

/* Those that are not there yet. */
static void add_headers(struct sample *m, struct bytes lines)
{
	while (lines.size) {
		struct bytes line = bytes_split(lines, '\n', &lines);

		if (line.size && !has_header(&m->headers, line.data)) {
			text_add(&m->headers, line);
			text_addc(&m->headers, '\n');
		}
	}
}

static const char *why_unsigned(const struct source *s)
{
	if (s->verify &
		(VERIFY_ED25519 | VERIFY_JWT | VERIFY_SNS | VERIFY_HTTP_SIGNATURE))
		return "only the sender can sign for this source: what is here are its "
		       "public keys";
	return "no scheme of Verify= can be signed with what this source has";
}

/* The draft as a signed message. 0, 1 with the problem, negative errno. */
static int compose(const struct source *s, struct draft *d, bool given, bool tampered,
	const char *public_url, int64_t now_usec, struct sample *ret,
	const char **ret_problem)
{
	bool in_form = signed_field(s).data != NULL;
	int r = in_form ? sign_form(s, ret->id, public_url, now_usec, d) : 0;

	if (r == 0 && (in_form || !given)) {
		text_clear(&ret->body);
		r = draft_write(d, &ret->body);
	}
	if (r == 0 && !in_form)
		r = sign(s, text_bytes(&ret->body), ret, public_url, now_usec, d, ret);
	else if (r == 0)
		text_adds(&ret->target, s->path);
	if (r > 0)
		*ret_problem = why_unsigned(s);
	if (r == 0 && tampered)
		r = in_form ? tamper_form(s, d, ret)
			    : tamper(s, public_url, now_usec, d, ret);
	if (r == 0) { /* the signer's own come first: it may have put the id there, too */
		add_headers(ret, text_bytes(&d->headers));
		add_headers(ret, bytes_of(d->own_headers));
		add_headers(ret, bytes_of(draft_type(d->kind)));
	}
	return r;
}

int sample_make(const struct source *s, const json_t *request, const char *public_url,
	int64_t now_usec, struct sample *ret, const char **ret_problem)
{
	struct draft d;
	const char *status = NULL;
	bool given = false;

	*ret = (struct sample){0};
	int r = draft_init(&d, shape_find(s->preset));
	if (r == 0)
		r = read_id(request, &ret->id, ret_problem);
	if (r == 0)
		r = read_body(request, &ret->body, ret_problem);
	if (r == 0) {
		given = true;
		r = take_given(&d, s, &ret->body, ret_problem);
	} else if (r == 2) {
		r = read_status(s, request, &status, ret_problem);
		if (r == 0)
			r = fill_draft(&d, s, ret->id, status, ret_problem);
	}
	if (r == 0)
		r = compose(s, &d, given,
			json_is_true(json_object_get(request, "tamper")), public_url,
			now_usec, ret, ret_problem);
	if (given && !json_object_get(request, "id")) { /* the body says which */
		free(ret->id);
		ret->id = NULL;
	}
	if (r == 0 && (ret->body.failed || ret->target.failed || ret->headers.failed ||
			      d.query.failed || d.headers.failed))
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
