/* Looking up fields and parameters of a request; see message.h. */
#include "rules/message.h"

#include "base/codec.h"

enum message_found message_header(
	const struct message *m, const char *name, struct bytes *ret)
{
	struct bytes wanted = bytes_of(name);
	const struct message_header *found = NULL;

	for (size_t i = 0; i < m->n_headers; i++) {
		if (!bytes_equal_nocase(m->headers[i].name, wanted))
			continue;
		if (found)
			return MESSAGE_TWICE;
		found = &m->headers[i];
	}
	if (!found)
		return MESSAGE_ABSENT;
	*ret = found->value;
	return MESSAGE_ONCE;
}

/* The next character of an urlencoded text; a '%' without two digits stands for itself, as
 * in the URL standard's percent-decode. */
static char take_decoded(struct bytes *text)
{
	unsigned char byte;
	size_t n = 1;
	char c = text->data[0];

	if (c == '+') {
		c = ' ';
	} else if (c == '%' && text->size >= 3 &&
		   codec_hex_decode((struct bytes){text->data + 1, 2}, &byte, 1) == 1) {
		c = (char)byte;
		n = 3;
	}
	*text = (struct bytes){text->data + n, text->size - n};
	return c;
}

static bool equal_decoded(struct bytes encoded, struct bytes name)
{
	for (size_t i = 0; i < name.size; i++)
		if (encoded.size == 0 || take_decoded(&encoded) != name.data[i])
			return false;
	return encoded.size == 0;
}

enum message_found message_parameter(
	struct bytes text, struct bytes name, struct bytes *ret)
{
	struct bytes found = BYTES_NONE;

	while (text.data) {
		struct bytes pair = bytes_split(text, '&', &text);
		struct bytes value, key = bytes_split(pair, '=', &value);
		if (pair.size == 0 || !equal_decoded(key, name))
			continue;
		if (found.data)
			return MESSAGE_TWICE;
		/* "name" without '=' has an empty value, not none. */
		found = value.data ? value : (struct bytes){pair.data + pair.size, 0};
	}
	if (!found.data)
		return MESSAGE_ABSENT;
	*ret = found;
	return MESSAGE_ONCE;
}
