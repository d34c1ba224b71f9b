/*
 * What the parts of config.c share while one configuration is made: from text to struct
 * (config_value.c, config_list.c, config_secret.c), then what only shows when all of it
 * is there (config_check.c).
 */
#ifndef RULES_CONFIG_BUILD_H
#define RULES_CONFIG_BUILD_H

#include "rules/settings.h"

struct build {
	const struct config_world *world;
	struct config_origins *origins;
	struct config *config;
	struct findings findings;
	size_t n_compared; /* words of On= with words of sources */
};

/* One key of one section on its way from text to `at`, its place in the struct. */
struct convert {
	struct build *build;
	const struct section *section;
	const struct key *key;
	const struct setting *setting;
	void *at;
};

/* Each: 0 or -ENOMEM; what cannot be taken is a finding and leaves the place as it is. */
int config_value_convert(struct convert *c) MUST_CHECK;  /* one value */
int config_list_convert(struct convert *c) MUST_CHECK;   /* lists of words */
int config_secret_convert(struct convert *c) MUST_CHECK; /* files that hold secrets */
/* Is it a type of that part? */
bool config_list_handles(enum key_type type);
bool config_secret_handles(enum key_type type);

/* KeyPrefix= and KeyEncoding= applied to all secrets, in place. */
void config_secret_decode(
	struct build *b, const struct section *section, struct source *source);
/* 0 or -ENOMEM. */
int config_check(struct build *b) MUST_CHECK;
void config_check_source(
	struct build *b, const struct section *section, const struct source *source);
/* Its part about public keys. */
void config_check_keys(
	struct build *b, const struct section *section, const struct source *source);
void config_check_hook(
	struct build *b, const struct section *section, const struct hook *hook);

/* The struct of a section. */
struct source *config_build_source(const struct section *section);
struct hook *config_build_hook(const struct section *section);

/* "Key=VALUE: reason" at the value's place. */
void config_refuse(struct convert *c, const struct setting_value *v, const char *format,
	...) PRINTF_LIKE(3, 4);
/* "Key=VALUE is not supported yet" */
void config_refuse_unbuilt(struct convert *c, const struct setting_value *v);

/* Pure looks at text; NULL when it is fine, else why not (static text). */
const char *config_text_header(const char *text);   /* a header's name */
const char *config_text_url(const char *text);      /* http or https, no user, no # */
const char *config_text_origin(const char *text);   /* that, and no path */
const char *config_text_target(const char *text);   /* the path of a URL */
const char *config_text_address(const char *text);  /* where to listen */
const char *config_text_variable(const char *text); /* a name for the environment */

#endif
