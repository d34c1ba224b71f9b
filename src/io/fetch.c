/*
 * libcurl tells us which sockets to watch and when to wake it; the loop tells libcurl
 * what happened. Nothing of ours is called from inside libcurl except the four functions
 * that only note things down (on_socket, on_timer, on_body, on_header), so on_done may
 * start and cancel as it likes: it is called only when libcurl has returned.
 */
#include "io/fetch.h"

#include "io/fetch_header.h"
#include "io/fetch_public.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <sys/queue.h>

#define TIMEOUT_DEFAULT_USEC (30 * USEC_PER_SEC)
#define CONNECT_TIMEOUT_MSEC 10000l
#define BODY_DEFAULT_BYTES   (1024u * 1024)
#define HEADERS_MAX_BYTES    (64u * 1024)

struct fetch {
	TAILQ_ENTRY(fetch) entry; /* in pool->queue or pool->active */
	struct fetch_pool *pool;
	void (*on_done)(void *arg, const struct fetch_answer *answer);
	void *arg;
	CURL *easy;
	struct curl_slist *headers;
	char *body; /* of the request */
	size_t body_size;
	char *answer;
	size_t answer_size, answer_room, answer_max, header_bytes;
	bool active; /* libcurl has it */
	bool done;   /* its on_done runs: cancel and free leave it alone */
	bool too_large, out_of_memory;
	bool not_public; /* an address of the host was passed over */
	char error[CURL_ERROR_SIZE];
};

TAILQ_HEAD(fetch_list, fetch);

struct fetch_pool {
	struct event_base *base;
	CURLM *multi;
	struct event *timer; /* when libcurl wants to be woken */
	struct event *turn;  /* the queue may move */
	struct fetch_list queue, active;
	unsigned n_active;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode once_result;

static void init_once(void)
{
	once_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- one transfer ---- */

/* Request bodies carry callback tokens, headers carry keys: both are wiped. */
static void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	if (f->easy)
		curl_easy_cleanup(f->easy);
	for (struct curl_slist *h = f->headers; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(f->headers);
	if (f->body)
		explicit_bzero(f->body, f->body_size);
	free(f->body);
	free(f->answer);
	free(f);
}

static void unlink_fetch(struct fetch *f)
{
	struct fetch_pool *p = f->pool;

	if (f->active) {
		TAILQ_REMOVE(&p->active, f, entry);
		curl_multi_remove_handle(p->multi, f->easy);
		p->n_active--;
		f->active = false;
		event_active(p->turn, EV_TIMEOUT, 1);
	} else {
		TAILQ_REMOVE(&p->queue, f, entry);
	}
}

static int error_of(const struct fetch *f, CURLcode code)
{
	long os = 0;

	if (f->too_large)
		return -EMSGSIZE;
	if (f->out_of_memory)
		return -ENOMEM;
	switch (code) {
	case CURLE_OK: return 0;
	case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
	case CURLE_FILESIZE_EXCEEDED: return -EMSGSIZE;
	case CURLE_OUT_OF_MEMORY: return -ENOMEM;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY: return -EHOSTUNREACH;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL: return -EINVAL;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE: return -EPROTO;
	case CURLE_COULDNT_CONNECT:
		if (f->not_public)
			return -EHOSTUNREACH;
		curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &os);
		return os > 0 ? -(int)os : -ECONNREFUSED;
	default: return -EIO;
	}
}

/* `f` is out of every list; the last thing that happens to it. */
static void deliver(struct fetch *f, CURLcode code)
{
	struct fetch_answer answer = {.error = error_of(f, code), .max_age_usec = -1};
	struct curl_header *retry = NULL, *cache = NULL;
	long request_bytes = 0;

	if (answer.error) {
		if (answer.error == -EMSGSIZE)
			answer.error_text = "the answer is too large";
		else if (f->not_public && answer.error == -EHOSTUNREACH)
			answer.error_text = "its host has no public address";
		else
			answer.error_text = f->error[0] ? f->error
							: curl_easy_strerror(code);
		curl_easy_getinfo(f->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
		answer.sent = request_bytes > 0;
	} else {
		char *type = NULL;

		curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &answer.status);
		curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
		answer.content_type = type;
		answer.body = (struct bytes){f->answer ? f->answer : "", f->answer_size};
		if (curl_easy_header(f->easy, "Retry-After", 0, CURLH_HEADER, -1,
			    &retry) == CURLHE_OK)
			answer.retry_after_usec = fetch_retry_after_usec(retry->value);
		if (curl_easy_header(f->easy, "Cache-Control", 0, CURLH_HEADER, -1,
			    &cache) == CURLHE_OK)
			answer.max_age_usec = fetch_max_age_usec(cache->value);
	}
	f->done = true;
	f->on_done(f->arg, &answer);
	fetch_free(f);
}

/* ---- what libcurl calls ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	size_t more = size * n, room = f->answer_room;
	char *bigger;

	if (more > f->answer_max - f->answer_size) {
		f->too_large = true;
		return 0;
	}
	while (room < f->answer_size + more)
		room = room ? room * 2 : 4096;
	if (room != f->answer_room) {
		bigger = realloc(f->answer, room);
		if (!bigger) {
			f->out_of_memory = true;
			return 0;
		}
		f->answer = bigger;
		f->answer_room = room;
	}
	memcpy(f->answer + f->answer_size, data, more);
	f->answer_size += more;
	return more;
}

/* libcurl limits a line, not their number. */
static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;

