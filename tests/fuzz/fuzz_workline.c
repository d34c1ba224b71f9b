/*
 * What a worker writes, in pieces chosen by the first byte: lines come out the same however they
 * were cut, none longer than the cap; an answer is made of slices of its line. And what goes out
 * to one is a line of JSON that holds the payload, whatever that is.
 */
#include "base/codec.h"
#include "rules/workline.h"

#include <jansson.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(struct bytes line)
{
	struct workline_answer a;

	if (!workline_parse(line, &a))
		return;
	if (a.run.data < line.data || a.run.size < 1 || a.run.size > 64 ||
		a.run.data + a.run.size > line.data + line.size)
		abort();
	if (a.reason.data &&
		(a.ok || a.reason.size > WORKLINE_REASON_MAX ||
			a.reason.data + a.reason.size > line.data + line.size))
		abort();
}

static void split(struct bytes stream, size_t step, struct text *ret)
{
	struct workline_reader r = {.size = 0};
	struct bytes line;

	while (stream.size) {
		struct bytes piece = {
			stream.data, stream.size < step ? stream.size : step};
		stream.data += piece.size;
		stream.size -= piece.size;
		while (workline_next(&r, &piece, &line)) {
			if (line.size > WORKLINE_MAX)
				abort();
			check_answer(line);
			text_add(ret, line);
			text_addc(ret, '\n');
		}
		if (piece.size)
			abort();
	}
	if (workline_last(&r, &line)) {
		check_answer(line);
		text_add(ret, line);
	}
}

static void check_written(struct bytes payload)
{
	const struct workline_run run = {.run = "a-1",
		.hook = "h",
		.source = "s",
		.id = "i",
		.outcome = "error",
		.payload = payload};
	struct text t = TEXT_EMPTY;

	workline_write(&t, &run);
	if (t.failed || memchr(t.data, '\n', t.size) != t.data + t.size - 1)
		abort();
	json_t *json = json_loadb(t.data, t.size, JSON_ALLOW_NUL, NULL);
	const json_t *text = json_object_get(json, "payload");
	const json_t *base64 = json_object_get(json, "payload_base64");
	if (!text == !base64)
		abort();
	if (text && (json_string_length(text) != payload.size ||
			    (payload.size && memcmp(json_string_value(text), payload.data,
						     payload.size) != 0)))
		abort();
	if (base64) {
		unsigned char *back = malloc(payload.size + 1);
		ptrdiff_t n = codec_base64_decode(
			bytes_of(json_string_value(base64)), back, payload.size + 1);
		if (n != (ptrdiff_t)payload.size ||
			memcmp(back, payload.data, payload.size))
			abort();
		free(back);
	}
	json_decref(json);
	text_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text whole = TEXT_EMPTY, pieces = TEXT_EMPTY;
	struct bytes stream = {(const char *)data, size};

	if (size < 1)
		return 0;
	stream.data++;
	stream.size--;
	split(stream, SIZE_MAX, &whole);
	split(stream, data[0] ? data[0] : 1000, &pieces);
	if (!bytes_equal(text_bytes(&whole), text_bytes(&pieces)))
		abort();
	check_written(stream);
	text_fini(&whole);
	text_fini(&pieces);
	return 0;
}
