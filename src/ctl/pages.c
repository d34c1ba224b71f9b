/* A page may be short, or empty, while there is a next one: only its cursor tells. */
#include "ctl/pages.h"

#include "base/codec.h"

#define PAGE_MAX 1000

void pages_query(struct text *path, const char *name, const char *value)
{
	CLEANUP(freep)
	char *encoded = value ? codec_percent_encode(bytes_of(value)) : NULL;

	if (!value)
		return;
	if (!encoded)
		path->failed = true;
	else
		text_addf(path, "%c%s=%s", strchr(path->data, '?') ? '&' : '?', name,
			encoded);
}

int pages_each(struct ctl *ctl, const char *path, const char *key, uint64_t limit,
	bool (*takes)(void *arg, const json_t *item),
	void (*on_item)(void *arg, const json_t *item), void *arg)
{
	CLEANUP(freep) char *after = NULL;
	int r = 0;

	while (limit > 0) {
		struct text t = TEXT_EMPTY;
		struct client_answer a = {0};
		const json_t *item, *next;
		size_t i;

		text_adds(&t, path);
		text_addf(&t, "%climit=%llu", strchr(path, '?') ? '&' : '?',
			(unsigned long long)(limit < PAGE_MAX && !takes ? limit
									: PAGE_MAX));
		pages_query(&t, "after", after);
		r = ctl_ask(ctl, "GET", t.failed ? NULL : t.data, NULL, NULL, &a);
		text_fini(&t);
		json_array_foreach(json_object_get(a.json, key), i, item)
		{
			if (r == 0 && limit > 0 && (!takes || takes(arg, item))) {
				on_item(arg, item);
				limit--;
			}
		}
		next = json_object_get(a.json, "next");
		free(after);
		after = json_is_string(next) ? strdup(json_string_value(next)) : NULL;
		client_answer_fini(&a);
		if (r != 0 || !after)
			break;
	}
	return r;
}
