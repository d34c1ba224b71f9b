/* The template of what is signed; see content.h. */
#include "rules/content.h"

static const struct {
	const char *name;
	enum content_part part;
} parts[] = {
	{"{id}", CONTENT_ID},
	{"{timestamp}", CONTENT_TIMESTAMP},
	{"{body}", CONTENT_BODY},
	{"{url}", CONTENT_URL},
	{"{form}", CONTENT_FORM},
};

#define FORM_FIELD_OPEN "{form:"

/* {form:NAME} at `p`: its length, 0 when it is none; *ret is NAME. */
static size_t form_field_at(const char *p, struct bytes *ret)
{
	size_t open = strlen(FORM_FIELD_OPEN);

	if (strncmp(p, FORM_FIELD_OPEN, open) != 0)
		return 0;
	size_t n = strcspn(p + open, "{}");
	if (n == 0 || p[open + n] != '}')
		return 0;
	*ret = (struct bytes){p + open, n};
	return open + n + 1;
}

/* The part whose name stands at `p`, and the name's length; 0 when there is none. */
static unsigned part_at(const char *p, size_t *ret_size)
{
	struct bytes name;
	size_t n = form_field_at(p, &name);

	if (n > 0) {
		*ret_size = n;
		return CONTENT_FORM_FIELD;
	}
	for (size_t i = 0; *p == '{' && i < ARRAY_SIZE(parts); i++) {
		n = strlen(parts[i].name);
		if (strncmp(p, parts[i].name, n) == 0) {
			*ret_size = n;
			return parts[i].part;
		}
	}
	return 0;
}

/* Moves *p over one part or one piece of plain text; returns the part, 0 for text. */
static unsigned next(const char **p, struct bytes *ret)
{
	size_t size = 1;
	unsigned part = part_at(*p, &size);

	if (!part)
		size += strcspn(*p + 1, "{");
	*ret = (struct bytes){*p, size};
	*p += size;
	return part;
}

struct bytes content_form_field(const char *template)
{
	struct bytes name;

	for (const char *p = template; *p; p++)
		if (form_field_at(p, &name) > 0)
			return name;
	return BYTES_NONE;
}

unsigned content_parts(const char *template)
{
	unsigned set = 0;
	struct bytes piece;

	while (*template)
		set |= next(&template, &piece);
	return set;
}

int content_check(const char *template, const char **ret_reason)
{
	unsigned set = 0, forms = 0;
	struct bytes piece;

	while (*template) {
		unsigned part = next(&template, &piece);
		set |= part;
		forms += (part & (CONTENT_FORM | CONTENT_FORM_FIELD)) != 0;
		if (!part && (memchr(piece.data, '{', piece.size) ||
				     memchr(piece.data, '}', piece.size))) {
			*ret_reason =
				"the parts are {id} {timestamp} {body} {url} {form}, and "
				"{form:NAME} for one field of it";
			return 1;
		}
	}
	if (forms > 1) {
		*ret_reason = "{form} or {form:NAME} can stand there once";
		return 1;
	}
	if (!(set & CONTENT_BODY) && forms == 0) {
		*ret_reason = "without {body} or {form} anyone could change the body";
		return 1;
	}
	return 0;
}

void content_add(const char *template, const struct content *c, struct mac *m)
{
	struct bytes piece;

	while (*template) {
		switch (next(&template, &piece)) {
		case CONTENT_ID: mac_add(m, c->id); break;
		case CONTENT_TIMESTAMP: mac_add(m, c->timestamp); break;
		case CONTENT_BODY: mac_add(m, c->body); break;
		case CONTENT_URL:
			mac_add(m, c->origin);
			mac_add(m, c->target);
			break;
		case CONTENT_FORM:
		case CONTENT_FORM_FIELD: mac_add(m, c->form); break;
		default: mac_add(m, piece);
		}
	}
}
