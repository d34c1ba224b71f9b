/* What was told already; see once.h. */
#include "flow/once.h"

#include "base/map.h"
#include "base/text.h"

#define PAIRS_MAX 1000

struct pair {
	struct map_entry entry;
	struct pair *next;
	char *key; /* SOURCE/WORD: a source's name holds no slash */
};

struct once {
	struct map pairs;
	struct pair *list;
};

struct once *once_new(void)
{
	struct once *o = calloc(1, sizeof(*o));

	if (o && map_init(&o->pairs) < 0) {
		free(o);
		return NULL;
	}
	return o;
}

void once_free(struct once *o)
{
	if (!o)
		return;
	for (struct pair *p = o->list, *next; p; p = next) {
		next = p->next;
		free(p->key);
		free(p);
	}
	map_fini(&o->pairs);
	free(o);
}

bool once_first(struct once *o, const char *source, const char *word)
{
	CLEANUP(freep) char *key = text_format("%s/%s", source, word);
	CLEANUP(freep) struct pair *p = calloc(1, sizeof(*p));

	if (!key || !p || o->pairs.size >= PAIRS_MAX ||
		map_find(&o->pairs, bytes_of(key)))
		return false;
	p->key = CONSUME(key);
	p->next = o->list;
	o->list = p;
	map_put(&o->pairs, &p->entry, bytes_of(p->key));
	p = NULL; /* the list's */
	return true;
}
