/*
 * Sorted lists over a configuration; see config_index.h. One binary search costs nine
 * comparisons with 500 of a kind, and the lists hold nothing but pointers.
 */
#include "rules/config_index.h"

#include "rules/hook.h"

#include <errno.h>

struct config_index {
	struct source **by_name, **by_path;
	struct hook **hooks;
	size_t n_sources, n_hooks, longest;
};

/* The order of a byte string that need not end with a zero among texts that do. */
static int compare(struct bytes a, const char *text)
{
	struct bytes b = bytes_of(text);
	int r = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

	return r ? r : (a.size > b.size) - (a.size < b.size);
}

static int order_names(const void *a, const void *b)
{
	const struct source *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

static int order_paths(const void *a, const void *b)
{
	const struct source *const *x = a, *const *y = b;
	return strcmp((*x)->path, (*y)->path);
}

static int order_hooks(const void *a, const void *b)
{
	const struct hook *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

static int find_name(const void *key, const void *entry)
{
	const struct source *const *s = entry;
	return compare(*(const struct bytes *)key, (*s)->name);
}

static int find_path(const void *key, const void *entry)
{
	const struct source *const *s = entry;
	return compare(*(const struct bytes *)key, (*s)->path);
}

static int find_hook(const void *key, const void *entry)
{
	const struct hook *const *h = entry;
	return compare(*(const struct bytes *)key, (*h)->name);
}

/* Those that may want what comes to it, in the order of the configuration. */
static int note_hooks(const struct config *c, struct source *s)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_hooks; i++)
		n += hook_takes_source(c->hooks[i], s->name);
	s->hooks = calloc(n + 1, sizeof(*s->hooks)); /* NULL is "not noted" */
	if (!s->hooks)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_hooks; i++)
		if (hook_takes_source(c->hooks[i], s->name))
			s->hooks[s->n_hooks++] = c->hooks[i];
	return 0;
}

static void *sorted(
	void *list, size_t n, size_t size, int (*order)(const void *, const void *))
{
	void *copy = calloc(n + 1, size);

	if (copy && n) {
		memcpy(copy, list, n * size);
		qsort(copy, n, size, order);
	}
	return copy;
}

int config_index_make(struct config *c)
{
	struct config_index *x = c->index = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->n_sources = c->n_sources;
	x->n_hooks = c->n_hooks;
	x->by_name = sorted(c->sources, c->n_sources, sizeof(*c->sources), order_names);
	x->by_path = sorted(c->sources, c->n_sources, sizeof(*c->sources), order_paths);
	x->hooks = sorted(c->hooks, c->n_hooks, sizeof(*c->hooks), order_hooks);
	if (!x->by_name || !x->by_path || !x->hooks)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_sources; i++) {
		size_t size = strlen(c->sources[i]->path);
		x->longest = size > x->longest ? size : x->longest;
		int r = note_hooks(c, c->sources[i]);
		if (r)
			return r;
	}
	return 0;
}

void config_index_free(struct config_index *x)
{
	if (!x)
		return;
	free(x->by_name);
	free(x->by_path);
	free(x->hooks);
	free(x);
}

struct source *config_index_source(const struct config_index *x, struct bytes name)
{
	struct source **s = bsearch(
		&name, x->by_name, x->n_sources, sizeof(*x->by_name), find_name);
	return s ? *s : NULL;
}

struct source *config_index_path(const struct config_index *x, struct bytes path)
{
	struct source **s = bsearch(
		&path, x->by_path, x->n_sources, sizeof(*x->by_path), find_path);
	return s ? *s : NULL;
}

struct hook *config_index_hook(const struct config_index *x, struct bytes name)
{
	struct hook **h = bsearch(
		&name, x->hooks, x->n_hooks, sizeof(*x->hooks), find_hook);
	return h ? *h : NULL;
}

size_t config_index_longest(const struct config_index *x)
{
	return x->longest;
}
