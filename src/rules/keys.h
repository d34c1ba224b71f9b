/*
 * The one table of configuration keys: section, key, type, default, one sentence. It
 * drives the parser, the defaults, --print-config, and the lint that every key stands in
 * the manual page and in the sample file. A key whose feature is not built yet is marked
 * and refused with those words.
 */
#ifndef RULES_KEYS_H
#define RULES_KEYS_H

#include "base/bytes.h"
#include "base/span.h"

enum key_section { SECTION_DAEMON, SECTION_SOURCE, SECTION_HOOK, SECTION_MAX };

/* How a value is written, and what it becomes in struct config, source or hook. */
enum key_type {
	KEY_NOWHERE,  /* not built yet: no place in a struct */
	KEY_TEXT,     /* char *, NULL when empty */
	KEY_STRING,   /* char *, "" when empty */
	KEY_HEADER,   /* char *: the name of a header */
	KEY_PRESET,   /* char *, NULL when empty: a name of preset.h */
	KEY_PATH,     /* char *: an absolute path, NULL when empty */
	KEY_TARGET,   /* char *: the path of a URL */
	KEY_URL,      /* char *: http or https, NULL when empty */
	KEY_ORIGIN,   /* char *: an URL without path, no slash at its end */
	KEY_TEMPLATE, /* char *: what a signature covers */
	KEY_FILE,     /* char *: resolved by config_world.find_file */
	KEY_KEY_FILE, /* the same, of a file that must be kept secret */
	KEY_SECRETS,  /* struct secret *, size_t behind it */
	KEY_SECRET,   /* struct secret *: fit for a header */
	KEY_API_KEYS, /* struct secret *, size_t behind it: each fit for a header */
	KEY_BOOL,     /* bool */
	KEY_TIME,     /* uint64_t, usec */
	KEY_BYTES,    /* uint64_t */
	KEY_COUNT,    /* uint64_t */
	KEY_NUMBER,   /* unsigned */
	KEY_RATE,     /* struct rate */
	KEY_CHOICE,   /* int or enum: the place of the word in .choices */
	KEY_VERIFY,   /* unsigned: set of enum verify_scheme */
	KEY_ADDRESS,  /* struct words: where to listen, one a line */
	KEY_WORDS,    /* struct words */
	KEY_NAMES,    /* struct words: names of sources */
	KEY_CIDRS,    /* struct cidr_list */
	KEY_PLACE,    /* struct field: a header, by its bare name too */
	KEY_FIELDS,   /* struct field_list */
	KEY_WHERE,    /* struct condition_list */
	KEY_ON,       /* of struct hook: on_outcomes, on_dead, on_statuses */
	KEY_EXEC,     /* struct words */
	KEY_EXPORTS,  /* struct hook_export *, size_t behind it */
	KEY_SETTINGS, /* struct words: NAME=VALUE */
	KEY_STATUSES, /* unsigned char[32]: bit set of exit statuses */
	KEY_TYPE_MAX,
};

/*
 * No time of a configuration is longer, "infinity" (where it may be written) included, so
 * that a time added to a clock never overflows.
 */
#define KEY_TIME_MAX (100ull * 365 * 24 * 3600 * USEC_PER_SEC)

struct key {
	enum key_section section;
	const char *name;
	enum key_type type;
	size_t offset; /* in struct config, source or hook */
	bool list;     /* given again adds, an empty value clears */
	bool needed;   /* a list that is emptied takes its default again */
	bool not_yet;  /* nothing but its default or an empty value is taken */
	bool forever;  /* of times: "infinity" may be written */
	uint64_t min, max;
	const char *const *choices; /* NULL at the end; those below .min are not taken */
	const char *standard;       /* the default, as a person would write it; or NULL */
	const char *sentence;       /* what it is for */
};

/* The whole table, in order of sections. */
const struct key *keys_all(size_t *ret_n);
/* The keys of one section, in the order of the manual page. */
const struct key *keys_of(enum key_section section, size_t *ret_n);
/* "Daemon", "Source", "Hook" */
const char *key_section_name(enum key_section section);
/* As it is written: "[Daemon]", "[Source NAME]", "[Hook NAME]" */
const char *key_section_header(enum key_section section);

/* NULL when there is none of that name (exact case). */
const struct key *key_find(enum key_section section, struct bytes name);
/* The nearest known name of the section (small edit distance, any case), NULL when none
 * is near. */
const char *key_nearest(enum key_section section, struct bytes name);
/*
 * How far apart two words are: letters inserted, left out, exchanged, swapped; case does
 * not count. SIZE_MAX when that is too far for one to be a slip for the other.
 */
size_t key_distance(struct bytes written, struct bytes meant);

#endif
