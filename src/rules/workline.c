/* A run as a line, and a line as an answer; see workline.h. */
#include "rules/workline.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/utf8.h"

#include <string.h>

/* ---- Out ---- */

/* RFC 8259, 7: valid UTF-8 stays, but for what must be escaped. */
static void add_string(struct text *t, struct bytes b)
{
	size_t plain = 0;

	text_addc(t, '"');
	for (size_t i = 0; i < b.size; i++) {
		unsigned char c = (unsigned char)b.data[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		text_add(t, (struct bytes){b.data + plain, i - plain});
		plain = i + 1;
		switch (c) {
		case '"': text_adds(t, "\\\""); break;
		case '\\': text_adds(t, "\\\\"); break;
		case '\n': text_adds(t, "\\n"); break;
		case '\r': text_adds(t, "\\r"); break;
		case '\t': text_adds(t, "\\t"); break;
		default: text_addf(t, "\\u%04x", c); break;
		}
	}
	text_add(t, (struct bytes){b.data + plain, b.size - plain});
	text_addc(t, '"');
}

static void add_member(struct text *t, const char *name, const char *value)
{
	text_addf(
		t, "%s\"%s\":", t->data && t->data[t->size - 1] == '{' ? "" : ",", name);
	if (value)
		add_string(t, bytes_of(value));
	else
		text_adds(t, "null");
}

static void add_exports(struct text *t, const struct workline_run *run)
{
	static const char prefix[] = "CALLBACK_";
	const char *comma = "";

	text_adds(t, ",\"export\":{");
	for (size_t i = 0; i < run->n_exports; i++) {
		const struct workline_export *e = &run->exports[i];
		const char *name = e->variable;
		if (!utf8_valid(e->value))
			continue;
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			name += strlen(prefix);
		text_adds(t, comma);
		comma = ",";
		add_string(t, bytes_of(name));
		text_addc(t, ':');
		add_string(t, e->value);
	}
	text_addc(t, '}');
}

static void add_payload(struct text *t, struct bytes payload)
{
	if (utf8_valid(payload)) {
		text_adds(t, ",\"payload\":");
		add_string(t, payload);
		return;
	}
	char *base64 = codec_base64_encode(payload.data, payload.size);
	if (base64)
		text_addf(t, ",\"payload_base64\":\"%s\"", base64);
	else
		t->failed = true;
	free(base64);
}

void workline_write(struct text *t, const struct workline_run *run)
{
	char received[CLOCK_TEXT_SIZE];

	text_addc(t, '{');
	add_member(t, "run", run->run);
	add_member(t, "hook", run->hook);
	add_member(t, "source", run->source);
	add_member(t, "id", run->id);
	add_member(t, "status", run->status);
	add_member(t, "outcome", run->outcome);
	add_member(t, "received", clock_format(run->received_usec, received));
	text_addf(t, ",\"attempt\":%u", run->attempt);
	if (run->test)
		text_adds(t, ",\"test\":true");
	if (run->has_exports)
		add_exports(t, run);
	add_payload(t, run->payload);
	text_adds(t, "}\n");
}

/* ---- Back ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next word and what is behind the blanks after it. */
static struct bytes take_word(struct bytes *rest)
{
	struct bytes word = {rest->data, 0};

	while (word.size < rest->size && !is_blank(rest->data[word.size]))
		word.size++;
	rest->data += word.size;
	rest->size -= word.size;
	*rest = bytes_trim(*rest);
	return word;
}

static bool is_run_id(struct bytes b)
{
	if (b.size < 1 || b.size > 64)
		return false;
	for (size_t i = 0; i < b.size; i++) {
		char c = b.data[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || c == '-'))
			return false;
	}
	return true;
}

/* Not in the middle of a character. */
static struct bytes cut(struct bytes b, size_t max)
{
	if (b.size <= max)
		return b;
	b.size = max;
	for (int i = 0; i < 3 && b.size && ((unsigned char)b.data[b.size] & 0xc0) == 0x80;
		i++)
		b.size--;
	return b;
}

bool workline_parse(struct bytes line, struct workline_answer *ret)
{
	struct workline_answer a = {.reason = BYTES_NONE};

	if (line.size && line.data[line.size - 1] == '\r')
		line.size--;
	line = bytes_trim(line);
	a.run = take_word(&line);
	if (!is_run_id(a.run))
		return false;
	struct bytes word = take_word(&line);
	if (bytes_equal(word, bytes_of("ok")) && line.size == 0)
		a.ok = true;
	else if (!bytes_equal(word, bytes_of("fail")))
		return false;
	if (line.size)
		a.reason = cut(line, WORKLINE_REASON_MAX);
	*ret = a;
	return true;
}

static void keep(struct workline_reader *r, struct bytes b)
{
	size_t room = r->size < WORKLINE_MAX ? WORKLINE_MAX - r->size : 0;

	if (b.size < room)
		room = b.size;
	if (room)
		memcpy(r->line + r->size, b.data, room);
	r->size += room;
}

bool workline_next(struct workline_reader *r, struct bytes *bytes, struct bytes *ret_line)
{
	const char *newline = bytes->size ? memchr(bytes->data, '\n', bytes->size) : NULL;
	size_t n = newline ? (size_t)(newline - bytes->data) : bytes->size;

	keep(r, (struct bytes){bytes->data, n});
	n += newline != NULL;
	bytes->data += n;
	bytes->size -= n;
	if (!newline)
		return false;
	*ret_line = (struct bytes){r->line, r->size};
	r->size = 0;
	return true;
}

bool workline_last(struct workline_reader *r, struct bytes *ret_line)
{
	*ret_line = (struct bytes){r->line, r->size};
	r->size = 0;
	return ret_line->size > 0;
}
