/*
 * The worker's end of the line: a process with three pipes, or a connection. Lines go out as
 * the other side reads them and wait here until then; answers come in cut to their first
 * 4 KiB, so neither a worker that does not read nor one that does not stop writing grows us.
 */
#include "flow/worker_private.h"

#include "base/span.h"
#include "io/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES    (64u * 1024)
#define WRITE_BYTES   (256 * 1024)
#define CLOSING_READS 16 /* what one pipe can hold, and no more of an endless writer */

/* ---- Down ---- */

static void close_in(struct worker *w)
{
	if (w->on_in)
		event_free(w->on_in);
	w->on_in = NULL;
	if (w->in >= 0 && w->in != w->out)
		close(w->in);
	else if (w->in >= 0)
		shutdown(w->in, SHUT_WR);
	w->in = -1;
}

/* Of a socket after close_in() alone. */
static void close_out(struct worker *w)
{
	if (w->on_out)
		event_free(w->on_out);
	w->on_out = NULL;
	if (w->out >= 0)
		close(w->out);
	w->out = -1;
}

void worker_link_fini(struct worker *w)
{
	close_in(w);
	close_out(w);
	output_fini(&w->err);
	process_free(w->process);
	w->process = NULL;
	if (w->lines)
		evbuffer_free(w->lines);
	w->lines = NULL;
}

/* ---- In ---- */

static void take(struct worker *w, struct bytes bytes)
{
	struct bytes line;

	while (w->state != WORKER_DOWN && workline_next(&w->reader, &bytes, &line))
		worker_on_line(w, line);
}

/* How many bytes came; 0: nothing now; -1: the end. */
static ssize_t read_some(struct worker *w)
{
	char buffer[READ_BYTES];
	ssize_t n;

	do
		n = read(w->out, buffer, sizeof(buffer));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		take(w, (struct bytes){buffer, (size_t)n});
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return n > 0 ? n : -1;
}

/* What it still said before its end, the last line with or without its newline. */
static void read_last(struct worker *w)
{
	struct bytes line;

	for (int i = 0; i < CLOSING_READS && w->out >= 0 && read_some(w) > 0; i++)
		;
	if (workline_last(&w->reader, &line))
		worker_on_line(w, line);
}

static void be_down(struct worker *w, const struct process_end *end)
{
	read_last(w);
	close_in(w);
	close_out(w);
	output_close(&w->err);
	worker_on_down(w, end);
	worker_link_fini(w);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	static const struct process_end closed;
	struct worker *w = arg;

	(void)fd;
	(void)what;
	if (read_some(w) >= 0)
		return;
	if (!w->process) {
		be_down(w, &closed);
		return;
	}
	read_last(w);
	close_out(w);
	worker_on_deaf(w, "closed its output");
	process_pipe_closed(w->process);
}

static void on_err_closed(void *arg)
{
	struct worker *w = arg;

	process_pipe_closed(w->process);
}

static void on_over(void *arg, const struct process_end *end)
{
	be_down(arg, end);
}

/* ---- Out ---- */

static void free_line(const void *data, size_t size, void *arg)
{
	(void)data;
	(void)size;
	free(arg);
}

int worker_link_add(struct worker *w, struct errand *e)
{
	if (evbuffer_add_reference(w->lines, e->line, e->line_size, free_line, e->line) <
		0)
		return -ENOMEM;
	e->line = NULL; /* the buffer frees it */
	w->n_added += e->line_size;
	e->written_at = w->n_added;
	return 0;
}

void worker_link_flush(struct worker *w)
{
	while (w->in >= 0 && evbuffer_get_length(w->lines)) {
		int n = evbuffer_write_atmost(w->lines, w->in, WRITE_BYTES);
		if (n > 0) {
			w->n_written += (uint64_t)n;
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) {
			if (!event_pending(w->on_in, EV_WRITE, NULL))
				event_add(w->on_in, NULL);
			return;
		}
		/* What ends a connection shows on its reading side, where it is dealt with. */
		if (w->process) {
			close_in(w);
			worker_on_deaf(w, "closed its input");
		} else {
			evbuffer_drain(w->lines, evbuffer_get_length(w->lines));
		}
		return;
	}
	if (w->in >= 0 && w->on_in)
		event_del(w->on_in);
	if (w->in >= 0 && w->close_input)
		close_in(w);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	worker_link_flush(arg);
}

