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

/* The part whose name stands at `p`, and the name's length; 0 when there is none. */
static unsigned part_at(const char *p, size_t *ret_size)
{
	for (size_t i = 0; *p == '{' && i < ARRAY_SIZE(parts); i++) {
		size_t n = strlen(parts[i].name);
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
	unsigned set = 0;
	struct bytes piece;

	while (*template) {
		unsigned part = next(&template, &piece);
		set |= part;
		if (!part && (memchr(piece.data, '{', piece.size) ||
				     memchr(piece.data, '}', piece.size))) {
			*ret_reason =
				"the parts are {id} {timestamp} {body} {url} {form}";
			return 1;
		}
	}
	if (set & CONTENT_FORM) {
		*ret_reason = "{form} is not supported yet";
		return 1;
	}
	if (!(set & CONTENT_BODY)) {
		*ret_reason = "without {body} anyone could change the body";
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
		case CONTENT_FORM: m->failed = true; break;
		default: mac_add(m, piece);
		}
	}
}
