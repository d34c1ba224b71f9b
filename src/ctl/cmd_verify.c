/* callbackctl verify: why a request that somebody kept verifies, or does not. */
#include "base/clock.h"
#include "base/codec.h"
#include "ctl/commands.h"
#include "ctl/file.h"
#include "ctl/table.h"

#include <errno.h>

#define HEAD_MAX_BYTES (64u * 1024)
#define BODY_MAX_BYTES (640u * 1024) /* both as base64 fit the socket's 1 MiB */

enum { VERIFY_HEADERS, VERIFY_BODY, VERIFY_AT };
const struct ctl_option cmd_verify_options[] = {
	{"headers", "FILE", "its headers, a line each; a request line may come first"},
	{"body", "FILE", "its body, byte for byte; without it there is none"},
	{"at", "TIME", "when it came (RFC 3339), in place of now"},
	{0},
};

/* Puts the file's bytes into `request`. 0, or told and the exit status. */
static int add_file(json_t *request, const char *key, const char *path, size_t max)
{
	struct text text = TEXT_EMPTY;
	CLEANUP(freep) char *base64 = NULL;
	int r = file_read(path, max, &text);

	if (r == 0) {
		base64 = codec_base64_encode(text.data ? text.data : "", text.size);
		if (!base64 || json_object_set_new(request, key, json_string(base64)))
			r = -ENOMEM;
	}
	text_fini(&text);
	if (r == 0)
		return 0;
	ctl_complain("%s: %s", ctl_escape(path), strerror(-r));
	return CTL_USAGE;
}

static int make_request(const struct ctl_args *args, json_t *request)
{
	const char *headers = args->option[VERIFY_HEADERS];
	const char *body = args->option[VERIFY_BODY];
	const char *at = args->option[VERIFY_AT];
	int64_t when;

	if (!headers) {
		ctl_complain("--headers FILE is missing; see callbackctl verify --help");
		return CTL_USAGE;
	}
	if (body && !strcmp(headers, "-") && !strcmp(body, "-")) {
		ctl_complain("standard input cannot be both headers and body");
		return CTL_USAGE;
	}
	if (at && clock_parse(at, &when) != 0) {
		ctl_complain("--at: not a time of RFC 3339: %s", ctl_escape(at));
		return CTL_USAGE;
	}
	if (at && json_object_set_new(request, "received", json_string(at)) < 0)
		return CTL_USAGE;
	int r = add_file(request, "headers_base64", headers, HEAD_MAX_BYTES);
	if (r == 0 && body)
		r = add_file(request, "body_base64", body, BODY_MAX_BYTES);
	return r;
}

static void print_steps(const json_t *steps)
{
	const json_t *step;
	size_t i;

	json_array_foreach(steps, i, step)
	{
		const char *scheme = json_string_value(json_object_get(step, "scheme"));

		printf("  %-4s  %s%s%s\n",
			ctl_is(step, "result", "good")  ? "ok"
			: ctl_is(step, "result", "bad") ? "NO"
							: "-",
			scheme ? scheme : "", scheme ? ": " : "",
			ctl_escape(ctl_text(step, "text")));
	}
}

static void add_list(struct table *t, const char *title, const json_t *list,
	const char *start, const char *none)
{
	struct text text = TEXT_EMPTY;
	const json_t *word;
	size_t i;

	json_array_foreach(list, i, word)
		text_addf(&text, "%s%s", i ? " " : start, json_string_value(word));
	table_add(t, title);
	table_add(t, text.size ? text.data : none);
	text_fini(&text);
}

static int print_reading(const struct ctl *ctl, const json_t *o)
{
	bool unknown = json_is_true(json_object_get(o, "unknown_word"));
	const char *problem = json_string_value(json_object_get(o, "problem"));
	struct table t;

	puts("\nWhat is read from it:");
	table_init(&t, 2, NULL, ctl->color);
	table_add(&t, "  id");
	table_add(&t, ctl_text(o, "id"));
	if (problem) {
		table_add(&t, "  unreadable");
		table_add(&t, problem);
	}
	table_add(&t, "  status");
	table_addf(&t, "%s%s", ctl_text(o, "status"),
		unknown ? " (in no list of words)" : "");
	table_add(&t, "  outcome");
	table_add_word(&t, ctl_text(o, "outcome"));
	table_add(&t, "  delivery");
	table_add(&t, ctl_text(o, "delivery"));
	add_list(&t, "  Where=", json_object_get(o, "unmet"),
		"left alone, not met: ", "met");
	add_list(&t, "  hooks", json_object_get(o, "hooks"), "", "none");
	int r = table_print(&t, stdout);
	table_fini(&t);
	return r == -ENOMEM ? ctl_no_memory() : CTL_DONE;
}

int cmd_verify(struct ctl *ctl, const struct ctl_args *args)
{
	const char *name = args->operands[0];
	CLEANUP(freep) char *source = codec_percent_encode(bytes_of(name));
	CLEANUP(freep)
	char *path = source ? text_format("/v1/sources/%s/verify", source) : NULL;
	struct client_answer a = {0};
	json_t *request = json_object();
	int r = make_request(args, request);

	if (r == 0)
		r = ctl_ask(ctl, "POST", path ? path : "/", request, name, &a);
	bool verified = json_is_true(json_object_get(a.json, "verified"));
	if (r == 0 && ctl->json) {
		ctl_print_json(ctl, a.json);
	} else if (r == 0) {
		printf("%s: %s%s\n", ctl_escape(name),
			verified ? "verified by " : "refused",
			verified ? ctl_text(a.json, "scheme") : "");
		print_steps(json_object_get(a.json, "steps"));
		r = print_reading(ctl, json_object_get(a.json, "reading"));
	}
	if (r == 0 && !verified)
		r = CTL_JOB;
	client_answer_fini(&a);
	json_decref(request);
	return r;
}
