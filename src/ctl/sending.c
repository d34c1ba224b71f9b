/*
 * What the service has refused for good can never call back: its job is forgotten, so that
 * nobody is alarmed about it later. What may have arrived stays expected.
 */
#include "ctl/sending.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/text.h"
#include "ctl/name.h"
#include "ctl/progress.h"
#include "ctl/put.h"

#include <errno.h>

struct sending {
	struct ctl *ctl;
	struct sending_request r;
	json_t *initiated;
	struct put *put;
	unsigned tries;
	bool renewed; /* the URL, once */
	int exit;     /* when the job is forgotten */
	struct client_timer timer;
};

static void initiate(struct sending *s);

static void finish(struct sending *s, int exit)
{
	void (*on_end)(void *arg, int exit) = s->r.on_end;
	void *arg = s->r.arg;

	sending_free(s);
	on_end(arg, exit);
}

/* ---- a job that will not come ---- */

static void on_forgotten(void *arg, const struct client_answer *a)
{
	struct sending *s = arg;

	(void)a; /* else it is lost, some day */
	if (s->exit)
		finish(s, s->exit);
	else
		initiate(s);
}

/* Then the end with `exit`; 0: then another initiate. */
static void forget(struct sending *s, int exit)
{
	const struct name name = {(char *)ctl_text(s->initiated, "source"),
		(char *)ctl_text(s->initiated, "id")};
	CLEANUP(freep) char *path = name_path(&name);

	s->exit = exit;
	if (!path ||
		client_begin(s->ctl->client, "DELETE", path, NULL, on_forgotten, s) < 0)
		finish(s, exit ? exit : ctl_no_memory());
}

/* ---- the PUT ---- */

static bool has_changed(const struct sending *s, struct stat *ret)
{
	const struct stat *old = &s->r.stat;

	return fstat(s->r.fd, ret) == 0 &&
	       (ret->st_size != old->st_size ||
		       ret->st_mtim.tv_sec != old->st_mtim.tv_sec ||
		       ret->st_mtim.tv_nsec != old->st_mtim.tv_nsec);
}

static void on_taken(struct sending *s)
{
	struct stat now;

	if (has_changed(s, &now))
		ctl_complain("%s: has changed while it was uploaded: it was %lld bytes, "
			     "and is %lld now; what is there may be neither",
			ctl_escape(s->r.path), (long long)s->r.stat.st_size,
			(long long)now.st_size);
	finish(s, CTL_DONE);
}

static void on_refused(struct sending *s, const struct put_answer *a)
{
	ctl_complain("%s: the storage service refused it: %ld: %s (headers sent: %s)",
		ctl_escape(s->r.path), a->status, a->reason, a->header_names);
	forget(s, CTL_REFUSED);
}

static void on_broken(struct sending *s, const struct put_answer *a)
{
	uint64_t pause = (1ull << s->tries) * USEC_PER_SEC, now = clock_mono_usec();
	char status[32] = "";

	if (a->status)
		snprintf(status, sizeof(status), "%ld: ", a->status);
	if (pause < a->retry_after_usec)
		pause = a->retry_after_usec;
	if (s->tries == SENDING_RETRIES) {
		ctl_complain("%s: not uploaded: %s%s (headers sent: %s)",
			ctl_escape(s->r.path), status, a->reason, a->header_names);
		finish(s, CTL_REFUSED);
		return;
	}
	/* Nothing is sent behind --timeout, and nobody waits for what cannot be any more. */
	if (s->r.until_usec <= now || pause >= s->r.until_usec - now) {
		ctl_complain("%s: not uploaded in time: %s%s", ctl_escape(s->r.path),
			status, a->reason);
		finish(s, CTL_TIMEOUT);
		return;
	}
	s->tries++;
	ctl_complain("%s: not uploaded: %s%s; again in %s", ctl_escape(s->r.path), status,
		a->reason, progress_span(pause));
	client_timer_set(s->ctl->client, &s->timer, now + pause);
}

