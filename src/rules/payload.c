/*
 * What a callback says. The body is hostile until read: depth is looked at before parsing,
 * memory is counted while parsing, a key that stands twice refuses the whole. What cannot be
 * read is no error here: it becomes a job of its own, named by the hash of its bytes.
 */
#include "rules/payload.h"

#include "base/codec.h"
#include "base/text.h"
#include "base/utf8.h"
#include "rules/payload_memory.h"
#include "rules/payload_scan.h"
#include "rules/verify.h"
#include "rules/words.h"

#include <errno.h>

#define MEMORY_BASE (64u * 1024)
#define PARSE_FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL)

void payload_init(void)
{
	payload_memory_install();
	json_object_seed(0); /* from the kernel: nobody outside chooses our collisions */
}

static const char *problem_of(enum json_error_code code)
{
	switch (code) {
	case json_error_out_of_memory: return "the body would take too much memory";
	case json_error_duplicate_key: return "the body's JSON holds a key twice";
	case json_error_invalid_utf8: return "the body is not UTF-8";
	case json_error_null_byte_in_key: return "a key of the body's JSON holds a NUL";
	case json_error_numeric_overflow:
		return "the body's JSON holds a number too large";
	case json_error_premature_end_of_input: return "the body's JSON is cut short";
	default: return "the body is no JSON";
	}
}

/* 0, 1 with *ret_code, -ENOMEM. */
static int load(
	struct bytes body, size_t budget, json_t **ret, enum json_error_code *ret_code)
{
	json_error_t error = {0};

	payload_memory_arm(budget);
	json_t *json = json_loadb(body.data, body.size, PARSE_FLAGS, &error);
	enum payload_memory memory = payload_memory_disarm();
	if (json) {
		*ret = json;
		return 0;
	}
	/* Short memory that is not the body's doing is a 503: the body may be a good one. */
	if (memory == PAYLOAD_MEMORY_SHORT)
		return -ENOMEM;
	*ret_code = memory == PAYLOAD_MEMORY_EXCEEDED ? json_error_out_of_memory
						      : json_error_code(&error);
	return 1;
}

/* 0, 1 with *ret_problem, -ENOMEM. */
static int parse(struct bytes body, json_t **ret, const char **ret_problem)
{
	static const struct bytes mark = {"\xef\xbb\xbf", 3};
	size_t budget = body.size * PAYLOAD_MEMORY_FACTOR + MEMORY_BASE;
	enum json_error_code code;

	if (bytes_starts(body, mark)) { /* RFC 8259, 8.1: may be ignored */
		body.data += mark.size;
		body.size -= mark.size;
	}
	if (body.size == 0) {
		*ret_problem = "the body is empty";
		return 1;
	}
	if (!payload_scan_depth(body, PAYLOAD_DEPTH_MAX)) {
		*ret_problem = "the body's JSON is nested too deeply";
		return 1;
	}
	int r = load(body, budget, ret, &code);
	if (r == 1 && code == json_error_numeric_overflow) {
		CLEANUP(text_fini) struct text quoted = TEXT_EMPTY;
		payload_scan_quote_numbers(body, &quoted);
		if (quoted.failed)
			return -ENOMEM;
		r = load(text_bytes(&quoted), budget, ret, &code);
	}
	if (r == 1)
		*ret_problem = problem_of(code);
	return r;
}

json_t *payload_parse(struct bytes body, const char **ret_problem)
{
	json_t *json = NULL;
	int r = parse(body, &json, ret_problem);

	if (r < 0)
		*ret_problem = "memory is short";
	return r == 0 ? json : NULL;
}

enum outcome payload_outcome(
	const struct source *s, struct bytes status, bool *ret_unknown)
{
	*ret_unknown = false;
	if (words_contain_nocase(&s->success, status))
		return OUTCOME_SUCCESS;
	if (words_contain_nocase(&s->error, status))
		return OUTCOME_ERROR;
	if (words_contain_nocase(&s->canceled, status))
		return OUTCOME_CANCELED;
	*ret_unknown = !words_contain_nocase(&s->pending, status);
	return OUTCOME_PENDING;
}

/* What goes wrong while one value is read, in the words of that value. */
struct trouble {
	const char *absent, *twice, *bad;
};

