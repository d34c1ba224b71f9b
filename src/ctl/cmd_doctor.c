/*
 * callbackctl doctor: what is wrong, and what to do about it. The daemon looks around from
 * within its service, for what works in a shell may fail there; the tool adds what only the
 * caller can know, and when there is no daemon, why there is none.
 */
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE_BYTES      1024
#define ANSWER_MAX_BYTES (64u * 1024)

static int add(json_t *list, const char *state, const char *check, const char *format,
	...) PRINTF_LIKE(4, 5);
static int add(
	json_t *list, const char *state, const char *check, const char *format, ...)
{
	struct text t = TEXT_EMPTY;
	va_list ap;

	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	int r = json_array_append_new(
		list, json_pack("{s:s, s:s, s:s}", "check", check, "state", state, "text",
			      t.failed || !t.data ? "" : t.data));
	text_fini(&t);
	return r;
}

/* ---- When nobody answers ---- */

/* What a program says on both its outputs. Its exit status, or -1 when it could not be run. */
static int ask_program(char *const argv[], struct text *ret)
{
	posix_spawn_file_actions_t actions;
	char piece[PIECE_BYTES];
	int fd[2], status = -1;
	pid_t pid;
	ssize_t n;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, fd[1], STDERR_FILENO);
	int r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fd[1]);
	while (r == 0 && (n = read(fd[0], piece, sizeof(piece))) > 0)
		if (ret->size < ANSWER_MAX_BYTES)
			text_add(ret, (struct bytes){piece, (size_t)n});
	close(fd[0]);
	if (r == 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		return WEXITSTATUS(status);
	return -1;
}

static void look_at_unit(json_t *list)
{
	char *const argv[] = {"systemctl", "show", "-P", "LoadState", "-P", "ActiveState",
		"-P", "Result", "-P", "ExecMainStatus", "callbackd.service", NULL};
	struct text said = TEXT_EMPTY;

	if (access("/run/systemd/system", F_OK) < 0) {
		add(list, "warning", "service", "systemd does not run here");
		return;
	}
	if (ask_program(argv, &said) != 0 || said.failed || !said.data) {
		add(list, "warning", "service", "systemctl cannot tell how it is");
	} else if (!strncmp(said.data, "not-found", 9)) {
		add(list, "problem", "service", "there is no callbackd.service");
	} else {
		for (char *p = said.data; *p; p++)
			*p = *p == '\n' ? ' ' : *p;
		add(list, "problem", "service",
			"callbackd.service: %s(load, active, result, exit status); what "
			"it "
			"said: journalctl -u callbackd -n 20; then: systemctl "
			"reset-failed "
			"'callbackd*' and systemctl start callbackd",
			said.data);
	}
	text_fini(&said);
}

/* As this user: secrets that only the service may read are told as such. */
static void look_at_config(json_t *list)
{
	char *const argv[] = {"callbackd", "-n", NULL};
	struct text said = TEXT_EMPTY;
	int status = ask_program(argv, &said);
	struct bytes rest = text_bytes(&said);

	while (rest.data) {
		struct bytes line = bytes_split(rest, '\n', &rest);
		if (line.size)
			add(list, status ? "problem" : "warning", "configuration", "%.*s",
				(int)line.size, line.data);
	}
	if (status == 0)
		add(list, "ok", "configuration", "callbackd -n finds no error");
	text_fini(&said);
}

static void explain_silence(const struct ctl *ctl, json_t *list, const char *reason)
{
	add(list, "problem", "daemon", "%s", reason);
	if (access(ctl->socket, F_OK) < 0)
		add(list, "problem", "control socket", "%s: %s", ctl->socket,
			strerror(errno));
	else if (access(ctl->socket, W_OK) < 0)
		add(list, "problem", "control socket",
			"%s may not be used by you: its group may (usermod -aG callbackd "
			"USER, then log in anew)",
			ctl->socket);
	look_at_unit(list);
	look_at_config(list);
}

/* ---- When the daemon answers ---- */

/* Whoever follows the journal has to be able to read it: one directory for each machine id. */
static bool can_read_journal(const char *path, bool *ret_any)
{
	DIR *directory = opendir(path);
	const struct dirent *e;
	bool can = false;

	while (directory && !can && (e = readdir(directory))) {
		CLEANUP(freep)
		char *file = text_format("%s/%s/system.journal", path, e->d_name);
		if (!file || access(file, F_OK) < 0)
			continue;
		*ret_any = true;
		can = access(file, R_OK) == 0;
	}
	if (directory)
		closedir(directory);
	return can;
}

static void look_at_journal(json_t *list)
{
	static const char *const check = "reading the journal";
	bool any = false;

	if (can_read_journal("/var/log/journal", &any) ||
		can_read_journal("/run/log/journal", &any))
		add(list, "ok", check, "the system's journal can be read by you");
	else
		add(list, "warning", check,
			any ? "the system's journal cannot be read by you: usermod -aG "
			      "systemd-journal USER, then log in anew"
			    : "there is none that you could read");
}

/* The kernel's own word on it, which the sandbox of the service keeps from the daemon. */
static void look_at_clock(json_t *list)
{
	struct timex t = {.modes = 0};
	int state = adjtimex(&t);

	if (state < 0)
		add(list, "warning", "clock", "whether anything keeps it right: %s",
			strerror(errno));
	else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
		add(list, "warning", "clock",
			"nothing keeps it right (timedatectl set-ntp true): signatures "
			"with a time are refused when it is minutes off");
	else
		add(list, "ok", "clock", "it is kept right");
}

static bool is_problem(const json_t *o)
{
	return ctl_is(o, "state", "problem");
}

static int print(struct ctl *ctl, json_t *list)
{
	struct table t;
	const json_t *o;
	bool bad = false;
	size_t i;

	table_init(&t, 3, NULL, ctl->color);
	json_array_foreach(list, i, o)
	{
		bad = bad || is_problem(o);
		table_add_word(&t, ctl_text(o, "state"));
		table_add(&t, ctl_text(o, "check"));
		table_add(&t, ctl_text(o, "text"));
	}
	int r = 0;
	if (ctl->json)
		json_array_foreach(list, i, o) ctl_print_json(ctl, o);
	else
		r = table_print(&t, stdout);
	table_fini(&t);
	if (r == -ENOMEM)
		return ctl_no_memory();
	return bad ? CTL_JOB : CTL_DONE;
}

int cmd_doctor(struct ctl *ctl, const struct ctl_args *args)
{
	struct client_answer a;
	json_t *list = json_array();
	int r;

	(void)args;
	if (!list)
		return ctl_no_memory();
	client_ask(ctl->client, "GET", "/v1/doctor", NULL, &a);
	if (a.failure == CLIENT_UNREACHABLE || a.failure == CLIENT_NO_ACCESS) {
		explain_silence(ctl, list, a.reason);
		print(ctl, list);
		r = a.failure == CLIENT_NO_ACCESS ? CTL_NO_ACCESS : CTL_UNREACHABLE;
	} else if (a.failure || (a.status != 200 && a.status != 504)) {
		r = ctl_fail(&a, "doctor");
	} else {
		add(list, "ok", "daemon", "it answers at %s", ctl->socket);
		if (a.status == 504)
			add(list, "problem", "file system", "%s",
				ctl_text(a.json, "error"));
		else
			json_array_extend(list, json_object_get(a.json, "checks"));
		look_at_clock(list);
		look_at_journal(list);
		r = print(ctl, list);
	}
	client_answer_fini(&a);
	json_decref(list);
	return r;
}
