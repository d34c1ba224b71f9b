/*
 * Where a value stands in a callback: a JSON pointer (RFC 6901), header:NAME, query:NAME
 * or form:NAME. Written by a person in IdField=, StatusField=, DeliveryField=, Export=
 * and Where=.
 */
#ifndef RULES_FIELD_H
#define RULES_FIELD_H

#include "rules/message.h"

#include <jansson.h>

enum field_kind { FIELD_POINTER, FIELD_HEADER, FIELD_QUERY, FIELD_FORM };

struct field {
	enum field_kind kind;
	char *text; /* as written */
	char *name; /* what follows "header:" and so on; for a pointer the same as text */
};

struct field_list {
	struct field *fields;
	size_t size;
};

/* FIELD=VALUE or FIELD!=VALUE */
struct condition {
	struct field field;
	bool negated;
	char *value;
};

struct condition_list {
	struct condition *conditions;
	size_t size;
};

/* 0, -ENOMEM, or 1: not a field, *ret_reason (static text) says why. Appends to the list.
 */
int field_list_add(
	struct field_list *l, const char *text, const char **ret_reason) MUST_CHECK;
int condition_list_add(
	struct condition_list *l, const char *text, const char **ret_reason) MUST_CHECK;
void field_list_fini(struct field_list *l);
void condition_list_fini(struct condition_list *l);
int field_parse(struct field *f, const char *text, const char **ret_reason) MUST_CHECK;
void field_fini(struct field *f);

/*
 * The value as text: strings as they are, integers and reals and booleans as JSON writes
 * them, null, objects, arrays as absent. `json` is the parsed body or NULL. The result is
 * owned by the caller (NUL-terminated behind .size, which counts: a string may hold NUL).
 * 0; 1 not there; 2 it stands twice (header, query, form); -ENOMEM.
 */
int field_read(const struct field *f, const struct message *m, const json_t *json,
	char **ret_value, size_t *ret_size) MUST_CHECK;
/* The first of the list that is there. The same results. */
int field_list_read(const struct field_list *l, const struct message *m,
	const json_t *json, char **ret_value, size_t *ret_size) MUST_CHECK;
/* 1 all conditions hold, 0 one does not, -ENOMEM. An absent field equals nothing. */
int condition_list_holds(const struct condition_list *l, const struct message *m,
	const json_t *json) MUST_CHECK;

/* RFC 6901. NULL when there is nothing. Borrowed. */
const json_t *field_pointer(const json_t *json, const char *pointer);

#endif
