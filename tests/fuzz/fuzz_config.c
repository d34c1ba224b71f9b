/*
 * Arbitrary bytes as a configuration: two texts (cut at the first 0xFF), built, printed
 * where they are taken, and the print taken again. A configuration that is taken must
 * print as one that is taken: anything else is a bug and ends the run.
 */
#include "base/text.h"
#include "rules/config.h"

#include <errno.h>
#include <stdint.h>

static int on_read_secret(void *arg, const char *name, char **ret, size_t *ret_size,
	char **ret_path, char **ret_reason, char **ret_warning)
{
	(void)arg, (void)ret_warning;
	*ret_path = strdup(name);
	if (name[0] == '/') {
		*ret_reason = strdup("gone");
		return 1;
	}
	*ret = strdup(name);
	*ret_size = strlen(name);
	return 0;
}

static int on_find_file(void *arg, const char *name, char **ret_path, char **ret_reason)
{
	(void)arg, (void)ret_reason;
	*ret_path = strdup(name);
	return 0;
}

static const struct config_world world = {
	.read_secret = on_read_secret, .find_file = on_find_file};

static struct config *build(const struct config_text *texts, size_t n)
{
	struct config_report report = {0};
	struct config *c = NULL;
	int r = config_build(texts, n, &world, &report, &c);
	if ((r == 0) != (report.n_errors == 0) || (r == 0) != (c != NULL))
		abort();
	config_report_fini(&report);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *cut = size ? memchr(text, 0xff, size) : NULL;
	size_t first = cut ? (size_t)(cut - text) : size;
	const struct config_text texts[] = {{"f", {text, first}},
		{"g", {text + first + (cut != NULL), cut ? size - first - 1 : 0}}};
	struct config *c = build(texts, cut ? 2 : 1);
	if (!c)
		return 0;
	char *printed = NULL;
	size_t printed_size = 0;
	FILE *f = open_memstream(&printed, &printed_size);
	if (!f || config_print(c, f) != 0)
		abort();
	fclose(f);
	const struct config_text again = {"p", {printed, printed_size}};
	struct config *d = build(&again, 1);
	if (!d || d->n_sources != c->n_sources || d->n_hooks != c->n_hooks)
		abort();
	config_unref(c);
	config_unref(d);
	free(printed);
	return 0;
}
