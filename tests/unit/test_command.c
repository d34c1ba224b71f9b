/* Exec=: splitting as systemd.service(5), what is refused, and one-pass expansion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/command.h"

struct split {
	struct words words;
	char *reason, *warning;
	int result;
};

static struct split split(const char *line)
{
	struct split s = {0};

	s.result = command_split(line, &s.words, &s.reason, &s.warning);
	return s;
}

static void split_fini(struct split *s)
{
	for (size_t i = 0; i < s->words.size; i++)
		free(s->words.list[i]);
	free(s->words.list);
	free(s->reason);
	free(s->warning);
}

/* Words joined by | as they must come out. */
static void expect_words(const char *line, const char *joined)
{
	struct split s = split(line);
	char out[1024] = "";

	if (s.result != 0)
		fail_msg("<%s> refused: %s", line, s.reason ? s.reason : "(memory)");
	for (size_t i = 0; i < s.words.size; i++) {
		strcat(out, i ? "|" : "");
		strcat(out, s.words.list[i]);
	}
	assert_string_equal(out, joined);
	assert_null(s.reason);
	split_fini(&s);
}

static void expect_refused(const char *line, const char *part)
{
	struct split s = split(line);

	if (s.result != 1)
		fail_msg("<%s> taken: %d", line, s.result);
	assert_non_null(s.reason);
	if (!strstr(s.reason, part))
		fail_msg("<%s> refused for <%s>, not for <%s>", line, s.reason, part);
	assert_int_equal(s.words.size, 0);
	split_fini(&s);
}

static void test_words(void **state)
{
	(void)state;
	expect_words("/bin/true", "/bin/true");
	expect_words("  /bin/echo \t a   b\t", "/bin/echo|a|b");
	expect_words("echo 'a b' \"c d\"", "echo|a b|c d");
	expect_words("echo \"\" ''", "echo||");
	expect_words("echo --x=\"a b\"c", "echo|--x=a bc");
	expect_words("echo \"it's\" 'say \"x\"'", "echo|it's|say \"x\"");
	expect_words("/usr/local/bin/publish --id=${CALLBACK_ID}",
		"/usr/local/bin/publish|--id=${CALLBACK_ID}");
	expect_words(
		"echo $HOME ${HOME} $$ %n %% a;b", "echo|$HOME|${HOME}|$$|%n|%%|a;b");
	expect_words("echo \\; \";\" ';' x", "echo|;|;|;|x");
	expect_words("echo ;x x;", "echo|;x|x;");
}

static void test_escapes(void **state)
{
	(void)state;
	expect_words("e \\a\\b\\f\\n\\r\\t\\v", "e|\a\b\f\n\r\t\v");
	expect_words("e \\\\ \\\" \\' a\\sb", "e|\\|\"|'|a b");
	expect_words(
		"e '\\x41\\101' \"\\u00e4\\U0001f600\"", "e|AA|\xc3\xa4\xf0\x9f\x98\x80");
	expect_words("e \\u20ac\\xff\\377", "e|\xe2\x82\xac\xff\xff");
	expect_words("e '\\'' \"\\\"\"", "e|'|\"");
	expect_refused("e \\q", "no such escape");
	expect_refused("e \\$x", "no such escape");
	expect_refused("e \\", "at the end");
	expect_refused("e \\x4", "\\x");
	expect_refused("e \\x00", "zero");
	expect_refused("e \\000", "zero");
	expect_refused("e \\400", "\\377");
	expect_refused("e \\18", "octal");
	expect_refused("e \\u12g4", "\\u");
	expect_refused("e \\ud800", "\\u");
	expect_refused("e \\U00110000", "\\u");
	expect_refused("e \\u0000", "\\u");
}

static void test_refused(void **state)
{
	(void)state;
	expect_refused("", "no command");
	expect_refused(" \t ", "no command");
	expect_refused("\"\" x", "empty word");
	expect_refused("echo 'a", "never closed");
	expect_refused("echo \"a'", "never closed");
	expect_refused("echo a ; echo b", "one command");
	expect_refused("echo a ;", "one command");
	expect_refused("@/bin/echo x", "prefixes");
	expect_refused("-/bin/echo", "prefixes");
	expect_refused(":/bin/echo", "prefixes");
	expect_refused("+/bin/echo", "prefixes");
	expect_refused("!/bin/echo", "prefixes");
	expect_refused("!!/bin/echo", "prefixes");
	expect_refused("bin/echo", "absolute");
	expect_refused("./echo", "absolute");
	expect_refused("${CALLBACK_ID}", "variable");
	expect_refused("/bin/x${CALLBACK_ID}", "variable");
}

