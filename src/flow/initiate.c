/*
 * The request and the answers of `POST UploadURL` as the each::labs storage service
 * documents them (owner, uploader, file_type, content_type, callback_url, durations; id,
 * upload_url, required_headers; {"error","code","request_id","details"}).
 */
#include "flow/initiate.h"

#include "base/text.h"
#include "base/utf8.h"
#include "rules/payload.h"

#include <errno.h>

static int verdict(enum initiate_verdict v, char **ret_reason, char *reason)
{
	if (!reason)
		return -ENOMEM;
	*ret_reason = reason;
	return v;
}

/* ---- which source ---- */

static int only_source(
	const struct config *c, const struct source **ret, char **ret_reason)
{
	const struct source *found = NULL;

	for (size_t i = 0; i < c->n_sources; i++) {
		if (!c->sources[i]->upload_url)
			continue;
		if (found)
			return verdict(INITIATE_NOT_CONFIGURED, ret_reason,
				text_format("several sources have an UploadURL=: name "
					    "one of them"));
		found = c->sources[i];
	}
	if (!found)
		return verdict(INITIATE_NOT_CONFIGURED, ret_reason,
			text_format("no source has an UploadURL="));
	*ret = found;
	return 0;
}

static int named_source(const struct config *c, const json_t *name,
	const struct source **ret, char **ret_reason)
{
	if (!json_is_string(name))
		return verdict(INITIATE_BAD_REQUEST, ret_reason,
			text_format("\"source\" is not a string"));
	*ret = config_source(
		c, (struct bytes){json_string_value(name), json_string_length(name)});
	if (!*ret)
		return verdict(INITIATE_NO_SOURCE, ret_reason,
			text_format("no source named %s", json_string_value(name)));
	return 0;
}

int initiate_source(const struct config *c, const json_t *request,
	const struct source **ret, char **ret_reason)
{
	const json_t *name = json_object_get(request, "source");
	const struct source *s = NULL;
	int r;

	if (!json_is_object(request))
		return verdict(INITIATE_BAD_REQUEST, ret_reason,
			text_format("the request is not a JSON object"));
	r = name && !json_is_null(name) ? named_source(c, name, &s, ret_reason)
					: only_source(c, &s, ret_reason);
	if (r == 0)
		r = initiate_possible(c, s, ret_reason);
	if (r == 0)
		*ret = s;
	return r;
}

int initiate_possible(const struct config *c, const struct source *s, char **ret_reason)
{
	if (!s->upload_url)
		return verdict(INITIATE_NOT_CONFIGURED, ret_reason,
			text_format("source %s has no UploadURL=", s->name));
	if (!c->public_url)
		return verdict(INITIATE_NOT_CONFIGURED, ret_reason,
			text_format("no PublicURL= is set: the service would not know "
				    "where to call back"));
	if (!(s->verify & VERIFY_TOKEN))
		return verdict(INITIATE_NOT_CONFIGURED, ret_reason,
			text_format("source %s does not verify by token: its callback "
				    "would be refused (Verify=token)",
				s->name));
	return 0;
}

/* ---- what is sent ---- */

/* Absent and null are the same. 1 there, 0 not there, -EINVAL no string or empty. */
static int get_text(const json_t *request, const char *name, const char **ret)
{
	const json_t *value = json_object_get(request, name);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value) || json_string_length(value) == 0 ||
		strlen(json_string_value(value)) != json_string_length(value))
		return -EINVAL;
	*ret = json_string_value(value);
	return 1;
}

static const char *const file_types[] = {"image", "video", "audio", "other"};

/* The service's file types are the first half of the media type (RFC 6838, 4.2). */
static const char *type_of(const char *content_type)
{
	struct bytes rest, kind = bytes_split(bytes_of(content_type), '/', &rest);

	for (size_t i = 0; i < ARRAY_SIZE(file_types); i++)
		if (bytes_equal_nocase(kind, bytes_of(file_types[i])))
			return file_types[i];
	return "other";
}

static bool known_type(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(file_types); i++)
		if (strcmp(type, file_types[i]) == 0)
			return true;
	return false;
}