void worker_link_close_input(struct worker *w)
{
	w->close_input = true;
	worker_link_flush(w);
}

void worker_link_end(struct worker *w, uint64_t kill_after_usec)
{
	static const struct process_end closed;

	if (w->process)
		process_end(w->process, kill_after_usec);
	else
		be_down(w, &closed);
}

/* ---- Up ---- */

static int trouble(struct worker *w, const char *what, int error)
{
	snprintf(w->trouble, sizeof(w->trouble), "%s: %s", what, strerrordesc_np(error));
	return -1;
}

/* Our two ends, -1 where the worker has none. */
static int watch(struct worker *w)
{
	w->lines = evbuffer_new();
	w->on_in = event_new(w->flow->base, w->in, EV_WRITE | EV_PERSIST, on_writable, w);
	w->on_out = event_new(
		w->flow->base, w->out, EV_READ | EV_PERSIST, on_readable, w);
	if (!w->lines || !w->on_in || !w->on_out || event_add(w->on_out, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static int connect_to(struct worker *w)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char what[160];

	snprintf(what, sizeof(what), "cannot be reached at %s", w->hook->socket);
	/* Its length was looked at when the configuration was read. */
	memcpy(address.sun_path, w->hook->socket,
		strnlen(w->hook->socket, sizeof(address.sun_path) - 1));
	w->in = w->out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->out < 0)
		return trouble(w, "cannot be reached", errno);
	if (connect(w->out, (struct sockaddr *)&address, sizeof(address)) < 0)
		return trouble(w, what, errno);
	if (watch(w) < 0)
		return trouble(w, what, ENOMEM);
	return 0;
}

/* A pipe whose end on our side, `ours`, does not block. 0 or negative errno. */
static int open_pipe(int fds[2], int ours)
{
	if (pipe2(fds, O_CLOEXEC) < 0) {
		fds[0] = fds[1] = -1;
		return -errno;
	}
	return fcntl(fds[ours], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int start_process(struct worker *w, struct launch *launch)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err = -1;

	int e = open_pipe(in, 1);
	launch->stdin_fd = in[0]; /* launch_fini() closes it */
	w->in = in[1];
	if (e == 0)
		e = open_pipe(out, 0);
	w->out = out[0];
	if (e == 0)
		e = output_open(
			&w->err, w->flow->base, true, &w->fields, on_err_closed, w, &err);
	if (e == 0)
		e = watch(w);
	if (e == 0) {
		process_start(w->process, &(struct process_start){.run = w->id,
						  .launch = launch,
						  .stdout_fd = take_fd(&out[1]),
						  .stderr_fd = take_fd(&err),
						  .n_pipes = 2,
						  .timeout_usec = SPAN_FOREVER});
	}
	if (out[1] >= 0)
		close(out[1]);
	if (err >= 0)
		close(err);
	return e;
}

static int spawn(struct worker *w)
{
	static const struct process_owner owner = {.on_over = on_over};
	static unsigned long long last;
	struct launch launch;

	snprintf(w->id, sizeof(w->id), "%s-worker-%llu", store_name(w->flow->store),
		++last);
	int e = launch_prepare_worker(&launch, w->hook, w->id, w->flow->state_directory);
	if (e == 0)
		e = process_new(&w->process, w->flow, &owner, w);
	if (e == 0)
		e = start_process(w, &launch);
	launch_fini(&launch);
	return e < 0 ? trouble(w, "could not be started", -e) : 0;
}

int worker_link_open(struct worker *w)
{
	w->in = w->out = w->err.fd = -1;
	w->n_added = w->n_written = 0;
	w->close_input = false;
	w->reader.size = 0;
	w->id[0] = '\0';
	int r = w->hook->mode == HOOK_SOCKET ? connect_to(w) : spawn(w);
	if (r < 0)
		worker_link_fini(w);
	return r;
}
