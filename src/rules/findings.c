/* Problems of a configuration with their places; see findings.h. */
#include "rules/findings.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

static void add(
	struct findings *f, bool warning, struct place at, const char *format, va_list ap)
{
	struct text t = TEXT_EMPTY;
	text_addv(&t, format, ap);
	char *text = text_take(&t);
	struct finding *list = reallocarray(f->list, f->size + 1, sizeof(*list));
	if (list)
		f->list = list;
	if (!text || !list) {
		free(text);
		f->failed = true;
		return;
	}
	f->list[f->size] = (struct finding){at, warning, text, f->size};
	f->size++;
	f->n_errors += !warning;
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
	for (size_t i = 0; i < f->size; i++) {
		const struct finding *one = &f->list[i];
		const char *path = one->at.file < n_files ? files[one->at.file].path
							  : "configuration";
		if (one->at.line > 0)
			config_report_add(report, one->warning, "%s:%u: %s", path,
				one->at.line, one->text);
		else
			config_report_add(
				report, one->warning, "%s: %s", path, one->text);
	}
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
