/*
 * Everything that happens, a line each, without gap or double:
 *
 *   subscribe ─► history, page by page ─► live
 *                     ▲                    │ the peer reads too slowly
 *                     └────────────────────┘
 *
 * `sent` is how far the asker was told. While history is read, live changes only say how
 * far it goes; a peer that lags falls back to history, so it costs a constant and loses
 * nothing. Where history begins behind what it was told (pruned), or ends before it (the
 * number is of another store), it gets a line that says so: nothing is skipped in silence.
 */
#include "api/call.h"
#include "api/json.h"
#include "flow/feed.h"

#include <errno.h>

#define PAGE           200
#define ROOM_MIN_BYTES (16 * 1024)
/* Between looks at a peer that lags: it may be in the middle of reading, or asleep for hours. */
#define BREATH_MIN_USEC (2 * USEC_PER_MSEC)
#define BREATH_MAX_USEC (500 * USEC_PER_MSEC)

struct watch {
	bool from_now, live;
	uint64_t sent;
	uint64_t newest;      /* that happened while not live */
	uint64_t breath_usec; /* the last one, since something could be written */
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

/* One dump for all watchers. 0 or -ENOMEM. */
static int make_line(struct control *control, const struct store_change *change)
{
	struct text *line = &control->change_line;
	json_t *json;
	char *text;

	if (control->line_seq == change->seq)
		return 0;
	json = json_of_change(change, store_name(control->flow->store));
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	text_fini(line); /* one long line is not kept as room for all others */
	if (text)
		text_addf(line, "%s\n", text);
	free(text);
	control->line_seq = text && !line->failed ? change->seq : 0;
	return control->line_seq ? 0 : -ENOMEM;
}

/* 0 and `seq` is what was sent last, 1 no room for it now, or negative errno. */
static int write_line(struct call *c, struct bytes line, uint64_t seq)
{
	size_t room = http_stream_room(c->request);
	struct watch *w = c->data;
	int r;

	/* What is longer than the room goes when nothing else waits. */
	if (room < line.size + ROOM_MIN_BYTES && room < HTTP_STREAM_ROOM)
		return 1;
	r = http_stream_write(c->request, line);
	if (r == 0) {
		w->sent = seq;
		w->breath_usec = 0;
	}
	return r;
}

static int write_change(struct call *c, const struct store_change *change)
{
	int r = make_line(c->control, change);

	return r < 0 ? r
		     : write_line(c, text_bytes(&c->control->change_line), change->seq);
}

/* 0: nothing is missing between what was sent and what there is; else the first number
 * behind the gap. Who asks from 0 asks for what there is. */
static uint64_t gap_end(const struct watch *w, const struct store_list_changes *l)
{
	if (w->sent > l->last)
		return l->last + 1;
	return w->sent && w->sent + 1 < l->first ? l->first : 0;
}

static int write_gap(struct call *c, uint64_t next)
{
	struct watch *w = c->data;
	json_t *json = json_of_gap(w->sent, next);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	CLEANUP(freep) char *line = text ? text_format("%s\n", text) : NULL;

	json_decref(json);
	free(text);
	return line ? write_line(c, bytes_of(line), next - 1) : -ENOMEM;
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
	struct watch *w = c->data;
	uint64_t usec = w->breath_usec ? 2 * w->breath_usec : BREATH_MIN_USEC;
	struct timeval tv = {0};

	w->breath_usec = usec < BREATH_MAX_USEC ? usec : BREATH_MAX_USEC;
	tv.tv_usec = (suseconds_t)w->breath_usec;
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

	if (w->from_now)
		w->sent = last;
	w->from_now = false;
	c->streaming = true;
	http_stream_begin(c->request, 200, "application/x-ndjson");
}

/* All that was found. 0, 1 no room for more now, or negative errno. */
static int write_history(struct call *c, const struct store_list_changes *l)
{
	struct watch *w = c->data;
	uint64_t next = gap_end(w, l);
	int r = next ? write_gap(c, next) : 0;

	for (size_t i = 0; r == 0 && i < l->n_changes; i++)
		if (l->changes[i].seq > w->sent)
			r = write_change(c, &l->changes[i]);
	return r;
}

static void on_history(struct call *c)
{
	const struct store_list_changes *l = &c->ask.list_changes;
	struct watch *w = c->data;
	int r;

	if (c->answered || !c->request)
		return;
	if (l->op.result < 0) {
		call_store_error(c, l->op.result);
		return;
	}
	if (!c->streaming)
		begin(c, l->last);
	r = write_history(c, l);
	if (r < 0) {
		call_error(c, 503, "the peer is gone or memory is short");
		return;
	}
	if (r > 0) {
		breathe(c);
		return;
	}
	if (l->n_changes == 0 && w->sent < l->last)
		w->sent = l->last; /* the jobs of what was there are forgotten */
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
	if (call_last(c) == 0)
		ask_history(c);
}
