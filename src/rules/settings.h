/*
 * The configuration as text: for each section and key the values that count, and where
 * each comes from. What stands between the files and the structs:
 *
 *   texts ─ settings_read ─► written values ─ settings_complete ─► + preset, + default
 *                                                  │
 *                          config structs ◄────────┴───────► --print-config
 *
 * For the parts of config.c alone.
 */
#ifndef RULES_SETTINGS_H
#define RULES_SETTINGS_H

#include "base/map.h"
#include "rules/findings.h"
#include "rules/keys.h"
#include "rules/preset.h"

enum origin { ORIGIN_FILE, ORIGIN_PRESET, ORIGIN_DEFAULT };

struct setting_value {
	char *text; /* never empty; blanks trimmed */
	enum origin origin;
	struct place at; /* of a preset or default: where the section begins */
};

/* A key that is no list has one value at most. */
struct setting {
	struct setting_value *values;
	size_t size;
	bool written;    /* somebody wrote it, be it to clear it */
	struct place at; /* where last, when written; else where the section begins */
};

struct section {
	enum key_section kind;
	char *name; /* NULL for [Daemon] */
	struct place at;
	struct setting *settings; /* by the place of the key among keys_of(kind) */
	const struct preset *preset;
	void *object; /* the struct source or hook it became, the configuration's */
};

struct config_origins {
	char **files; /* what struct place points to */
	size_t n_files;
	struct section *sections; /* [Daemon] is always there, and first */
	size_t n_sections;
	struct map names; /* of the sections but [Daemon] */
};

/* Both: 0 or -ENOMEM; what a person did wrong is in the findings. */
int settings_read(struct config_origins *o, const struct config_text *texts,
	size_t n_texts, struct findings *findings) MUST_CHECK;
int settings_complete(struct config_origins *o, const struct config_world *world,
	struct findings *findings) MUST_CHECK;
void settings_free(struct config_origins *o);

/* NULL: there is none. Of thousands of sections it is found as fast as of two. */
struct section *settings_section(
	const struct config_origins *o, enum key_section kind, struct bytes name);
/* The key must be one of the section's kind. */
struct setting *settings_of(const struct section *s, const char *key);
/* The last value, or NULL. */
const char *settings_text(const struct section *s, const char *key);
/* Replaces what is there by one value. 0 or -ENOMEM. */
int settings_put(struct section *s, const char *key, enum origin origin,
	const char *text) MUST_CHECK;

#endif
