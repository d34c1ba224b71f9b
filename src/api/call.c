/*
 * The life of a request on the control socket. References: one of the request, one of the
 * question the store has; the last one frees.
 */
#include "api/call.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/span.h"
#include "base/text.h"
#include "rules/payload.h"

#include <errno.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000

int call_new(struct call **ret, struct control *control, struct http_request *request)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->control = control;
	c->flow = control->flow;
	c->request = request;
	c->refs = 1;
	LIST_INSERT_HEAD(&control->calls, c, entry);
	*ret = c;
	return 0;
}

void call_unref(struct call *c)
{
	if (--c->refs > 0)
		return;
	if (c->control)
		LIST_REMOVE(c, entry);
	for (size_t i = 0; i < CALL_NAMES_MAX; i++)
		free(c->names[i]);
	for (size_t i = 0; i < CALL_KEPT_MAX; i++)
		free(c->kept[i]);
	free(c->data);
	json_decref(c->body);
	free(c);
}

static void let_go(struct call *c)
{
	void (*on_over)(struct call *) = c->on_over;

	c->on_over = NULL;
	if (on_over)
		on_over(c);
	if (c->lasting && c->control)
		c->control->lasting--;
	c->lasting = false;
}

int call_last(struct call *c)
{
	if (c->control->lasting >= CALL_LASTING_MAX) {
		call_error(c, 503,
			"%d long polls and watches are waiting: no more are taken",
			CALL_LASTING_MAX);
		return -EBUSY;
	}
	c->control->lasting++;
	c->lasting = true;
	return 0;
}

void call_over(struct call *c)
{
	c->request = NULL;
	let_go(c);
	call_unref(c);
}

static void free_results(struct call *c)
{
	if (c->ask.op.on_done)
		store_op_fini(&c->ask.op);
	c->ask.op.on_done = NULL;
}

static void on_done(struct store_op *op)
{
	struct call *c = op->arg;

	c->asking = false;
	if (c->control)
		c->on_answer(c);
	if (!c->asking) /* else the next question stands there */
		free_results(c);
	call_unref(c);
}

void call_prepare(struct call *c, enum store_kind kind)
{
	free_results(c);
	memset(&c->ask, 0, sizeof(c->ask));
	c->ask.op.kind = kind;
}

void call_ask(struct call *c, void (*on_answer)(struct call *c))
{
	int r;

	c->on_answer = on_answer;
	c->ask.op.on_done = on_done;
	c->ask.op.arg = c;
	c->refs++;
	c->asking = true;
	r = store_submit(c->flow->store, &c->ask.op);
	if (r == 0)
		return;
	c->asking = false;
	c->ask.op.on_done = NULL; /* no results: nothing to free */
	call_error(c, 503, "the store does not take questions: %s", strerror(-r));
	call_unref(c);
}

void call_text(struct call *c, int status, const char *type, struct bytes body)
{
	if (!c->request || c->answered)
		return;
	c->answered = true;
	let_go(c);
	if (c->streaming && c->breakable)
		http_stream_break(c->request);
	else if (c->streaming)
		http_stream_end(c->request);
	else
		http_reply(c->request, status, type, body);
}

void call_json(struct call *c, int status, json_t *json)
{
	CLEANUP(freep) char *text = NULL;

	if (c->request && !c->answered && json)
		text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text)
		call_text(c, status, "application/json", bytes_of(text));
	else
		call_text(c, 503, "application/json",
			bytes_of("{\"error\":\"out of memory\"}"));
}

void call_error(struct call *c, int status, const char *format, ...)
{
	struct text t = TEXT_EMPTY;
	va_list ap;

	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	call_json(c, status, t.failed ? NULL : json_pack("{s:s}", "error", t.data));
	text_fini(&t);
}

void call_store_error(struct call *c, int result)
{
	if (result == -ENOENT)
		call_error(c, 404, "nothing by that name");
	else if (result == -EBUSY)
		call_error(c, 409, "its state does not allow that");
	else if (result == -ENOSPC)
		call_error(c, 503, "the disk is full or nearly so");
	else if (result == -ECANCELED)
		call_error(c, 503, "the daemon is stopping");
	else
		call_error(c, 503, "the store failed: %s", strerror(-result));
}

int call_keep(struct call *c, char *text, const char **ret)
{
	for (size_t i = 0; i < CALL_KEPT_MAX; i++) {
		if (!c->kept[i]) {
			c->kept[i] = text;
			*ret = text;
			return 0;
		}
	}
	free(text);
	return -ENOBUFS;
}

