/*
 * What the store knows of hooks as such: which have runs waiting and when they are due, which
 * are paused, when a paced one started last. A hook is a name here; nobody asks whether it is
 * configured. Each look is a step in an index, however many runs wait.
 */
#include "io/store_exec.h"
#include "io/store_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A first column that is a name. 1 and *ret, 0 when there is none. */
static int read_name(struct store *s, enum store_sql which, const struct store_arg *args,
	size_t n_args, char ret[static STORE_LABEL_SIZE])
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = store_sql_row(s, which, &row, args, n_args);
	if (r == 1)
		snprintf(
			ret, STORE_LABEL_SIZE, "%.*s", BYTES_FMT(store_sql_peek(row, 0)));
	return r;
}

int store_next_source(struct store *s, const char *hook, const char *after,
	char ret[static STORE_LABEL_SIZE])
{
	return read_name(s, SQL_RUNS_NEXT_SOURCE,
		STORE_ARGS(ARG_TEXT(hook), ARG_TEXT(after)), ret);
}

int store_source_due(
	struct store *s, const char *hook, const char *source, int64_t *ret_usec)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;

	int r = STORE_ROW(s, SQL_RUNS_FIRST_DUE, &row, ARG_TEXT(hook), ARG_TEXT(source));
	*ret_usec = r == 1 ? sqlite3_column_int64(row, 0) : 0;
	return r < 0 ? r : 0;
}

static struct store_due_hook *due_of(struct store_due *o, const char *hook)
{
	for (size_t i = 0; i < o->n_hooks; i++)
		if (strcmp(o->hooks[i].hook, hook) == 0)
			return &o->hooks[i];
	void *more = reallocarray(o->hooks, o->n_hooks + 1, sizeof(*o->hooks));
	if (!more)
		return NULL;
	o->hooks = more;
	struct store_due_hook *h = &o->hooks[o->n_hooks];
	*h = (struct store_due_hook){.hook = strdup(hook)};
	if (!h->hook)
		return NULL;
	o->n_hooks++;
	return h;
}

/* The earliest of all its sources. */
static int add_waiting(struct store *s, struct store_due *o, const char *hook)
{
	struct store_due_hook *h = due_of(o, hook);
	char source[STORE_LABEL_SIZE] = "";
	int64_t due;
	int r;

	if (!h)
		return -ENOMEM;
	while ((r = store_next_source(s, hook, source, source)) == 1) {
		r = store_source_due(s, hook, source, &due);
		if (r < 0)
			return r;
		if (due && (!h->next_due_usec || due < h->next_due_usec))
			h->next_due_usec = due;
	}
	return r;
}

static int add_behind(struct store *s, struct store_due *o, const char *hook)
{
	struct store_due_hook *h = due_of(o, hook);

	if (!h)
		return -ENOMEM;
	if (!h->next_due_usec || h->next_due_usec > s->steady_usec)
		h->next_due_usec = s->steady_usec;
	return 0;
}

static int add_each(struct store *s, struct store_due *o, enum store_sql which,
	int (*add)(struct store *s, struct store_due *o, const char *hook))
{
	char hook[STORE_LABEL_SIZE] = "";
	int r;

	while ((r = read_name(s, which, STORE_ARGS(ARG_TEXT(hook)), hook)) == 1) {
		r = add(s, o, hook);
		if (r < 0)
			return r;
	}
	return r;
}

int store_exec_due(struct store *s, struct store_op *op)
{
	struct store_due *o = container_of(op, struct store_due, op);

	int r = add_each(s, o, SQL_RUNS_NEXT_HOOK, add_waiting);
	if (!r)
		r = add_each(s, o, SQL_RUNS_NEXT_BEHIND, add_behind);
	return r;
}

int store_load_hooks(struct store *s)
{
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	bool failed = false;

	int r = store_sql_row(s, SQL_HOOKS, &row, NULL, 0);
	for (; r == 1; r = store_sql_next(s, row)) {
		void *more = reallocarray(s->hooks, s->n_hooks + 1, sizeof(*s->hooks));
		if (!more)
			return -ENOMEM;
		s->hooks = more;
		s->hooks[s->n_hooks++] = (struct store_hook){
			.name = store_sql_text(row, 0, &failed),
			.paused = sqlite3_column_int(row, 1),
			.started_usec = sqlite3_column_int64(row, 2),
		};
		if (failed)
			return -ENOMEM;
	}
	return r;
}

void store_free_hooks(struct store *s)
{
	for (size_t i = 0; i < s->n_hooks; i++)
		free(s->hooks[i].name);
	free(s->hooks);
}

const struct store_hook *store_hooks(const struct store *s, size_t *ret_n)
{
	*ret_n = s->n_hooks;
	return s->hooks;
}

int store_exec_pause(struct store *s, struct store_op *op)
{
	struct store_pause *o = container_of(op, struct store_pause, op);
	bool paused = false;
	{
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, SQL_HOOK_PAUSED, &row, ARG_TEXT(o->hook));
		if (r < 0)
			return r;
		paused = r && sqlite3_column_int(row, 0);
	}
	o->changed = paused != o->paused;
	if (!o->changed)
		return 0;
	return STORE_RUN(s, SQL_HOOK_PAUSE, ARG_TEXT(o->hook), ARG_INT(o->paused));
}
