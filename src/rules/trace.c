/* A list of sentences; see trace.h. */
#include "rules/trace.h"

#include <stdlib.h>

void trace_say(struct trace *t, enum trace_kind kind, const char *format, ...)
{
	struct text text = TEXT_EMPTY;
	va_list ap;

	if (!t)
		return;
	va_start(ap, format);
	text_addv(&text, format, ap);
	va_end(ap);
	struct trace_step *steps = reallocarray(t->steps, t->size + 1, sizeof(*t->steps));
	if (steps)
		t->steps = steps;
	char *said = text_take(&text);
	if (!steps || !said) {
		free(said);
		t->failed = true;
		return;
	}
	t->steps[t->size++] = (struct trace_step){kind, t->scheme, said};
}

void trace_scheme(struct trace *t, const char *name)
{
	if (t)
		t->scheme = name;
}

void trace_timestamp(struct trace *t, int64_t usec, bool fresh)
{
	if (!t)
		return;
	t->has_timestamp = true;
	t->timestamp_usec = usec;
	t->stale |= !fresh;
}

void trace_fini(struct trace *t)
{
	for (size_t i = 0; i < t->size; i++)
		free(t->steps[i].text);
	free(t->steps);
	*t = (struct trace){0};
}