int call_query(struct call *c, const char *name, const char **ret)
{
	struct bytes query = http_message(c->request)->query, raw = BYTES_NONE;
	enum message_found found = MESSAGE_ABSENT;
	CLEANUP(freep) char *value = NULL;
	ptrdiff_t n;

	if (query.data)
		found = message_parameter(query, bytes_of(name), &raw);
	/* Empty: the contract's own template, ?source=&outcome=, not filled in. */
	if (found == MESSAGE_ABSENT || (found == MESSAGE_ONCE && raw.size == 0))
		return 1;
	if (found == MESSAGE_TWICE) {
		call_error(c, 400, "%s= stands twice", name);
		return -EINVAL;
	}
	value = malloc(raw.size + 1);
	n = value ? codec_percent_decode(raw, true, value, raw.size) : 0;
	if (!value || n < 0 || memchr(value, 0, (size_t)n)) {
		call_error(c, 400, "%s= is not percent-encoded text", name);
		return -EINVAL;
	}
	value[n] = 0;
	return call_keep(c, CONSUME(value), ret);
}

int call_query_number(struct call *c, const char *name, uint64_t *ret)
{
	const char *text;
	unsigned long long n;
	char *end;
	int r = call_query(c, name, &text);

	if (r != 0)
		return r;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno) {
		call_error(c, 400, "%s= is not a number", name);
		return -EINVAL;
	}
	*ret = n;
	return 0;
}

int call_query_span(struct call *c, const char *name, uint64_t *ret_usec)
{
	const char *text;
	int r = call_query(c, name, &text);

	if (r != 0)
		return r;
	if (span_parse_usec(text, ret_usec) < 0) {
		call_error(c, 400, "%s= is not a time span", name);
		return -EINVAL;
	}
	return 0;
}

int call_past(struct call *c, const char *name, const char *text, int64_t *ret_usec)
{
	int64_t now = clock_wall_usec();
	uint64_t ago;

	if (clock_parse(text, ret_usec) == 0)
		return 0;
	if (span_parse_usec(text, &ago) < 0) {
		call_error(c, 400, "%s is neither RFC 3339 nor a time span", name);
		return -EINVAL;
	}
	*ret_usec = ago < (uint64_t)now ? now - (int64_t)ago : 0;
	return 0;
}

int call_query_past(struct call *c, const char *name, int64_t *ret_usec)
{
	const char *text;
	int r = call_query(c, name, &text);

	return r != 0 ? r : call_past(c, name, text, ret_usec);
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

int call_body(struct call *c, const char *const *members, const json_t **ret)
{
	const char *name;
	json_t *value;
	struct bytes body = http_message(c->request)->body;
	const char *problem = "out of memory";

	c->body = body.size ? payload_parse(body, &problem) : json_object();
	if (!c->body) {
		call_error(c, 400, "the body is not taken: %s", problem);
		return -EINVAL;
	}
	if (!json_is_object(c->body)) {
		call_error(c, 400, "the body is not a JSON object");
		return -EINVAL;
	}
	json_object_foreach(c->body, name, value)
	{
		if (is_one_of(name, members))
			continue;
		call_error(c, 400, "no such member: %s", name);
		return -EINVAL;
	}
	*ret = c->body;
	return 0;
}

void call_page(struct call *c, const char *key, json_t *list, uint64_t next)
{
	char cursor[24];

	snprintf(cursor, sizeof(cursor), "%llu", (unsigned long long)next);
	/* "o" with NULL makes json_pack fail and free the rest. */
	call_json(c, 200,
		json_pack("{s:o, s:o}", key, list, "next",
			next ? json_string(cursor) : json_null()));
}

int call_page_query(struct call *c, unsigned *ret_limit, uint64_t *ret_after)
{
	uint64_t limit = LIMIT_DEFAULT, after = 0;
	int r = call_query_number(c, "limit", &limit);

	if (r >= 0)
		r = call_query_number(c, "after", &after);
	if (r < 0)
		return r;
	if (limit == 0) {
		call_error(c, 400, "limit= is 1 to %d", LIMIT_MAX);
		return -EINVAL;
	}
	*ret_limit = limit < LIMIT_MAX ? (unsigned)limit : LIMIT_MAX;
	*ret_after = after;
	return 0;
}
