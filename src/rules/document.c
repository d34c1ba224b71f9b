/*
 * Lazy parsing of a message, within limits; see document.h. What is embedded is parsed under
 * the same limits as the body, of which it is a part.
 */
#include "rules/document.h"

#include "base/codec.h"
#include "rules/jsontext.h"
#include "rules/payload_memory.h"

#include <errno.h>

#define MEMORY_BASE (64u * 1024)

int document_parse(struct bytes text, json_t **ret, const char **ret_problem)
{
	static const struct bytes mark = {"\xef\xbb\xbf", 3};

	if (bytes_starts(text, mark)) { /* RFC 8259, 8.1: may be ignored */
		text.data += mark.size;
		text.size -= mark.size;
	}
	payload_memory_arm(text.size * DOCUMENT_MEMORY_FACTOR + MEMORY_BASE);
	int r = jsontext_parse(text, DOCUMENT_DEPTH_MAX, ret, ret_problem);
	enum payload_memory memory = payload_memory_disarm();
	/* Short memory that is not the text's doing is a 503: the text may be a good one. */
	if (r != -ENOMEM || memory != PAYLOAD_MEMORY_EXCEEDED)
		return r;
	*ret_problem = "the body would take too much memory";
	return 1;
}

void document_init(struct document *d, const struct message *m)
{
	/* Not the cache: n_inner says how much of it is filled. */
	d->message = m;
	d->json = NULL;
	d->parsed = d->opened = false;
	d->json_problem = NULL;
	d->n_inner = 0;
}

void document_init_json(struct document *d, const struct message *m, const json_t *json)
{
	document_init(d, m);
	d->json = json_incref((json_t *)json);
	d->parsed = true;
	if (!json)
		d->json_problem = "the body is no JSON";
}

void document_fini(struct document *d)
{
	for (size_t i = 0; i < d->n_inner; i++)
		json_decref(d->inner[i].json);
	json_decref(d->json);
	d->n_inner = 0;
	d->json = NULL;
}

int document_json(struct document *d, const json_t **ret)
{
	if (!d->parsed) {
		int r = document_parse(d->message->body, &d->json, &d->json_problem);
		if (r < 0)
			return r;
		d->parsed = true;
	}
	if (!d->json)
		return 1;
	*ret = d->json;
	return 0;
}

const struct form *document_form(struct document *d)
{
	if (!d->opened)
		form_of(&d->form, d->message);
	d->opened = true;
	return &d->form;
}

/* Does it begin as what a pointer can go into? */
static bool begins_json(struct bytes text)
{
	size_t i = 0;

	while (i < text.size && memchr(" \t\r\n", text.data[i], 4))
		i++;
	return i < text.size && (text.data[i] == '{' || text.data[i] == '[');
}

/* 0 and maybe *ret, or -ENOMEM. */
static int parse_inner(struct bytes text, json_t **ret)
{
	const char *problem;
	int r;

	if (begins_json(text)) {
		r = document_parse(text, ret, &problem);
		return r < 0 ? r : 0;
	}
	/* base64 of { or [, with or without blanks before it, begins with one of these. */
	if (text.size < 4 || !memchr("eWICD", text.data[0], 5))
		return 0;
	CLEANUP(freep) char *plain = malloc(text.size);
	if (!plain)
		return -ENOMEM;
	ptrdiff_t n = codec_base64_decode(text, (unsigned char *)plain, text.size);
	if (n < 0)
		n = codec_base64url_decode(text, (unsigned char *)plain, text.size);
	if (n < 0 || !begins_json((struct bytes){plain, (size_t)n}))
		return 0;
	r = document_parse((struct bytes){plain, (size_t)n}, ret, &problem);
	return r < 0 ? r : 0;
}

int document_recall(const struct document *d, const char *place, const json_t **ret)
{
	for (size_t i = 0; i < d->n_inner; i++)
		if (d->inner[i].text == place) {
			*ret = d->inner[i].json;
			return *ret ? 0 : 1;
		}
	return 2;
}

int document_inner(
	struct document *d, const char *place, struct bytes text, const json_t **ret)
{
	json_t *json = NULL;
	int r = document_recall(d, place, ret);

	if (r < 2)
		return r;
	if (d->n_inner == DOCUMENT_INNER_MAX)
		return 1;
	r = parse_inner(text, &json);
	if (r < 0)
		return r;
	d->inner[d->n_inner++] = (struct document_inner){place, json};
	*ret = json;
	return json ? 0 : 1;
}
