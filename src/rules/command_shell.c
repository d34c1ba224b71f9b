/*
 * Finds `sh -c SCRIPT` in a command, however the shell is reached: by its path, through
 * busybox, or through a program that runs its arguments (env, nice, timeout, sudo …). What
 * follows the script are its $0, $1 …, which are safe; the script itself is code.
 */
#include "rules/command_shell.h"

#include "base/macros.h"

#include <stdbool.h>
#include <string.h>

static const char *const shells[] = {"sh", "bash", "dash", "zsh", "ksh", "ash", "rbash",
	"mksh", "ksh93", "yash", "posh", "fish", "csh", "tcsh"};

/* They run the command in their own arguments. */
static const char *const wrappers[] = {"env", "busybox", "toybox", "nice", "ionice",
	"chrt", "taskset", "timeout", "nohup", "setsid", "setpriv", "stdbuf", "unshare",
	"nsenter", "chroot", "capsh", "prlimit", "time", "sudo", "doas", "systemd-run",
	"systemd-cat", "systemd-inhibit", "xargs", "chpst", "softlimit", "catchsegv",
	"bwrap", "firejail"};

/* Their own -c is given to a shell. */
static const char *const users_of_shells[] = {"su", "runuser", "script", "flock"};

static bool is_one_of(const char *word, const char *const *names, size_t n)
{
	const char *slash = strrchr(word, '/');

	if (slash)
		word = slash + 1;
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, names[i]) == 0)
			return true;
	return false;
}

#define IS_ONE_OF(word, names) is_one_of(word, names, ARRAY_SIZE(names))

static bool takes_a_word(const char *long_option)
{
	return strcmp(long_option, "--rcfile") == 0 ||
	       strcmp(long_option, "--init-file") == 0;
}

/*
 * The script among a shell's arguments, which begin at `i`: the first word that is no option
 * (POSIX sh; bash takes further options behind -c) once some cluster held a c. Each o or O in
 * a cluster takes a word of its own (-eo pipefail).
 */
static size_t script_of_shell(char *const *words, size_t n_words, size_t i)
{
	bool command = false;

	for (; i < n_words; i++) {
		const char *w = words[i];
		if ((w[0] != '-' && w[0] != '+') || w[1] == '\0')
			return command ? i : 0;
		if (strcmp(w, "--") == 0)
			return command && i + 1 < n_words ? i + 1 : 0;
		if (strncmp(w, "--", 2) == 0) {
			if (strcmp(w, "--command") == 0) /* fish, su */
				command = true;
			i += takes_a_word(w);
			continue;
		}
		if (w[0] == '-' && strchr(w, 'c'))
			command = true;
		for (const char *p = w + 1; *p; p++)
			i += *p == 'o' || *p == 'O';
	}
	return 0;
}

/* su -c SCRIPT, su USER -c SCRIPT, flock FILE -c SCRIPT, --command=SCRIPT. */
static size_t script_of_user(char *const *words, size_t n_words, size_t i)
{
	for (; i < n_words && strcmp(words[i], "--") != 0; i++) {
		const char *w = words[i];
		if (strncmp(w, "--command=", 10) == 0)
			return i;
		if (strcmp(w, "--command") == 0 ||
			(w[0] == '-' && w[1] != '-' && w[1] && w[strlen(w) - 1] == 'c'))
			return i + 1 < n_words ? i + 1 : 0;
	}
	return 0;
}

size_t command_shell_script(char *const *words, size_t n_words)
{
	for (size_t i = 0; i < n_words; i++) {
		if (IS_ONE_OF(words[i], shells))
			return script_of_shell(words, n_words, i + 1);
		if (IS_ONE_OF(words[i], users_of_shells)) {
			size_t script = script_of_user(words, n_words, i + 1);
			if (script)
				return script;
			continue;
		}
		/* Behind a wrapper any word may be the shell: its options have operands. */
		if (i == 0 && !IS_ONE_OF(words[i], wrappers))
			return 0;
	}
	return 0;
}