static int add_numbers(json_t *body, const json_t *request, char **ret_reason)
{
	static const char *const names[] = {
		"audio_duration_seconds", "video_duration_seconds", "video_bitrate_kbps"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		json_t *value = json_object_get(request, names[i]);

		if (!value || json_is_null(value))
			continue;
		if (!json_is_number(value) || json_number_value(value) < 0)
			return verdict(INITIATE_BAD_REQUEST, ret_reason,
				text_format(
					"\"%s\" is not a number of 0 or more", names[i]));
		if (json_object_set(body, names[i], value))
			return -ENOMEM;
	}
	return 0;
}

struct wanted {
	const char *owner, *content_type, *file_type;
};

static int read_request(const struct source *s, const json_t *request, struct wanted *w,
	char **ret_reason)
{
	const json_t *size = json_object_get(request, "size_bytes");
	const struct {
		const char *name, **place;
	} texts[] = {{"owner", &w->owner}, {"content_type", &w->content_type},
		{"file_type", &w->file_type}};

	w->owner = s->upload_owner;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (get_text(request, texts[i].name, texts[i].place) < 0)
			return verdict(INITIATE_BAD_REQUEST, ret_reason,
				text_format("\"%s\" is not a text", texts[i].name));
	if (!w->content_type)
		return verdict(INITIATE_BAD_REQUEST, ret_reason,
			text_format("\"content_type\" is missing"));
	if (!w->file_type)
		w->file_type = type_of(w->content_type);
	if (!known_type(w->file_type))
		return verdict(INITIATE_BAD_REQUEST, ret_reason,
			text_format("\"file_type\" is none of image, video, audio, "
				    "other"));
	if (size && !json_is_null(size) &&
		(!json_is_integer(size) || json_integer_value(size) < 0))
		return verdict(INITIATE_BAD_REQUEST, ret_reason,
			text_format("\"size_bytes\" is not a whole number of 0 or more"));
	if (!w->owner)
		return verdict(INITIATE_NOT_CONFIGURED, ret_reason,
			text_format("source %s has no UploadOwner= and the request names "
				    "no owner",
				s->name));
	return 0;
}

/* Not json_dumps(): its buffer is not ours to wipe and free. */
static char *dump(const json_t *json)
{
	size_t size = json_dumpb(json, NULL, 0, JSON_COMPACT);
	char *text = size ? malloc(size + 1) : NULL;

	if (!text)
		return NULL;
	text[json_dumpb(json, text, size, JSON_COMPACT)] = '\0';
	return text;
}

/* Takes `body`; the text holds the token, and nothing else of ours does afterwards. 0 or -ENOMEM. */
static int add_callback(json_t *body, const struct source *s, const char *public_url,
	const char *token, char **ret)
{
	bool slash = s->path[strlen(s->path) - 1] == '/';
	json_t *url = json_sprintf(
		"%s%s%s%s", public_url, s->path, slash ? "" : "/", token);
	int r = body && url ? json_object_set(body, "callback_url", url) : -ENOMEM;

	*ret = r == 0 ? dump(body) : NULL;
	json_decref(body);
	if (url) /* no other reference is left: wipe the token in it */
		explicit_bzero((char *)json_string_value(url), json_string_length(url));
	json_decref(url);
	return *ret ? 0 : -ENOMEM;
}

int initiate_body(const struct source *s, const char *public_url, const json_t *request,
	const char *token, char **ret, char **ret_reason)
{
	struct wanted w = {0};
	json_t *body;
	int r = read_request(s, request, &w, ret_reason);

	if (r)
		return r;
	body = json_pack("{s:s, s:s, s:s, s:s}", "owner", w.owner, "uploader", "customer",
		"file_type", w.file_type, "content_type", w.content_type);
	r = body ? add_numbers(body, request, ret_reason) : -ENOMEM;
	if (r) {
		json_decref(body);
		return r;
	}
	return add_callback(body, s, public_url, token, ret);
}

int initiate_pass_on(const struct source *s, const char *public_url,
	const json_t *request, const char *token, char **ret, char **ret_reason)
{
	json_t *body;

	if (!json_is_object(request))
		return verdict(INITIATE_BAD_REQUEST, ret_reason,
			text_format("the request is not a JSON object"));
	body = json_copy(
		(json_t *)request); /* what is inside is shared and not touched */
	if (body && s->upload_owner && !json_object_get(body, "owner") &&
		json_object_set_new(body, "owner", json_string(s->upload_owner))) {
		json_decref(body);
		return -ENOMEM;
	}
	return add_callback(body, s, public_url, token, ret);
}

