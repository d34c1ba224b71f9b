/* A hook's memory, and which callbacks it wants. */
#include "rules/hook.h"

#include "rules/words.h"

const char *hook_variable_name(enum hook_variable variable)
{
	static const char *const names[HOOK_VARIABLE_MAX] = {
		[HOOK_VARIABLE_SOURCE] = "CALLBACK_SOURCE",
		[HOOK_VARIABLE_ID] = "CALLBACK_ID",
		[HOOK_VARIABLE_STATUS] = "CALLBACK_STATUS",
		[HOOK_VARIABLE_OUTCOME] = "CALLBACK_OUTCOME",
		[HOOK_VARIABLE_RECEIVED] = "CALLBACK_RECEIVED",
		[HOOK_VARIABLE_HOOK] = "CALLBACK_HOOK",
		[HOOK_VARIABLE_RUN] = "CALLBACK_RUN",
		[HOOK_VARIABLE_ATTEMPT] = "CALLBACK_ATTEMPT",
		[HOOK_VARIABLE_TEST] = "CALLBACK_TEST",
	};
	return names[variable];
}

bool hook_variable_known(struct bytes name)
{
	for (enum hook_variable v = 0; v < HOOK_VARIABLE_MAX; v++)
		if (bytes_equal(bytes_of(hook_variable_name(v)), name))
			return true;
	return false;
}

void hook_free(struct hook *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n_exports; i++) {
		free(h->exports[i].variable);
		field_fini(&h->exports[i].field);
	}
	free(h->exports);
	words_fini(&h->sources);
	words_fini(&h->on_statuses);
	words_fini(&h->exec);
	words_fini(&h->environment);
	condition_list_fini(&h->where);
	free(h->working_directory);
	free(h->socket);
	free(h->name);
	free(h);
}

bool hook_takes_source(const struct hook *h, const char *source)
{
	bool named = h->sources.size == 0;
	/* Names of sources are compared exactly: a and A are two. */
	for (size_t i = 0; !named && i < h->sources.size; i++)
		named = strcmp(h->sources.list[i], source) == 0;
	return named;
}

bool hook_wants(const struct hook *h, const char *source, enum outcome outcome,
	const char *status)
{
	if (!hook_takes_source(h, source) || outcome == OUTCOME_NONE)
		return false;
	if (h->on_outcomes >> outcome & 1)
		return true;
	/* Only On=unreadable and On=lost fire for these: no word of a sender did it. */
	if (!status || outcome == OUTCOME_UNREADABLE || outcome == OUTCOME_LOST)
		return false;
	return words_contain_nocase(&h->on_statuses, bytes_of(status));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool hook_same_worker(const struct hook *a, const struct hook *b)
{
	return a->mode == b->mode && words_equal(&a->exec, &b->exec) &&
	       words_equal(&a->environment, &b->environment) &&
	       same_text(a->working_directory, b->working_directory) &&
	       same_text(a->socket, b->socket);
}