static void test_scripts(void **state)
{
	static const char *const refused[] = {
		"/bin/sh -c 'echo ${CALLBACK_ID}'",
		"sh -c ${CALLBACK_ID}",
		"/bin/bash -ec 'echo ${CALLBACK_ID}'",
		"dash -xc 'echo a${CALLBACK_ID}b'",
		"zsh -c -e 'echo ${CALLBACK_ID}'",
		"ksh -c -- 'echo ${CALLBACK_ID}'",
		"ash -e -u -c '${CALLBACK_SIZE_BYTES}'",
		"/bin/busybox sh -c 'echo ${CALLBACK_ID}'",
		"/usr/bin/env sh -c 'echo ${CALLBACK_ID}'",
		"/usr/bin/env -i A=b bash -c 'echo ${CALLBACK_ID}'",
		"bash -eo pipefail -c 'echo ${CALLBACK_ID}'",
		"bash -o pipefail -c 'echo ${CALLBACK_ID}'",
		"bash --rcfile /dev/null -c 'echo ${CALLBACK_ID}'",
		"bash --norc -c '$${CALLBACK_ID}'",
		"timeout 5 sh -c 'echo ${CALLBACK_ID}'",
		"sudo -u www sh -c 'echo ${CALLBACK_ID}'",
		"su www -c 'echo ${CALLBACK_ID}'",
		"flock /run/x -c 'echo ${CALLBACK_ID}'",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		expect_refused(refused[i], "write \"$CALLBACK_");
	expect_refused("sh -c 'echo ${CALLBACK_ID}'", "write \"$CALLBACK_ID\"");

	expect_words("sh -c 'echo \"$CALLBACK_ID\"'", "sh|-c|echo \"$CALLBACK_ID\"");
	expect_words("sh -c 'echo \"$1\"' sh -- ${CALLBACK_ID}",
		"sh|-c|echo \"$1\"|sh|--|${CALLBACK_ID}");
	expect_words("sh x${CALLBACK_ID}.sh", "sh|x${CALLBACK_ID}.sh");
	expect_words("sh /opt/x -c x${CALLBACK_ID}", "sh|/opt/x|-c|x${CALLBACK_ID}");
	expect_words(
		"bash -e /opt/x -c a${CALLBACK_ID}", "bash|-e|/opt/x|-c|a${CALLBACK_ID}");
	expect_words("/opt/publish --shell bash -c x${CALLBACK_ID}",
		"/opt/publish|--shell|bash|-c|x${CALLBACK_ID}");
	expect_words(
		"sh -c 'echo ${HOME} ${CALLBACK}'", "sh|-c|echo ${HOME} ${CALLBACK}");
	expect_words("env nice -n 5 publish x${CALLBACK_ID}",
		"env|nice|-n|5|publish|x${CALLBACK_ID}");
}

static void test_warning(void **state)
{
	static const struct {
		const char *line;
		bool warned;
	} cases[] = {
		{"rm ${CALLBACK_ID}", true},
		{"rm -f ${CALLBACK_ID}.tmp", true},
		{"rm -- ${CALLBACK_ID}", false},
		{"rm a${CALLBACK_ID}", false},
		{"rm --id=${CALLBACK_ID}", false},
		{"rm ${HOME} ${CALLBACK_", false},
		{"rm ${CALLBACK_ID} -- x", true},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct split s = split(cases[i].line);
		assert_int_equal(s.result, 0);
		assert_int_equal(s.warning != NULL, cases[i].warned);
		if (s.warning)
			assert_non_null(strstr(s.warning, "--"));
		split_fini(&s);
	}
}

static void expect_expanded(const char *word, const char *want)
{
	static char *const environment[] = {"CALLBACK_IDX=no", "CALLBACK_ID=a b;$(x)",
		"CALLBACK_LOOP=${CALLBACK_ID}", "CALLBACK_EMPTY=", "HOME=/", NULL};
	char *got = command_expand(word, environment);

	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
}

static void test_expand(void **state)
{
	(void)state;
	expect_expanded("", "");
	expect_expanded("plain", "plain");
	expect_expanded("--id=${CALLBACK_ID}", "--id=a b;$(x)");
	expect_expanded("${CALLBACK_ID}${CALLBACK_ID}", "a b;$(x)a b;$(x)");
	expect_expanded("${CALLBACK_LOOP}", "${CALLBACK_ID}");
	expect_expanded("${CALLBACK_UNSET}", "");
	expect_expanded("x${CALLBACK_EMPTY}y", "xy");
	expect_expanded("${HOME} $HOME $ $$ ${", "${HOME} $HOME $ $$ ${");
	expect_expanded("$CALLBACK_ID", "$CALLBACK_ID");
	expect_expanded("${CALLBACK_ID", "${CALLBACK_ID");
	expect_expanded("${CALLBACK_}", "${CALLBACK_}");
	expect_expanded("${CALLBACK_I D}", "${CALLBACK_I D}");
	expect_expanded("$${CALLBACK_EMPTY}$", "$$");
	expect_expanded("${${CALLBACK_EMPTY}CALLBACK_ID}", "${CALLBACK_ID}");
	char *none = command_expand("<${CALLBACK_ID}>", NULL);
	assert_string_equal(none, "<>");
	free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_warning),
		cmocka_unit_test(test_expand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
