/* Aligned columns for people: titles, rows, escaped cells, colour where it is wanted. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdio.h>

struct table_cell {
	char *text;
	const char *color;
	size_t width;
};

struct table {
	const char *const *titles; /* NULL at the end; NULL: no title line */
	size_t n_columns;
	struct table_cell *cells;
	size_t n_cells, room;
	bool color, failed;
};

void table_init(struct table *t, size_t n_columns, const char *const *titles, bool color);
void table_fini(struct table *t);
/* The next cell, row by row; escaped here. */
void table_add(struct table *t, const char *text);
/* A line of the daemon's own, whose words from outside are escaped already. */
void table_add_clean(struct table *t, const char *text);
void table_addf(struct table *t, const char *format, ...) PRINTF_LIKE(2, 3);
/* A word that has a colour of its own: an outcome, a state. */
void table_add_word(struct table *t, const char *word);
/* 0, -ENOMEM, or -EIO. */
int table_print(const struct table *t, FILE *out) MUST_CHECK;

/* The escape sequence for an outcome or state; "" for any other word. */
const char *table_color(const char *word);
#define TABLE_COLOR_END "\033[0m"

#endif
