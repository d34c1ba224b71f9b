/*
 * GET /v1/backup: the store makes a copy, which then goes out as fast as the peer reads.
 *
 *   ask ─► … the store copies … ─► a file without a name ─► pieces ─► end
 *                                        ▲ the peer has read them
 *
 * One at a time, for each takes as much room on the disk as the store. So it is broken off
 * when the disk gets low meanwhile, or when the peer reads nothing for a minute. What breaks
 * off midway breaks the connection: no half copy looks like a whole one.
 */
#include "api/call.h"
#include "base/clock.h"
#include "io/log.h"

#include <errno.h>
#include <unistd.h>

#define PIECE_BYTES (32u * 1024)
#define LOOK_SEC    1 /* does it still read, and has the store room? */
#define STALL_USEC  (60 * USEC_PER_SEC)

struct backup {
	bool copied, whole;
	const char *why; /* it failed */
	int fd;
	uint64_t bytes, sent;
	uint64_t moved_usec; /* when the peer took something, monotonic */
	struct event *timer;
};

static void on_backup_over(struct call *c)
{
	struct backup *b = c->data;

	if (c->asking)
		atomic_store(&c->ask.backup.cancelled, true);
	if (b->copied)
		close(b->fd);
	b->copied = false;
	event_free(b->timer);
	b->timer = NULL;
	c->control->backing_up = false;
	if (!b->whole)
		log_event(LOG_BACKUP_FAILED, NULL, "A backup broke off: %s",
			b->why ? b->why : "nobody waits for it any more");
}

/* 1 all is sent, 0 the peer has to read first, or negative errno. */
static int send_pieces(struct call *c)
{
	struct backup *b = c->data;
	char piece[PIECE_BYTES];

	while (b->sent < b->bytes) {
		if (http_stream_room(c->request) < sizeof(piece))
			return 0;
		ssize_t n = pread(b->fd, piece, sizeof(piece), (off_t)b->sent);
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		int r = http_stream_write(c->request, (struct bytes){piece, (size_t)n});
		if (r < 0)
			return r;
		b->sent += (uint64_t)n;
		b->moved_usec = clock_mono_usec();
	}
	return 1;
}

static void go_on(struct call *c)
{
	const struct timeval look = {LOOK_SEC, 0};
	struct backup *b = c->data;
	int r = send_pieces(c);

	if (r == 0 && !store_healthy(c->flow->store))
		r = -ENOSPC;
	if (r == 0 && clock_mono_usec() - b->moved_usec > STALL_USEC)
		r = -ETIMEDOUT;
	if (r == 0 && evtimer_add(b->timer, &look) < 0)
		r = -ENOMEM;
	if (r == 0)
		return;
	b->whole = r > 0;
	c->breakable = !b->whole;
	if (r > 0)
		log_event(LOG_BACKUP, NULL, "A backup was taken, %llu bytes",
			(unsigned long long)b->bytes);
	else if (r == -ENOSPC)
		b->why = "the store needs the room that its copy takes";
	else if (r == -ETIMEDOUT)
		b->why = "nobody has read from it for a minute";
	else if (r != -EPIPE)
		b->why = strerrordesc_np(-r);
	call_text(c, 200, NULL, BYTES_NONE);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	go_on(arg);
}

static void on_copied(struct call *c)
{
	struct store_backup *op = &c->ask.backup;
	struct backup *b = c->data;

	if (!c->request || c->answered) /* the copy goes with the question */
		return;
	if (op->op.result == -ENOSPC) {
		b->why = "there is no room for a copy in the state directory";
		call_error(c, 507, "%s", b->why);
		return;
	}
	if (op->op.result < 0) {
		b->why = strerrordesc_np(-op->op.result);
		call_store_error(c, op->op.result);
		return;
	}
	b->fd = op->fd;
	b->bytes = op->bytes;
	b->copied = true;
	b->moved_usec = clock_mono_usec();
	op->made = false; /* it is ours now */
	c->streaming = c->breakable = true;
	c->on_room = go_on;
	http_stream_begin(c->request, 200, "application/vnd.sqlite3");
	go_on(c);
}

void control_backup_get(struct call *c)
{
	struct backup *b;

	if (c->control->backing_up) {
		call_error(c, 409, "a backup is being taken");
		return;
	}
	if (call_last(c) < 0) /* a stop does not wait for it */
		return;
	b = calloc(1, sizeof(*b));
	c->data = b;
	if (b)
		b->timer = evtimer_new(c->flow->base, on_look, c);
	if (!b || !b->timer) {
		call_error(c, 503, "out of memory");
		return;
	}
	c->control->backing_up = true;
	c->on_over = on_backup_over;
	call_prepare(c, STORE_BACKUP);
	call_ask(c, on_copied);
}