/* The value must do as an id does: it is shown, compared, and put into an environment. */
static int read_word(const struct field *f, const struct message *m, const json_t *json,
	const struct trouble *trouble, char **ret, const char **ret_problem)
{
	CLEANUP(freep) char *value = NULL;
	size_t size = 0;
	int r = field_read(f, m, json, &value, &size);

	if (r == 2) {
		*ret_problem = trouble->twice;
		return 2;
	}
	if (r != 0)
		return r;
	if (!utf8_valid_id((struct bytes){value, size})) {
		*ret_problem = trouble->bad;
		return 2;
	}
	*ret = CONSUME(value);
	return 0;
}

/* 0; 1 with *ret_problem; -ENOMEM. `no_json` is why there is no parsed body, or NULL. */
static int read_id(const struct source *s, const struct message *m, const json_t *json,
	const char *no_json, char **ret, const char **ret_problem)
{
	static const struct trouble trouble = {"there is no job id",
		"the job id stands twice",
		"the job id is not 1 to 255 bytes of UTF-8 without control characters"};

	*ret_problem = trouble.absent;
	for (size_t i = 0; i < s->id.size; i++) {
		const struct field *f = &s->id.fields[i];
		if (f->kind == FIELD_POINTER) {
			const json_t *value = field_pointer(json, f->name);
			if (json_is_real(value) || json_is_boolean(value)) {
				*ret_problem =
					"the job id is neither a string nor an integer";
				return 1;
			}
			if (no_json)
				*ret_problem = no_json;
		}
		int r = read_word(f, m, json, &trouble, ret, ret_problem);
		if (r != 1)
			return r == 2 ? 1 : r;
	}
	return 1;
}

static int read_status(const struct source *s, const struct message *m,
	const json_t *json, const char *no_json, char **ret, const char **ret_problem)
{
	static const struct trouble trouble = {"there is no status",
		"the status stands twice",
		"the status is not 1 to 255 bytes of UTF-8 without control characters"};

	*ret_problem = trouble.absent;
	for (size_t i = 0; i < s->status.size; i++) {
		const struct field *f = &s->status.fields[i];
		if (f->kind == FIELD_POINTER && no_json)
			*ret_problem = no_json;
		int r = read_word(f, m, json, &trouble, ret, ret_problem);
		if (r != 1)
			return r == 2 ? 1 : r;
	}
	return 1;
}

/* A delivery id is a help and no more: one that cannot be read is none. */
static int read_delivery(
	const struct source *s, const struct message *m, struct payload *p)
{
	static const struct trouble trouble = {0};
	const char *problem;

	for (size_t i = 0; i < s->delivery.size; i++) {
		int r = read_word(&s->delivery.fields[i], m, p->json, &trouble,
			&p->delivery, &problem);
		if (r != 1)
			return r == 2 ? 0 : r;
	}
	return 0;
}

static int name_by_hash(struct bytes body, struct payload *p)
{
	unsigned char hash[VERIFY_TOKEN_HASH_SIZE];
	int r = verify_hash(body, hash);

	if (r < 0)
		return r;
	CLEANUP(freep) char *hex = codec_hex_encode(hash, sizeof(hash));
	if (!hex)
		return -ENOMEM;
	p->id = text_format("sha256:%s", hex);
	if (!p->id)
		return -ENOMEM;

	p->outcome = OUTCOME_UNREADABLE;
	return 0;
}

int payload_read(const struct source *s, const struct message *m, struct payload *ret)
{
	const char *no_json = NULL, *problem = NULL;

	*ret = (struct payload){0};
	int r = parse(m->body, &ret->json, &no_json);
	if (r < 0)
		return r;
	r = read_delivery(s, m, ret);
	if (r < 0)
		return r;
	r = read_id(s, m, ret->json, no_json, &ret->id, &problem);
	/* Of what cannot be read the status is not told: only On=unreadable fires for it. */
	if (r == 0 && s->status.size > 0)
		r = read_status(s, m, ret->json, no_json, &ret->status, &problem);
	if (r < 0)
		return r;
	if (r > 0) {
		free(ret->id);
		ret->id = NULL;
		ret->problem = problem;
		return name_by_hash(m->body, ret);
	}
	ret->outcome = OUTCOME_SUCCESS;
	if (ret->status)
		ret->outcome = payload_outcome(
			s, bytes_of(ret->status), &ret->unknown_word);
	return 0;
}

void payload_fini(struct payload *p)
{
	json_decref(p->json);
	free(p->id);
	free(p->status);
	free(p->delivery);
	*p = (struct payload){0};
}
