/*
 * Any Content-Type and body: reading it ends, within its budget, and gives a job in every case. What
 * jansson refuses is refused, and what it takes reads the same.
 */
#include "base/text.h"
#include "base/utf8.h"
#include "rules/payload.h"

#include <ctype.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct source source;

static void set_up(void)
{
	static char *words[] = {(char *)"ok", (char *)"3"};
	const char *reason;

	payload_init();
	source.success = (struct words){words, ARRAY_SIZE(words)};
	if (field_list_add(&source.delivery, "/a/b/c", &reason) != 0 ||
		field_list_add(&source.delivery, "form:f/a/0/b", &reason) != 0 ||
		field_list_add(&source.id, "/id", &reason) != 0 ||
		field_list_add(&source.id, "/a/b/id", &reason) != 0 ||
		field_list_add(&source.id, "form:f/id", &reason) != 0 ||
		field_list_add(&source.id, "last:form:id", &reason) != 0 ||
		field_list_add(&source.id, "/a~1b/0/~0", &reason) != 0 ||
		field_list_add(&source.id, "query:id", &reason) != 0 ||
		field_list_add(&source.status, "/s", &reason) != 0 ||
		field_list_add(&source.status, "last:form:f/s", &reason) != 0)
		abort();
}

static bool fits_depth(const json_t *json, unsigned left)
{
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_object(json) && !json_is_array(json))
		return true;
	if (left == 0)
		return false;
	json_object_foreach((json_t *)json, key,
		value) if (!fits_depth(value, left - 1)) return false;
	json_array_foreach(json, i, value) if (!fits_depth(value, left - 1)) return false;
	return true;
}

/* jansson puts back the byte that ended a number or a word, and loses it where it is a NUL. */
static bool loses_nul(struct bytes body)
{
	for (size_t i = 1; i < body.size; i++)
		if (body.data[i] == '\0' && isalnum((unsigned char)body.data[i - 1]))
			return true;
	return false;
}

/* What jansson takes we take, and the other way round; but for depth, memory, large numbers. */
static void check_against_jansson(struct bytes body)
{
	json_error_t error;
	json_t *ours = NULL;
	const char *problem = "";

	if (bytes_starts(body, (struct bytes){"\xef\xbb\xbf", 3}) || body.size == 0)
		return;
	int r = document_parse(body, &ours, &problem);
	json_t *theirs = json_loadb(body.data, body.size,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (r < 0)
		abort();
	if (theirs && ours && !json_equal(ours, theirs))
		abort();
	if (theirs && !ours && fits_depth(theirs, DOCUMENT_DEPTH_MAX) &&
		!strstr(problem, "memory") && !loses_nul(body))
		abort();
	if (ours && !theirs && json_error_code(&error) != json_error_numeric_overflow)
		abort();
	json_decref(ours);
	json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes body = {(const char *)data, size};
	struct message_header type = {bytes_of("Content-Type"), BYTES_NONE};
	/* The first line is Content-Type. */
	type.value = bytes_split(body, '\n', &body);
	struct message m = {
		.headers = &type, .n_headers = 1, .body = body, .query = body};
	struct payload p;

	if (!source.id.size)
		set_up();
	if (payload_read(&source, &m, &p) != 0 || !utf8_valid_id(bytes_of(p.id)) ||
		(p.problem != NULL) != (p.outcome == OUTCOME_UNREADABLE) ||
		(p.status != NULL) == (p.problem != NULL))
		abort();
	payload_fini(&p);
	check_against_jansson(body);
	return 0;
}
