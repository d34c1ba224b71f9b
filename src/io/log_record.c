/*
 * Making records. Whatever comes in, a record is valid UTF-8 of one line: control
 * characters and broken bytes become \xHH, so nobody forges a second line or paints a
 * terminal. In the fields a backslash is written \x5C: what `journalctl CALLBACK_ID=…`
 * wants is that text. In messages and hook lines backslash and tab stay as they are.
 */
#include "io/log_record.h"

#include "base/text.h"

#include <inttypes.h>
#include <syslog.h>
#include <unistd.h>

#define IDENTIFIER "callbackd"

int log_kind_priority(enum log_kind kind)
{
	static const int priorities[] = {
#define LOG_KIND_PRIORITY(name, priority, id) priority,
		LOG_KINDS(LOG_KIND_PRIORITY)
#undef LOG_KIND_PRIORITY
	};

	return kind < LOG_KIND_MAX ? priorities[kind] : LOG_DEBUG;
}

const char *log_kind_name(enum log_kind kind)
{
	static const char *const names[] = {
#define LOG_KIND_TEXT(name, priority, id) #name,
		LOG_KINDS(LOG_KIND_TEXT)
#undef LOG_KIND_TEXT
	};

	return kind < LOG_KIND_MAX ? names[kind] + sizeof("LOG_") - 1 : "DEBUG";
}

static const char *message_id(enum log_kind kind)
{
	static const char *const ids[] = {
#define LOG_KIND_ID(name, priority, id) id,
		LOG_KINDS(LOG_KIND_ID)
#undef LOG_KIND_ID
	};

	return kind < LOG_KIND_MAX ? ids[kind] : NULL;
}

/* Escaped, but for backslash and tab. */
static void add_clean(struct text *t, struct bytes b, size_t max)
{
	bool cut = b.size > max;

	if (cut) {
		b.size = max;
		/* Not in the middle of a character. */
		for (int i = 0; i < 3 && b.size && (b.data[b.size] & 0xc0) == 0x80; i++)
			b.size--;
	}
	text_add_clean(t, b);
	if (cut)
		text_adds(t, "…");
}

struct making {
	struct text text;
	unsigned n;
	uint32_t ends[LOG_FIELDS_MAX];
};

static void end_field(struct making *m)
{
	m->ends[m->n++] = (uint32_t)m->text.size;
}

static void add_field(struct making *m, const char *name, const char *value)
{
	if (!value)
		return;
	text_adds(&m->text, name);
	text_addc(&m->text, '=');
	text_add_escaped(&m->text, bytes_of(value), LOG_FIELD_BYTES);
	end_field(m);
}

static void add_number(struct making *m, const char *name, int64_t value)
{
	text_addf(&m->text, "%s=%" PRId64, name, value);
	end_field(m);
}

static void make_fields(struct making *m, enum log_kind kind, int priority,
	const char *identifier, const struct log_fields *f, struct bytes message,
	size_t max)
{
	text_adds(&m->text, "MESSAGE=");
	add_clean(&m->text, message, max);
	end_field(m);
	add_number(m, "PRIORITY", priority);
	add_field(m, "SYSLOG_IDENTIFIER", identifier ? identifier : IDENTIFIER);
	add_field(m, "MESSAGE_ID", message_id(kind));
	if (!f)
		return;
	add_field(m, "CALLBACK_SOURCE", f->source);
	add_field(m, "CALLBACK_ID", f->id);
	add_field(m, "CALLBACK_STATUS", f->status);
	add_field(m, "CALLBACK_OUTCOME", f->outcome);
	add_field(m, "CALLBACK_HOOK", f->hook);
	add_field(m, "CALLBACK_RUN", f->run);
	add_field(m, "REMOTE_ADDR", f->remote);
	if (f->attempt)
		add_number(m, "CALLBACK_ATTEMPT", f->attempt);
	if (f->has_exit_status)
		add_number(m, "EXIT_STATUS", f->exit_status);
	if (f->duration_usec)
		add_number(m, "DURATION_USEC", (int64_t)f->duration_usec);
}

/* " [eachlabs/4711 publish 01H…  from 192.0.2.1]", of what there is. */
static void add_bracket(struct text *t, const struct log_fields *f)
{
	const char *const parts[] = {f->hook, f->run};
	const char *before = " [";

	if (f->source || f->id) {
		text_adds(t, before);
		before = " ";
		if (f->source)
			text_add_escaped(t, bytes_of(f->source), LOG_FIELD_BYTES);
		if (f->source && f->id)
			text_addc(t, '/');
		if (f->id)
			text_add_escaped(t, bytes_of(f->id), LOG_FIELD_BYTES);
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!parts[i])
			continue;
		text_adds(t, before);
		before = " ";
		text_add_escaped(t, bytes_of(parts[i]), LOG_FIELD_BYTES);
	}
	if (f->remote) {
		text_addf(t, "%sfrom ", before);
		before = " ";
		text_add_escaped(t, bytes_of(f->remote), LOG_FIELD_BYTES);
	}
	if (before[1] == 0)
		text_addc(t, ']');
}

/* `callbackd[PID]: message [source/id hook run]`, or a hook's own `publish[RUN]: line`. */
static void make_line(struct making *m, enum log_sink sink, int priority,
	const char *identifier, const struct log_fields *f, struct bytes message,
	size_t max)
{
	struct text *t = &m->text;

	if (sink == LOG_TO_STREAM)
		text_addf(t, "<%d>", priority); /* sd-daemon(3) */
	text_add_escaped(
		t, bytes_of(identifier ? identifier : IDENTIFIER), LOG_FIELD_BYTES);
	text_addc(t, '[');
	if (identifier && f && f->run)
		text_add_escaped(t, bytes_of(f->run), LOG_FIELD_BYTES);
	else
		text_addf(t, "%d", (int)getpid());
	text_adds(t, "]: ");
	add_clean(t, message, max);
	if (!identifier && f)
		add_bracket(t, f);
	text_addc(t, '\n');
	end_field(m);
}

struct log_record *log_record_new(enum log_sink sink, enum log_kind kind, int priority,
	const char *identifier, const struct log_fields *fields, struct bytes message,
	size_t max_message)
{
	struct making m = {.text = TEXT_EMPTY};
	struct log_record *r = NULL;

	if (sink == LOG_TO_JOURNAL)
		make_fields(&m, kind, priority, identifier, fields, message, max_message);
	else
		make_line(&m, sink, priority, identifier, fields, message, max_message);
	if (!m.text.failed)
		r = malloc(sizeof(*r) + m.text.size);
	if (r) {
		r->size = m.text.size;
		r->n_fields = m.n;
		memcpy(r->ends, m.ends, sizeof(r->ends));
		memcpy(r->data, m.text.data, m.text.size);
	}
	text_fini(&m.text);
	return r;
}
