/* The presigned URL is a credential: it is in no line. */
#include "ctl/uploaded.h"

#include "ctl/progress.h"
#include "ctl/table.h"

/* /size_bytes of the payload, else what the daemon kept, else the file's. */
static json_int_t size_of(
	const struct uploaded *u, const json_t *job, const json_t *payload)
{
	const json_t *size = json_object_get(payload, "size_bytes");

	if (!json_is_integer(size))
		size = json_object_get(job, "size_bytes");
	return json_is_integer(size) ? json_integer_value(size)
				     : (json_int_t)u->size_bytes;
}

static const char *url_of(const struct uploaded *u, const json_t *job)
{
	const char *url = json_string_value(json_object_get(job, "public_url"));

	return url ? url : ctl_text(u->initiated, "public_url");
}

/* A path need not be UTF-8; what is not, is shown as elsewhere. Takes `line` over. */
static void print_json(const struct ctl *ctl, const struct uploaded *u, json_t *line,
	const char *url, json_int_t size)
{
	json_t *file = json_string(u->path);

	if (!file)
		file = json_string(ctl_escape(u->path));
	if (!line || json_object_set_new(line, "file", file) < 0 ||
		json_object_set_new(line, "size_bytes", json_integer(size)) < 0 ||
		json_object_set_new(line, "public_url", json_string(url)) < 0)
		ctl_no_memory();
	else
		ctl_print_json(ctl, line);
	json_decref(line);
}

static void print_line(const struct ctl *ctl, const struct uploaded *u, const json_t *job,
	json_int_t size)
{
	const char *outcome = ctl_text(job, "outcome");
	const char *color = ctl->color ? table_color(outcome) : "";
	bool status = json_is_string(json_object_get(job, "status"));

	if (u->named)
		printf("%s  ", ctl_escape(u->path));
	printf("%s%s%s  %lld bytes  %s\n", color,
		ctl_escape(status ? ctl_text(job, "status") : outcome),
		*color ? TABLE_COLOR_END : "", (long long)size,
		ctl_escape(url_of(u, job)));
	ctl_flush();
}

void uploaded_print(
	const struct ctl *ctl, const struct uploaded *u, const json_t *job, int exit)
{
	const json_t *text = json_object_get(job, "payload");
	json_t *payload = json_loadb(
		json_string_value(text) ? json_string_value(text) : "",
		json_string_length(text), 0, NULL);
	const char *reason = json_string_value(json_object_get(payload, "error"));
	json_int_t size = size_of(u, job, payload);

	progress_clear();
	if (ctl->json)
		print_json(ctl, u, json_deep_copy(job), url_of(u, job), size);
	else
		print_line(ctl, u, job, size);
	if (exit != CTL_DONE)
		ctl_complain("%s: %s: %s", ctl_escape(u->path),
			ctl_escape(ctl_text(job, "outcome")),
			reason ? ctl_escape(reason) : "no reason was given");
	json_decref(payload);
}

void uploaded_print_detached(const struct ctl *ctl, const struct uploaded *u)
{
	const char *source = ctl_text(u->initiated, "source");
	const char *id = ctl_text(u->initiated, "id");

	progress_clear();
	if (ctl->json) {
		print_json(ctl, u,
			json_pack("{s:s, s:s, s:n, s:s}", "source", source, "id", id,
				"status", "outcome", "pending"),
			url_of(u, NULL), (json_int_t)u->size_bytes);
		return;
	}
	if (u->named)
		printf("%s  ", ctl_escape(u->path));
	printf("%s/%s  uploaded  %llu bytes  %s\n", ctl_escape(source), ctl_escape(id),
		(unsigned long long)u->size_bytes, ctl_escape(url_of(u, NULL)));
	ctl_flush();
}
