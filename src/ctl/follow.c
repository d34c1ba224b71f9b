/*
 *   ask for the status: which store, which number ─► watch behind the number
 *        ▲                                                │ it ends
 *        └──────────────── a pause ◄──────────────────────┘
 *
 * The number comes from the status and not from "now", so that nothing is lost between two
 * connections even before the first line. Numbers of one store mean nothing in another: then
 * all that the other one holds is told.
 */
#include "ctl/follow.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>

struct follow {
	struct ctl *ctl;
	struct follow_options o;
	char store[FOLLOW_STORE_SIZE]; /* whose number `after` is; "": not known */
	bool has_number;
	uint64_t after;
	bool reached, up;
	uint64_t away_usec; /* since when; 0: it answers */
	struct client_timer timer;
};

static void begin(void *arg);

static void down(struct follow *f, const struct client_answer *a)
{
	f->up = false;
	f->o.on_down(f->o.arg, a);
}

static void no_memory(struct follow *f)
{
	struct client_answer a = {.failure = CLIENT_NO_MEMORY, .reason = "out of memory"};

	down(f, &a);
}

static void come_back(struct follow *f, const struct client_answer *a)
{
	uint64_t now = clock_mono_usec();

	f->up = false;
	if (f->away_usec == 0)
		f->away_usec = now;
	if (a->failure == CLIENT_NO_ACCESS || a->failure == CLIENT_NO_MEMORY ||
		!f->reached || now - f->away_usec > CTL_PATIENCE_USEC)
		down(f, a);
	else
		client_timer_set(f->ctl->client, &f->timer, now + CTL_PAUSE_USEC);
}

static bool is_away(const struct client_answer *a)
{
	return a->failure != CLIENT_OK || a->status == 503;
}

static void on_line(void *arg, struct bytes line)
{
	struct follow *f = arg;
	json_t *change = json_loadb(line.data, line.size, 0, NULL);
	const json_t *seq = json_object_get(change, "seq");

	f->away_usec = 0;
	if (json_is_integer(seq)) {
		f->after = (uint64_t)json_integer_value(seq);
		f->has_number = true;
		f->o.on_change(f->o.arg, change, f->after);
	}
	json_decref(change);
}

static void on_end(void *arg, const struct client_answer *a)
{
	struct client_answer ended = {.failure = CLIENT_UNREACHABLE};
	struct follow *f = arg;

	if (a->status != 503) /* it was there until now, however long nothing was told */
		f->away_usec = 0;
	if (!is_away(a) && a->status == 200) {
		snprintf(
			ended.reason, sizeof(ended.reason), "the daemon ended the watch");
		a = &ended;
	}
	if (is_away(a))
		come_back(f, a);
	else
		down(f, a);
}

static void watch(struct follow *f)
{
	CLEANUP(freep)
	char *path = f->has_number ? text_format("/v1/watch?after=%llu",
					     (unsigned long long)f->after)
				   : strdup("/v1/watch");

	if (!path || client_begin_stream(f->ctl->client, path, on_line, on_end, f) < 0) {
		no_memory(f);
		return;
	}
	f->up = true;
	if (f->o.on_up)
		f->o.on_up(f->o.arg, f->after, f->store);
}

static void on_status(void *arg, const struct client_answer *a)
{
	struct follow *f = arg;
	const json_t *store = json_object_get(a->json, "store");
	const json_t *seq = json_object_get(store, "seq");
	const char *name = json_string_value(json_object_get(store, "name"));

	if (a->failure == CLIENT_OK)
		f->reached = true;
	if (is_away(a)) {
		come_back(f, a);
		return;
	}
	if (a->status != 200) {
		down(f, a);
		return;
	}
	if (f->has_number && *f->store && name && strcmp(name, f->store) != 0) {
		ctl_complain("the daemon has another store than before: what the former "
			     "one held behind number %llu is not told",
			(unsigned long long)f->after);
		f->after = 0;
	} else if (!f->has_number && json_is_integer(seq)) {
		f->after = (uint64_t)json_integer_value(seq);
		f->has_number = true;
	}
	if (name)
		snprintf(f->store, sizeof(f->store), "%s", name);
	watch(f);
}

static void begin(void *arg)
{
	struct follow *f = arg;

	if (client_begin(f->ctl->client, "GET", "/v1/status", NULL, on_status, f) < 0)
		no_memory(f);
}

int follow_new(struct follow **ret, struct ctl *ctl, const struct follow_options *options)
{
	struct follow *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->ctl = ctl;
	f->o = *options;
	f->has_number = options->from_number;
	f->after = options->from_number ? options->after : 0;
	if (options->store)
		snprintf(f->store, sizeof(f->store), "%s", options->store);
	f->timer.on_time = begin;
	f->timer.arg = f;
	client_timer_set(ctl->client, &f->timer, clock_mono_usec());
	*ret = f;
	return 0;
}

void follow_free(struct follow *f)
{
	if (f)
		client_timer_stop(&f->timer);
	free(f);
}

bool follow_is_up(const struct follow *f)
{
	return f && f->up;
}
