/* The width of a column is that of its widest cell; the last column has no padding. */
#include "ctl/table.h"

#include "base/text.h"
#include "base/utf8.h"

#include <errno.h>
#include <wchar.h>

#define GAP      2
#define GREEN    "\033[32m"
#define RED      "\033[31m"
#define YELLOW   "\033[33m"
#define CELL_MAX 4096

void table_init(struct table *t, size_t n_columns, const char *const *titles, bool color)
{
	*t = (struct table){.titles = titles, .n_columns = n_columns, .color = color};
}

void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	free(t->cells);
}

/* Columns on a terminal. Without a UTF-8 locale wcwidth(3) knows only ASCII: a character
 * is then taken for one column. */
static size_t width_of(const char *text)
{
	struct bytes b = bytes_of(text);
	size_t width = 0;

	while (b.size) {
		uint32_t c = 0;
		size_t n = utf8_char(b, &c);
		int w = n ? wcwidth((wchar_t)c) : 1;

		width += w < 0 ? 1 : (size_t)w;
		b.data += n ? n : 1;
		b.size -= n ? n : 1;
	}
	return width;
}

/* `clean`: a line of the daemon's own, whose words from outside are escaped already. */
static void add(struct table *t, const char *text, const char *color, bool clean)
{
	struct text escaped = TEXT_EMPTY;
	struct table_cell *cell;

	if (t->n_cells == t->room) {
		size_t room = t->room ? t->room * 2 : 64;
		struct table_cell *cells = reallocarray(t->cells, room, sizeof(*cells));

		if (!cells) {
			t->failed = true;
			return;
		}
		t->cells = cells;
		t->room = room;
	}
	struct bytes raw = bytes_of(text && *text ? text : "-");
	if (clean)
		text_add_clean(&escaped, raw);
	else
		text_add_escaped(&escaped, raw, CELL_MAX);
	cell = &t->cells[t->n_cells];
	cell->text = text_take(&escaped);
	if (!cell->text) {
		t->failed = true;
		return;
	}
	cell->color = color;
	cell->width = width_of(cell->text);
	t->n_cells++;
}

void table_add(struct table *t, const char *text)
{
	add(t, text, "", false);
}

void table_add_clean(struct table *t, const char *text)
{
	add(t, text, "", true);
}

void table_addf(struct table *t, const char *format, ...)
{
	struct text s = TEXT_EMPTY;
	va_list ap;

	va_start(ap, format);
	text_addv(&s, format, ap);
	va_end(ap);
	if (s.failed)
		t->failed = true;
	else
		add(t, s.data, "", false);
	text_fini(&s);
}

const char *table_color(const char *word)
{
	static const struct {
		const char *word, *color;
	} colors[] = {
		{"ok", GREEN},
		{"problem", RED},
		{"warning", YELLOW},
		{"success", GREEN},
		{"done", GREEN},
		{"error", RED},
		{"dead", RED},
		{"lost", RED},
		{"unreadable", RED},
		{"canceled", YELLOW},
		{"pending", YELLOW},
		{"waiting", YELLOW},
		{"running", YELLOW},
	};

	for (size_t i = 0; word && i < ARRAY_SIZE(colors); i++)
		if (!strcmp(word, colors[i].word))
			return colors[i].color;
	return "";
}

void table_add_word(struct table *t, const char *word)
{
	add(t, word, table_color(word), false);
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t width = t->titles ? width_of(t->titles[column]) : 0;

	for (size_t i = column; i < t->n_cells; i += t->n_columns)
		if (t->cells[i].width > width)
			width = t->cells[i].width;
	return width;
}

static void print_cell(
	const struct table *t, FILE *out, const struct table_cell *cell, size_t pad)
{
	bool color = t->color && cell->color[0];

	fprintf(out, "%s%s%s", color ? cell->color : "", cell->text,
		color ? TABLE_COLOR_END : "");
	for (size_t i = 0; i < pad; i++)
		fputc(' ', out);
}

int table_print(const struct table *t, FILE *out)
{
	CLEANUP(freep) size_t *widths = calloc(t->n_columns, sizeof(*widths));

	if (t->failed || !widths)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_columns; i++)
		widths[i] = column_width(t, i);
	for (size_t i = 0; t->titles && i < t->n_columns; i++) {
		const struct table_cell title = {(char *)t->titles[i], "", 0};
		bool last = i + 1 == t->n_columns;

		print_cell(t, out, &title,
			last ? 0 : widths[i] - width_of(t->titles[i]) + GAP);
		if (last)
			fputc('\n', out);
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t column = i % t->n_columns;
		bool last = column + 1 == t->n_columns;

		print_cell(t, out, &t->cells[i],
			last ? 0 : widths[column] - t->cells[i].width + GAP);
		if (last)
			fputc('\n', out);
	}
	return ferror(out) ? -EIO : 0;
}
