/* Reads signatures out of a header; see signature.h. */
#include "rules/signature.h"

#include "base/codec.h"

#include <openssl/crypto.h>

/* Adds one that is written fit; false when there are too many of them. */
static bool add(const struct signature_rule *rule, size_t size, struct bytes text,
	struct signatures *s)
{
	unsigned char decoded[MAC_SIZE_MAX];
	struct bytes prefix = bytes_of(rule->prefix);

	if (s->size + s->n_unfit == SIGNATURES_MAX)
		return false;
	if (prefix.size && bytes_starts(text, prefix)) {
		text.data += prefix.size;
		text.size -= prefix.size;
	}
	ptrdiff_t n = rule->encoding == ENCODING_BASE64
			      ? codec_base64_decode(text, decoded, sizeof(decoded))
			      : codec_hex_decode(text, decoded, sizeof(decoded));
	if (n < 0 || (size_t)n != size)
		s->n_unfit++;
	else
		memcpy(s->list[s->size++], decoded, (size_t)n);
	return true;
}

static const char *parse_pairs(const struct signature_rule *rule, size_t size,
	struct bytes value, struct signatures *s)
{
	struct bytes name = bytes_of(rule->signature_field);
	struct bytes timestamp = bytes_of(rule->timestamp_field);

	while (value.data) {
		struct bytes rest, text, pair = bytes_split(value, ',', &rest);
		struct bytes key = bytes_trim(bytes_split(pair, '=', &text));
		value = rest;
		if (!text.data)
			continue;
		text = bytes_trim(text);
		if (timestamp.size && bytes_equal(key, timestamp)) {
			if (s->timestamp.data)
				return "holds two timestamps";
			s->timestamp = text;
		} else if (bytes_equal(key, name) && !add(rule, size, text, s)) {
			return "lists too many signatures";
		}
	}
	return NULL;
}

/* v1,… v1a,…: with SignatureField= only those of that version, else all. */
static const char *parse_list(const struct signature_rule *rule, size_t size,
	struct bytes value, struct signatures *s)
{
	struct bytes version = bytes_of(rule->signature_field);
	struct bytes prefix = bytes_of(rule->prefix);

	while (value.data) {
		struct bytes rest, text, item = bytes_split(value, ' ', &rest);
		value = rest;
		item = bytes_trim(item);
		if (item.size == 0)
			continue;
		if (!prefix.size || !bytes_starts(item, prefix)) {
			struct bytes own = bytes_split(item, ',', &text);
			if (text.data) {
				if (version.size && !bytes_equal(own, version))
					continue;
				item = text;
			}
		}
		if (!add(rule, size, item, s))
			return "lists too many signatures";
	}
	return NULL;
}

int signatures_parse(const struct signature_rule *rule, size_t size, struct bytes value,
	struct signatures *ret, const char **ret_reason)
{
	const char *problem = NULL;

	ret->size = ret->n_unfit = 0;
	ret->timestamp = BYTES_NONE;
	switch (rule->style) {
	case STYLE_PLAIN: (void)add(rule, size, bytes_trim(value), ret); break;
	case STYLE_PAIRS: problem = parse_pairs(rule, size, value, ret); break;
	case STYLE_LIST: problem = parse_list(rule, size, value, ret); break;
	}
	if (!problem && ret->size == 0)
		problem = ret->n_unfit ? "holds no signature of that length and encoding"
				       : "holds no signature";
	if (!problem)
		return 0;
	*ret_reason = problem;
	return 1;
}

bool signatures_hold(const struct signatures *s, const unsigned char *mac, size_t size)
{
	int found = 0;

	for (size_t i = 0; i < s->size; i++)
		found |= CRYPTO_memcmp(s->list[i], mac, size) == 0;
	return found;
}