static void on_put(void *arg, const struct put_answer *a)
{
	struct sending *s = arg;
	const char *path = ctl_escape(s->r.path);

	s->put = NULL;
	switch (a->end) {
	case PUT_TAKEN: on_taken(s); break;
	case PUT_EXPIRED:
		if (s->renewed) {
			on_refused(s, a);
			break;
		}
		s->renewed = true;
		ctl_complain("%s: the upload URL had expired: initiated anew", path);
		forget(s, 0);
		break;
	case PUT_REFUSED: on_refused(s, a); break;
	case PUT_BROKEN: on_broken(s, a); break;
	case PUT_LATE:
		ctl_complain("%s: not uploaded in time", path);
		finish(s, CTL_TIMEOUT);
		break;
	case PUT_SHORT:
		ctl_complain("%s: not uploaded: %s", path, a->reason);
		forget(s, CTL_FAILED);
		break;
	case PUT_FAILED:
		ctl_complain("%s: not uploaded: %s", path, a->reason);
		finish(s, CTL_REFUSED);
		break;
	}
}

static void put(void *arg)
{
	struct sending *s = arg;
	const json_t *headers = json_object_get(s->initiated, "required_headers");
	const struct put_request request = {
		.url = ctl_text(s->initiated, "upload_url"),
		.headers = json_is_object(headers) ? headers : NULL,
		.fd = s->r.fd,
		.size_bytes = (uint64_t)s->r.stat.st_size,
		.ca_file = s->r.ca_file,
		.until_usec = s->r.until_usec,
	};
	struct stat now;
	int r;

	if (has_changed(s, &now) && now.st_size != s->r.stat.st_size) {
		ctl_complain(
			"%s: not uploaded: it was %lld bytes when it was begun with, "
			"and is %lld now",
			ctl_escape(s->r.path), (long long)s->r.stat.st_size,
			(long long)now.st_size);
		forget(s, CTL_FAILED);
		return;
	}
	r = put_begin(s->ctl->client, &request, on_put, s, &s->put);
	if (r > 0) {
		ctl_complain("%s: a required header is none that can be sent",
			ctl_escape(s->r.path));
		forget(s, CTL_REFUSED);
	} else if (r < 0) {
		finish(s, ctl_no_memory());
	}
}

/* ---- the initiate ---- */

/* The service's refusal in its own words. */
static int refused(const struct sending *s, const struct client_answer *a)
{
	const char *code = json_string_value(json_object_get(a->json, "code"));
	const char *request = json_string_value(json_object_get(a->json, "request_id"));
	int exit = ctl_fail(a, s->r.path);

	/* 409: the daemon has no UploadURL= or PublicURL=. */
	if (a->failure == CLIENT_OK && a->status == 409)
		exit = CTL_CONFIG;
	if (code || request)
		ctl_complain("%s: code %s, request_id %s", ctl_escape(s->r.path),
			ctl_escape(code), ctl_escape(request));
	return exit;
}

static void on_initiated(void *arg, const struct client_answer *a)
{
	struct sending *s = arg;

	if (a->failure != CLIENT_OK || a->status / 100 != 2) {
		finish(s, refused(s, a));
		return;
	}
	if (!json_is_string(json_object_get(a->json, "id")) ||
		!json_is_string(json_object_get(a->json, "upload_url"))) {
		ctl_complain(
			"%s: the answer to the initiate request has no id or upload_url",
			ctl_escape(s->r.path));
		finish(s, CTL_REFUSED);
		return;
	}
	json_decref(s->initiated);
	s->initiated = json_incref(a->json);
	s->r.on_job(s->r.arg, s->initiated);
	put(s);
}

static void initiate(struct sending *s)
{
	s->tries = 0;
	if (client_begin(s->ctl->client, "POST", "/v1/uploads", s->r.initiate,
		    on_initiated, s) < 0)
		finish(s, ctl_no_memory());
}

/* ---- outward ---- */

int sending_new(
	struct sending **ret, struct ctl *ctl, const struct sending_request *request)
{
	struct sending *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->ctl = ctl;
	s->r = *request;
	s->timer.on_time = put;
	s->timer.arg = s;
	if (client_begin(ctl->client, "POST", "/v1/uploads", request->initiate,
		    on_initiated, s) < 0) {
		free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

uint64_t sending_sent_bytes(const struct sending *s)
{
	return s->put ? put_sent_bytes(s->put) : 0;
}

void sending_free(struct sending *s)
{
	if (!s)
		return;
	client_timer_stop(&s->timer);
	put_free(s->put);
	json_decref(s->initiated);
	free(s);
}
