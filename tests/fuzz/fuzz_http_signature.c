/*
 * Lines of Signature-Input, Signature and Content-Digest, then a body; the first line is a
 * structured field by itself, too.
 */
#include "public.h"

#include "rules/structured.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written anew it reads the same, and is written the same. */
static void read_dictionary(struct bytes text)
{
	static struct structured first, second;
	struct text one = TEXT_EMPTY, two = TEXT_EMPTY;
	const char *problem;

	if (structured_parse(text, &first, &problem) != 0)
		return;
	for (size_t i = 0; i < first.n_members; i++) {
		text_clear(&one);
		text_clear(&two);
		text_adds(&one, "a=");
		structured_write(&first, &first.members[i], &one);
		if (structured_parse(text_bytes(&one), &second, &problem) != 0)
			abort();
		text_adds(&two, "a=");
		structured_write(&second, &second.members[0], &two);
		if (!bytes_equal(text_bytes(&one), text_bytes(&two)))
			abort();
	}
	text_fini(&one);
	text_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest = {(const char *)data, size};
	struct bytes input = bytes_split(rest, '\n', &rest);
	struct bytes signature = bytes_split(rest, '\n', &rest);
	struct bytes digest = bytes_split(rest, '\n', &rest);
	const struct message_header h[] = {{bytes_of("Signature-Input"), input},
		{bytes_of("Signature"), signature}, {bytes_of("Content-Digest"), digest},
		{bytes_of("x-dict"), bytes_of("a=1, b=(1 \"x\");p")}};

	read_dictionary(input);
	verify(VERIFY_HTTP_SIGNATURE, h, ARRAY_SIZE(h), rest);
	return 0;
}
