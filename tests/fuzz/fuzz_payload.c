/*
 * Any Content-Type and body: reading it ends, within its budget, and gives a job in every case. With or without
 * our look at the numbers, what jansson refuses as a syntax error stays refused, and what it
 * takes reads the same.
 */
#include "base/text.h"
#include "base/utf8.h"
#include "rules/payload.h"
#include "rules/payload_scan.h"

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

/* Quoting may only turn "too large" into taken. */
static void check_quoting(struct bytes body)
{
	json_error_t error;
	struct text quoted = TEXT_EMPTY;

	if (!payload_scan_depth(body, DOCUMENT_DEPTH_MAX))
		return;
	payload_scan_quote_numbers(body, &quoted);
	json_t *before = json_loadb(body.data, body.size, JSON_DECODE_ANY, &error);
	json_t *after = json_loadb(
		text_bytes(&quoted).data, quoted.size, JSON_DECODE_ANY, NULL);
	if (before ? !json_equal(before, after)
		   : after && json_error_code(&error) != json_error_numeric_overflow)
		abort();
	json_decref(before);
	json_decref(after);
	text_fini(&quoted);
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
	if (body.size > 0)
		check_quoting(body);
	return 0;
}
