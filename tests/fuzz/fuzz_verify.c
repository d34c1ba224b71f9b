/*
 * Any headers, token and body against sources of every style: nothing verifies that was not
 * signed, and what our signer makes does. The first byte chooses the source; lines follow,
 * "Name: value", then an empty line and the body.
 */
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
	{.data = key, .size = 32, .text = key, .text_size = 32},
	{.data = key + 1, .size = 31, .text = key + 1, .text_size = 31},
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

static void check_signed(struct source *s, struct bytes body)
{
	struct text lines = TEXT_EMPTY, target = TEXT_EMPTY;
	struct message_header headers[HEADERS_MAX];
	struct verify_result result;
	const struct sign_input in = {.body = body,
		.id = "test-1",
		.now_usec = 1700000000 * (int64_t)USEC_PER_SEC,
		.public_url = "https://h"};
	struct message m = {.body = body, .received_usec = in.now_usec};

	s->verify = VERIFY_HMAC;
	text_adds(&target, "/p?q");
	if (sign_message(s, &in, &lines, &target) != 0)
		abort();
	for (char *p = lines.data; *p; p++)
		if (*p == '\r')
			*p = ' ';
	struct bytes rest = text_bytes(&lines);
	split_headers(&rest, &m, headers);
	m.target = text_bytes(&target);
	if (verify_head(s, &m, BYTES_NONE, &result) != 0 ||
		verify_message(s, &m, BYTES_NONE, "https://h", &result) != 0 ||
		result.verdict != VERIFY_OK)
		abort();
	text_fini(&lines);
	text_fini(&target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_header headers[HEADERS_MAX];
	struct message m = {.target = bytes_of("/p?q"), .path = bytes_of("/p")};
	struct verify_result early, result;

	if (size == 0)
		return 0;
	struct source s = make_source(data[0]);
	struct bytes rest = {(const char *)data + 1, size - 1};
	struct bytes token = bytes_split(rest, '\n', &rest);
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
	check_signed(&s, m.body);
	return 0;
}
