/*
 * From texts to the values that count, see settings.h. A list grows with each line and an
 * empty one clears it; of any other key the last line wins. Sections of one name are one
 * section, however many files they stand in.
 */
#include "rules/settings.h"

#include "rules/syntax.h"

#include <errno.h>

#define NAME_MAX_BYTES 64

struct setting *settings_of(const struct section *s, const char *key)
{
	size_t n;
	const struct key *keys = keys_of(s->kind, &n);
	return &s->settings[key_find(s->kind, bytes_of(key)) - keys];
}

const char *settings_text(const struct section *s, const char *key)
{
	const struct setting *setting = settings_of(s, key);
	return setting->size > 0 ? setting->values[setting->size - 1].text : NULL;
}

static void clear(struct setting *s)
{
	for (size_t i = 0; i < s->size; i++)
		free(s->values[i].text);
	free(s->values);
	s->values = NULL;
	s->size = 0;
}

static int append(
	struct setting *s, enum origin origin, struct place at, struct bytes text)
{
	struct setting_value *values = reallocarray(
		s->values, s->size + 1, sizeof(*values));
	if (!values)
		return -ENOMEM;
	s->values = values;
	char *copy = bytes_dup(text);
	if (!copy)
		return -ENOMEM;
	s->values[s->size++] = (struct setting_value){copy, origin, at};
	return 0;
}

int settings_put(struct section *s, const char *key, enum origin origin, const char *text)
{
	struct setting *setting = settings_of(s, key);
	clear(setting);
	return append(setting, origin, s->at, bytes_of(text));
}

/* The array moves as it grows: a name leads to a place in it. */
struct named {
	struct map_entry entry; /* its key is the section's name */
	size_t place;
};

struct section *settings_section(
	const struct config_origins *o, enum key_section kind, struct bytes name)
{
	if (kind == SECTION_DAEMON)
		return o->n_sections > 0 ? &o->sections[0] : NULL;
	struct map_entry *e = map_find(&o->names, name);
	for (; e; e = map_next(e)) {
		struct section *s =
			&o->sections[container_of(e, struct named, entry)->place];
		if (s->kind == kind)
			return s;
	}
	return NULL;
}

/* 0 or -ENOMEM. */
static int add_name(struct config_origins *o, const struct section *s)
{
	struct named *named = calloc(1, sizeof(*named));
	if (!named)
		return -ENOMEM;
	named->place = o->n_sections;
	map_put(&o->names, &named->entry, bytes_of(s->name));
	return 0;
}

static void free_names(struct config_origins *o)
{
	for (size_t i = 1; i < o->n_sections; i++) {
		struct map_entry *e = map_find(&o->names, bytes_of(o->sections[i].name));
		map_remove(&o->names, e);
		free(container_of(e, struct named, entry));
	}
	map_fini(&o->names);
}

