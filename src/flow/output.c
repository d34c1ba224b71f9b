/* Draining a hook's output; see output.h. */
#include "flow/output.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define LINE_MAX_BYTES (8u * 1024) /* a longer line is several in the journal */
#define READ_BYTES     (64u * 1024)
#define CLOSING_READS  16 /* what one pipe can hold, and no more of an endless writer */

/* False: there is more than the journal takes of this hook. */
static bool send_line(struct output *o, struct bytes line)
{
	if (line.size && line.data[line.size - 1] == '\r')
		line.size--;
	return log_hook_line(o->fields, o->is_stderr, line);
}

static bool flush_line(struct output *o)
{
	bool taken = !o->line.size || send_line(o, text_bytes(&o->line));

	text_clear(&o->line);
	return taken;
}

/* Of a flood the whole lines are only counted: it costs the loop next to nothing. */
static struct bytes skip_lines(struct output *o, struct bytes piece)
{
	uint64_t n = 0;

	for (const char *newline;
		piece.size && (newline = memchr(piece.data, '\n', piece.size)); n++) {
		piece.size -= (size_t)(newline + 1 - piece.data);
		piece.data = newline + 1;
	}
	log_hook_left_out(o->fields, n);
	return piece;
}

static void take(struct output *o, struct bytes piece)
{
	bool taken = true;

	tail_add(&o->tail, piece);
	while (piece.size) {
		const char *newline = memchr(piece.data, '\n', piece.size);
		size_t size = newline ? (size_t)(newline - piece.data) : piece.size;
		size_t room = LINE_MAX_BYTES - o->line.size;
		size_t n = size < room ? size : room;
		if (newline && n == size && !o->line.size)
			taken = send_line(o,
				(struct bytes){piece.data, n}); /* the usual, uncopied */
		else
			text_add(&o->line, (struct bytes){piece.data, n});
		bool ends = newline && n == size;
		if (o->line.size && (ends || o->line.size >= LINE_MAX_BYTES))
			taken = flush_line(o);
		n += ends;
		piece.data += n;
		piece.size -= n;
		if (!taken && ends)
			piece = skip_lines(o, piece);
	}
}

/* How many bytes came; 0: nothing now; -1: the end. */
static ssize_t read_some(struct output *o)
{
	char buffer[READ_BYTES];
	ssize_t n;

	do
		n = read(o->fd, buffer, sizeof(buffer));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		take(o, (struct bytes){buffer, (size_t)n});
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return n > 0 ? n : -1;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct output *o = arg;

	(void)fd;
	(void)what;
	if (read_some(o) >= 0)
		return;
	output_close(o);
	o->on_closed(o->arg);
}

int output_open(struct output *o, struct event_base *base, bool is_stderr,
	const struct log_fields *fields, void (*on_closed)(void *arg), void *arg,
	int *ret_fd)
{
	int fds[2];

	*o = (struct output){.fd = -1,
		.is_stderr = is_stderr,
		.fields = fields,
		.on_closed = on_closed,
		.arg = arg};
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	o->fd = fds[0];
	if (fcntl(o->fd, F_SETFL, O_NONBLOCK) == 0 &&
		(o->event = event_new(
			 base, o->fd, EV_READ | EV_PERSIST, on_readable, o)) &&
		event_add(o->event, NULL) == 0) {
		*ret_fd = fds[1];
		return 0;
	}
	close(fds[1]);
	return -ENOMEM;
}

void output_close(struct output *o)
{
	if (o->fd < 0)
		return;
	for (int i = 0; i < CLOSING_READS && read_some(o) > 0; i++)
		;
	flush_line(o);
	if (o->event)
		event_free(o->event);
	o->event = NULL;
	close(o->fd);
	o->fd = -1;
}

void output_fini(struct output *o)
{
	output_close(o);
	text_fini(&o->line);
	tail_fini(&o->tail);
}