	(void)data;
	f->header_bytes += size * n;
	if (f->header_bytes > HEADERS_MAX_BYTES) {
		f->too_large = true;
		return 0;
	}
	return size * n;
}

static void on_ready(evutil_socket_t fd, short what, void *arg);

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct fetch_pool *p = arg;
	struct event *ev = socket_arg;
	short events = EV_PERSIST;

	(void)easy;
	if (ev)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		if (what & CURL_POLL_IN)
			events |= EV_READ;
		if (what & CURL_POLL_OUT)
			events |= EV_WRITE;
		ev = event_new(p->base, fd, events, on_ready, p);
		/* Without an event the transfer runs into its timeout. An error here
		 * would end every transfer of the pool. */
		if (ev && event_add(ev, NULL) < 0) {
			event_free(ev);
			ev = NULL;
		}
	}
	curl_multi_assign(p->multi, fd, ev);
	return 0;
}

static int on_timer(CURLM *multi, long msec, void *arg)
{
	struct fetch_pool *p = arg;
	struct timeval tv = {msec / 1000, (msec % 1000) * 1000};

	(void)multi;
	if (msec < 0)
		evtimer_del(p->timer);
	else
		evtimer_add(p->timer, &tv);
	return 0;
}

/* ---- what the loop calls ---- */

static void deliver_finished(struct fetch_pool *p)
{
	struct fetch *f;
	CURLMsg *message;
	CURLcode code;
	char *private;
	int left;

	while ((message = curl_multi_info_read(p->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		f = (void *)private;
		unlink_fetch(f);
		deliver(f, code);
	}
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct fetch_pool *p = arg;
	int running, flags = 0;

	if (what & EV_READ)
		flags |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(p->multi, fd, flags, &running);
	deliver_finished(p);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct fetch_pool *p = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	deliver_finished(p);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct fetch_pool *p = arg;
	struct fetch *f;

	(void)fd;
	(void)what;
	while (p->n_active < FETCH_MAX && (f = TAILQ_FIRST(&p->queue))) {
		TAILQ_REMOVE(&p->queue, f, entry);
		if (curl_multi_add_handle(p->multi, f->easy) != CURLM_OK) {
			deliver(f, CURLE_OUT_OF_MEMORY);
			continue;
		}
		TAILQ_INSERT_TAIL(&p->active, f, entry);
		f->active = true;
		p->n_active++;
	}
}

/* ---- outward ---- */

int fetch_pool_new(struct fetch_pool **ret, struct event_base *base)
{
	struct fetch_pool *p;

	pthread_once(&once, init_once);
	if (once_result != CURLE_OK)
		return once_result == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	TAILQ_INIT(&p->queue);
	TAILQ_INIT(&p->active);
	p->base = base;
	p->multi = curl_multi_init();
	p->timer = evtimer_new(base, on_timeout, p);
	p->turn = event_new(base, -1, 0, on_turn, p);
	if (!p->multi || !p->timer || !p->turn) {
		fetch_pool_free(p);
		return -ENOMEM;
	}
	curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
	curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
	curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, (long)FETCH_MAX);
	*ret = p;
	return 0;
}

void fetch_pool_free(struct fetch_pool *p)
{
	struct fetch *f;

	if (!p)
		return;
	while ((f = TAILQ_FIRST(&p->active)) || (f = TAILQ_FIRST(&p->queue)))
		fetch_cancel(f);
	if (p->multi)
		curl_multi_cleanup(p->multi);
	if (p->timer)
		event_free(p->timer);
	if (p->turn)
		event_free(p->turn);
	free(p);
}

static int copy_headers(struct fetch *f, const char *const *headers)
{
	static const char *const ours[] = {
		"Expect:", NULL}; /* no waiting for a 100 that few services send */
	const char *const *lists[] = {ours, headers};
	struct curl_slist *longer;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		for (const char *const *h = lists[i]; h && *h; h++) {
			if (strpbrk(*h, "\r\n"))
				return -EINVAL;
			longer = curl_slist_append(f->headers, *h);
			if (!longer)
				return -ENOMEM;
			f->headers = longer;
		}
	}
	return 0;
}

