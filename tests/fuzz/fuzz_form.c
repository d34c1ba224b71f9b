/*
 * Any Content-Type and body as a form: what is found lies in the body; a multipart form that is
 * taken, written again from what was read, reads the same; and the order of an urlencoded form
 * does not change with the order it was sent in.
 */
#include "base/text.h"
#include "rules/form.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same value, in the order of the parts. */
static void check_again(const struct form *f)
{
	struct multipart m = f->multipart, again = f->multipart;
	struct multipart_part one, two;
	struct text t = TEXT_EMPTY;
	const char *problem;
	struct bytes delimiter = {m.delimiter, m.delimiter_size};
	size_t n = 0;

	while (multipart_next(&m, &one, &problem) == 0) {
		if (one.name.data < f->body.data || one.value.data < f->body.data ||
			one.value.data + one.value.size > f->body.data + f->body.size ||
			memmem(one.value.data, one.value.size, delimiter.data,
				delimiter.size))
			abort();
		text_add(&t,
			(struct bytes){delimiter.data + 2 * !n, delimiter.size - 2 * !n});
		text_adds(&t, "\r\nContent-Disposition: form-data; name=\"");
		text_add(&t, one.name);
		text_adds(&t, "\"\r\n\r\n");
		text_add(&t, one.value);
		n++;
	}
	text_add(&t, (struct bytes){delimiter.data + 2 * !n, delimiter.size - 2 * !n});
	text_adds(&t, "--");
	m = f->multipart;
	/* A name that was no quoted string stays within one. */
	if (multipart_begin(&again, text_bytes(&t), &problem) != 0)
		abort();
	for (size_t i = 0; i < n; i++)
		if (multipart_next(&m, &one, &problem) != 0 ||
			multipart_next(&again, &two, &problem) != 0 ||
			!bytes_equal(one.name, two.name) ||
			!bytes_equal(one.value, two.value))
			abort();
	if (multipart_next(&again, &two, &problem) != 1)
		abort();
	text_fini(&t);
}

/* Turned round field by field. */
static void check_order(const struct form *f)
{
	struct text turned = TEXT_EMPTY, a = TEXT_EMPTY, b = TEXT_EMPTY;
	struct bytes rest = f->body, fields[64];
	struct form other = {.kind = FORM_URLENCODED};
	const char *problem;
	size_t n = 0;

	while (rest.data && n < ARRAY_SIZE(fields))
		fields[n++] = bytes_split(rest, '&', &rest);
	if (rest.data)
		return;
	while (n > 0) {
		text_add(&turned, fields[--n]);
		text_addc(&turned, '&');
	}
	other.body = text_bytes(&turned);
	int r = form_add_sorted(f, &a, &problem);
	if (r < 0 || form_add_sorted(&other, &b, &problem) != r ||
		(r == 0 && !bytes_equal(text_bytes(&a), text_bytes(&b))))
		abort();
	text_fini(&turned);
	text_fini(&a);
	text_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes body = {(const char *)data, size}, value;
	struct message_header type = {bytes_of("Content-Type"), BYTES_NONE};
	struct form head, f;

	type.value = bytes_split(body, '\n', &body);
	const struct message m = {.headers = &type, .n_headers = 1, .body = body};
	form_of_head(&head, &m);
	form_of(&f, &m);
	/* What the head rules out the body does not bring back. */
	if (f.kind != head.kind || (head.problem && !f.problem))
		abort();
	if (form_find(&f, bytes_of("a"), &value) == MESSAGE_ONCE) {
		char *decoded = NULL;
		size_t n;
		if (f.problem || value.data < body.data ||
			value.data + value.size > body.data + body.size)
			abort();
		if (form_decode(&f, value, &decoded, &n) == 0 && n > value.size)
			abort();
		free(decoded);
	}
	if (f.kind == FORM_MULTIPART && !f.problem)
		check_again(&f);
	if (f.kind == FORM_URLENCODED)
		check_order(&f);
	return 0;
}
