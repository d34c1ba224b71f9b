/*
 * A callback's message as its fields are read from it: the body's JSON, its form, and the
 * JSON that is embedded in them as text, each parsed when it is first asked for and then kept.
 * Parsing is safe against hostile JSON: depth before parsing, duplicate keys refused,
 * allocation capped.
 */
#ifndef RULES_DOCUMENT_H
#define RULES_DOCUMENT_H

#include "rules/form.h"

#include <jansson.h>

#define DOCUMENT_DEPTH_MAX 64
/*
 * A parsed text may cost this many times its size plus 64 KiB, then parsing is given up. An
 * honest list of small things, [[1,2],[3,4],...] or [{"x":1},...], costs 29 to 39 times its
 * size; a megabyte of `{},` 73 times.
 */
#define DOCUMENT_MEMORY_FACTOR 40
/* Of more texts with JSON in them the later ones are not looked into. */
#define DOCUMENT_INNER_MAX 16

struct document_inner {
	const char *text; /* where it lies */
	json_t *json;     /* NULL: it is no JSON */
};

struct document {
	const struct message *message; /* borrowed */
	json_t *json;                  /* NULL when not parsed yet, or no JSON */
	bool parsed;
	const char *json_problem; /* static text, once parsed and no JSON */
	struct form form;
	bool opened; /* `form` is filled */
	struct document_inner inner[DOCUMENT_INNER_MAX];
	size_t n_inner;
};

void document_init(struct document *d, const struct message *m);
/* Of what is parsed already; keeps a reference of its own. `json` may be NULL. */
void document_init_json(struct document *d, const struct message *m, const json_t *json);
void document_fini(struct document *d);

/* 0; 1: it is no JSON that is taken, json_problem says why; -ENOMEM. */
int document_json(struct document *d, const json_t **ret) MUST_CHECK;
const struct form *document_form(struct document *d);
/*
 * The JSON in `text`, which is JSON itself or base64 of it and begins an object or a list;
 * `place` is where it lies in the message, for that is what it is known by. 0; 1: there is
 * none; -ENOMEM.
 */
int document_inner(struct document *d, const char *place, struct bytes text,
	const json_t **ret) MUST_CHECK;
/* The same, where it was asked for before; 2: it was not, and the text is needed. */
int document_recall(
	const struct document *d, const char *place, const json_t **ret) MUST_CHECK;

/* Parses within the limits: 0, 1 with *ret_problem (static text), -ENOMEM. */
int document_parse(struct bytes text, json_t **ret, const char **ret_problem) MUST_CHECK;

#endif
