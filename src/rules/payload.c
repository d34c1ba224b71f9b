/*
 * What a callback says. The body is hostile until read: document.c sees to that. What cannot
 * be read is no error here: it becomes a job of its own, named by the hash of its bytes.
 */
#include "rules/payload.h"

#include "base/codec.h"
#include "base/text.h"
#include "base/utf8.h"
#include "rules/payload_memory.h"
#include "rules/verify.h"
#include "rules/words.h"

#include <errno.h>

void payload_init(void)
{
	payload_memory_install();
	json_object_seed(0); /* from the kernel: nobody outside chooses our collisions */
}

json_t *payload_parse(struct bytes body, const char **ret_problem)
{
	json_t *json = NULL;
	int r = document_parse(body, &json, ret_problem);

	if (r < 0)
		*ret_problem = "memory is short";
	return r == 0 ? json : NULL;
}

enum outcome payload_outcome(
	const struct source *s, struct bytes status, bool *ret_unknown)
{
	static const struct bytes any = {"*", 1};

	*ret_unknown = false;
	if (words_contain_nocase(&s->success, status))
		return OUTCOME_SUCCESS;
	if (words_contain_nocase(&s->error, status))
		return OUTCOME_ERROR;
	if (words_contain_nocase(&s->canceled, status))
		return OUTCOME_CANCELED;
	if (words_contain_nocase(&s->pending, status))
		return OUTCOME_PENDING;
	/* Where a list holds *, that is what a word in no list means. */
	*ret_unknown = !words_contain_nocase(&s->pending, any) &&
		       !words_contain_nocase(&s->error, any) &&
		       !words_contain_nocase(&s->canceled, any);
	if (words_contain_nocase(&s->error, any))
		return OUTCOME_ERROR;
	return words_contain_nocase(&s->canceled, any) ? OUTCOME_CANCELED
						       : OUTCOME_PENDING;
}

/* What goes wrong while one value is read, in the words of that value. */
struct trouble {
	const char *absent, *twice, *bad;
	const char *inexact; /* of a real or a boolean; NULL: it may be one */
};

/* Is it a number that has more than one spelling, or a yes or no? 1, 0, -ENOMEM. */
static int is_inexact(const struct field *f, struct document *d)
{
	const json_t *value;
	int r = field_in_json(f) ? field_json(f, d, &value) : 1;

	if (r < 0)
		return r;
	return r == 0 && (json_is_real(value) || json_is_boolean(value));
}

/* The value must do as an id does: it is shown, compared, and put into an environment. */
static int read_word(const struct field *f, struct document *d,
	const struct trouble *trouble, char **ret, const char **ret_problem)
{
	CLEANUP(freep) char *value = NULL;
	size_t size = 0;
	int r = trouble->inexact ? is_inexact(f, d) : 0;

	if (r > 0) {
		*ret_problem = trouble->inexact;
		return 2;
	}
	if (r == 0)
		r = field_read(f, d, &value, &size);
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

/* Why a field is not there, where the whole place that it stands in is not. */
static const char *why_absent(const struct field *f, const struct document *d)
{
	if (f->kind == FIELD_POINTER)
		return d->json_problem;
	return f->kind == FIELD_FORM ? d->form.problem : NULL;
}

/* 0; 1 with *ret_problem; -ENOMEM. */
static int read_first(const struct field_list *l, struct document *d,
	const struct trouble *trouble, char **ret, const char **ret_problem)
{
	const char *why = NULL;

	*ret_problem = trouble->absent;
	for (size_t i = 0; i < l->size; i++) {
		const struct field *f = &l->fields[i];
		int r = read_word(f, d, trouble, ret, ret_problem);
		if (r != 1)
			return r == 2 ? 1 : r;
		if (!why)
			why = why_absent(f, d);
	}
	if (why)
		*ret_problem = why;
	return 1;
}

/* 0; 1 with *ret_problem; -ENOMEM. */
static int read_id(
	const struct source *s, struct document *d, char **ret, const char **ret_problem)
{
	static const struct trouble trouble = {"there is no job id",
		"the job id stands twice",
		"the job id is not 1 to 255 bytes of UTF-8 without control characters",
		"the job id is neither a string nor an integer"};

	return read_first(&s->id, d, &trouble, ret, ret_problem);
}

static int read_status(
	const struct source *s, struct document *d, char **ret, const char **ret_problem)
{
	static const struct trouble trouble = {"there is no status",
		"the status stands twice",
		"the status is not 1 to 255 bytes of UTF-8 without control characters",
		NULL};

	return read_first(&s->status, d, &trouble, ret, ret_problem);
}

/* A delivery id is a help and no more: one that cannot be read is none. */
static int read_delivery(const struct source *s, struct payload *p)
{
	static const struct trouble trouble = {0};
	const char *problem;

	int r = read_first(&s->delivery, &p->document, &trouble, &p->delivery, &problem);
	return r < 0 ? r : 0;
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
	struct document *d = &ret->document;
	const char *problem = NULL;

	*ret = (struct payload){0};
	document_init(d, m);
	int r = read_delivery(s, ret);
	if (r < 0)
		return r;
	r = read_id(s, d, &ret->id, &problem);
	/* Of what cannot be read the status is not told: only On=unreadable fires for it. */
	if (r == 0 && s->status.size > 0)
		r = read_status(s, d, &ret->status, &problem);
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

/* 0; 1 with *ret_problem; -ENOMEM. */
static int check_asked(const struct source *s, struct document *d, const char *id,
	const char **ret_problem)
{
	CLEANUP(freep) char *value = NULL;
	size_t size = 0;

	int r = field_list_read(&s->id, d, &value, &size);
	if (r == 1 || r < 0)
		return r < 0 ? r : 0;
	if (r == 0 && bytes_equal((struct bytes){value, size}, bytes_of(id)))
		return 0;
	*ret_problem = "it is of another job";
	return 1;
}

int payload_read_answer(const struct source *s, const struct message *m, const char *id,
	struct payload *ret)
{
	struct document *d = &ret->document;

	*ret = (struct payload){0};
	document_init(d, m);
	int r = check_asked(s, d, id, &ret->problem);
	if (r == 0)
		r = read_status(s, d, &ret->status, &ret->problem);
	if (r != 0)
		return r;
	ret->problem = NULL;
	ret->id = bytes_dup(bytes_of(id));
	if (!ret->id)
		return -ENOMEM;
	ret->outcome = payload_outcome(s, bytes_of(ret->status), &ret->unknown_word);
	return 0;
}

void payload_fini(struct payload *p)
{
	document_fini(&p->document);
	free(p->id);
	free(p->status);
	free(p->delivery);
	*p = (struct payload){0};
}