/* ---- what is read ---- */

static int read_id(const struct source *s, const json_t *json, char **ret_id)
{
	const json_t *id = json_object_get(json, "id");
	const struct message nothing = {0};
	size_t size;
	int r;

	if (json_is_string(id)) {
		size = json_string_length(id);
		*ret_id = bytes_dup((struct bytes){json_string_value(id), size});
	} else if (json_is_integer(id)) {
		*ret_id = text_format("%" JSON_INTEGER_FORMAT, json_integer_value(id));
		size = *ret_id ? strlen(*ret_id) : 0;
	} else {
		struct document d;
		document_init_json(&d, &nothing, json);
		r = field_list_read(&s->id, &d, ret_id, &size);
		document_fini(&d);
		if (r)
			return r < 0 ? r : 1;
	}
	if (!*ret_id)
		return -ENOMEM;
	if (!utf8_valid_id((struct bytes){*ret_id, size})) {
		free(CONSUME(*ret_id));
		return 1;
	}
	return 0;
}

static bool is_url(const json_t *json)
{
	struct bytes url = {json_string_value(json), json_string_length(json)};

	return url.data && (bytes_starts(url, bytes_of("https://")) ||
				   bytes_starts(url, bytes_of("http://")));
}

int initiate_read(const struct source *s, struct bytes body, struct initiate_answer *ret,
	const char **ret_problem)
{
	struct initiate_answer a = {.json = payload_parse(body, ret_problem)};
	int r;

	if (!a.json) {
		*ret_problem = "it is no JSON";
		return 1;
	}
	if (!json_is_object(a.json)) {
		*ret_problem = "it is no JSON object";
		r = 1;
		goto fail;
	}
	r = read_id(s, a.json, &a.id);
	if (r) {
		*ret_problem = "it has no usable id";
		goto fail;
	}
	if (!is_url(json_object_get(a.json, "upload_url"))) {
		*ret_problem = "it has no usable upload_url";
		r = 1;
		goto fail;
	}
	if (json_object_set_new(a.json, "id", json_string(a.id))) {
		r = -ENOMEM;
		goto fail;
	}
	a.public_url = json_string_value(json_object_get(a.json, "public_url"));
	*ret = a;
	return 0;
fail:
	initiate_answer_fini(&a);
	return r;
}

void initiate_answer_fini(struct initiate_answer *a)
{
	json_decref(a->json);
	free(a->id);
	*a = (struct initiate_answer){0};
}

/* {"error":"…"}, {"error":{"message":"…"}}, {"message":"…"} and {"detail":"…"} are met. */
static const json_t *refusal_words(const json_t *json)
{
	static const char *const pointers[] = {
		"/error", "/error/message", "/message", "/detail"};

	for (size_t i = 0; json && i < ARRAY_SIZE(pointers); i++) {
		const json_t *words = field_pointer(json, pointers[i]);

		if (json_is_string(words) && json_string_length(words) > 0)
			return words;
	}
	return NULL;
}

static const char *default_words(long status)
{
	switch (status / 100) {
	case 3: return "the service redirects; redirects are not followed";
	case 4: return "the service refused";
	case 5: return "the service failed";
	default: return "the service gave no sound answer";
	}
}

json_t *initiate_refusal(long status, struct bytes body)
{
	static const char *const kept[] = {"request_id", "code", "details"};
	const char *problem;
	json_t *json = payload_parse(body, &problem), *ret = json_object();
	const json_t *words = refusal_words(json);
	int r;

	r = words ? json_object_set(ret, "error", (json_t *)words)
		  : json_object_set_new(ret, "error",
			    json_sprintf("%s (HTTP %ld)", default_words(status), status));
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		json_t *value = json_object_get(json, kept[i]);

		if (value && !json_is_null(value))
			r |= json_object_set(ret, kept[i], value);
	}
	r |= json_object_set_new(ret, "upstream_status", json_integer(status));
	json_decref(json);
	if (r) {
		json_decref(ret);
		return NULL;
	}
	return ret;
}
