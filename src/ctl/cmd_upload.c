/*
 * callbackctl upload: the daemon initiates (the API key is never seen here), the file goes
 * to the presigned URL, the callback says what became of it.
 *
 *   POST /v1/uploads ─► PUT upload_url ─► long poll ─► a line
 */
#include "base/clock.h"
#include "ctl/commands.h"
#include "ctl/mime.h"
#include "ctl/put.h"
#include "ctl/table.h"
#include "ctl/waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIME_TABLE "/etc/mime.types"

enum {
	UP_TYPE,
	UP_FILE_TYPE,
	UP_OWNER,
	UP_SOURCE,
	UP_TIMEOUT,
	UP_AUDIO_DURATION,
	UP_VIDEO_DURATION,
	UP_VIDEO_BITRATE,
	UP_CA_FILE,
};
const struct ctl_option cmd_upload_options[] = {
	{"content-type", "TYPE", "media type (by the file's name, from /etc/mime.types)"},
	{"file-type", "TYPE", "image, video, audio or other"},
	{"owner", "OWNER", "whose it is (UploadOwner=)"},
	{"source", "SOURCE", "the source to initiate at (the only one with UploadURL=)"},
	{"timeout", "SPAN", "at most so long in all; then the exit status is 124"},
	{"audio-duration", "N", "seconds"},
	{"video-duration", "N", "seconds"},
	{"video-bitrate", "N", "kbit/s"},
	{"ca-file", "FILE", "authorities for the storage service's certificate"},
	{0},
};

struct upload_file {
	struct ctl *ctl;
	const struct ctl_args *args;
	const char *path;
	bool named; /* one of several: its line begins with its name */
	int fd;
	uint64_t size_bytes, until_usec;
	json_t *initiated;
};

static bool add_number(json_t *o, const char *key, const char *text)
{
	char *end;
	double n;

	if (!text)
		return true;
	n = strtod(text, &end);
	if (!*text || *end || !(n >= 0) || n > 1e12) {
		ctl_complain("%s: not a number: %s", key, ctl_escape(text));
		return false;
	}
	return json_object_set_new(o, key,
		       n == (double)(json_int_t)n ? json_integer((json_int_t)n)
						  : json_real(n)) == 0;
}

/* NULL: told; a usage error. */
static json_t *initiate_request(const struct upload_file *u)
{
	const char *const *o = u->args->option;
	CLEANUP(freep)
	char *guessed = o[UP_TYPE] ? NULL : mime_type_of(u->path, MIME_TABLE);
	const char *type = o[UP_TYPE] ? o[UP_TYPE] : guessed;
	json_t *json;

	if (!type) {
		ctl_complain(
			"%s: its type cannot be told by its name: say --content-type",
			ctl_escape(u->path));
		return NULL;
	}
	json = json_pack("{s:s, s:s*, s:s*, s:s*, s:I}", "content_type", type,
		"file_type", o[UP_FILE_TYPE], "owner", o[UP_OWNER], "source",
		o[UP_SOURCE], "size_bytes", (json_int_t)u->size_bytes);
	if (!json)
		ctl_complain("the options are not UTF-8");
	if (json && add_number(json, "audio_duration_seconds", o[UP_AUDIO_DURATION]) &&
		add_number(json, "video_duration_seconds", o[UP_VIDEO_DURATION]) &&
		add_number(json, "video_bitrate_kbps", o[UP_VIDEO_BITRATE]))
		return json;
	json_decref(json);
	return NULL;
}