/* An option that cannot be set is a limit that does not hold: `ok` remembers it. */
#define SET(option, value) \
	(ok = ok && curl_easy_setopt(f->easy, option, value) == CURLE_OK)

static bool set_limits(struct fetch *f, const struct fetch_request *r)
{
	uint64_t usec = r->timeout_usec ? r->timeout_usec : TIMEOUT_DEFAULT_USEC;
	long msec = (long)((usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
	bool ok = true;

	f->answer_max = r->max_bytes ? r->max_bytes : BODY_DEFAULT_BYTES;
	SET(CURLOPT_TIMEOUT_MS, msec);
	SET(CURLOPT_CONNECTTIMEOUT_MS,
		msec < CONNECT_TIMEOUT_MSEC ? msec : CONNECT_TIMEOUT_MSEC);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)f->answer_max);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_NOSIGNAL, 1L);
	/* Else the end of a transfer waits on the loop for a resolver that hangs. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	return ok;
}

static bool set_peer(struct fetch *f, const struct fetch_request *r)
{
	bool ok = true;

	SET(CURLOPT_SSL_VERIFYPEER, r->insecure_own_listener ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, r->insecure_own_listener ? 0L : 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (r->ca_file) {
		SET(CURLOPT_CAINFO, r->ca_file);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (r->unix_socket)
		SET(CURLOPT_UNIX_SOCKET_PATH, r->unix_socket);
	if (r->no_proxy || r->unix_socket || r->public_only)
		SET(CURLOPT_PROXY, "");
	if (r->public_only)
		ok = ok && fetch_keep_public(f->easy, &f->not_public);
	SET(CURLOPT_URL, r->url);
	return ok;
}

static bool set_message(struct fetch *f, const struct fetch_request *r)
{
	bool ok = true;

	if (f->body) {
		SET(CURLOPT_POSTFIELDS, f->body);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body_size);
	} else if (strcmp(r->method, "GET") != 0) {
		SET(CURLOPT_POSTFIELDS, "");
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
	}
	SET(CURLOPT_CUSTOMREQUEST, r->method);
	SET(CURLOPT_USERAGENT, "callbackd/" VERSION);
	SET(CURLOPT_HTTPHEADER, f->headers);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, f);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, f);
	SET(CURLOPT_ERRORBUFFER, f->error);
	SET(CURLOPT_PRIVATE, f);
	return ok;
}

#undef SET

int fetch_start(struct fetch_pool *p, const struct fetch_request *request,
	void (*on_done)(void *arg, const struct fetch_answer *answer), void *arg,
	struct fetch **ret)
{
	struct fetch *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->pool = p;
	f->on_done = on_done;
	f->arg = arg;
	r = copy_headers(f, request->headers);
	f->body = bytes_dup(request->body);
	f->body_size = request->body.size;
	if (!r && request->body.data && !f->body)
		r = -ENOMEM;
	if (!r) {
		f->easy = curl_easy_init();
		if (!f->easy || !set_limits(f, request) || !set_peer(f, request) ||
			!set_message(f, request))
			r = -ENOMEM;
	}
	if (r) {
		fetch_free(f);
		return r;
	}
	TAILQ_INSERT_TAIL(&p->queue, f, entry);
	event_active(p->turn, EV_TIMEOUT, 1);
	*ret = f;
	return 0;
}

void fetch_cancel(struct fetch *f)
{
	if (!f || f->done)
		return;
	unlink_fetch(f);
	fetch_free(f);
}
