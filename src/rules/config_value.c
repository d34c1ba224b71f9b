/* Keys of one value: text, times, sizes, numbers, words of a choice; see config_build.h. */
#include "rules/config_build.h"

#include "rules/content.h"
#include "rules/rate.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void config_refuse(
	struct convert *c, const struct setting_value *v, const char *format, ...)
{
	char reason[512];
	va_list ap;
	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	findings_error(&c->build->findings, v->at, "%s=%s: %s", c->key->name,
		findings_quote(bytes_of(v->text)).text, reason);
}

void config_refuse_unbuilt(struct convert *c, const struct setting_value *v)
{
	findings_error(&c->build->findings, v->at, "%s=%s is not supported yet",
		c->key->name, findings_quote(bytes_of(v->text)).text);
}

static int put_text(char **at, const char *text)
{
	char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static const char *check_template(const char *text)
{
	const char *reason = NULL;
	return content_check(text, &reason) == 0 ? NULL : reason;
}

static int convert_text(struct convert *c, const struct setting_value *v)
{
	const char *(*check)(const char *) = NULL;
	switch (c->key->type) {
	case KEY_HEADER: check = config_text_header; break;
	case KEY_TARGET: check = config_text_target; break;
	case KEY_URL: check = config_text_url; break;
	case KEY_ORIGIN: check = config_text_origin; break;
	case KEY_TEMPLATE: check = check_template; break;
	default: break;
	}
	const char *reason = check ? check(v->text) : NULL;
	if (c->key->type == KEY_PATH && v->text[0] != '/')
		reason = "an absolute path is wanted";
	if (reason) {
		config_refuse(c, v, "%s", reason);
		return 0;
	}
	int r = put_text(c->at, v->text);
	if (r == 0 && c->key->type == KEY_ORIGIN) {
		char *origin = *(char **)c->at;
		size_t size = strlen(origin);
		if (origin[size - 1] == '/')
			origin[size - 1] = '\0';
	}
	return r;
}

static int convert_file(struct convert *c, const struct setting_value *v)
{
	const struct config_world *world = c->build->world;
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *reason = NULL;
	if (!world->find_file)
		return put_text(c->at, v->text);
	int r = world->find_file(world->arg, v->text, &path, &reason);
	if (r < 0)
		return r;
	if (r == 0)
		return put_text(c->at, path);
	if (r == 2 && world->checking)
		findings_warning(&c->build->findings, v->at, "%s=%s: %s", c->key->name,
			findings_quote(bytes_of(v->text)).text,
			reason ? reason : "cannot be found");
	else
		config_refuse(c, v, "%s", reason ? reason : "cannot be found");
	return put_text(c->at, v->text);
}

static int convert_bool(struct convert *c, const struct setting_value *v)
{
	bool value;
	if (span_parse_bool(v->text, &value) < 0)
		config_refuse(c, v, "yes or no is wanted");
	else if (value && c->key->not_yet)
		config_refuse_unbuilt(c, v);
	else
		*(bool *)c->at = value;
	return 0;
}

static void refuse_time(struct convert *c, const struct setting_value *v, uint64_t usec)
{
	CLEANUP(freep) char *limit = NULL;
	bool small = usec < c->key->min;
	limit = span_format_usec(small ? c->key->min : c->key->max);
	if (usec == SPAN_FOREVER)
		config_refuse(c, v, "there must be an end to it");
	else
		config_refuse(c, v, "at %s %s is wanted", small ? "least" : "most",
			limit ? limit : "");
}

static int convert_time(struct convert *c, const struct setting_value *v)
{
	uint64_t usec;
	if (span_parse_usec(v->text, &usec) < 0) {
		config_refuse(c, v, "a time span such as 90, 5min or 1h 30min is wanted");
		return 0;
	}
	if (usec == SPAN_FOREVER && c->key->forever)
		usec = c->key->max;
	if (usec < c->key->min || usec > c->key->max)
		refuse_time(c, v, usec);
	else
		*(uint64_t *)c->at = usec;
	return 0;
}

static int convert_bytes(struct convert *c, const struct setting_value *v)
{
	uint64_t bytes;
	if (span_parse_bytes(v->text, &bytes) < 0) {
		config_refuse(c, v, "a size such as 500, 64K or 1M is wanted");
	} else if (bytes < c->key->min || bytes > c->key->max) {
		bool small = bytes < c->key->min;
		CLEANUP(freep)
		char *limit = span_format_bytes(small ? c->key->min : c->key->max);
		config_refuse(c, v, "at %s %s is wanted", small ? "least" : "most",
			limit ? limit : "");
	} else {
		*(uint64_t *)c->at = bytes;
	}
	return 0;
}

static int convert_number(struct convert *c, const struct setting_value *v)
{
	uint64_t number = 0;
	bool valid = v->text[0] != '\0';
	for (const char *p = v->text; valid && *p; p++)
		valid = *p >= '0' && *p <= '9' &&
			!__builtin_mul_overflow(number, 10, &number) &&
			!__builtin_add_overflow(number, (uint64_t)(*p - '0'), &number);
	if (!valid || number < c->key->min || number > c->key->max)
		config_refuse(c, v, "a number from %llu to %llu is wanted",
			(unsigned long long)c->key->min, (unsigned long long)c->key->max);
	else if (c->key->type == KEY_COUNT)
		*(uint64_t *)c->at = number;
	else
		*(unsigned *)c->at = (unsigned)number;
	return 0;
}

static void convert_rate(struct convert *c, const struct setting_value *v)
{
	const char *reason = NULL;
	if (rate_parse(v->text, c->at, &reason) != 0)
		config_refuse(c, v, "%s", reason);
}

static int convert_choice(struct convert *c, const struct setting_value *v)
{
	struct text wanted = TEXT_EMPTY;
	for (unsigned i = (unsigned)c->key->min; c->key->choices[i]; i++) {
		if (strcmp(c->key->choices[i], v->text) == 0) {
			text_fini(&wanted);
			if (i > 0 && c->key->not_yet)
				config_refuse_unbuilt(c, v);
			else
				*(unsigned *)c->at = i;
			return 0;
		}
		text_addf(&wanted, "%s%s", wanted.size ? " " : "", c->key->choices[i]);
	}
	config_refuse(c, v, "one of these is wanted: %s", wanted.data ? wanted.data : "");
	text_fini(&wanted);
	return 0;
}

/* A header by its bare name, as most people write it. */
static int convert_place(struct convert *c, const struct setting_value *v)
{
	struct field *field = c->at;
	const char *reason = NULL;
	struct field got;
	bool kind_given = strchr(v->text, ':') || v->text[0] == '/';
	CLEANUP(freep)
	char *text = kind_given ? strdup(v->text) : text_format("header:%s", v->text);
	if (!text)
		return -ENOMEM;
	int r = field_parse(&got, text, &reason);
	if (r < 0)
		return r;
	if (r > 0) {
		config_refuse(c, v, "%s", reason);
		return 0;
	}
	if (!got.pointer && !got.last &&
		(got.kind == FIELD_HEADER || got.kind == FIELD_FORM)) {
		field_fini(field);
		*field = got;
		return 0;
	}
	config_refuse(c, v, "a signature stands in a header, or in form:NAME");
	field_fini(&got);
	return 0;
}

/* Nothing keeps it: only what says "no" is taken. */
static void convert_nowhere(struct convert *c, const struct setting_value *v)
{
	bool value;
	if (!c->key->standard || strcmp(c->key->standard, "no") != 0 ||
		span_parse_bool(v->text, &value) < 0 || value)
		config_refuse_unbuilt(c, v);
}

int config_value_convert(struct convert *c)
{
	if (c->setting->size == 0)
		return c->key->type == KEY_STRING ? put_text(c->at, "") : 0;
	const struct setting_value *v = &c->setting->values[c->setting->size - 1];
	switch (c->key->type) {
	case KEY_NOWHERE: convert_nowhere(c, v); return 0;
	case KEY_FILE: return convert_file(c, v);
	case KEY_BOOL: return convert_bool(c, v);
	case KEY_TIME: return convert_time(c, v);
	case KEY_BYTES: return convert_bytes(c, v);
	case KEY_COUNT:
	case KEY_NUMBER: return convert_number(c, v);
	case KEY_RATE: convert_rate(c, v); return 0;
	case KEY_CHOICE: return convert_choice(c, v);
	case KEY_PLACE: return convert_place(c, v);
	default: return convert_text(c, v);
	}
}
