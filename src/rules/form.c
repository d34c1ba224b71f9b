/* Fields of forms; see form.h. */
#include "rules/form.h"

#include "base/codec.h"

#include <errno.h>

void form_of_head(struct form *f, const struct message *m)
{
	struct bytes type = BYTES_NONE;

	*f = (struct form){.kind = FORM_NONE};
	switch (message_header(m, "Content-Type", &type)) {
	case MESSAGE_TWICE: f->problem = "header Content-Type stands there twice"; return;
	case MESSAGE_ABSENT: f->kind = FORM_URLENCODED; return;
	case MESSAGE_ONCE: break;
	}
	struct bytes media = multipart_media_type(type);
	if (bytes_equal_nocase(media, bytes_of("application/x-www-form-urlencoded")))
		f->kind = FORM_URLENCODED;
	else if (!bytes_equal_nocase(media, bytes_of("multipart/form-data")))
		f->problem = "the body is no form, as Content-Type says";
	else if (multipart_boundary(&f->multipart, type, &f->problem) == 0)
		f->kind = FORM_MULTIPART;
}

/* Once through all parts: what comes behind a break must not be read, nor what is before. */
static void check_parts(struct form *f)
{
	struct multipart m = f->multipart;
	struct multipart_part part;
	int r = multipart_begin(&m, f->body, &f->problem);

	if (r == 0)
		f->multipart = m;
	while (r == 0)
		r = multipart_next(&m, &part, &f->problem);
}

void form_of(struct form *f, const struct message *m)
{
	form_of_head(f, m);
	f->body = m->body;
	if (f->kind == FORM_MULTIPART && !f->problem)
		check_parts(f);
}

static enum message_found find_part(
	const struct form *f, struct bytes name, struct bytes *ret)
{
	struct multipart m = f->multipart;
	struct multipart_part part;
	struct bytes found = BYTES_NONE;
	const char *problem;

	while (multipart_next(&m, &part, &problem) == 0) {
		if (!bytes_equal(part.name, name))
			continue;
		if (found.data)
			return MESSAGE_TWICE;
		found = part.value;
	}
	if (!found.data)
		return MESSAGE_ABSENT;
	*ret = found;
	return MESSAGE_ONCE;
}

enum message_found form_find(const struct form *f, struct bytes name, struct bytes *ret)
{
	if (f->problem)
		return MESSAGE_ABSENT;
	switch (f->kind) {
	case FORM_NONE: break;
	case FORM_URLENCODED: return message_parameter(f->body, name, ret);
	case FORM_MULTIPART: return find_part(f, name, ret);
	}
	return MESSAGE_ABSENT;
}

int form_decode(
	const struct form *f, struct bytes raw, char **ret_value, size_t *ret_size)
{
	CLEANUP(freep) char *value = malloc(raw.size + 1);
	ptrdiff_t n = (ptrdiff_t)raw.size;

	if (!value)
		return -ENOMEM;
	if (f->kind == FORM_URLENCODED)
		n = codec_percent_decode(raw, true, value, raw.size);
	else if (raw.size > 0)
		memcpy(value, raw.data, raw.size);
	if (n < 0)
		return 1;
	value[n] = '\0';
	*ret_value = CONSUME(value);
	*ret_size = (size_t)n;
	return 0;
}

struct pair {
	struct bytes name, value; /* decoded */
};

static int compare_bytes(struct bytes a, struct bytes b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int r = n ? memcmp(a.data, b.data, n) : 0;

	return r ? r : (a.size > b.size) - (a.size < b.size);
}

static int on_compare(const void *a, const void *b)
{
	const struct pair *p = a, *q = b;
	int r = compare_bytes(p->name, q->name);

	return r ? r : compare_bytes(p->value, q->value);
}

/* Decodes to *at and moves it; false when an escape is broken. */
static bool decode_to(char **at, size_t room, struct bytes raw, struct bytes *ret)
{
	ptrdiff_t n = codec_percent_decode(raw, true, *at, room);

	if (n < 0)
		return false;
	*ret = (struct bytes){*at, (size_t)n};
	*at += n;
	return true;
}

/* The pairs of `body`, decoded into `room`, which is as large as the body. NULL, or why not. */
static const char *split_pairs(
	struct bytes body, char *room, struct pair *pairs, size_t *ret_n)
{
	char *at = room;
	size_t n = 0;

	while (body.data) {
		struct bytes value, pair = bytes_split(body, '&', &body);
		size_t left = pair.size + 1; /* names and values only shorten */
		if (pair.size == 0)
			continue;
		struct bytes name = bytes_split(pair, '=', &value);
		if (n == FORM_FIELDS_MAX)
			return "the form has too many fields";
		if (!value.data)
			value = (struct bytes){pair.data + pair.size, 0};
		if (!decode_to(&at, left, name, &pairs[n].name) ||
			!decode_to(&at, left, value, &pairs[n].value))
			return "a field of the form has a broken escape";
		n++;
	}
	*ret_n = n;
	return NULL;
}

/* At most how many pairs there are. */
static size_t count_pairs(struct bytes body)
{
	size_t n = 1;

	for (const char *p = body.data, *end = body.data + body.size;
		(p = memchr(p, '&', (size_t)(end - p))); p++)
		n++;
	return n < FORM_FIELDS_MAX ? n : FORM_FIELDS_MAX;
}

int form_add_sorted(const struct form *f, struct text *out, const char **ret_reason)
{
	CLEANUP(freep) struct pair *pairs = NULL;
	CLEANUP(freep) char *room = NULL;
	const char *problem = f->problem;
	size_t n = 0;

	if (!problem && f->kind != FORM_URLENCODED)
		problem = "the form is not urlencoded";
	if (!problem && f->body.size > 0) {
		pairs = calloc(count_pairs(f->body), sizeof(*pairs));
		room = malloc(f->body.size + 1);
		if (!pairs || !room)
			return -ENOMEM;
		problem = split_pairs(f->body, room, pairs, &n);
	}
	if (problem) {
		*ret_reason = problem;
		return 1;
	}
	if (n > 1)
		qsort(pairs, n, sizeof(*pairs), on_compare);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && on_compare(&pairs[i - 1], &pairs[i]) == 0)
			continue;
		text_add(out, pairs[i].name);
		text_add(out, pairs[i].value);
	}
	return out->failed ? -ENOMEM : 0;
}
