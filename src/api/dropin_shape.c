/* The service's shapes; see dropin_shape.h. */
#include "api/dropin_shape.h"

#include "base/random.h"
#include "rules/payload.h"

#include <errno.h>
#include <stdio.h>

/* ---- A job ---- */

/* Documented are PENDING -> UPLOADING -> PROCESSING -> COMPLETED | ERROR, and clients wait for
 * one of the last two by these very words. */
static const char *word_of(const struct store_job *j)
{
	static const char *const pending[] = {"PENDING", "UPLOADING", "PROCESSING"};

	if (j->outcome == OUTCOME_SUCCESS)
		return "COMPLETED";
	if (outcome_terminal(j->outcome))
		return "ERROR";
	for (size_t i = 0; j->status && i < ARRAY_SIZE(pending); i++)
		if (bytes_equal_nocase(bytes_of(j->status), bytes_of(pending[i])))
			return pending[i];
	return j->status ? "PROCESSING" : "PENDING";
}

static const char *error_of(const struct store_job *j)
{
	switch (j->outcome) {
	case OUTCOME_CANCELED: return "the upload was canceled";
	case OUTCOME_LOST:
		return "nothing was heard of the upload in time (GiveUpAfter= of "
		       "callbackd)";
	case OUTCOME_UNREADABLE: return "its callback cannot be read";
	default: return "the upload failed";
	}
}

static bool says(const json_t *object, const char *key, const char *text)
{
	const char *have = json_string_value(json_object_get(object, key));

	return have && strcmp(have, text) == 0;
}

/* A JSON object to build on: the payload's, else an empty one. NULL: memory is short. */
static json_t *begin(const struct store_job *j, bool *ret_payload)
{
	const char *problem;
	json_t *json = j->has_payload ? payload_parse(j->payload, &problem) : NULL;

	*ret_payload = json_is_object(json);
	if (*ret_payload)
		return json;
	json_decref(json);
	return json_object();
}

/* 1: `o` was changed; 0: it was right already; -ENOMEM. */
static int complete(const struct store_job *j, const char *word, json_t *o)
{
	const bool done = j->outcome == OUTCOME_SUCCESS;
	int r = 0, changed = 0;

	if (!says(o, "id", j->id)) {
		r |= json_object_set_new(o, "id", json_string(j->id));
		changed = 1;
	}
	if (!says(o, "status", word)) {
		r |= json_object_set_new(o, "status", json_string(word));
		changed = 1;
	}
	/* The service tells the size once the file is there. */
	if (done && j->size_bytes >= 0 && !json_object_get(o, "size_bytes")) {
		r |= json_object_set_new(o, "size_bytes", json_integer(j->size_bytes));
		changed = 1;
	}
	if (j->public_url && !json_object_get(o, "public_url")) {
		r |= json_object_set_new(o, "public_url", json_string(j->public_url));
		changed = 1;
	}
	if (strcmp(word, "ERROR") == 0 && !json_object_get(o, "error")) {
		r |= json_object_set_new(o, "error", json_string(error_of(j)));
		changed = 1;
	}
	return r ? -ENOMEM : changed;
}

static int dump(const json_t *json, struct shape *ret)
{
	size_t size = json_dumpb(json, NULL, 0, JSON_COMPACT);

	ret->text = size ? malloc(size) : NULL;
	if (!ret->text)
		return -ENOMEM;
	ret->size = json_dumpb(json, ret->text, size, JSON_COMPACT);
	return 0;
}

static int keep(struct bytes payload, struct shape *ret)
{
	ret->text = bytes_dup(payload);
	ret->size = payload.size;
	return ret->text ? 0 : -ENOMEM;
}

int shape_job(const struct store_job *j, struct shape *ret)
{
	bool payload;
	json_t *o = begin(j, &payload);
	int r;

	*ret = (struct shape){.word = word_of(j), .final = outcome_terminal(j->outcome)};
	if (!o)
		return -ENOMEM;
	if (payload && j->confirmed_usec && ret->final && j->outcome != OUTCOME_LOST)
		r = 0; /* what the service itself says */
	else
		r = complete(j, ret->word, o);
	if (r == 0)
		r = payload ? keep(j->payload, ret) : dump(o, ret);
	else if (r > 0)
		r = dump(o, ret);
	json_decref(o);
	return r;
}

void shape_fini(struct shape *s)
{
	free(s->text);
	*s = (struct shape){0};
}

/* ---- An error ---- */

static const char *code_of(int status)
{
	if (status == 401 || status == 403)
		return "UNAUTHORIZED";
	if (status == 404)
		return "NOT_FOUND";
	return status < 500 ? "BAD_REQUEST" : "INTERNAL_ERROR";
}

char *shape_error(int status, const char *error, const char *request_id)
{
	json_t *json = json_pack("{s:i, s:s, s:s, s:s, s:{}}", "status", status, "error",
		error, "code", code_of(status), "request_id", request_id, "details");
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text;
}

void shape_request_id(char out[static SHAPE_REQUEST_ID_SIZE])
{
	uint64_t number;

	random_bytes(&number, sizeof(number));
	snprintf(out, SHAPE_REQUEST_ID_SIZE, "cb-%016llx", (unsigned long long)number);
}

/* ---- Prefer ---- */

/* What is in front of the first `separator` that stands in no quoted string. */
static struct bytes split(struct bytes whole, char separator, struct bytes *rest)
{
	bool quoted = false;

	for (size_t i = 0; i < whole.size; i++) {
		char c = whole.data[i];

		if (quoted && c == '\\') {
			i++;
		} else if (c == '"') {
			quoted = !quoted;
		} else if (c == separator && !quoted) {
			*rest = (struct bytes){whole.data + i + 1, whole.size - i - 1};
			return (struct bytes){whole.data, i};
		}
	}
	*rest = BYTES_NONE;
	return whole;
}

/* RFC 9110, 1.2.2: 1*DIGIT; more than anybody waits is as good as any. */
static bool read_seconds(struct bytes text, unsigned *ret)
{
	unsigned n = 0;

	if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"') {
		text.data++;
		text.size -= 2;
	}
	if (text.size == 0)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		if (n < 1000000)
			n = n * 10 + (unsigned)(text.data[i] - '0');
	}
	*ret = n;
	return true;
}

/* token [ BWS "=" BWS word ] *( OWS ";" OWS parameter ): RFC 7240, 2. */
static bool is_wait(struct bytes preference, struct bytes *ret_value)
{
	struct bytes parameters, value;
	struct bytes first = split(preference, ';', &parameters);
	struct bytes name = split(first, '=', &value);

	*ret_value = bytes_trim(value);
	return bytes_equal_nocase(bytes_trim(name), bytes_of("wait"));
}

bool shape_prefers_wait(const struct message *m, unsigned *ret_seconds)
{
	for (size_t i = 0; i < m->n_headers; i++) {
		struct bytes rest = m->headers[i].value, value;

		if (!bytes_equal_nocase(m->headers[i].name, bytes_of("Prefer")))
			continue;
		while (rest.data) {
			struct bytes one = split(rest, ',', &rest);

			/* RFC 7240, 2: of one that is repeated the first counts. */
			if (is_wait(one, &value))
				return read_seconds(value, ret_seconds);
		}
	}
	return false;
}