static int open_file(struct upload_file *u)
{
	struct stat st;

	u->fd = open(u->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (u->fd < 0 || fstat(u->fd, &st) < 0) {
		int error = errno;

		ctl_complain("%s: %s", ctl_escape(u->path), strerror(error));
		return error == EACCES || error == EPERM ? CTL_NO_ACCESS : CTL_UNKNOWN;
	}
	if (!S_ISREG(st.st_mode)) {
		ctl_complain("%s: not a regular file: its length has to be known",
			ctl_escape(u->path));
		return CTL_USAGE;
	}
	u->size_bytes = (uint64_t)st.st_size;
	return 0;
}

/* The service's refusal in its own words. */
static int refused(const struct upload_file *u, const struct client_answer *a)
{
	const char *code = json_string_value(json_object_get(a->json, "code"));
	const char *request = json_string_value(json_object_get(a->json, "request_id"));
	int exit = ctl_fail(a, u->path);

	/* 409: the daemon has no UploadURL= or PublicURL=. */
	if (a->failure == CLIENT_OK && a->status == 409)
		exit = CTL_CONFIG;
	if (code || request)
		ctl_complain("%s: code %s, request_id %s", ctl_escape(u->path),
			ctl_escape(code), ctl_escape(request));
	return exit;
}

static int initiate(struct upload_file *u)
{
	json_t *request = initiate_request(u);
	struct client_answer a;
	int r = 0;

	if (!request)
		return CTL_USAGE;
	client_ask(u->ctl->client, "POST", "/v1/uploads", request, &a);
	json_decref(request);
	if (a.failure != CLIENT_OK || a.status / 100 != 2) {
		r = refused(u, &a);
	} else if (!json_is_string(json_object_get(a.json, "id")) ||
		   !json_is_string(json_object_get(a.json, "upload_url"))) {
		ctl_complain(
			"%s: the answer to the initiate request has no id or upload_url",
			ctl_escape(u->path));
		r = CTL_REFUSED;
	} else {
		u->initiated = json_incref(a.json);
	}
	client_answer_fini(&a);
	return r;
}

static int put(const struct upload_file *u)
{
	const json_t *headers = json_object_get(u->initiated, "required_headers");
	bool terminal = isatty(STDERR_FILENO);
	const struct put_request request = {
		.url = ctl_text(u->initiated, "upload_url"),
		.headers = json_is_object(headers) ? headers : NULL,
		.fd = u->fd,
		.size_bytes = u->size_bytes,
		.ca_file = u->args->option[UP_CA_FILE],
		.until_usec = u->until_usec,
		.shown = terminal && u->size_bytes ? ctl_escape(u->path) : NULL,
	};
	struct put_answer a;
	int r = put_file(&request, &a);

	if (r < 0) {
		r = ctl_no_memory();
	} else if (r > 0 && a.timed_out) {
		ctl_complain("%s: not uploaded in time", ctl_escape(u->path));
		r = CTL_TIMEOUT;
	} else if (r > 0 && a.status) {
		ctl_complain(
			"%s: the storage service refused it: %ld: %s (headers sent: %s)",
			ctl_escape(u->path), a.status, a.reason, a.header_names);
		r = CTL_REFUSED;
	} else if (r > 0) {
		ctl_complain("%s: not uploaded: %s", ctl_escape(u->path), a.reason);
		r = CTL_REFUSED;
	}
	put_answer_fini(&a);
	return r;
}

/* /size_bytes of the payload, else what the daemon kept, else the file's. */
static long long size_of(
	const struct upload_file *u, const json_t *job, const json_t *payload)
{
	const json_t *size = json_object_get(payload, "size_bytes");

	if (!json_is_integer(size))
		size = json_object_get(job, "size_bytes");
	return json_is_integer(size) ? (long long)json_integer_value(size)
				     : (long long)u->size_bytes;
}

static const char *url_of(const struct upload_file *u, const json_t *job)
{
	const char *url = json_string_value(json_object_get(job, "public_url"));

	return url ? url : ctl_text(u->initiated, "public_url");
}

static void print_json(const struct upload_file *u, const json_t *job, long long size)
{
	json_t *line = json_deep_copy(job);

	json_object_set_new(line, "file", json_string(u->path));
	json_object_set_new(line, "size_bytes", json_integer((json_int_t)size));
	json_object_set_new(line, "public_url", json_string(url_of(u, job)));
	if (line)
		ctl_print_json(u->ctl, line);
	json_decref(line);
}

static void on_over(void *arg, const json_t *job, int exit)
{
	const struct upload_file *u = arg;
	const json_t *text = json_object_get(job, "payload");
	json_t *payload = json_loadb(
		json_string_value(text) ? json_string_value(text) : "",
		json_string_length(text), 0, NULL);
	const char *reason = json_string_value(json_object_get(payload, "error"));
	const char *outcome = ctl_text(job, "outcome");
	const char *color = u->ctl->color ? table_color(outcome) : "";
	long long size = size_of(u, job, payload);

	if (u->ctl->json) {
		print_json(u, job, size);
	} else {
		if (u->named)
			printf("%s  ", ctl_escape(u->path));
		printf("%s%s%s  %lld bytes  %s\n", color,
			ctl_escape(json_is_string(json_object_get(job, "status"))
					   ? ctl_text(job, "status")
					   : outcome),
			*color ? TABLE_COLOR_END : "", size, ctl_escape(url_of(u, job)));
		ctl_flush();
	}
	if (exit != CTL_DONE)
		ctl_complain("%s: %s: %s", ctl_escape(u->path), outcome,
			reason ? ctl_escape(reason) : "no reason was given");
	json_decref(payload);
}

static int upload(struct upload_file *u)
{
	struct waiting_options o = {
		.until_usec = u->until_usec, .on_over = on_over, .arg = u};
	struct name name = {0};
	int r = open_file(u);

	if (r == 0)
		r = initiate(u);
	if (r == 0)
		r = put(u);
	if (r == 0) {
		name.source = strdup(ctl_text(u->initiated, "source"));
		name.id = strdup(ctl_text(u->initiated, "id"));
		if (name.source && name.id)
			r = waiting_for(u->ctl, &name, 1, &o);
		name_fini(&name);
	}
	if (u->fd >= 0)
		close(u->fd);
	json_decref(u->initiated);
	return r;
}

int cmd_upload(struct ctl *ctl, const struct ctl_args *args)
{
	uint64_t until = UINT64_MAX, span, now = clock_mono_usec();
	int exit = CTL_DONE, r;

	if (args->option[UP_TIMEOUT]) {
		r = ctl_span(args->option[UP_TIMEOUT], "--timeout", &span);
		if (r != 0)
			return r;
		if (span < UINT64_MAX - now)
			until = now + span;
	}
	for (int i = 0; i < args->n_operands; i++) {
		struct upload_file u = {
			.ctl = ctl,
			.args = args,
			.path = args->operands[i],
			.named = args->n_operands > 1,
			.fd = -1,
			.until_usec = until,
		};

		r = upload(&u);
		exit = ctl_worse(exit, r);
		if (r == CTL_UNREACHABLE || r == CTL_CONFIG)
			break;
	}
	return exit;
}