/* The section of that kind and name, made when there is none yet; NULL: no memory. */
static struct section *enter(struct config_origins *o, enum key_section kind,
	struct bytes name, struct place at)
{
	struct section *known = settings_section(o, kind, name);
	if (known)
		return known;
	struct section *sections = reallocarray(
		o->sections, o->n_sections + 1, sizeof(*sections));
	if (!sections)
		return NULL;
	o->sections = sections;
	struct section s = {.kind = kind, .at = at};
	size_t n;
	keys_of(kind, &n);
	s.settings = calloc(n, sizeof(*s.settings));
	s.name = name.data ? bytes_dup(name) : NULL;
	if (!s.settings || (name.data && (!s.name || add_name(o, &s) < 0))) {
		free(s.settings);
		free(s.name);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		s.settings[i].at = at;
	o->sections[o->n_sections] = s;
	return &o->sections[o->n_sections++];
}

static bool valid_name(struct bytes name)
{
	if (name.size == 0 || name.size > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		char c = name.data[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
			!(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-')
			return false;
	}
	return true;
}

static void tell_unknown_section(
	struct findings *f, struct place at, struct bytes kind_name)
{
	const char *nearest = NULL;
	size_t best = SIZE_MAX;
	for (enum key_section k = 0; k < SECTION_MAX; k++) {
		size_t distance = key_distance(kind_name, bytes_of(key_section_name(k)));
		if (distance < best) {
			best = distance;
			nearest = key_section_header(k);
		}
	}
	struct findings_word word = findings_quote(kind_name);
	if (nearest)
		findings_error(f, at, "unknown section [%s]; did you mean %s?", word.text,
			nearest);
	else
		findings_error(f, at,
			"unknown section [%s]; there are [Daemon], [Source NAME] and "
			"[Hook NAME]",
			word.text);
}

/* SECTION_MAX and a finding when it is none. */
static enum key_section section_kind(
	const struct syntax_item *item, struct findings *f, struct place at)
{
	enum key_section kind = 0;
	while (kind < SECTION_MAX &&
		!bytes_equal(bytes_of(key_section_name(kind)), item->kind_name))
		kind++;
	if (kind == SECTION_MAX) {
		tell_unknown_section(f, at, item->kind_name);
	} else if (kind == SECTION_DAEMON) {
		if (item->name.data)
			findings_error(f, at, "[Daemon] has no name");
	} else if (!item->name.data) {
		findings_error(f, at, "[%s] needs a name: [%s NAME]",
			key_section_name(kind), key_section_name(kind));
		kind = SECTION_MAX;
	} else if (!valid_name(item->name)) {
		findings_error(f, at,
			"\"%s\" is no name: 1 to 64 letters, digits and _ . -",
			findings_quote(item->name).text);
		kind = SECTION_MAX;
	}
	return kind;
}

static void tell_unknown_key(
	struct findings *f, struct place at, enum key_section kind, struct bytes name)
{
	struct findings_word word = findings_quote(name);
	const char *here = key_section_name(kind);
	for (enum key_section k = 0; k < SECTION_MAX; k++) {
		if (key_find(k, name)) {
			findings_error(f, at, "%s= belongs into %s, not into [%s%s]",
				word.text, key_section_header(k), here,
				kind == SECTION_DAEMON ? "" : " NAME");
			return;
		}
	}
	bool told = !findings_full(f);
	const char *nearest = told ? key_nearest(kind, name) : NULL;
	enum key_section there = kind;
	for (enum key_section k = 0; told && !nearest && k < SECTION_MAX; k++) {
		nearest = key_nearest(k, name);
		there = k;
	}
	if (!nearest)
		findings_error(f, at, "unknown key %s= in [%s]", word.text, here);
	else
		findings_error(f, at, "unknown key %s= in [%s]; did you mean %s=%s%s?",
			word.text, here, nearest, there == kind ? "" : " of ",
			there == kind ? "" : key_section_header(there));
}

static int assign(struct section *s, const struct syntax_item *item, struct findings *f,
	struct place at)
{
	const struct key *key = key_find(s->kind, item->key);
	if (!key) {
		tell_unknown_key(f, at, s->kind, item->key);
		return 0;
	}
	struct setting *setting = settings_of(s, key->name);
	setting->written = true;
	setting->at = at;
	if (item->value.size == 0 || !key->list)
		clear(setting);
	if (item->value.size == 0)
		return 0;
	return append(setting, ORIGIN_FILE, at, item->value);
}

static int read_text(struct config_origins *o, size_t file, struct bytes text,
	struct findings *findings)
{
	struct syntax syntax;
	struct syntax_item item;
	struct section *section = NULL; /* of an unknown section the keys are skipped */
	bool inside = false;
	int r;
	syntax_init(&syntax, text);
	while ((r = syntax_next(&syntax, &item)) == 0 && item.kind != SYNTAX_END) {
		struct place at = {file, item.line};
		if (item.kind == SYNTAX_PROBLEM) {
			findings_error(findings, at, "%s", item.problem);
		} else if (item.kind == SYNTAX_SECTION) {
			enum key_section kind = section_kind(&item, findings, at);
			inside = true;
			section = NULL;
			if (kind == SECTION_MAX)
				continue;
			section = enter(o, kind,
				kind == SECTION_DAEMON ? BYTES_NONE : item.name, at);
			if (!section) {
				r = -ENOMEM;
				break;
			}
		} else if (section) {
			r = assign(section, &item, findings, at);
			if (r < 0)
				break;
		} else if (!inside) {
			findings_error(findings, at,
				"%s= stands before the first [Section]",
				findings_quote(item.key).text);
		}
	}
	syntax_fini(&syntax);
	return r;
}

int settings_read(struct config_origins *o, const struct config_text *texts,
	size_t n_texts, struct findings *findings)
{
	int r = map_init(&o->names);
	if (r < 0)
		return r;
	if (!enter(o, SECTION_DAEMON, BYTES_NONE, (struct place){0, 0}))
		return -ENOMEM;
	o->files = calloc(n_texts + 1, sizeof(*o->files));
	if (!o->files)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n_texts; i++) {
		o->files[i] = strdup(texts[i].path);
		if (!o->files[i])
			return -ENOMEM;
		o->n_files++;
		r = read_text(o, i, texts[i].text, findings);
	}
	return r;
}

void settings_free(struct config_origins *o)
{
	if (!o)
		return;
	free_names(o);
	for (size_t i = 0; i < o->n_sections; i++) {
		struct section *s = &o->sections[i];
		size_t n;
		keys_of(s->kind, &n);
		for (size_t j = 0; j < n; j++)
			clear(&s->settings[j]);
		free(s->settings);
		free(s->name);
	}
	for (size_t i = 0; i < o->n_files; i++)
		free(o->files[i]);
	free(o->files);
	free(o->sections);
	free(o);
}
