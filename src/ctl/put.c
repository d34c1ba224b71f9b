/*
 * What libcurl would add by itself is switched off (Accept, Expect) or not wanted by it
 * here (Content-Type, Transfer-Encoding: the length is known). HTTP/1.1: header names go
 * out as they came. The file is read by pread(2), so an attempt always begins at its
 * beginning, whatever the one before has read.
 */
#include "ctl/put.h"

#include "base/clock.h"
#include "base/span.h"
#include "base/text.h"

#include <errno.h>
#include <strings.h>
#include <unistd.h>

#define WORDS_MAX_BYTES         4096 /* of the service, kept */
#define WORDS_SHOWN             300
#define BUFFER_BYTES            (256l * 1024)
#define RETRY_AFTER_MAX_SECONDS 60

struct put {
	struct put_request request;
	void (*on_done)(void *arg, const struct put_answer *a);
	void *arg;
	CURL *easy;
	struct curl_slist *headers;
	char *header_names;
	struct text words;
	char error[CURL_ERROR_SIZE];
	uint64_t offset;
	int read_errno; /* ENODATA: the file ended before its size */
};

static size_t on_read(char *buffer, size_t one, size_t n, void *arg)
{
	struct put *p = arg;
	uint64_t left = p->request.size_bytes - p->offset;
	size_t want = one * n < left ? one * n : (size_t)left;
	ssize_t got;

	do
		got = pread(p->request.fd, buffer, want, (off_t)p->offset);
	while (got < 0 && errno == EINTR);
	if (got < 0 || (got == 0 && want > 0)) {
		p->read_errno = got < 0 ? errno : ENODATA;
		return CURL_READFUNC_ABORT;
	}
	p->offset += (uint64_t)got;
	return (size_t)got;
}

/* libcurl rewinds when a kept connection turns out to be dead. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct put *p = arg;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_CANTSEEK;
	p->offset = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t on_words(char *data, size_t one, size_t n, void *arg)
{
	struct put *p = arg;
	size_t room = WORDS_MAX_BYTES - p->words.size;

	text_add(&p->words, (struct bytes){data, one * n < room ? one * n : room});
	return one * n;
}

static bool names_header(const json_t *headers, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach(
		(json_t *)headers, key, value) if (!strcasecmp(key, name)) return true;
	return false;
}

static bool append(struct curl_slist **list, const char *line)
{
	struct curl_slist *l = line ? curl_slist_append(*list, line) : NULL;

	if (l)
		*list = l;
	return l;
}

static bool sound(const char *name, const char *value)
{
	return *name && !strpbrk(name, "\r\n: ") && !strpbrk(value, "\r\n");
}

/* 0, 1 a header that cannot be sent, -ENOMEM. */
static int make_headers(struct put *p)
{
	const json_t *headers = p->request.headers;
	struct curl_slist **list = &p->headers;
	struct text names = TEXT_EMPTY;
	const char *name;
	json_t *value;
	bool ok = true;

	json_object_foreach((json_t *)headers, name, value)
	{
		const char *text = json_string_value(value);
		CLEANUP(freep) char *line = NULL;

		if (!text || !sound(name, text)) {
			text_fini(&names);
			return 1;
		}
		text_adds(&names, names.size ? ", " : "");
		text_add_escaped(&names, bytes_of(name), 128);
		if (!strcasecmp(name, "Content-Length"))
			continue; /* goes out anyway, from the file's size */
		line = *text ? text_format("%s: %s", name, text)
			     : text_format("%s;", name);
		ok = ok && append(list, line);
	}
	if (!names_header(headers, "Accept"))
		ok = ok && append(list, "Accept:");
	if (!names_header(headers, "Expect"))
		ok = ok && append(list, "Expect:");
	if (!names_header(headers, "Content-Type"))
		ok = ok && append(list, "Content-Type:");
	text_adds(&names, names.size ? "" : "none");
	p->header_names = text_take(&names);
	return ok && p->header_names ? 0 : -ENOMEM;
}

static int set_up(struct put *p)
{
	const struct put_request *q = &p->request;
	uint64_t now = clock_mono_usec();
	CURL *e = p->easy;
	int bad = 0;

	bad |= curl_easy_setopt(e, CURLOPT_URL, q->url);
	bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
	bad |= curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->size_bytes);
	bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, p->headers);
	bad |= curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	bad |= curl_easy_setopt(e, CURLOPT_READDATA, p);
	bad |= curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
	bad |= curl_easy_setopt(e, CURLOPT_SEEKDATA, p);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_words);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, p);
	bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, p->error);
	bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, 30L);
	/* Not a byte a second for a minute: nobody is there any more. */
	bad |= curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, 60L);
	if (q->ca_file)
		bad |= curl_easy_setopt(e, CURLOPT_CAINFO, q->ca_file);
	if (q->until_usec < UINT64_MAX) {
		uint64_t left = q->until_usec > now ? (q->until_usec - now) / 1000 : 0;

		bad |= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS,
			left > 0 ? (left < INT32_MAX ? (long)left : INT32_MAX) : 1L);
	}
	return bad ? -ENOMEM : 0;
}

