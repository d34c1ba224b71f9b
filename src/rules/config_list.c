/*
 * Keys that are lists of words: each line is split, each word is taken or refused on its
 * own, so that one slip in a list is one line of the report; see config_build.h.
 */
#include "rules/config_build.h"

#include "rules/verify.h"
#include "rules/words.h"

#include "base/text.h"

#include "rules/command.h"

#include <errno.h>
#include <stdio.h>

/* Takes one word. 0, -ENOMEM, or 1 with a reason (static text); NULL: told already. */
typedef int take_word(struct convert *c, const struct setting_value *v, const char *word,
	const char **ret_reason);

static int take_any(struct convert *c, const struct setting_value *v, const char *word,
	const char **ret_reason)
{
	(void)v, (void)ret_reason;
	return words_add(c->at, bytes_of(word));
}

static int take_address(struct convert *c, const struct setting_value *v,
	const char *word, const char **ret_reason)
{
	(void)v;
	*ret_reason = config_text_address(word);
	return *ret_reason ? 1 : words_add(c->at, bytes_of(word));
}

static int take_cidr(struct convert *c, const struct setting_value *v, const char *word,
	const char **ret_reason)
{
	(void)v;
	int r = cidr_list_add(c->at, word);
	if (r != -EINVAL)
		return r;
	*ret_reason = "an address or a range such as 192.0.2.0/24 or 2001:db8::/32 is "
		      "wanted, no host bits set";
	return 1;
}

static int take_field(struct convert *c, const struct setting_value *v, const char *word,
	const char **ret_reason)
{
	(void)v;
	return field_list_add(c->at, word, ret_reason);
}

static int take_condition(struct convert *c, const struct setting_value *v,
	const char *word, const char **ret_reason)
{
	(void)v;
	return condition_list_add(c->at, word, ret_reason);
}

static int take_on(struct convert *c, const struct setting_value *v, const char *word,
	const char **ret_reason)
{
	struct hook *hook = c->at;
	(void)v, (void)ret_reason;
	enum outcome outcome = outcome_from_name(word);
	if (strcmp(word, "any") == 0)
		hook->on_outcomes |= 1u << OUTCOME_SUCCESS | 1u << OUTCOME_ERROR |
				     1u << OUTCOME_CANCELED | 1u << OUTCOME_PENDING;
	else if (strcmp(word, "dead") == 0)
		hook->on_dead = true;
	else if (outcome != OUTCOME_NONE)
		hook->on_outcomes |= 1u << outcome;
	else
		return words_add(&hook->on_statuses, bytes_of(word));
	return 0;
}

static int take_scheme(struct convert *c, const struct setting_value *v, const char *word,
	const char **ret_reason)
{
	unsigned scheme = verify_scheme_of(word);
	(void)v;
	if (scheme) {
		*(unsigned *)c->at |= scheme;
		return 0;
	}
	*ret_reason = "one of these is wanted: token header basic hmac standard-webhooks "
		      "twilio ed25519 jwt sns http-signature, or none";
	return 1;
}

static int take_status(struct convert *c, const struct setting_value *v, const char *word,
	const char **ret_reason)
{
	unsigned char *set = c->at;
	size_t n = strspn(word, "0123456789");
	unsigned status = 0;
	(void)v;
	for (size_t i = 0; i < n && i < 4; i++)
		status = status * 10 + (unsigned)(word[i] - '0');
	if (n == 0 || n > 3 || word[n] || status > 255) {
		*ret_reason = "an exit status from 0 to 255 is wanted";
		return 1;
	}
	hook_status_add(set, status);
	return 0;
}

static int take_setting(struct convert *c, const struct setting_value *v,
	const char *word, const char **ret_reason)
{
	struct words *words = c->at;
	const char *equals = strchr(word, '=');
	CLEANUP(freep)
	char *name = bytes_dup(
		(struct bytes){word, equals ? (size_t)(equals - word) : 0});
	if (!name)
		return -ENOMEM;
	/* The value may be nobody's business: it is not repeated. */
	if (!equals || config_text_variable(name)) {
		findings_error(&c->build->findings, v->at,
			"Environment=: NAME=VALUE is wanted, NAME made of letters, "
			"digits and _");
		return 1;
	}
	for (size_t i = 0; i < words->size; i++) {
		if (strncmp(words->list[i], word, strlen(name) + 1) != 0)
			continue;
		char *copy = strdup(word);
		if (!copy)
			return -ENOMEM;
		free(words->list[i]);
		words->list[i] = copy;
		return 0;
	}
	*ret_reason = NULL;
	return words_add(words, bytes_of(word));
}

