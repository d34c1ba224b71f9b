/*
 * Exec=: the words of a command line as systemd.service(5) reads them, less its specifiers,
 * prefixes and chains of commands. What a sender wrote reaches a command only inside one
 * argument, and never the text of a shell's script: command_shell.c looks for that.
 */
#include "rules/command.h"

#include "base/text.h"
#include "rules/command_shell.h"
#include "rules/words.h"

#include <errno.h>

#define SHOWN_MAX     80 /* bytes of a word in a message */
#define VARIABLE_OPEN "${CALLBACK_"

/* The line being split: *p is the next byte, `word` what was unquoted so far. */
struct splitter {
	const char *p;
	struct text word;
	const char *problem; /* static text */
};

static bool word_alone(const char *p, const char *word)
{
	size_t n = strlen(word);

	return strncmp(p, word, n) == 0 && (p[n] == '\0' || strchr(WORDS_BLANKS, p[n]));
}

static int split_all(struct splitter *s, struct words *w)
{
	for (;;) {
		s->p += strspn(s->p, WORDS_BLANKS);
		if (*s->p == '\0')
			return 0;
		if (word_alone(s->p, ";")) {
			s->problem = "one Exec= is one command: no ; (write \\; or \";\" "
				     "for an argument that is one)";
			return 0;
		}
		if (word_alone(s->p, "\\;")) {
			s->p++; /* the one escape that only a whole word can be */
			text_clear(&s->word);
			text_addc(&s->word, *s->p++);
		} else {
			int r = words_read(&s->p, &s->word, &s->problem);
			if (r < 0)
				return r;
		}
		if (s->problem)
			return 0;
		if (s->word.failed || words_add(w, text_bytes(&s->word)) < 0)
			return -ENOMEM;
	}
}

struct bytes command_variable_at(const char *p)
{
	const char *end;

	if (strncmp(p, VARIABLE_OPEN, strlen(VARIABLE_OPEN)) != 0)
		return BYTES_NONE;
	p += 2;
	end = p + strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789_");
	if (*end != '}' || end == p + strlen("CALLBACK_"))
		return BYTES_NONE;
	return (struct bytes){p, (size_t)(end - p)};
}

static struct bytes first_variable(const char *word)
{
	for (const char *p = strchr(word, '$'); p; p = strchr(p + 1, '$')) {
		struct bytes name = command_variable_at(p);
		if (name.data)
			return name;
	}
	return BYTES_NONE;
}

static const char *check_program(const char *word)
{
	if (!*word)
		return "the program to run is an empty word";
	if (strchr("@-:+!", *word))
		return "prefixes (@ - : + !) are not supported";
	if (first_variable(word).data)
		return "the program to run must not depend on a variable";
	if (*word != '/' && strchr(word, '/'))
		return "the program to run is an absolute path, or a bare name that is "
		       "looked up in PATH";
	return NULL;
}

/* 0; 1 with a reason; -ENOMEM. */
static int check_script(const struct words *w, char **ret_reason)
{
	size_t script = command_shell_script(w->list, w->size);
	struct bytes name = script ? first_variable(w->list[script]) : BYTES_NONE;

	if (!name.data)
		return 0;
	*ret_reason = text_format(
		"${%.*s} must not stand in the text of a shell's script, "
		"where a sender could write commands: write \"$%.*s\" "
		"there, the environment is safe",
		BYTES_FMT(name), BYTES_FMT(name));
	return *ret_reason ? 1 : -ENOMEM;
}

/* 0 and maybe *ret_warning, or -ENOMEM. */
static int warn_of_options(const struct words *w, char **ret_warning)
{
	for (size_t i = 1; i < w->size && strcmp(w->list[i], "--") != 0; i++) {
		if (!command_variable_at(w->list[i]).data)
			continue;
		CLEANUP(text_fini) struct text t = TEXT_EMPTY;
		text_adds(&t, "the argument \"");
		text_add_escaped(&t, bytes_of(w->list[i]), SHOWN_MAX);
		text_adds(&t,
			"\" begins with what a sender wrote and may be taken for an "
			"option: write -- before it");
		*ret_warning = text_take(&t);
		return *ret_warning ? 0 : -ENOMEM;
	}
	return 0;
}

static int check_words(
	const struct words *w, const char *problem, char **ret_reason, char **ret_warning)
{
	if (!problem)
		problem = w->size == 0 ? "there is no command"
				       : check_program(w->list[0]);
	if (problem) {
		*ret_reason = strdup(problem);
		return *ret_reason ? 1 : -ENOMEM;
	}
	int r = check_script(w, ret_reason);
	return r != 0 ? r : warn_of_options(w, ret_warning);
}

int command_split(
	const char *line, struct words *ret, char **ret_reason, char **ret_warning)
{
	struct splitter s = {.p = line};
	struct words w = {0};
	int r = split_all(&s, &w);

	if (r == 0)
		r = check_words(&w, s.problem, ret_reason, ret_warning);
	text_fini(&s.word);
	if (r == 0)
		*ret = w;
	else
		words_fini(&w);
	return r;
}

static const char *look_up(char *const *environment, struct bytes name)
{
	for (; environment && *environment; environment++)
		if (strncmp(*environment, name.data, name.size) == 0 &&
			(*environment)[name.size] == '=')
			return *environment + name.size + 1;
	return "";
}

char *command_expand(const char *word, char *const *environment)
{
	CLEANUP(text_fini) struct text t = TEXT_EMPTY;

	text_adds(&t, ""); /* an argument stays one, even an empty one */
	while (*word) {
		struct bytes name = command_variable_at(word);
		if (name.data) {
			/* What comes in is not looked at again: one pass. */
			text_adds(&t, look_up(environment, name));
			word += name.size + strlen("${}");
			continue;
		}
		size_t plain = 1 + strcspn(word + 1, "$");
		text_add(&t, (struct bytes){word, plain});
		word += plain;
	}
	return text_take(&t);
}