/* One line of what is often indented XML or JSON. */
static char *told(const struct text *words)
{
	struct text line = TEXT_EMPTY, escaped = TEXT_EMPTY;
	bool blank = false;

	for (size_t i = 0; i < words->size; i++) {
		if (strchr(" \t\r\n", words->data[i])) {
			blank = words->data[i] && line.size;
			continue;
		}
		if (blank)
			text_addc(&line, ' ');
		blank = false;
		text_addc(&line, words->data[i]);
	}
	text_add_escaped(&escaped, text_bytes(&line), WORDS_SHOWN);
	if (line.size == 0)
		text_adds(&escaped, "without a word");
	text_fini(&line);
	return text_take(&escaped);
}

/* S3 says AccessDenied and "Request has expired", others ExpiredToken or the like. */
static bool says_expired(const struct put *p, long status)
{
	return (status == 403 || status == 400) && p->words.data &&
	       strcasestr(p->words.data, "expired");
}

/* Of answers that are no 2xx. S3 gives a connection up that rests by 400 RequestTimeout. */
static enum put_end end_of_status(const struct put *p, long status)
{
	if (says_expired(p, status))
		return PUT_EXPIRED;
	if (status == 408 || status == 429 || (status >= 500 && status != 501) ||
		(status == 400 && p->words.data &&
			strstr(p->words.data, "RequestTimeout")))
		return PUT_BROKEN;
	return PUT_REFUSED;
}

static enum put_end end_of_code(const struct put *p, CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return clock_mono_usec() + 10 * USEC_PER_MSEC >= p->request.until_usec
			       ? PUT_LATE
			       : PUT_BROKEN;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_FAIL_REWIND:
	case CURLE_SSL_CONNECT_ERROR: return PUT_BROKEN;
	default: return PUT_FAILED;
	}
}

static void say(struct put *p, const char *words)
{
	text_clear(&p->words);
	text_adds(&p->words, words);
}

static void on_end(void *arg, CURLcode code)
{
	struct put *p = arg;
	struct put_answer a = {.header_names = p->header_names};
	curl_off_t seconds = 0, sent = 0;
	char *reason;

	/* A refusal may come before all is sent; then the answer counts. */
	curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &a.status);
	curl_easy_getinfo(p->easy, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds > RETRY_AFTER_MAX_SECONDS)
		seconds = RETRY_AFTER_MAX_SECONDS;
	a.retry_after_usec = (uint64_t)seconds * USEC_PER_SEC;
	curl_easy_getinfo(p->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	if (code == CURLE_OK && a.status / 100 == 2 &&
		(uint64_t)sent < p->request.size_bytes) {
		/* An answer that ends the connection is the end to libcurl, too. */
		a.end = PUT_BROKEN;
		say(p, "the service answered");
		text_addf(&p->words, " %ld before the whole file was sent", a.status);
		a.status = 0;
	} else if (code == CURLE_OK && a.status / 100 == 2) {
		a.end = PUT_TAKEN;
	} else if (code == CURLE_OK || a.status >= 300) {
		a.end = end_of_status(p, a.status);
	} else {
		a.status = 0;
		a.end = p->read_errno ? PUT_SHORT : end_of_code(p, code);
		say(p, p->read_errno == ENODATA ? "it has become shorter meanwhile"
			: p->read_errno         ? strerror(p->read_errno)
			: p->error[0]           ? p->error
						: curl_easy_strerror(code));
	}
	reason = told(&p->words);
	a.reason = reason ? reason : "out of memory";
	p->on_done(p->arg, &a);
	free(reason);
	put_free(p);
}

int put_begin(struct client *c, const struct put_request *request,
	void (*on_done)(void *arg, const struct put_answer *a), void *arg,
	struct put **ret)
{
	struct put *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->request = *request;
	p->on_done = on_done;
	p->arg = arg;
	p->easy = curl_easy_init();
	r = p->easy ? make_headers(p) : -ENOMEM;
	if (r == 0)
		r = set_up(p);
	if (r == 0)
		r = client_transfer(c, p->easy, on_end, p);
	if (r == 0)
		*ret = p;
	else
		put_free(p);
	return r;
}

uint64_t put_sent_bytes(const struct put *p)
{
	return p->offset;
}

void put_free(struct put *p)
{
	if (!p)
		return;
	curl_easy_cleanup(p->easy);
	curl_slist_free_all(p->headers);
	free(p->header_names);
	text_fini(&p->words);
	free(p);
}
