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
	{"{body_sha256}", CONTENT_BODY_HASH},
	{"{newline}", CONTENT_NEWLINE},
};

#define FORM_FIELD_OPEN "{form:"
#define HEADER_OPEN     "{header:"

/* {form:NAME} or the like at `p`: its length, 0 when it is none; *ret is NAME. */
static size_t named_at(const char *p, const char *opening, struct bytes *ret)
{
	size_t open = strlen(opening);

	if (strncmp(p, opening, open) != 0)
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
	size_t n = named_at(p, FORM_FIELD_OPEN, &name);

	if (n > 0) {
		*ret_size = n;
		return CONTENT_FORM_FIELD;
	}
	n = named_at(p, HEADER_OPEN, &name);
	if (n > 0 && name.size <= CONTENT_HEADER_MAX) {
		*ret_size = n;
		return CONTENT_HEADER;
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
		if (named_at(p, FORM_FIELD_OPEN, &name) > 0)
			return name;
	return BYTES_NONE;
}

bool content_header(
	const char *template, size_t i, char ret[static CONTENT_HEADER_MAX + 1])
{
	struct bytes piece, name;

	while (*template) {
		if (next(&template, &piece) != CONTENT_HEADER || i-- > 0)
			continue;
		if (named_at(piece.data, HEADER_OPEN, &name) == 0)
			return false;
		memcpy(ret, name.data, name.size);
		ret[name.size] = '\0';
		return true;
	}
	return false;
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
				"the parts are {id} {timestamp} {body} {url} {form}, "
				"{form:NAME} for one field of it, {body_sha256}, "
				"{header:NAME} and {newline}";
			return 1;
		}
	}
	if (forms > 1) {
		*ret_reason = "{form} or {form:NAME} can stand there once";
		return 1;
	}
	if (!(set & (CONTENT_BODY | CONTENT_BODY_HASH)) && forms == 0) {
		*ret_reason = "without {body} or {form} anyone could change the body";
		return 1;
	}
	return 0;
}

/* What the template's next part stands for: *ret, and *ret_more behind it. */
static void take(const char **template, const struct content *c, struct bytes *ret,
	struct bytes *ret_more)
{
	char name[CONTENT_HEADER_MAX + 1];
	const char *at = *template;
	struct bytes piece, found;

	*ret_more = *ret = BYTES_NONE;
	switch (next(template, &piece)) {
	case CONTENT_ID: *ret = c->id; break;
	case CONTENT_TIMESTAMP: *ret = c->timestamp; break;
	case CONTENT_BODY: *ret = c->body; break;
	case CONTENT_BODY_HASH: *ret = c->body_hash; break;
	case CONTENT_NEWLINE: *ret = bytes_of("\n"); break;
	case CONTENT_URL:
		*ret = c->origin;
		*ret_more = c->target;
		break;
	case CONTENT_FORM:
	case CONTENT_FORM_FIELD: *ret = c->form; break;
	case CONTENT_HEADER:
		if (content_header(at, 0, name) && c->message &&
			message_header(c->message, name, &found) == MESSAGE_ONCE)
			*ret = found;
		break;
	default: *ret = piece;
	}
}

void content_add(const char *template, const struct content *c, struct mac *m)
{
	struct bytes piece, more;

	while (*template) {
		take(&template, c, &piece, &more);
		mac_add(m, piece);
		mac_add(m, more);
	}
}

void content_write(const char *template, const struct content *c, struct text *out)
{
	struct bytes piece, more;

	while (*template) {
		take(&template, c, &piece, &more);
		text_add(out, piece);
		text_add(out, more);
	}
}
