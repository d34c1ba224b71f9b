/*
 * One libcurl multi handle; a question is an easy handle with the place its answer grows
 * in. A path is sent as it is written: "." and ".." are job ids like any other.
 */
#include "ctl/client.h"

#include "base/clock.h"
#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX_BYTES (64u << 20)

struct question {
	LIST_ENTRY(question) entry;
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	struct text answer;
	void (*on_answer)(void *arg, const struct client_answer *a);
	void (*on_line)(void *arg, struct bytes line);
	void (*on_end)(void *arg, CURLcode code); /* a transfer: `easy` is not ours */
	void *arg;
};

struct client {
	char *socket;
	CURLM *multi;
	LIST_HEAD(, question) questions;
	LIST_HEAD(, client_timer) timers;
	int fd; /* client_listen() */
	void (*on_readable)(void *arg);
	void *readable_arg;
	bool stopped;
};

int client_new(struct client **ret, const char *socket)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	LIST_INIT(&c->questions);
	LIST_INIT(&c->timers);
	c->fd = -1;
	c->socket = strdup(socket);
	c->multi = curl_multi_init();
	if (!c->socket || !c->multi) {
		client_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

static void destroy(struct client *c, struct question *q)
{
	LIST_REMOVE(q, entry);
	if (q->easy) {
		curl_multi_remove_handle(c->multi, q->easy);
		if (!q->on_end)
			curl_easy_cleanup(q->easy);
	}
	curl_slist_free_all(q->headers);
	free(q->body);
	text_fini(&q->answer);
	free(q);
}

void client_forget(struct client *c)
{
	struct question *q;

	while ((q = LIST_FIRST(&c->questions)))
		destroy(c, q);
}

void client_free(struct client *c)
{
	if (!c)
		return;
	client_forget(c);
	curl_multi_cleanup(c->multi);
	free(c->socket);
	free(c);
}

void client_answer_fini(struct client_answer *a)
{
	json_decref(a->json);
	a->json = NULL;
}

/* Whole lines are handed on, the rest waits for its end. */
static void hand_on_lines(struct question *q)
{
	struct bytes rest = text_bytes(&q->answer);
	struct text kept = TEXT_EMPTY;

	while (rest.size && memchr(rest.data, '\n', rest.size)) {
		struct bytes line = bytes_split(rest, '\n', &rest);

		q->on_line(q->arg, line);
	}
	if (rest.size == q->answer.size)
		return;
	if (rest.size)
		text_add(&kept, rest);
	text_fini(&q->answer);
	q->answer = kept;
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	struct question *q = arg;

	text_add(&q->answer, (struct bytes){data, one * n});
	if (q->answer.failed || q->answer.size > ANSWER_MAX_BYTES)
		return 0;
	return one * n;
}

static int set_up(struct client *c, struct question *q, const char *method,
	const char *path, const json_t *body)
{
	CLEANUP(freep) char *url = text_format("http://localhost%s", path);
	CURL *e = q->easy = curl_easy_init();

	if (body && !(q->body = json_dumps(body, JSON_COMPACT)))
		return -ENOMEM;
	if (!url || !e)
		return -ENOMEM;
	q->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (curl_easy_setopt(e, CURLOPT_URL, url) ||
		curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, c->socket) ||
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method) || !q->headers)
		return -ENOMEM;
	if (q->body) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)strlen(q->body));
		curl_easy_setopt(e, CURLOPT_HTTPHEADER, q->headers);
	} else if (!strcmp(method, "POST")) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, "");
		curl_easy_setopt(e, CURLOPT_HTTPHEADER, q->headers);
	}
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, q);
	curl_easy_setopt(e, CURLOPT_PRIVATE, q);
	return curl_multi_add_handle(c->multi, e) ? -ENOMEM : 0;
}

static int begin(struct client *c, const char *method, const char *path,
	const json_t *body, struct question **ret)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	LIST_INSERT_HEAD(&c->questions, q, entry);
	if (set_up(c, q, method, path, body) < 0) {
		destroy(c, q);
		return -ENOMEM;
	}
	*ret = q;
	return 0;
}

