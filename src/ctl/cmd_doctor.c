/*
 * callbackctl doctor: what is wrong, and what to do about it. The daemon looks around from
 * within its service, for what works in a shell may fail there; the tool adds what only the
 * caller can know, and when there is no daemon, why there is none.
 */
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/table.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_BYTES  1024
#define JOURNAL     "/var/log/journal"
#define JOURNAL_RUN "/run/log/journal"

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

/* The words of a command that is known here, nothing of them from outside; each line is a
 * check. Its exit status, -1 when it could not be run. */
static int ask_program(json_t *list, const char *check, const char *command, bool bad)
{
	char line[LINE_BYTES];
	FILE *out = popen(command, "re");

	if (!out)
		return -1;
	while (fgets(line, sizeof(line), out)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			add(list, bad ? "problem" : "ok", check, "%s", line);
	}
	int status = pclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void look_at_unit(json_t *list)
{
	char line[LINE_BYTES] = "";
	struct stat st;

	if (stat("/run/systemd/system", &st) < 0) {
		add(list, "warning", "service", "systemd does not run here");
		return;
	}
	FILE *out = popen(
		"systemctl show -P LoadState -P ActiveState -P Result "
		"-P ExecMainStatus callbackd.service 2>/dev/null | tr '\\n' ' '",
		"re");
	if (!out)
		return;
	if (!fgets(line, sizeof(line), out))
		*line = '\0';
	pclose(out);
	if (!strncmp(line, "not-found", 9))
		add(list, "problem", "service", "there is no callbackd.service");
	else
		add(list, "problem", "service",
			"callbackd.service: %s(load, active, result, exit status); what "
			"it "
			"said: journalctl -u callbackd -n 20; then: systemctl "
			"reset-failed "
			"'callbackd*' and systemctl start callbackd",
			line);
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
	/* As this user: secrets that only the service may read are told as such. */
	if (ask_program(list, "configuration", "callbackd -n 2>&1", true) == 0)
		add(list, "ok", "configuration", "callbackd -n finds nothing wrong");
}

/* ---- When the daemon answers ---- */

/* Whoever follows the journal has to be able to read it. */
static void look_at_journal(json_t *list)
{
	const char *path = access(JOURNAL, F_OK) == 0 ? JOURNAL : JOURNAL_RUN;
	CLEANUP(freep) char *command = NULL;

	if (access(path, F_OK) < 0) {
		add(list, "warning", "reading the journal", "there is none here");
		return;
	}
	command = text_format("find %s -name system.journal -readable 2>/dev/null | "
			      "grep -q .",
		path);
	if (command && ask_program(list, "reading the journal", command, false) == 0)
		add(list, "ok", "reading the journal", "%s can be read by you", path);
	else
		add(list, "warning", "reading the journal",
			"the system's journal cannot be read by you: usermod -aG "
			"systemd-journal USER, then log in anew");
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
		look_at_journal(list);
		r = print(ctl, list);
	}
	client_answer_fini(&a);
	json_decref(list);
	return r;
}
