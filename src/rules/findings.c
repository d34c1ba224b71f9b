/* Problems of a configuration with their places; see findings.h. */
#include "rules/findings.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

#define TOLD_MAX 100
/* Found in any order, so more are kept than are told: the first of a file come first. */
#define KEPT_MAX 10000

bool findings_full(const struct findings *f)
{
	return f->n_errors >= KEPT_MAX || f->n_warnings >= KEPT_MAX;
}

static void add(
	struct findings *f, bool warning, struct place at, const char *format, va_list ap)
{
	size_t *n = warning ? &f->n_warnings : &f->n_errors;
	if ((*n)++ >= KEPT_MAX)
		return;
	struct text t = TEXT_EMPTY;
	text_addv(&t, format, ap);
	char *text = text_take(&t);
	if (text && f->size == f->room) {
		size_t room = f->room ? 2 * f->room : 16;
		struct finding *list = reallocarray(f->list, room, sizeof(*list));
		if (list) {
			f->list = list;
			f->room = room;
		}
	}
	if (!text || f->size == f->room) {
		free(text);
		f->failed = true;
		return;
	}
	f->list[f->size] = (struct finding){at, warning, text, f->size};
	f->size++;
}

void findings_error(struct findings *f, struct place at, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	add(f, false, at, format, ap);
	va_end(ap);
}

void findings_warning(struct findings *f, struct place at, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	add(f, true, at, format, ap);
	va_end(ap);
}

void findings_fini(struct findings *f)
{
	for (size_t i = 0; i < f->size; i++)
		free(f->list[i].text);
	free(f->list);
	*f = (struct findings){0};
}

static int by_place(const void *left, const void *right)
{
	const struct finding *a = left, *b = right;
	if (a->at.file != b->at.file)
		return a->at.file < b->at.file ? -1 : 1;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

void findings_tell(struct findings *f, const struct config_text *files, size_t n_files,
	struct config_report *report)
{
	if (f->size > 0)
		qsort(f->list, f->size, sizeof(*f->list), by_place);
	size_t errors = 0, warnings = 0;
	for (size_t i = 0; i < f->size; i++) {
		const struct finding *one = &f->list[i];
		size_t *n = one->warning ? &warnings : &errors;
		if (*n == TOLD_MAX)
			continue;
		++*n;
		const char *path = one->at.file < n_files ? files[one->at.file].path
							  : "configuration";
		if (one->at.line > 0)
			config_report_add(report, one->warning, "%s:%u: %s", path,
				one->at.line, one->text);
		else
			config_report_add(
				report, one->warning, "%s: %s", path, one->text);
	}
	if (f->n_errors > errors)
		config_report_add(report, false, "configuration: %zu more errors",
			f->n_errors - errors);
	if (f->n_warnings > warnings)
		config_report_add(report, true, "configuration: %zu more warnings",
			f->n_warnings - warnings);
}

struct findings_word findings_quote(struct bytes b)
{
	struct findings_word word;
	struct text t = TEXT_EMPTY;
	text_add_escaped(&t, b, 60); /* four characters a byte at worst */
	snprintf(word.text, sizeof(word.text), "%s", t.failed || !t.data ? "" : t.data);
	text_fini(&t);
	return word;
}