int client_begin(struct client *c, const char *method, const char *path,
	const json_t *body, void (*on_answer)(void *arg, const struct client_answer *a),
	void *arg)
{
	struct question *q;
	int r = begin(c, method, path, body, &q);

	if (r < 0)
		return r;
	q->on_answer = on_answer;
	q->arg = arg;
	return 0;
}

int client_begin_stream(struct client *c, const char *path,
	void (*on_line)(void *arg, struct bytes line),
	void (*on_answer)(void *arg, const struct client_answer *a), void *arg)
{
	struct question *q;
	int r = begin(c, "GET", path, NULL, &q);

	if (r < 0)
		return r;
	q->on_line = on_line;
	q->on_answer = on_answer;
	q->arg = arg;
	return 0;
}

int client_transfer(
	struct client *c, CURL *easy, void (*on_end)(void *arg, CURLcode code), void *arg)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	LIST_INSERT_HEAD(&c->questions, q, entry);
	q->easy = easy;
	q->on_end = on_end;
	q->arg = arg;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, q);
	if (curl_multi_add_handle(c->multi, easy)) {
		destroy(c, q);
		return -ENOMEM;
	}
	return 0;
}

/* libcurl only says that it could not connect: the kernel says why. */
static int connect_errno(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int r, fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	r = connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
	close(fd);
	return r;
}

static void explain(struct client *c, CURLcode code, struct client_answer *a)
{
	int error;

	a->failure = CLIENT_UNREACHABLE;
	if (code != CURLE_COULDNT_CONNECT) {
		snprintf(a->reason, sizeof(a->reason),
			"the connection to the daemon at %s broke: %s", c->socket,
			curl_easy_strerror(code));
		return;
	}
	error = connect_errno(c->socket);
	if (error == EACCES || error == EPERM)
		a->failure = CLIENT_NO_ACCESS;
	snprintf(a->reason, sizeof(a->reason),
		error == EACCES || error == EPERM
			? "no access to %s: %s (its group may use it)"
			: "cannot reach the daemon at %s: %s",
		c->socket, error ? strerror(error) : "it did not take the connection");
}

static void no_memory(struct client_answer *ret)
{
	ret->failure = CLIENT_NO_MEMORY;
	snprintf(ret->reason, sizeof(ret->reason), "out of memory");
}

static void finish(struct client *c, struct question *q, CURLcode code)
{
	struct client_answer a = {0};

	if (q->on_end) {
		void (*on_end)(void *arg, CURLcode code) = q->on_end;
		void *arg = q->arg;

		destroy(c, q); /* it may free the handle */
		on_end(arg, code);
		return;
	}
	if (code == CURLE_OK) {
		curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &a.status);
		if (q->answer.size)
			a.json = json_loadb(q->answer.data, q->answer.size, 0, NULL);
	} else if (q->answer.failed) {
		no_memory(&a);
	} else {
		explain(c, code, &a);
	}
	q->on_answer(q->arg, &a);
	client_answer_fini(&a);
	destroy(c, q);
}

/* Not as they come: within its own callbacks libcurl lets nothing be begun. */
static void hand_on_all(struct client *c)
{
	struct question *q;

	LIST_FOREACH (q, &c->questions, entry) {
		long status = 0;

		if (!q->on_line || q->answer.size == 0)
			continue;
		curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status == 200)
			hand_on_lines(q);
	}
}

/* true: some ended, and what they began has to be started first. */
static bool finish_all(struct client *c)
{
	bool any = false;
	CURLMsg *m;
	int left;

	while (!c->stopped && (m = curl_multi_info_read(c->multi, &left))) {
		char *q = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &q);
		finish(c, (struct question *)(void *)q, code);
		any = true;
	}
	return any;
}

void client_timer_set(struct client *c, struct client_timer *t, uint64_t mono_usec)
{
	client_timer_stop(t);
	t->at_usec = mono_usec ? mono_usec : 1;
	LIST_INSERT_HEAD(&c->timers, t, entry);
}

