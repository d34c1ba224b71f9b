/*
 * 1 MiB of `{},` becomes 96 MB of empty objects. While a body from outside is parsed, its
 * thread's allocations are counted against a budget; at all other times nothing is counted
 * and nothing refused. The memory is malloc's own, so that whoever frees it, in whatever
 * thread and whenever, does right.
 */
#include "rules/payload_memory.h"

#include <jansson.h>
#include <malloc.h>
#include <stdbool.h>

static _Thread_local struct {
	bool armed;
	enum payload_memory end;
	size_t left;
} budget;

static void *on_malloc(size_t size)
{
	if (!budget.armed)
		return malloc(size);
	if (size > budget.left) {
		budget.end = PAYLOAD_MEMORY_EXCEEDED;
		return NULL;
	}
	void *p = malloc(size);
	if (!p) {
		budget.end = PAYLOAD_MEMORY_SHORT;
		return NULL;
	}
	/* What malloc really gave: small objects cost more than they ask for. */
	size_t real = malloc_usable_size(p);
	budget.left -= real < budget.left ? real : budget.left;
	return p;
}

static void on_free(void *p)
{
	if (budget.armed && p)
		budget.left += malloc_usable_size(p);
	free(p);
}

void payload_memory_install(void)
{
	json_set_alloc_funcs(on_malloc, on_free);
}

void payload_memory_arm(size_t bytes)
{
	budget.armed = true;
	budget.end = PAYLOAD_MEMORY_FINE;
	budget.left = bytes;
}

enum payload_memory payload_memory_disarm(void)
{
	budget.armed = false;
	return budget.end;
}
