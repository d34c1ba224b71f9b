/* callbackctl expect, forget, pause, resume: what changes a job or a hook. */
#include "base/codec.h"
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/name.h"

const struct ctl_option cmd_expect_options[] = {
	{"within", "SPAN",
		"if not heard of by then, the source is asked (ExpectWithin=)"},
	{0},
};

/* A job: only expect answers one, and changes nothing of one that is over. */
static bool is_over(const json_t *answer)
{
	return json_object_get(answer, "outcome") &&
	       !ctl_is(answer, "outcome", "pending");
}

/* One request that answers an object; printed with --json, else `told` is. */
static int change(struct ctl *ctl, const char *method, const char *path, json_t *body,
	const char *what, const char *told)
{
	struct client_answer a = {0};
	int r;

	if (!path) {
		json_decref(body);
		return ctl_no_memory();
	}
	r = ctl_ask(ctl, method, path, body, what, &a);
	if (r == 0 && ctl->json)
		ctl_print_json(ctl, a.json);
	else if (r == 0 && is_over(a.json))
		printf("%s is over already: %s\n", ctl_escape(what),
			ctl_escape(ctl_text(a.json, "outcome")));
	else if (r == 0)
		printf("%s %s\n", ctl_escape(what), told);
	client_answer_fini(&a);
	json_decref(body);
	return r;
}

static void complain_which(const char *id, const json_t *sources)
{
	struct text t = TEXT_EMPTY;
	const json_t *s;
	size_t i;

	json_array_foreach(sources, i, s)
	{
		text_adds(&t, i ? ", " : "");
		text_add_escaped(&t, bytes_of(ctl_text(s, "name")), 64);
	}
	ctl_complain("%s: of which source? Say SOURCE/ID; the sources: %s",
		ctl_escape(id), t.size ? t.data : "none");
	text_fini(&t);
}

/* A job that is not known needs a source: the only one there is, or the one named. */
static int only_source(struct ctl *ctl, struct name *n)
{
	struct client_answer a = {0};
	const json_t *sources;
	int r = ctl_ask(ctl, "GET", "/v1/status", NULL, NULL, &a);

	sources = json_object_get(a.json, "sources");
	if (r == 0 && json_array_size(sources) == 1) {
		n->source = strdup(ctl_text(json_array_get(sources, 0), "name"));
		r = n->source ? 0 : ctl_no_memory();
	} else if (r == 0) {
		complain_which(n->id, sources);
		r = CTL_USAGE;
	}
	client_answer_fini(&a);
	return r;
}

/* The source that knows a job of this id, else the only one there is. */
static int likely_source(struct ctl *ctl, struct name *n)
{
	int r = name_look(ctl, n);

	return r == 0 && !n->source ? only_source(ctl, n) : r;
}

int cmd_expect(struct ctl *ctl, const struct ctl_args *args)
{
	const char *within = args->option[0];
	CLEANUP(freep) char *path = NULL;
	struct name name = {0};
	uint64_t span;
	int r = within ? ctl_span(within, "--within", &span) : 0;

	if (r != 0)
		return r;
	r = name_read(ctl, args->operands[0], &name);
	if (r == 0 && !name.source)
		r = likely_source(ctl, &name);
	if (r == 0) {
		path = name_path(&name);
		r = change(ctl, "PUT", path,
			within ? json_pack("{s:s}", "within", within) : json_object(),
			args->operands[0], "is expected");
	}
	name_fini(&name);
	return r;
}

int cmd_forget(struct ctl *ctl, const struct ctl_args *args)
{
	CLEANUP(freep) char *path = NULL;
	struct name name;
	int r = name_read(ctl, args->operands[0], &name);

	if (r == 0)
		r = name_find_source(ctl, &name);
	if (r == 0) {
		path = name_path(&name);
		r = change(ctl, "DELETE", path, NULL, args->operands[0], "is forgotten");
	}
	name_fini(&name);
	return r;
}

static int pause_hook(
	struct ctl *ctl, const char *hook, const char *verb, const char *told)
{
	CLEANUP(freep) char *encoded = codec_percent_encode(bytes_of(hook));
	CLEANUP(freep)
	char *path = encoded ? text_format("/v1/hooks/%s/%s", encoded, verb) : NULL;

	return change(ctl, "POST", path, NULL, hook, told);
}

int cmd_pause(struct ctl *ctl, const struct ctl_args *args)
{
	return pause_hook(ctl, args->operands[0], "pause", "is paused");
}

int cmd_resume(struct ctl *ctl, const struct ctl_args *args)
{
	return pause_hook(ctl, args->operands[0], "resume", "goes on");
}
