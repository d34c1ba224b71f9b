/*
 * The control socket's table of routes and the way from a request to its handler. What is
 * not in the table is 404, what is there with another method 405; both before the body.
 */
#include "api/control.h"

#include "api/call.h"
#include "base/codec.h"
#include "base/text.h"
#include "io/log.h"

#include <errno.h>

static const struct route routes[] = {
	{"GET", "/v1/status", control_misc_status},
	{"GET", "/v1/jobs", control_jobs_list},
	{"GET", "/v1/jobs/*/*", control_jobs_get},
	{"PUT", "/v1/jobs/*/*", control_jobs_expect},
	{"DELETE", "/v1/jobs/*/*", control_jobs_forget},
	{"POST", "/v1/uploads", control_uploads_post},
	{"GET", "/v1/watch", control_watch_get},
	{"GET", "/v1/runs", control_runs_list},
	{"GET", "/v1/runs/*", control_runs_get},
	{"POST", "/v1/runs/replay", control_letters_replay},
	{"POST", "/v1/runs/discard", control_letters_discard},
	{"POST", "/v1/runs/*/replay", control_runs_replay},
	{"POST", "/v1/runs/*/discard", control_runs_discard},
	{"POST", "/v1/hooks/*/pause", control_hooks_pause},
	{"POST", "/v1/hooks/*/resume", control_hooks_resume},
	{"POST", "/v1/sources/*/test", control_misc_test},
	{"POST", "/v1/sources/*/verify", control_misc_verify},
	{"POST", "/v1/reload", control_misc_reload},
	{"GET", "/v1/backup", control_backup_get},
	{"GET", "/v1/doctor", control_doctor_get},
	{"GET", "/metrics", control_misc_metrics},
};

/* Segment by segment, undecoded: a %2F is part of a name and no separator. */
static bool matches(const char *pattern, struct bytes path, struct bytes *names)
{
	struct bytes have = path, want = bytes_of(pattern);
	size_t n = 0;

	names[0] = names[1] = BYTES_NONE;
	while (want.data && have.data) {
		struct bytes w = bytes_split(want, '/', &want);
		struct bytes h = bytes_split(have, '/', &have);

		if (!bytes_equal(w, bytes_of("*"))) {
			if (!bytes_equal(w, h))
				return false;
		} else if (h.size == 0) {
			return false;
		} else {
			names[n++] = h;
		}
	}
	return !want.data && !have.data;
}

static const struct route *find_route(
	const struct message *m, struct bytes *names, struct text *allow)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!matches(routes[i].path, m->path, names))
			continue;
		if (bytes_equal(m->method, bytes_of(routes[i].method)))
			return &routes[i];
		text_addf(allow, "%s%s", allow->size ? ", " : "", routes[i].method);
	}
	return NULL;
}

/* Owned by the caller; NULL: not percent-encoded text, or memory is short. */
static char *decode(struct bytes segment)
{
	CLEANUP(freep) char *name = malloc(segment.size + 1);
	ptrdiff_t n;

	if (!name)
		return NULL;
	n = codec_percent_decode(segment, false, name, segment.size);
	if (n <= 0 || memchr(name, 0, (size_t)n))
		return NULL;
	name[n] = 0;
	return CONSUME(name);
}

static void on_head(void *arg, struct http_request *r)
{
	struct control *control = arg;
	struct bytes names[CALL_NAMES_MAX] = {BYTES_NONE, BYTES_NONE};
	struct text allow = TEXT_EMPTY;
	struct call *c;

	if (call_new(&c, control, r) < 0) {
		http_reply(r, 503, NULL, BYTES_NONE);
		return;
	}
	http_set_data(r, c);
	c->route = find_route(http_message(r), names, &allow);
	if (!c->route && allow.size) {
		http_header(r, "Allow", allow.data);
		call_error(c, 405, "that path takes %s", allow.data);
	} else if (!c->route) {
		call_error(c, 404, "no such path");
	} else {
		for (size_t i = 0; i < CALL_NAMES_MAX && names[i].data; i++) {
			c->names[i] = decode(names[i]);
			if (!c->names[i]) {
				call_error(c, 400,
					"a name in the path is not "
					"percent-encoded text");
				break;
			}
		}
	}
	text_fini(&allow);
}

static void on_request(void *arg, struct http_request *r)
{
	struct control *control = arg;
	struct call *c = http_data(r);

	if (control->stopping)
		call_error(c, 503, "the daemon is stopping");
	else
		c->route->handle(c);
}

static void on_gone(void *arg, struct http_request *r)
{
	struct call *c = http_data(r);

	(void)arg;
	call_error(c, 503, "nobody is there");
}

static void on_room(void *arg, struct http_request *r)
{
	struct call *c = http_data(r);

	(void)arg;
	if (c && c->on_room && !c->answered)
		c->on_room(c);
}

static void on_refused(void *arg, struct bytes peer, int status, const char *reason)
{
	(void)arg;
	(void)peer;
	log_debug("control socket: %d, %s", status, reason);
}

static void on_end(void *arg, struct http_request *r)
{
	struct call *c = http_data(r);

	(void)arg;
	if (c)
		call_over(c);
}

const struct http_handler control_handler = {
	.on_head = on_head,
	.on_request = on_request,
	.on_gone = on_gone,
	.on_room = on_room,
	.on_refused = on_refused,
	.on_end = on_end,
};

struct control_doors control_doors(const struct control_hooks *hooks)
{
	return hooks->doors ? hooks->doors(hooks->arg) : (struct control_doors){0};
}

int control_new(
	struct control **ret, struct flow *flow, const struct control_hooks *hooks)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->flow = flow;
	c->hooks = *hooks;
	LIST_INIT(&c->calls);
	TAILQ_INIT(&c->line);
	*ret = c;
	return 0;
}

/* From the start again after each: ending one may free others. */
static void end_calls(struct control *control, bool all)
{
	struct call *c;

	control->stopping = true;
again:
	LIST_FOREACH (c, &control->calls, entry) {
		/* A long poll waits for more than the answer it is about to get. */
		bool ends = all || c->lasting || !c->asking;

		if (c->request && !c->answered && ends) {
			call_error(c, 503, "the daemon is stopping");
			goto again;
		}
	}
}

void control_stop(struct control *c)
{
	end_calls(c, false);
}

void control_end(struct control *c)
{
	end_calls(c, true);
}

void control_free(struct control *c)
{
	struct call *call;

	if (!c)
		return;
	end_calls(c, true);
	while ((call = LIST_FIRST(&c->calls))) { /* the store still works for these */
		LIST_REMOVE(call, entry);
		call->control = NULL;
	}
	text_fini(&c->change_line);
	free(c);
}
