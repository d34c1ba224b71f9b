/* A job id may hold a '/', so only the daemon can say whether "a/b" begins with a source. */
#include "ctl/name.h"

#include "base/codec.h"
#include "base/text.h"

static int load_sources(struct ctl *ctl)
{
	struct client_answer a;
	int r;

	if (ctl->sources)
		return 0;
	r = ctl_ask(ctl, "GET", "/v1/status", NULL, NULL, &a);
	if (r == 0)
		ctl->sources = json_incref(json_object_get(a.json, "sources"));
	client_answer_fini(&a);
	return r;
}

static bool is_source(const struct ctl *ctl, struct bytes name)
{
	size_t i;
	json_t *s;

	json_array_foreach(ctl->sources, i, s)
	{
		const char *have = json_string_value(json_object_get(s, "name"));

		if (have && bytes_equal(bytes_of(have), name))
			return true;
	}
	return false;
}

int name_read(struct ctl *ctl, const char *text, struct name *ret)
{
	const char *slash = strchr(text, '/');

	*ret = (struct name){0};
	if (slash && slash > text && slash[1]) {
		struct bytes before = {text, (size_t)(slash - text)};
		int r = load_sources(ctl);

		if (r != 0)
			return r;
		if (is_source(ctl, before)) {
			ret->source = bytes_dup(before);
			if (!ret->source)
				goto no_memory;
			text = slash + 1;
		}
	}
	if (!*text) {
		ctl_complain("a job id is not empty");
		return CTL_USAGE;
	}
	ret->id = strdup(text);
	if (ret->id)
		return 0;
no_memory:
	return ctl_no_memory();
}

void name_fini(struct name *n)
{
	free(n->source);
	free(n->id);
}

void name_complain_several(const char *id, const json_t *jobs)
{
	struct text t = TEXT_EMPTY;
	size_t i;
	json_t *job;

	json_array_foreach(jobs, i, job)
	{
		text_adds(&t, i ? ", " : "");
		text_add_escaped(&t, bytes_of(ctl_text(job, "source")), 64);
		text_addc(&t, '/');
		text_add_escaped(&t, bytes_of(id), 256);
	}
	ctl_complain(
		"%s: a job of several sources: %s", ctl_escape(id), t.data ? t.data : "");
	text_fini(&t);
}

int name_look(struct ctl *ctl, struct name *n)
{
	CLEANUP(freep) char *encoded = codec_percent_encode(bytes_of(n->id));
	CLEANUP(freep)
	char *path = encoded ? text_format("/v1/jobs?id=%s", encoded) : NULL;
	struct client_answer a = {0};
	const json_t *jobs;
	int r;

	if (n->source)
		return 0;
	if (!path)
		return ctl_no_memory();
	r = ctl_ask(ctl, "GET", path, NULL, n->id, &a);
	jobs = json_object_get(a.json, "jobs");
	if (r == 0 && json_array_size(jobs) > 1) {
		name_complain_several(n->id, jobs);
		r = CTL_USAGE;
	} else if (r == 0 && json_array_size(jobs) == 1) {
		n->source = strdup(ctl_text(json_array_get(jobs, 0), "source"));
		r = n->source ? 0 : ctl_no_memory();
	}
	client_answer_fini(&a);
	return r;
}

int name_find_source(struct ctl *ctl, struct name *n)
{
	int r = name_look(ctl, n);

	if (r == 0 && !n->source) {
		ctl_complain("%s: no such job", ctl_escape(n->id));
		r = CTL_UNKNOWN;
	}
	return r;
}

char *name_path(const struct name *n)
{
	CLEANUP(freep) char *source = codec_percent_encode(bytes_of(n->source));
	CLEANUP(freep) char *id = codec_percent_encode(bytes_of(n->id));

	return source && id ? text_format("/v1/jobs/%s/%s", source, id) : NULL;
}
