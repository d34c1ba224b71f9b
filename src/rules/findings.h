/*
 * What is wrong with a configuration, found in any order, told in the order of files and
 * lines. For the parts of config.c alone.
 */
#ifndef RULES_FINDINGS_H
#define RULES_FINDINGS_H

#include "rules/config.h"

struct place {
	size_t file;   /* index of the text that was read */
	unsigned line; /* 0: no line of it */
};

struct finding {
	struct place at;
	bool warning;
	char *text;
	size_t number; /* the order they were found in */
};

struct findings {
	struct finding *list;
	size_t size, room;
	size_t n_errors, n_warnings; /* of all, kept or not */
	bool failed;                 /* memory was short; the build ends in -ENOMEM */
};

void findings_error(struct findings *f, struct place at, const char *format, ...)
	PRINTF_LIKE(3, 4);
void findings_warning(struct findings *f, struct place at, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* Are there so many that another one would hardly be read? Then spare the trouble. */
bool findings_full(const struct findings *f);
void findings_fini(struct findings *f);
/*
 * Sorts, and adds to the report the first hundred errors and the first hundred warnings,
 * and how many more there are; `files` are the names behind struct place.
 */
void findings_tell(struct findings *f, const struct config_text *files, size_t n_files,
	struct config_report *report);
/* What a person wrote, fit for a message: escaped and cut. */
struct findings_word {
	char text[256];
};
struct findings_word findings_quote(struct bytes b);

#endif
