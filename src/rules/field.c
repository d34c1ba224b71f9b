/*
 * Where a value stands in a callback, parsed once when the configuration is read. How it is
 * looked up in a message is field_read.c's.
 */
#include "rules/field.h"

#include "base/text.h"
#include "base/utf8.h"
#include "rules/head.h"

#include <errno.h>

static const char *check_header_name(const char *name)
{
	if (!*name)
		return "header: needs a name";
	return head_is_token(bytes_of(name))
		       ? NULL
		       : "header: is followed by what cannot be the name of a header";
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

static const struct {
	const char *word;
	enum field_kind kind;
} kinds[] = {{"header:", FIELD_HEADER}, {"query:", FIELD_QUERY}, {"form:", FIELD_FORM}};

/* Finds the kind and what follows its word; NULL, or why it is no field. */
static const char *classify(const char *text, enum field_kind *ret_kind, size_t *ret_skip)
{
	*ret_skip = 0;
	*ret_kind = FIELD_POINTER;
	if (text[0] == '\0' || text[0] == '/')
		return check_pointer(text);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i].word);
		if (strncmp(text, kinds[i].word, n) != 0)
			continue;
		*ret_kind = kinds[i].kind;
		*ret_skip = n;
		if (kinds[i].kind == FIELD_HEADER)
			return check_header_name(text + n);
		if (text[n] == '\0' || (kinds[i].kind == FIELD_FORM && text[n] == '/'))
			return "query: and form: need a name";
		return kinds[i].kind == FIELD_FORM ? check_pointer(text + n) : NULL;
	}
	return "a field is a JSON pointer (/name/name), header:NAME, query:NAME or "
	       "form:NAME, all of them with last: in front where the word behind the "
	       "last dot is wanted";
}

/* A pointer's first name, ~1 and ~0 undone (RFC 6901, 4), in place. */
static void unescape_name(char *name)
{
	char *to = name;

	for (const char *p = name; *p; p++) {
		if (*p == '~' && p[1])
			*to++ = *++p == '1' ? '/' : '~';
		else
			*to++ = *p;
	}
	*to = '\0';
}

int field_parse(struct field *f, const char *text, const char **ret_reason)
{
	enum field_kind kind;
	size_t skip;
	bool last = strncmp(text, FIELD_LAST, strlen(FIELD_LAST)) == 0;
	const char *rest = text + (last ? strlen(FIELD_LAST) : 0);
	const char *problem = classify(rest, &kind, &skip);

	if (problem) {
		*ret_reason = problem;
		return 1;
	}
	rest += skip;
	size_t name_size = kind == FIELD_FORM ? strcspn(rest, "/") : strlen(rest);
	CLEANUP(freep) char *whole = strdup(text);
	CLEANUP(freep) char *name = strndup(rest, name_size);
	CLEANUP(freep) char *pointer = rest[name_size] ? strdup(rest + name_size) : NULL;
	if (!whole || !name || (rest[name_size] && !pointer))
		return -ENOMEM;
	if (kind == FIELD_FORM)
		unescape_name(name);
	*f = (struct field){.kind = kind,
		.text = CONSUME(whole),
		.name = CONSUME(name),
		.pointer = CONSUME(pointer),
		.last = last};
	return 0;
}

void field_fini(struct field *f)
{
	free(f->text);
	free(f->name);
	free(f->pointer);
	*f = (struct field){0};
}

int field_list_add(struct field_list *l, const char *text, const char **ret_reason)
{
	struct field f;
	int r = field_parse(&f, text, ret_reason);

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
	int r = field_parse(&c.field, field, ret_reason);
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
