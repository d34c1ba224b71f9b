/*
 * Everything that happens, a line each, without gap or double:
 *
 *   subscribe ─► history, page by page ─► live
 *                     ▲                    │ the peer reads too slowly
 *                     └────────────────────┘
 *
 * `sent` is how far the asker was told. While history is read, live changes only say how
 * far it goes; a peer that lags falls back to history, so it costs a constant and loses
 * nothing.
 */
#include "api/call.h"
#include "api/json.h"
#include "flow/feed.h"

#include <errno.h>

#define PAGE           200
#define ROOM_MIN_BYTES (16 * 1024)
#define BREATH_USEC    (50 * 1000) /* between looks at a peer that lags */

struct watch {
	bool from_now, live;
	uint64_t sent;
	uint64_t newest; /* that happened while not live */
	struct feed_wait *wait;
	struct event *timer;
};

static void on_history(struct call *c);

static void on_watch_over(struct call *c)
{
	struct watch *w = c->data;

	feed_wait_free(w->wait);
	w->wait = NULL;
	if (w->timer)
		event_free(w->timer);
	w->timer = NULL;
}

/* 0, 1 no room for it now, or negative errno. */
static int write_change(struct call *c, const struct store_change *change)
{
	json_t *json = json_of_change(change, store_name(c->flow->store));
	CLEANUP(freep) char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
	size_t size = line ? strlen(line) : 0;
	struct watch *w = c->data;
	int r;

	json_decref(json);
	if (!line)
		return -ENOMEM;
	if (http_stream_room(c->request) < size + ROOM_MIN_BYTES)
		return 1;
	line[size] = '\n'; /* in the place of the NUL */
	r = http_stream_write(c->request, (struct bytes){line, size + 1});
	if (r == 0)
		w->sent = change->seq;
	return r;
}

static void ask_history(struct call *c)
{
	struct watch *w = c->data;

	call_prepare(c, STORE_LIST_CHANGES);
	c->ask.list_changes.after = w->from_now ? UINT64_MAX : w->sent;
	c->ask.list_changes.limit = PAGE;
	call_ask(c, on_history);
}

static void breathe(struct call *c)
{
	const struct timeval tv = {.tv_usec = BREATH_USEC};
	struct watch *w = c->data;

	if (evtimer_add(w->timer, &tv) < 0)
		call_error(c, 503, "out of memory");
}

static void on_breath(evutil_socket_t fd, short what, void *arg)
{
	struct call *c = arg;

	(void)fd;
	(void)what;
	if (http_stream_room(c->request) < 2 * ROOM_MIN_BYTES)
		breathe(c);
	else
		ask_history(c);
}

/* Where the history begins; the first answer of the store says how far it goes. */
static void begin(struct call *c, uint64_t last)
{
	struct watch *w = c->data;

	/* A number of the future is of another store, an older one: nothing is skipped. */
	if (w->from_now || w->sent > last)
		w->sent = last;
	w->from_now = false;
	c->streaming = true;
	http_stream_begin(c->request, 200, "application/x-ndjson");
}

static void on_history(struct call *c)
{
	const struct store_list_changes *l = &c->ask.list_changes;
	struct watch *w = c->data;

	if (c->answered || !c->request)
		return;
	if (l->op.result < 0) {
		call_store_error(c, l->op.result);
		return;
	}
	if (!c->streaming)
		begin(c, l->last);
	for (size_t i = 0; i < l->n_changes; i++) {
		int r;

		if (l->changes[i].seq <= w->sent)
			continue;
		r = write_change(c, &l->changes[i]);
		if (r < 0) {
			call_error(c, 503, "the peer is gone or memory is short");
			return;
		}
		if (r > 0) {
			breathe(c);
			return;
		}
	}
	if (l->n_changes == 0 && w->sent < l->last)
		w->sent = l->last; /* what was there is pruned */
	w->live = w->sent >= l->last && w->sent >= w->newest;
	if (!w->live)
		ask_history(c);
}

static void on_change(void *arg, const struct store_change *change)
{
	struct call *c = arg;
	struct watch *w = c->data;
	int r;

	if (!w->live) {
		w->newest = change->seq;
		return;
	}
	if (change->seq <= w->sent)
		return;
	r = write_change(c, change);
	if (r < 0) {
		call_error(c, 503, "the peer is gone or memory is short");
	} else if (r > 0) {
		w->live = false;
		w->newest = change->seq;
		breathe(c);
	}
}

void control_watch_get(struct call *c)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r = -ENOMEM;

	c->data = w;
	if (w) {
		c->on_over = on_watch_over;
		w->timer = evtimer_new(c->flow->base, on_breath, c);
		if (w->timer)
			r = feed_wait_new(
				c->flow->feed, NULL, NULL, on_change, c, &w->wait);
	}
	if (r < 0) {
		call_error(c, 503, "out of memory");
		return;
	}
	r = call_query_number(c, "after", &w->sent);
	if (r < 0)
		return;
	w->from_now = r == 1;
	c->lasting = true;
	ask_history(c);
}
