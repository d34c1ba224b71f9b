/*
 * Any line of Exec=: it is split or refused with a reason; what was split can be written
 * quoted and splits into the same words again; expansion never leaves one argument.
 */
#include "base/text.h"
#include "rules/command.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void words_free(struct words *w)
{
	for (size_t i = 0; i < w->size; i++)
		free(w->list[i]);
	free(w->list);
}

static void quote(struct text *t, const char *word)
{
	text_adds(t, "\"");
	for (; *word; word++)
		text_addf(t, "\\x%02x", (unsigned char)*word);
	text_adds(t, "\" ");
}

static void check_again(const struct words *w)
{
	struct text line = TEXT_EMPTY;
	struct words again = {0};
	char *reason = NULL, *warning = NULL;

	for (size_t i = 0; i < w->size; i++)
		quote(&line, w->list[i]);
	if (command_split(line.data, &again, &reason, &warning) != 0 ||
		again.size != w->size)
		abort();
	for (size_t i = 0; i < w->size; i++)
		if (strcmp(w->list[i], again.list[i]) != 0)
			abort();
	free(warning);
	words_free(&again);
	text_fini(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *const environment[] = {
		(char *)"CALLBACK_ID=${CALLBACK_ID} $", (char *)"CALLBACK_S=", NULL};
	char *line = bytes_dup((struct bytes){(const char *)data, size});
	char *reason = NULL, *warning = NULL;
	struct words w = {0};

	if (!line)
		return 0;
	int r = command_split(line, &w, &reason, &warning);
	if ((r == 1) != (reason != NULL) || (r == 1) != (w.size == 0) || r < 0)
		abort();
	if (r == 0)
		check_again(&w);
	for (size_t i = 0; i < w.size; i++) {
		char *expanded = command_expand(w.list[i], environment);
		if (!expanded)
			abort();
		/* Without a variable a word stays what it is. */
		if (!strstr(w.list[i], "${CALLBACK_") && strcmp(expanded, w.list[i]) != 0)
			abort();
		free(expanded);
	}
	words_free(&w);
	free(reason);
	free(warning);
	free(line);
	return 0;
}
