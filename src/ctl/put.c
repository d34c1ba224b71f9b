/*
 * What libcurl would add by itself is switched off (Accept, Expect) or not wanted by it
 * here (Content-Type, Transfer-Encoding: the length is known). HTTP/1.1: header names go
 * out as they came.
 */
#include "ctl/put.h"

#include "base/clock.h"
#include "base/span.h"

#include <curl/curl.h>
#include <errno.h>
#include <strings.h>
#include <unistd.h>

#define WORDS_MAX_BYTES 4096 /* of the service, kept */
#define WORDS_SHOWN     300

struct transfer {
	const struct put_request *request;
	struct text words;
	char error[CURL_ERROR_SIZE];
	uint64_t shown_usec;
	uint64_t started_usec;
};

static size_t on_read(char *buffer, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;
	ssize_t got;

	do
		got = read(t->request->fd, buffer, one * n);
	while (got < 0 && errno == EINTR);
	return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

/* libcurl rewinds when a kept connection turns out to be dead. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	return lseek(t->request->fd, offset, origin) < 0 ? CURL_SEEKFUNC_CANTSEEK
							 : CURL_SEEKFUNC_OK;
}

static size_t on_words(char *data, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t room = WORDS_MAX_BYTES - t->words.size;

	text_add(&t->words, (struct bytes){data, one * n < room ? one * n : room});
	return one * n;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down,
	curl_off_t total, curl_off_t done)
{
	struct transfer *t = arg;
	uint64_t now = clock_mono_usec();
	double seconds = (double)(now - t->started_usec) / 1e6;
	double mib = (double)done / (1 << 20);

	(void)down_total;
	(void)down;
	if (total <= 0 || (now - t->shown_usec < 100 * USEC_PER_MSEC && done < total))
		return 0;
	t->shown_usec = now;
	fprintf(stderr, "\r\033[K%s  %3d%%  %.1f MiB  %.1f MiB/s", t->request->shown,
		(int)(done * 100 / total), mib, seconds > 0 ? mib / seconds : 0);
	return 0;
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

/* 0, 1 a header that cannot be sent (told in `ret`), -ENOMEM. */
static int make_headers(
	const json_t *headers, struct curl_slist **list, struct put_answer *ret)
{
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
			ret->reason = strdup(
				"a required header is none that can be sent");
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
	ret->header_names = text_take(&names);
	return ok && ret->header_names ? 0 : -ENOMEM;
}

static int set_up(CURL *e, struct transfer *t, struct curl_slist *headers)
{
	const struct put_request *q = t->request;
	uint64_t now = clock_mono_usec();
	int bad = 0;

	bad |= curl_easy_setopt(e, CURLOPT_URL, q->url);
	bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->size_bytes);
	bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	bad |= curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	bad |= curl_easy_setopt(e, CURLOPT_READDATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
	bad |= curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_words);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
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
	if (q->shown) {
		bad |= curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
		bad |= curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
		bad |= curl_easy_setopt(e, CURLOPT_XFERINFODATA, t);
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

int put_file(const struct put_request *request, struct put_answer *ret)
{
	struct transfer t = {.request = request, .started_usec = clock_mono_usec()};
	struct curl_slist *headers = NULL;
	CURL *e = curl_easy_init();
	CURLcode code;
	int r;

	*ret = (struct put_answer){0};
	r = e ? make_headers(request->headers, &headers, ret) : -ENOMEM;
	if (r == 0)
		r = set_up(e, &t, headers);
	if (r == 0) {
		code = curl_easy_perform(e);
		if (request->shown)
			fputs("\r\033[K", stderr);
		/* A refusal may come before all is sent; then the answer counts. */
		curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &ret->status);
		ret->timed_out = code == CURLE_OPERATION_TIMEDOUT &&
				 clock_mono_usec() + 10 * USEC_PER_MSEC >=
					 request->until_usec;
		if (code == CURLE_OK || ret->status >= 300) {
			ret->reason = told(&t.words);
		} else {
			ret->status = 0;
			text_clear(&t.words);
			text_adds(&t.words,
				t.error[0] ? t.error : curl_easy_strerror(code));
			ret->reason = told(&t.words);
		}
		r = !ret->reason ? -ENOMEM : ret->status / 100 == 2 ? 0 : 1;
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(e);
	text_fini(&t.words);
	return r;
}

void put_answer_fini(struct put_answer *a)
{
	free(a->reason);
	free(a->header_names);
}