void client_timer_stop(struct client_timer *t)
{
	if (t->at_usec)
		LIST_REMOVE(t, entry);
	t->at_usec = 0;
}

void client_listen(struct client *c, int fd, void (*on_readable)(void *arg), void *arg)
{
	c->fd = fd;
	c->on_readable = on_readable;
	c->readable_arg = arg;
}

static struct client_timer *first_timer(const struct client *c)
{
	struct client_timer *t, *first = NULL;

	LIST_FOREACH (t, &c->timers, entry)
		if (!first || t->at_usec < first->at_usec)
			first = t;
	return first;
}

/* One at a time: it may set, stop or free others. */
static bool ring(struct client *c)
{
	struct client_timer *t = first_timer(c);

	if (c->stopped || !t || t->at_usec > clock_mono_usec())
		return false;
	client_timer_stop(t);
	t->on_time(t->arg);
	return true;
}

/* Until something comes or `until_usec`. A transfer that is under way has its own times:
 * libcurl knows them. */
static bool wait_for_more(struct client *c, uint64_t until_usec)
{
	struct curl_waitfd fd = {.fd = c->fd, .events = CURL_WAIT_POLLIN};
	uint64_t now = clock_mono_usec();
	int msec = 60000;

	if (until_usec <= now)
		msec = 0;
	else if (until_usec - now < (uint64_t)msec * 1000)
		msec = (int)((until_usec - now + 999) / 1000);
	if (curl_multi_poll(c->multi, &fd, c->fd >= 0 ? 1 : 0, msec, NULL) != CURLM_OK)
		return false;
	if (c->fd >= 0 && fd.revents)
		c->on_readable(c->readable_arg);
	return true;
}

void client_loop(struct client *c, uint64_t until_usec)
{
	c->stopped = false;
	while (!c->stopped) {
		const struct client_timer *t;
		int running;

		if (curl_multi_perform(c->multi, &running) != CURLM_OK)
			return;
		hand_on_all(c);
		if (finish_all(c) || ring(c))
			continue;
		t = first_timer(c);
		if ((running == 0 && !t) || clock_mono_usec() >= until_usec)
			return;
		if (!wait_for_more(
			    c, t && t->at_usec < until_usec ? t->at_usec : until_usec))
			return;
	}
}

void client_stop(struct client *c)
{
	c->stopped = true;
}

static void keep(struct client_answer *ret, const struct client_answer *a)
{
	*ret = *a;
	json_incref(ret->json);
}

struct only {
	struct client *client;
	struct client_answer *ret;
};

static void on_only_answer(void *arg, const struct client_answer *a)
{
	struct only *o = arg;

	keep(o->ret, a);
	client_stop(o->client);
}

void client_ask(struct client *c, const char *method, const char *path,
	const json_t *body, struct client_answer *ret)
{
	struct only o = {c, ret};

	memset(ret, 0, sizeof(*ret));
	if (client_begin(c, method, path, body, on_only_answer, &o) < 0)
		no_memory(ret);
	else
		client_loop(c, UINT64_MAX);
}

struct stream {
	void (*on_line)(void *arg, struct bytes line);
	void *arg;
	struct client_answer *ret;
};

static void on_stream_line(void *arg, struct bytes line)
{
	struct stream *s = arg;

	s->on_line(s->arg, line);
}

static void on_stream_end(void *arg, const struct client_answer *a)
{
	struct stream *s = arg;

	keep(s->ret, a);
}

void client_stream(struct client *c, const char *path,
	void (*on_line)(void *arg, struct bytes line), void *arg,
	struct client_answer *ret)
{
	struct stream s = {on_line, arg, ret};

	memset(ret, 0, sizeof(*ret));
	if (client_begin_stream(c, path, on_stream_line, on_stream_end, &s) < 0)
		no_memory(ret);
	else
		client_loop(c, UINT64_MAX);
}
