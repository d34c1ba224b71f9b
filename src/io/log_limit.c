/*
 * Windows of one second. Hooks are found by name; there are as many as the configuration
 * has ever named, beyond HOOKS_MAX they share the kind's own window.
 */
#include "io/log_limit.h"

#include "base/macros.h"
#include "io/log_record.h"

#include <stdio.h>
#include <string.h>

#define HOOKS_MAX 256

struct window {
	uint64_t start_usec;
	unsigned n;
	size_t bytes;
	uint64_t left_out, since_usec; /* since: the first of them */
	char hook[65];                 /* "" = a kind's */
};

/* One more than there are kinds: debug. */
#define N_KINDS (LOG_KIND_MAX + 1)

static struct window kinds[N_KINDS], hooks[HOOKS_MAX];
static size_t n_hooks;

static struct window *find(enum log_kind kind, const char *hook)
{
	if (!hook || strlen(hook) >= sizeof(hooks[0].hook) || !*hook)
		return &kinds[kind];
	for (size_t i = 0; i < n_hooks; i++)
		if (strcmp(hooks[i].hook, hook) == 0)
			return &hooks[i];
	if (n_hooks == HOOKS_MAX)
		return &kinds[kind];
	snprintf(hooks[n_hooks].hook, sizeof(hooks[0].hook), "%s", hook);
	return &hooks[n_hooks++];
}

bool log_limit_take(enum log_kind kind, const char *hook, size_t size, uint64_t now_usec)
{
	struct window *w = find(kind, hook);

	if (now_usec - w->start_usec >= USEC_PER_SEC) {
		w->start_usec = now_usec;
		w->n = 0;
		w->bytes = 0;
	}
	if (w->n < LOG_LIMIT_PER_SEC && w->bytes < LOG_LIMIT_BYTES_PER_SEC) {
		w->n++;
		w->bytes += size;
		return true;
	}
	if (!w->left_out++)
		w->since_usec = now_usec;
	return false;
}

void log_limit_leave_out(
	enum log_kind kind, const char *hook, uint64_t n, uint64_t now_usec)
{
	struct window *w = find(kind, hook);

	if (n && !w->left_out)
		w->since_usec = now_usec;
	w->left_out += n;
}

static struct window *nth(size_t i)
{
	return i < N_KINDS ? &kinds[i] : &hooks[i - N_KINDS];
}

bool log_limit_tell(uint64_t now_usec, bool at_once, struct log_left_out *ret)
{
	for (size_t i = 0; i < N_KINDS + n_hooks; i++) {
		struct window *w = nth(i);

		if (!w->left_out || (!at_once && now_usec - w->since_usec < USEC_PER_SEC))
			continue;
		snprintf(ret->hook, sizeof(ret->hook), "%s", w->hook);
		ret->kind = w->hook[0] ? LOG_HOOK_OUTPUT : (enum log_kind)i;
		ret->n = w->left_out;
		w->left_out = 0;
		return true;
	}
	return false;
}

bool log_limit_pending(void)
{
	for (size_t i = 0; i < N_KINDS + n_hooks; i++)
		if (nth(i)->left_out)
			return true;
	return false;
}

void log_limit_reset(void)
{
	memset(kinds, 0, sizeof(kinds));
	memset(hooks, 0, sizeof(hooks));
	n_hooks = 0;
}
