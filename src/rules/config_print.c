/*
 * The effective configuration as text that is itself a configuration: each value under a
 * comment that says where it comes from. Built from the texts, not from the structs, so
 * secrets cannot get into it: it knows the names of their files and no more.
 */
#include "rules/config_build.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>

static void add_origin(struct text *t, const struct config_origins *o,
	const struct section *s, enum origin origin, struct place at)
{
	if (origin == ORIGIN_PRESET) {
		text_addf(t, "# preset %s\n", s->preset->name);
	} else if (origin == ORIGIN_DEFAULT || at.file >= o->n_files || at.line == 0) {
		text_adds(t, "# default\n");
	} else {
		text_adds(t, "# ");
		text_add_escaped(t, bytes_of(o->files[at.file]), SIZE_MAX);
		text_addf(t, ":%u\n", at.line);
	}
}

/* A backslash at the end would continue the line: a blank behind it does not count. */
static bool would_continue(const char *value)
{
	size_t n = 0, size = strlen(value);
	while (n < size && value[size - 1 - n] == '\\')
		n++;
	return n % 2 == 1;
}

static void add_setting(struct text *t, const struct config_origins *o,
	const struct section *s, const struct key *key, const struct setting *setting)
{
	if (setting->size == 0) {
		bool preset = s->preset && preset_value(s->preset, key->name);
		add_origin(t, o, s,
			setting->written ? ORIGIN_FILE
			: preset         ? ORIGIN_PRESET
					 : ORIGIN_DEFAULT,
			setting->at);
		text_addf(t, "%s=\n", key->name);
	}
	for (size_t i = 0; i < setting->size; i++) {
		const struct setting_value *v = &setting->values[i];
		add_origin(t, o, s, v->origin, v->at);
		text_addf(t, "%s=%s%s\n", key->name, v->text,
			would_continue(v->text) ? " " : "");
	}
}

int config_print(const struct config *c, FILE *out)
{
	const struct config_origins *o = c->origins;
	struct text t = TEXT_EMPTY;
	for (size_t i = 0; i < o->n_sections; i++) {
		const struct section *s = &o->sections[i];
		size_t n;
		const struct key *keys = keys_of(s->kind, &n);
		text_addf(&t, "%s[%s%s%s]\n", i > 0 ? "\n" : "",
			key_section_name(s->kind), s->name ? " " : "",
			s->name ? s->name : "");
		for (size_t j = 0; j < n; j++)
			add_setting(&t, o, s, &keys[j], &s->settings[j]);
	}
	size_t size = t.size;
	bool written = !t.failed && fwrite(t.data, 1, size, out) == size;
	text_fini(&t);
	return written && fflush(out) == 0 ? 0 : -EIO;
}
