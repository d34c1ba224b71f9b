/* Small things every command needs: to complain, to ask, to read members, to escape. */
#include "ctl/ctl.h"

#include "base/clock.h"
#include "base/span.h"
#include "base/text.h"
#include "ctl/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

void ctl_complain(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	progress_clear();
	fputs("callbackctl: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void ctl_print_json(const struct ctl *ctl, const json_t *json)
{
	size_t flags = JSON_COMPACT | (isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0);

	(void)ctl;
	if (json_dumpf(json, stdout, flags) < 0 && !ferror(stdout))
		exit(ctl_no_memory());
	putchar('\n');
	ctl_flush();
}

int ctl_no_memory(void)
{
	ctl_complain("out of memory");
	return CTL_FAILED;
}

/* Asked of the pipe: what the write said may be overwritten since. */
static bool nobody_reads(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

void ctl_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return;
	if (nobody_reads()) { /* libcurl ignores the signal while it calls us */
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	ctl_complain("cannot write what there is to tell");
	_exit(CTL_FAILED);
}

/* Emptied, for the next string; four of them live at once. */
static struct text *next_text(void)
{
	static struct text ring[4];
	static unsigned at;
	struct text *t = &ring[at++ % 4];

	text_clear(t);
	return t;
}

const char *ctl_escape(const char *s)
{
	struct text *t = next_text();

	text_add_escaped(t, bytes_of(s ? s : "-"), 4096);
	return t->failed || !t->data ? "" : t->data;
}

const char *ctl_clean(const char *s)
{
	struct text *t = next_text();

	text_add_clean(t, bytes_of(s ? s : "-"));
	return t->failed || !t->data ? "" : t->data;
}

static int exit_for(long status)
{
	switch (status) {
	case 400:
	case 501: return CTL_USAGE;
	case 401:
	case 403: return CTL_NO_ACCESS;
	case 404: return CTL_UNKNOWN;
	case 409: return CTL_JOB;
	case 422: return CTL_CONFIG;
	case 502:
	case 504: return CTL_REFUSED;
	default: return CTL_UNREACHABLE; /* 503 and what no daemon of ours says */
	}
}

int ctl_fail(const struct client_answer *answer, const char *what)
{
	const char *error = json_string_value(json_object_get(answer->json, "error"));
	const char *colon = what ? ": " : "";

	what = what ? ctl_escape(what) : "";
	if (answer->failure != CLIENT_OK) {
		ctl_complain("%s", ctl_escape(answer->reason));
		return answer->failure == CLIENT_NO_ACCESS   ? CTL_NO_ACCESS
		       : answer->failure == CLIENT_NO_MEMORY ? CTL_FAILED
							     : CTL_UNREACHABLE;
	}
	if (error)
		ctl_complain("%s%s%s", what, colon, ctl_escape(error));
	else
		ctl_complain("%s%sthe daemon answered %ld", what, colon, answer->status);
	return exit_for(answer->status);
}

int ctl_ask(struct ctl *ctl, const char *method, const char *path, const json_t *body,
	const char *what, struct client_answer *ret)
{
	*ret = (struct client_answer){0};
	if (!path)
		return ctl_no_memory();
	client_ask(ctl->client, method, path, body, ret);
	if (ret->failure == CLIENT_OK && ret->status / 100 == 2 && ret->json)
		return 0;
	return ctl_fail(ret, what);
}

int ctl_worse(int a, int b)
{
	static const int order[] = {CTL_DONE, CTL_JOB, CTL_TIMEOUT, CTL_UNKNOWN,
		CTL_USAGE, CTL_CONFIG, CTL_NO_ACCESS, CTL_UNREACHABLE, CTL_REFUSED};
	size_t ia = 0, ib = 0;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		if (order[i] == a)
			ia = i;
		if (order[i] == b)
			ib = i;
	}
	return ia > ib ? a : b;
}

int ctl_span(const char *text, const char *what, uint64_t *ret_usec)
{
	if (span_parse_usec(text, ret_usec) == 0)
		return 0;
	ctl_complain("%s: not a time span: %s", what, ctl_escape(text));
	return CTL_USAGE;
}

int ctl_number(const char *text, const char *what, uint64_t *ret)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno) {
		ctl_complain("%s: not a number: %s", what, ctl_escape(text));
		return CTL_USAGE;
	}
	*ret = n;
	return 0;
}

const char *ctl_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "-";
}

bool ctl_is(const json_t *object, const char *key, const char *value)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s && !strcmp(s, value);
}

const char *ctl_time(
	const json_t *object, const char *key, char buffer[static CTL_TIME_SIZE])
{
	const char *text = json_string_value(json_object_get(object, key));
	struct tm tm;
	int64_t usec;
	time_t t;

	buffer[0] = '-';
	buffer[1] = 0;
	if (!text || clock_parse(text, &usec) < 0)
		return buffer;
	t = (time_t)(usec / 1000000);
	if (localtime_r(&t, &tm))
		strftime(buffer, CTL_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
	return buffer;
}

const char *ctl_age(
	const json_t *object, const char *key, char buffer[static CTL_AGE_SIZE])
{
	const char *text = json_string_value(json_object_get(object, key));
	int64_t then, now = clock_wall_usec();

	buffer[0] = '-';
	buffer[1] = 0;
	if (text && clock_parse(text, &then) == 0)
		snprintf(buffer, CTL_AGE_SIZE, "%s",
			progress_span(then < now ? (uint64_t)(now - then) : 0));
	return buffer;
}
