/* mime.types: a type and its extensions a line, '#' begins a comment. */
#include "ctl/mime.h"

#include "ctl/file.h"

#define TABLE_MAX_BYTES (4u << 20)

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

char *mime_type_of(const char *file_name, const char *table)
{
	const char *slash = strrchr(file_name, '/');
	const char *dot = strrchr(slash ? slash : file_name, '.');
	struct text text = TEXT_EMPTY;
	struct bytes rest, extension;
	char *type = NULL;

	if (!dot || !dot[1])
		return NULL;
	extension = bytes_of(dot + 1);
	if (file_read(table, TABLE_MAX_BYTES, &text) == 0) {
		rest = text_bytes(&text);
		while (rest.data && !type) {
			struct bytes line = bytes_split(rest, '\n', &rest);
			struct bytes name = next_word(&line), word;

			if (name.size == 0 || name.data[0] == '#')
				continue;
			while (!type && (word = next_word(&line)).size > 0)
				if (bytes_equal_nocase(word, extension))
					type = bytes_dup(name);
		}
	}
	text_fini(&text);
	return type;
}
