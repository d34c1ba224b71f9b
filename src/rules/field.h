/*
 * Where a value stands in a callback: a JSON pointer (RFC 6901), header:NAME, query:NAME
 * or form:NAME, and form:NAME/POINTER for what stands in the JSON in a form's field. A
 * pointer that goes on behind a string goes into the JSON that the string holds, as text or
 * in base64. last: in front of any of them takes what stands behind the last dot. Written by
 * a person in IdField=, StatusField=, DeliveryField=, Export= and Where=.
 */
#ifndef RULES_FIELD_H
#define RULES_FIELD_H

#include "rules/document.h"

#define FIELD_LAST "last:"

enum field_kind { FIELD_POINTER, FIELD_HEADER, FIELD_QUERY, FIELD_FORM };

struct field {
	enum field_kind kind;
	char *text;    /* as written */
	char *name;    /* a pointer; a header's name; a parameter's, unescaped in form: */
	char *pointer; /* of form: into the field's JSON; NULL: the field itself */
	bool last;     /* what is behind its last dot */
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
 * them, null, objects, arrays as absent. The result is owned by the caller (NUL-terminated
 * behind .size, which counts: a string may hold NUL). 0; 1 not there; 2 it stands twice
 * (header, query, form); -ENOMEM.
 */
int field_read(const struct field *f, struct document *d, char **ret_value,
	size_t *ret_size) MUST_CHECK;
/* The first of the list that is there. The same results. */
int field_list_read(const struct field_list *l, struct document *d, char **ret_value,
	size_t *ret_size) MUST_CHECK;
/* 1 all conditions hold, 0 one does not, -ENOMEM. An absent field equals nothing. */
int condition_list_holds(const struct condition_list *l, struct document *d) MUST_CHECK;

/* Does it stand in JSON? Then field_json() finds it there, with the same results. Borrowed. */
bool field_in_json(const struct field *f);
int field_json(const struct field *f, struct document *d, const json_t **ret) MUST_CHECK;
/* RFC 6901, and no more. NULL when there is nothing. Borrowed. */
const json_t *field_pointer(const json_t *json, const char *pointer);

#endif
