/*
 * What is not written is filled in: by the preset, else by the table's default, else by
 * the defaults that depend on something else. Called once, after all files are read, so
 * that it does not matter whether Preset= stands in front of a key or behind it.
 */
#include "rules/settings.h"

#include "rules/words.h"

#include "base/text.h"

#include <errno.h>

static const struct preset *find_preset(const struct section *s, struct findings *f)
{
	const struct setting *setting = settings_of(s, "Preset");
	if (setting->size == 0)
		return NULL;
	struct bytes name = bytes_of(setting->values[0].text);
	const struct preset *p = preset_find(name);
	if (p)
		return p;
	struct text known = TEXT_EMPTY;
	for (size_t i = 0; preset_at(i); i++)
		text_addf(&known, "%s%s", i ? " " : "", preset_at(i)->name);
	const char *nearest = preset_nearest(name);
	findings_error(f, setting->at, "unknown preset \"%s\"%s%s%s known are: %s",
		findings_quote(name).text, nearest ? "; did you mean " : "",
		nearest ? nearest : "", nearest ? "?" : ";",
		known.data ? known.data : "");
	f->failed |= known.failed;
	text_fini(&known);
	return NULL;
}

/* Does the word count? See preset.h. */
static bool preset_scheme_counts(
	const struct section *s, const char *scheme, bool others_left)
{
	const struct setting *header = settings_of(s, "SignatureHeader");
	if (strcmp(scheme, "hmac") == 0 &&
		(header->size == 0 || header->values[0].origin != ORIGIN_FILE) &&
		!preset_value(s->preset, "SignatureHeader"))
		return false;
	bool needs_secret = strcmp(scheme, "token") != 0 && strcmp(scheme, "none") != 0;
	return !needs_secret || !others_left || settings_of(s, "SecretFile")->size > 0 ||
	       strcmp(scheme, "hmac") == 0;
}

static int fill_verify(struct section *s, const char *value)
{
	struct words words = {0};
	struct text kept = TEXT_EMPTY;
	const char *reason;
	int r = words_split(value, &words, &reason);
	for (size_t i = 0; r == 0 && i < words.size; i++)
		if (preset_scheme_counts(s, words.list[i], words.size > 1))
			text_addf(&kept, "%s%s", kept.size ? " " : "", words.list[i]);
	words_fini(&words);
	CLEANUP(freep) char *text = text_take(&kept);
	if (r < 0 || !text)
		return -ENOMEM;
	return settings_put(s, "Verify", ORIGIN_PRESET, text);
}

/* An empty value of what cannot be empty is as good as none. */
static bool is_open(const struct key *key, const struct setting *setting)
{
	if (setting->size > 0)
		return false;
	if (!setting->written)
		return true;
	return key->list ? key->needed : key->standard != NULL;
}

static int fill(struct section *s)
{
	size_t n;
	int r = 0;
	const struct key *keys = keys_of(s->kind, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *name = keys[i].name;
		if (!is_open(&keys[i], &s->settings[i]))
			continue;
		const char *value = s->preset ? preset_value(s->preset, name) : NULL;
		if (value && keys[i].type == KEY_VERIFY)
			r = fill_verify(s, value);
		else if (value && *value)
			r = settings_put(s, name, ORIGIN_PRESET, value);
		else if (!value && keys[i].standard)
			r = settings_put(s, name, ORIGIN_DEFAULT, keys[i].standard);
	}
	return r;
}

static bool is_unwritten(const struct section *s, const char *key)
{
	const struct setting *setting = settings_of(s, key);
	return setting->size == 0 || setting->values[0].origin == ORIGIN_DEFAULT;
}

/* systemd's variables hold several directories, separated by colons: the first is ours. */
static int fill_directories(struct section *daemon, const struct config_world *world)
{
	struct bytes rest;
	int r = 0;
	if (world->state_directory && world->state_directory[0] &&
		is_unwritten(daemon, "StateDirectory")) {
		CLEANUP(freep)
		char *first = bytes_dup(
			bytes_split(bytes_of(world->state_directory), ':', &rest));
		r = first ? settings_put(daemon, "StateDirectory", ORIGIN_DEFAULT, first)
			  : -ENOMEM;
	}
	if (r == 0 && world->runtime_directory && world->runtime_directory[0] &&
		is_unwritten(daemon, "ControlSocket")) {
		struct bytes first = bytes_split(
			bytes_of(world->runtime_directory), ':', &rest);
		CLEANUP(freep)
		char *path = text_format("%.*s/control.sock", BYTES_FMT(first));
		r = path ? settings_put(daemon, "ControlSocket", ORIGIN_DEFAULT, path)
			 : -ENOMEM;
	}
	return r;
}

static int fill_path(struct section *s)
{
	CLEANUP(freep) char *path = text_format("/callback/%s", s->name);
	return path ? settings_put(s, "Path", ORIGIN_DEFAULT, path) : -ENOMEM;
}

int settings_complete(struct config_origins *o, const struct config_world *world,
	struct findings *findings)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < o->n_sections; i++) {
		struct section *s = &o->sections[i];
		if (s->kind == SECTION_SOURCE)
			s->preset = find_preset(s, findings);
		r = fill(s);
		if (r == 0 && s->kind == SECTION_DAEMON)
			r = fill_directories(s, world);
		if (r == 0 && s->kind == SECTION_SOURCE &&
			settings_of(s, "Path")->size == 0)
			r = fill_path(s);
	}
	return r;
}
