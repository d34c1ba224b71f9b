/*
 * Any headers, token, target and body against sources of every style: nothing verifies that
 * was not signed, and what our signer makes does. The first byte chooses the style, the second
 * the scheme; a line with the token, one with the target and lines "Name: value" follow, then
 * an empty line and the body.
 */
#include "base/codec.h"
#include "base/text.h"
#include "rules/sign.h"
#include "rules/verify.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADERS_MAX 16
#define FIELD(n)                                                           \
	{                                                                  \
		.kind = FIELD_HEADER, .text = (char *)n, .name = (char *)n \
	}

/* No fuzzer guesses it, so whatever verifies is a defect. */
static unsigned char key[32] =
	"\x91\x0e\xa4\x5b\x03\xd7\x6c\xf8\x22\xbe\x47\x19\xe3\x80\x5d\xca"
	"\x36\xf1\x9b\x64\x0a\xc5\x7e\xd2\x48\x13\xaf\x86\x5e\x29\xf4";
static struct secret secrets[2] = {
	{.data = key,
		.size = 32,
		.text = key,
		.text_size = 32,
		.whsec = key,
		.whsec_size = 32},
	{.data = key + 1,
		.size = 31,
		.text = key + 1,
		.text_size = 31,
		.whsec = key + 1,
		.whsec_size = 31},
};
static struct field delivery = FIELD("I");

static struct source make_source(uint8_t choice)
{
	struct source s = {.name = (char *)"s",
		.path = (char *)"/p",
		.secrets = secrets,
		.n_secrets = 1 + (choice & 1),
		.delivery = {&delivery, 1},
		.token_header = (char *)"K"};
	static const unsigned verify[] = {
		VERIFY_HMAC, VERIFY_TOKEN, VERIFY_HEADER, VERIFY_BASIC};

	s.verify = verify[choice >> 1 & 3] | VERIFY_HMAC;
	s.signature = (struct signature_rule){
		.place = FIELD("S"),
		.algorithm = (enum hash_algorithm)(choice >> 3 & 3),
		.encoding = choice & 0x20 ? ENCODING_BASE64 : ENCODING_HEX,
		.prefix = (char *)(choice & 0x10 ? "p=" : ""),
		.style = (enum signature_style)((choice >> 6) % 3),
		.signature_field = (char *)"v1",
		.timestamp_field = (char *)"t",
		.content = (char *)"{id}.{timestamp}.{body}{url}",
		.timestamp_header = (char *)((choice >> 6) % 3 == STYLE_PAIRS ? NULL
									      : "T"),
		.tolerance_usec = 300 * USEC_PER_SEC,
	};
	return s;
}

/* The other schemes, and signatures of forms and in forms. */
static void choose_scheme(struct source *s, uint8_t choice)
{
	static const struct field in_form = {
		.kind = FIELD_FORM, .text = (char *)"form:S", .name = (char *)"S"};

	switch (choice % 7) {
	case 1: s->verify = VERIFY_STANDARD_WEBHOOKS; break;
	case 2: s->verify = VERIFY_TWILIO; break;
	case 3: s->signature.content = (char *)"{url}{form}"; break;
	case 4: s->signature.content = (char *)"{timestamp}{form:F}"; break;
	case 5:
		s->signature.content = (char *)"{form:F}";
		s->signature.place = in_form;
		s->signature.timestamp_header = NULL;
		s->signature.timestamp_field = NULL;
		break;
	case 6: s->verify |= VERIFY_STANDARD_WEBHOOKS | VERIFY_TWILIO; break;
	default: break;
	}
}

static void split_headers(
	struct bytes *rest, struct message *m, struct message_header *headers)
{
	while (rest->size && m->n_headers < HEADERS_MAX) {
		struct bytes line = bytes_split(*rest, '\n', rest);
		struct bytes value, name = bytes_split(line, ':', &value);
		if (line.size == 0)
			break;
		if (value.data)
			headers[m->n_headers++] = (struct message_header){
				name, bytes_trim(value)};
	}
	m->headers = headers;
}

/* Signed as what the rule needs: a form with a field F where it wants one. */
static void check_signed(struct source *s, struct bytes given, bool form)
{
	struct text lines = TEXT_EMPTY, target = TEXT_EMPTY, more = TEXT_EMPTY;
	struct text body_text = TEXT_EMPTY;
	char *encoded = form ? codec_percent_encode(given) : NULL;

	if (form)
		text_addf(&body_text, "F=%s&g=1", encoded ? encoded : "");
	else
		text_add(&body_text, given);
	free(encoded);
	struct bytes body = text_bytes(&body_text);
	struct message_header headers[HEADERS_MAX];
	struct verify_result result;
	const struct sign_input in = {.body = body,
		.id = "test-1",
		.now_usec = 1700000000 * (int64_t)USEC_PER_SEC,
		.public_url = "https://h",
		.form = form,
		.more_body = &more};
	struct message m = {.received_usec = in.now_usec};

	if (!(s->verify & (VERIFY_STANDARD_WEBHOOKS | VERIFY_TWILIO)))
		s->verify = VERIFY_HMAC;
	text_adds(&target, "/p?q");
	if (sign_message(s, &in, &lines, &target) != 0)
		abort();
	for (char *p = lines.data; p && *p; p++)
		if (*p == '\r')
			*p = ' ';
	struct bytes rest = text_bytes(&lines);
	split_headers(&rest, &m, headers);
	headers[m.n_headers++] = (struct message_header){bytes_of("Content-Type"),
		bytes_of(form ? "application/x-www-form-urlencoded" : "text/plain")};
	text_add(&body_text, text_bytes(&more));
	m.body = text_bytes(&body_text);
	m.target = text_bytes(&target);
	m.path = bytes_split(m.target, '?', &m.query);
	if (verify_head(s, &m, BYTES_NONE, &result) != 0 ||
		verify_message(s, &m, BYTES_NONE, "https://h", &result) != 0 ||
		result.verdict != VERIFY_OK)
		abort();
	text_fini(&lines);
	text_fini(&target);
	text_fini(&more);
	text_fini(&body_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_header headers[HEADERS_MAX];
	struct message m = {0};
	struct verify_result early, result;

	if (size < 2)
		return 0;
	struct source s = make_source(data[0]);
	choose_scheme(&s, data[1]);
	struct bytes rest = {(const char *)data + 2, size - 2};
	struct bytes token = bytes_split(rest, '\n', &rest);
	m.target = bytes_split(rest, '\n', &rest);
	m.path = bytes_split(m.target, '?', &m.query);
	split_headers(&rest, &m, headers);
	m.body = rest;
	m.received_usec = 1700000000 * (int64_t)USEC_PER_SEC;

	int refused = verify_head(&s, &m, token, &early);
	if (verify_message(&s, &m, token, "https://h", &result) != 0 ||
		result.verdict == VERIFY_OK || !result.reason[0])
		abort();
	/* What the head refuses stays refused. */
	if (refused && result.verdict != VERIFY_REFUSED)
		abort();
	check_signed(&s, m.body, data[1] % 7 > 2 || data[1] & 0x80);
	return 0;
}
