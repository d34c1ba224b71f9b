/* Counts by source and by hook; see tally.h. */
#include "flow/tally.h"

#include "base/clock.h"

#include <string.h>

static const int statuses[TALLY_REFUSALS] = {
	0, 400, 404, 405, 408, 413, 414, 415, 417, 431};

int tally_refusal_status(size_t i)
{
	return statuses[i];
}

void tally_refused(struct tally *t, int status)
{
	size_t i = TALLY_REFUSALS - 1;

	while (i > 0 && statuses[i] != status)
		i--;
	t->refusals[i]++;
}

struct tally *tally_new(void)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	if (map_init(&t->sources_by_name) < 0) {
		free(t);
		return NULL;
	}
	if (map_init(&t->hooks_by_name) < 0) {
		map_fini(&t->sources_by_name);
		free(t);
		return NULL;
	}
	meter_init(&t->callbacks, clock_mono_usec());
	return t;
}

void tally_free(struct tally *t)
{
	struct tally_source *s;
	struct tally_hook *h;

	if (!t)
		return;
	while ((s = t->sources)) {
		t->sources = s->next;
		free(s);
	}
	while ((h = t->hooks)) {
		t->hooks = h->next;
		free(h);
	}
	map_fini(&t->sources_by_name);
	map_fini(&t->hooks_by_name);
	free(t);
}

struct tally_source *tally_source(struct tally *t, const char *name)
{
	struct map_entry *e = map_find(&t->sources_by_name, bytes_of(name));
	struct tally_source *s;

	if (e)
		return container_of(e, struct tally_source, by_name);
	if (strlen(name) >= sizeof(s->name) || !(s = calloc(1, sizeof(*s))))
		return &t->no_source;
	strcpy(s->name, name);
	map_put(&t->sources_by_name, &s->by_name, bytes_of(s->name));
	s->next = t->sources;
	t->sources = s;
	return s;
}

struct tally_hook *tally_hook(struct tally *t, const char *name)
{
	struct map_entry *e = map_find(&t->hooks_by_name, bytes_of(name));
	struct tally_hook *h;

	if (e)
		return container_of(e, struct tally_hook, by_name);
	if (strlen(name) >= sizeof(h->name) || !(h = calloc(1, sizeof(*h))))
		return &t->no_hook;
	strcpy(h->name, name);
	map_put(&t->hooks_by_name, &h->by_name, bytes_of(h->name));
	h->next = t->hooks;
	t->hooks = h;
	return h;
}
