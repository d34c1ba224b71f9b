/*
 * The tokenizer of configuration files. It follows systemd's own reader (config_parse()
 * in src/shared/conf-parser.c) where systemd.syntax(7) leaves a doubt: a backslash that
 * is itself escaped does not continue a line, comment lines inside a continuation are
 * skipped, an empty line ends one, and the end of the file ends one too.
 */
#include "rules/syntax.h"

#include "base/utf8.h"

#include <errno.h>

#define BOM "\xEF\xBB\xBF"

void syntax_init(struct syntax *s, struct bytes text)
{
	*s = (struct syntax){.rest = text};
	if (bytes_starts(text, bytes_of(BOM)))
		s->rest = (struct bytes){
			text.data + strlen(BOM), text.size - strlen(BOM)};
}

void syntax_fini(struct syntax *s)
{
	text_fini(&s->joined);
}

static struct bytes trim(struct bytes b)
{
	while (b.size > 0 && strchr(" \t\r", b.data[0]) && b.data[0] != '\0')
		b = (struct bytes){b.data + 1, b.size - 1};
	while (b.size > 0 && strchr(" \t\r", b.data[b.size - 1]) &&
		b.data[b.size - 1] != '\0')
		b.size--;
	return b;
}

/* The next line of the file, its end removed. False at the end of the text. */
static bool physical_line(struct syntax *s, struct bytes *ret)
{
	if (s->rest.size == 0)
		return false;
	const char *end = memchr(s->rest.data, '\n', s->rest.size);
	size_t size = end ? (size_t)(end - s->rest.data) : s->rest.size;
	size_t step = end ? size + 1 : size;
	struct bytes line = {s->rest.data, size};
	s->rest = (struct bytes){s->rest.data + step, s->rest.size - step};
	s->line++;
	if (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	*ret = line;
	return true;
}

static bool ends_in_backslash(struct bytes line)
{
	size_t n = 0;
	while (n < line.size && line.data[line.size - 1 - n] == '\\')
		n++;
	return n % 2 == 1;
}

/* 1 and the joined line in *ret, 0 at the end, -ENOMEM. *ret_long: cut, too long. */
static int logical_line(
	struct syntax *s, struct bytes *ret, unsigned *ret_line, bool *ret_long)
{
	struct bytes line;
	bool continued = false;
	*ret_long = false;
	text_clear(&s->joined);
	while (physical_line(s, &line)) {
		struct bytes start = trim(line);
		if (start.size > 0 && (start.data[0] == '#' || start.data[0] == ';'))
			continue;
		if (!continued)
			*ret_line = s->line;
		bool more = ends_in_backslash(line);
		if (more)
			line.size--;
		if (s->joined.size + line.size > SYNTAX_LINE_MAX_BYTES)
			*ret_long = true;
		if (!more && !continued) {
			*ret = line;
			return 1;
		}
		if (!*ret_long) {
			text_add(&s->joined, continued ? trim(line) : line);
			text_adds(&s->joined, more ? " " : "");
		}
		if (s->joined.failed)
			return -ENOMEM;
		continued = true;
		if (!more)
			break;
	}
	*ret = text_bytes(&s->joined);
	return continued;
}

static void read_section(struct bytes line, struct syntax_item *item)
{
	if (line.data[line.size - 1] != ']') {
		item->problem = "a section header ends with ]";
		return;
	}
	struct bytes inner = trim((struct bytes){line.data + 1, line.size - 2});
	size_t n = 0;
	while (n < inner.size && inner.data[n] != ' ' && inner.data[n] != '\t')
		n++;
	if (n == 0) {
		item->problem = "a section header without a name";
		return;
	}
	item->kind = SYNTAX_SECTION;
	item->kind_name = (struct bytes){inner.data, n};
	struct bytes name = trim((struct bytes){inner.data + n, inner.size - n});
	if (name.size > 0)
		item->name = name;
}

static void read_line(struct bytes line, struct syntax_item *item)
{
	if (memchr(line.data, '\0', line.size)) {
		item->problem = "a NUL byte: this is no text";
		return;
	}
	if (!utf8_valid(line)) {
		item->problem = "the line is not valid UTF-8";
		return;
	}
	if (line.data[0] == '[') {
		read_section(line, item);
		return;
	}
	const char *equals = memchr(line.data, '=', line.size);
	if (!equals) {
		item->problem = "neither [Section] nor Key=value";
		return;
	}
	size_t n = (size_t)(equals - line.data);
	item->key = trim((struct bytes){line.data, n});
	item->value = trim((struct bytes){equals + 1, line.size - n - 1});
	if (item->key.size == 0)
		item->problem = "a value without a key in front of the =";
	else
		item->kind = SYNTAX_ASSIGNMENT;
}

int syntax_next(struct syntax *s, struct syntax_item *ret)
{
	for (;;) {
		struct bytes line = BYTES_NONE;
		struct syntax_item item = {.kind = SYNTAX_PROBLEM};
		bool too_long;
		int r = logical_line(s, &line, &item.line, &too_long);
		if (r < 0)
			return r;
		if (r == 0) {
			*ret = (struct syntax_item){.kind = SYNTAX_END, .line = s->line};
			return 0;
		}
		line = trim(line);
		if (too_long)
			item.problem = "the line is longer than 1 MiB";
		else if (line.size == 0)
			continue;
		else
			read_line(line, &item);
		*ret = item;
		return 0;
	}
}