static int take_export(struct convert *c, const struct setting_value *v, const char *word,
	const char **ret_reason)
{
	struct hook *hook = container_of(
		(struct hook_export **)c->at, struct hook, exports);
	struct field field;
	(void)v;
	const char *colon = strchr(word, ':');
	CLEANUP(freep)
	char *name = bytes_dup((struct bytes){word, colon ? (size_t)(colon - word) : 0});
	if (!name)
		return -ENOMEM;
	*ret_reason = "NAME:FIELD is wanted";
	if (!colon || config_text_variable(name))
		return 1;
	int r = field_parse(&field, colon + 1, ret_reason);
	if (r != 0)
		return r;
	struct hook_export *exports = reallocarray(
		hook->exports, hook->n_exports + 1, sizeof(*exports));
	if (exports)
		hook->exports = exports;
	char *variable = text_format("CALLBACK_%s", name);
	if (!exports || !variable) {
		free(variable);
		field_fini(&field);
		return -ENOMEM;
	}
	hook->exports[hook->n_exports++] = (struct hook_export){variable, field};
	return 0;
}

/* Only Exec= is one command on one line, with words of its own kind. */
static int convert_exec(struct convert *c)
{
	CLEANUP(freep) char *reason = NULL;
	CLEANUP(freep) char *warning = NULL;
	if (c->setting->size == 0)
		return 0;
	const struct setting_value *v = &c->setting->values[0];
	int r = command_split(v->text, c->at, &reason, &warning);
	if (r < 0)
		return r;
	if (r > 0)
		findings_error(&c->build->findings, v->at, "Exec=: %s", reason);
	else if (((struct words *)c->at)->size == 0)
		findings_error(&c->build->findings, v->at, "Exec=: a command is wanted");
	if (warning)
		findings_warning(&c->build->findings, v->at, "Exec=: %s", warning);
	return 0;
}

static take_word *const takers[KEY_TYPE_MAX] = {
	[KEY_VERIFY] = take_scheme,
	[KEY_ADDRESS] = take_address,
	[KEY_WORDS] = take_any,
	[KEY_NAMES] = take_any,
	[KEY_CIDRS] = take_cidr,
	[KEY_FIELDS] = take_field,
	[KEY_WHERE] = take_condition,
	[KEY_ON] = take_on,
	[KEY_EXPORTS] = take_export,
	[KEY_SETTINGS] = take_setting,
	[KEY_STATUSES] = take_status,
};

bool config_list_handles(enum key_type type)
{
	return takers[type] || type == KEY_EXEC;
}

static int take_all(
	struct convert *c, const struct setting_value *v, const struct words *words)
{
	for (size_t i = 0; i < words->size; i++) {
		const char *reason = NULL;
		const char *word = words->list[i];
		int r = takers[c->key->type](c, v, word, &reason);
		if (r < 0)
			return r;
		if (r > 0 && reason)
			findings_error(&c->build->findings, v->at, "%s=: \"%s\": %s",
				c->key->name, findings_quote(bytes_of(word)).text,
				reason);
	}
	return 0;
}

int config_list_convert(struct convert *c)
{
	int r = 0;
	if (c->key->type == KEY_EXEC)
		return convert_exec(c);
	if (c->key->type == KEY_ON)
		c->at = config_build_hook(c->section);
	for (size_t i = 0; r == 0 && i < c->setting->size; i++) {
		const struct setting_value *v = &c->setting->values[i];
		const char *reason = NULL;
		struct words words = {0};
		r = c->key->type == KEY_ADDRESS ? words_add(&words, bytes_of(v->text))
						: words_split(v->text, &words, &reason);
		if (r > 0) {
			findings_error(&c->build->findings, v->at, "%s=: %s",
				c->key->name, reason);
			r = 0;
		} else if (r == 0) {
			r = take_all(c, v, &words);
		}
		words_fini(&words);
	}
	return r;
}
