/*
 * mime.types: a type and its extensions a line, '#' begins a comment.
 * globs2: WEIGHT:TYPE:GLOB[:FLAGS] a line; of those that match the heaviest counts, then the
 * longest glob ("*.tar.gz" before "*.gz"); the flag cs: letters' case matters.
 */
#include "ctl/mime.h"

#include "ctl/file.h"

#include <fnmatch.h>

#define TABLE_MAX_BYTES (4u << 20)
#define GLOB_SIZE       128

static struct bytes next_word(struct bytes *line)
{
	struct bytes b = *line, word;

	while (b.size && strchr(" \t\r", *b.data))
		b.data++, b.size--;
	word = (struct bytes){b.data, 0};
	while (word.size < b.size && !strchr(" \t\r", b.data[word.size]))
		word.size++;
	*line = (struct bytes){b.data + word.size, b.size - word.size};
	return word;
}

static char *by_extension(const char *name, struct bytes table)
{
	const char *dot = strrchr(name, '.');
	struct bytes rest = table;

	if (!dot || !dot[1])
		return NULL;
	while (rest.data) {
		struct bytes line = bytes_split(rest, '\n', &rest);
		struct bytes type = next_word(&line), word;

		if (type.size == 0 || type.data[0] == '#')
			continue;
		while ((word = next_word(&line)).size > 0)
			if (bytes_equal_nocase(word, bytes_of(dot + 1)))
				return bytes_dup(type);
	}
	return NULL;
}

struct glob {
	unsigned weight;
	struct bytes type, pattern;
	bool exact_case;
};

static bool parse_glob(struct bytes line, struct glob *ret)
{
	struct bytes rest, weight = bytes_split(line, ':', &rest), flags;

	ret->weight = 0;
	for (size_t i = 0; i < weight.size && weight.size < 5; i++)
		if (weight.data[i] >= '0' && weight.data[i] <= '9')
			ret->weight = ret->weight * 10 + (unsigned)(weight.data[i] - '0');
	ret->type = bytes_split(rest, ':', &rest);
	ret->pattern = bytes_split(rest, ':', &rest);
	flags = bytes_split(rest, ':', &rest);
	ret->exact_case = bytes_equal(flags, bytes_of("cs"));
	return ret->type.size && ret->pattern.size && ret->pattern.size < GLOB_SIZE &&
	       weight.data[0] != '#';
}

static bool matches(const char *name, const struct glob *g)
{
	char pattern[GLOB_SIZE];

	memcpy(pattern, g->pattern.data, g->pattern.size);
	pattern[g->pattern.size] = 0;
	return fnmatch(pattern, name, g->exact_case ? 0 : FNM_CASEFOLD) == 0;
}

static char *by_glob(const char *name, struct bytes table)
{
	struct glob best = {0}, g;
	struct bytes rest = table;

	while (rest.data) {
		struct bytes line = bytes_split(rest, '\n', &rest);

		if (line.size == 0 || !parse_glob(line, &g) || !matches(name, &g))
			continue;
		if (!best.type.data || g.weight > best.weight ||
			(g.weight == best.weight && g.pattern.size > best.pattern.size))
			best = g;
	}
	return bytes_dup(best.type);
}

char *mime_type_of(const char *file_name, const char *types, const char *globs)
{
	const char *slash = strrchr(file_name, '/');
	const char *name = slash ? slash + 1 : file_name;
	struct text text = TEXT_EMPTY;
	char *type = NULL;

	if (file_read(types, TABLE_MAX_BYTES, &text) == 0)
		type = by_extension(name, text_bytes(&text));
	text_clear(&text);
	if (!type && file_read(globs, TABLE_MAX_BYTES, &text) == 0)
		type = by_glob(name, text_bytes(&text));
	text_fini(&text);
	return type;
}
