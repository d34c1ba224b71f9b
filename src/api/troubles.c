/* What is wrong now; see troubles.h. */
#include "api/troubles.h"

#include "base/clock.h"
#include "base/span.h"
#include "base/text.h"
#include "flow/ask.h"
#include "flow/dispatch.h"
#include "flow/keyring.h"
#include "io/log.h"
#include "io/tls.h"

#include <stdarg.h>
#include <string.h>

static void tell(json_t *list, const char *level, const char *format, ...)
	PRINTF_LIKE(3, 4);

static void tell(json_t *list, const char *level, const char *format, ...)
{
	CLEANUP(text_fini) struct text t = TEXT_EMPTY;
	va_list ap;

	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	if (!t.failed)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "level", level, "problem", t.data));
}

/* Whole seconds, minutes or hours: nobody counts microseconds here. Owned by the caller. */
static char *span(int64_t usec)
{
	uint64_t unit = usec < 60 * (int64_t)USEC_PER_SEC ? USEC_PER_SEC
							  : 60 * USEC_PER_SEC;

	return span_format_usec((uint64_t)usec / unit * unit);
}

struct troubles_oldest troubles_oldest(const struct flow *f)
{
	struct troubles_oldest oldest = {NULL, 0};
	int64_t now = clock_steady_usec();

	for (size_t i = 0; i < f->config->n_hooks; i++) {
		const char *name = f->config->hooks[i]->name;
		int64_t due = dispatch_look(f->dispatch, name).oldest_due_usec;
		if (due && due <= now && (!oldest.hook || due < oldest.due_usec))
			oldest = (struct troubles_oldest){name, due};
	}
	return oldest;
}

static void tell_store(json_t *list, const struct flow *f)
{
	const struct store_counts n = store_counts(f->store);

	if (!store_healthy(f->store))
		tell(list, "error",
			"the store cannot commit: callbacks are answered 503 (disk "
			"full?)");
	if (n.dead)
		tell(list, "error",
			"%llu dead %s: callbackctl runs --state dead; then replay or "
			"discard",
			(unsigned long long)n.dead, n.dead == 1 ? "run" : "runs");
}

static void tell_certificate(json_t *list, int64_t expires_usec)
{
	int64_t left = expires_usec - clock_wall_usec();
	CLEANUP(freep) char *time = span(left < 0 ? -left : left);

	if (!expires_usec || left >= TLS_EXPIRES_SOON_USEC)
		return;
	tell(list, left < 0 ? "error" : "warning", "the certificate %s%s%s",
		left < 0 ? "expired " : "expires in ", time ? time : "-",
		left < 0 ? " ago" : "");
}

static void tell_hooks(json_t *list, const struct flow *f)
{
	struct troubles_oldest oldest = troubles_oldest(f);
	int64_t waited = clock_steady_usec() - oldest.due_usec;
	CLEANUP(freep) char *time = span(oldest.hook ? waited : 0);

	if (oldest.hook && waited > TROUBLES_OVERDUE_USEC)
		tell(list, "warning", "a run of hook %s has been due for %s", oldest.hook,
			time ? time : "-");
	for (size_t i = 0; i < f->config->n_hooks; i++) {
		const struct hook *h = f->config->hooks[i];
		struct dispatch_look look = dispatch_look(f->dispatch, h->name);
		if (look.paused)
			tell(list, "warning", "hook %s is paused: callbackctl resume %s",
				h->name, h->name);
		else if (look.window)
			tell(list, "warning",
				"hook %s fails and is slowed to %u at a time: "
				"callbackctl "
				"runs --hook %s",
				h->name, look.window, h->name);
	}
}

static void tell_sources(json_t *list, const struct flow *f)
{
	for (size_t i = 0; i < f->config->n_sources; i++) {
		const struct source *s = f->config->sources[i];
		struct keyring_state keys;
		struct ask_state asking;

		if (s->keys_url) {
			keyring_look(f->keyring, s, VERIFY_KEYS_SET, s->keys_url, &keys);
			if (keys.trouble && keys.trouble[0])
				tell(list, keys.n_keys ? "warning" : "error",
					"keys of source %s cannot be fetched%s: %s",
					s->name,
					keys.n_keys ? "" : " and none are at hand",
					keys.trouble);
		}
		if (!source_answers(s))
			continue;
		ask_look(f->ask, s->name, &asking);
		if (asking.trouble && asking.trouble[0])
			tell(list, "warning", "source %s cannot be asked: %s", s->name,
				asking.trouble);
	}
}

json_t *troubles_list(const struct flow *f, const struct control_doors *doors)
{
	const char *reload = f->reload.problem;
	json_t *list = json_array();

	if (!list)
		return NULL;
	tell_store(list, f);
	/* The first of its lines; the status has them all. */
	if (f->reload.refused_usec)
		tell(list, "error",
			"the last reload was refused and the old configuration is at "
			"work%s%.*s",
			reload ? ": " : "", reload ? (int)strcspn(reload, "\n") : 0,
			reload ? reload : "");
	tell_certificate(list, doors->certificate_expires_usec);
	tell_hooks(list, f);
	tell_sources(list, f);
	if (log_dropped())
		tell(list, "warning", "%llu log records were dropped",
			(unsigned long long)log_dropped());
	if (f->stopping)
		tell(list, "warning", "the daemon is stopping");
	return list;
}
