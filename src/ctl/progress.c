/* Whole columns only: a line that wraps could not be taken back by a carriage return. */
#include "ctl/progress.h"

#include "base/text.h"
#include "base/utf8.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define WIDTH_DEFAULT 80

static size_t shown; /* columns that stand there now */

bool progress_wanted(void)
{
	return isatty(STDERR_FILENO);
}

static size_t width_of_terminal(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col < 2)
		return WIDTH_DEFAULT;
	return w.ws_col;
}

/* As many bytes as fit into `*columns`, which becomes what they take. */
static size_t fit(struct bytes line, size_t *columns)
{
	size_t max = *columns, taken = 0;

	*columns = 0;
	while (taken < line.size) {
		struct bytes rest = {line.data + taken, line.size - taken};
		uint32_t c = 0;
		size_t n = utf8_char(rest, &c);
		int w = n ? wcwidth((wchar_t)c) : 1;

		if (*columns + (size_t)(w < 0 ? 1 : w) > max)
			break;
		*columns += (size_t)(w < 0 ? 1 : w);
		taken += n ? n : 1;
	}
	return taken;
}

void progress_clear(void)
{
	if (shown == 0)
		return;
	fprintf(stderr, "\r%*s\r", (int)shown, "");
	fflush(stderr);
	shown = 0;
}

void progress_show(const char *format, ...)
{
	size_t columns = width_of_terminal() - 1, n;
	struct text line = TEXT_EMPTY;
	va_list ap;

	if (!progress_wanted())
		return;
	va_start(ap, format);
	text_addv(&line, format, ap);
	va_end(ap);
	n = line.failed ? 0 : fit(text_bytes(&line), &columns);
	fprintf(stderr, "\r%.*s%*s", (int)n, n ? line.data : "",
		shown > columns ? (int)(shown - columns) : 0, "");
	fflush(stderr);
	if (columns > shown)
		shown = columns;
	text_fini(&line);
}

const char *progress_span(uint64_t usec)
{
	static char buffers[2][32];
	static unsigned at;
	char *buffer = buffers[at++ % 2];
	unsigned long long s = usec / USEC_PER_SEC;

	if (s >= 86400)
		snprintf(buffer, sizeof(*buffers), "%llud %lluh", s / 86400,
			s / 3600 % 24);
	else if (s >= 3600)
		snprintf(
			buffer, sizeof(*buffers), "%lluh %llumin", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(buffer, sizeof(*buffers), "%llumin %llus", s / 60, s % 60);
	else
		snprintf(buffer, sizeof(*buffers), "%llus", s);
	return buffer;
}
