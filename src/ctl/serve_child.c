/* From a line to a process; see serve.h. */
#include "ctl/serve.h"

#include "base/codec.h"
#include "base/text.h"
#include "rules/words.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXIT_NOT_EXECUTED 127

/* ---- The line ---- */

static bool is_run_id(const char *id)
{
	size_t n = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
	return n > 0 && n < SERVE_RUN_SIZE && id[n] == '\0';
}

static bool is_complete(const json_t *line)
{
	static const char *const texts[] = {
		"run", "hook", "source", "id", "outcome", "received"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!json_is_string(json_object_get(line, texts[i])))
			return false;
	return json_is_integer(json_object_get(line, "attempt")) &&
	       (json_is_string(json_object_get(line, "payload")) ||
		       json_is_string(json_object_get(line, "payload_base64")));
}

int serve_read_line(struct bytes line, json_t **ret_line, char id[static SERVE_RUN_SIZE])
{
	json_t *json = json_loadb(line.data, line.size, JSON_ALLOW_NUL, NULL);
	const char *run = json_string_value(json_object_get(json, "run"));

	id[0] = '\0';
	if (run && is_run_id(run))
		strcpy(id, run);
	if (!id[0] || !is_complete(json)) {
		json_decref(json);
		return 1;
	}
	*ret_line = json;
	return 0;
}

/* ---- The environment ---- */

/* Ours, of the service manager and of nobody else; what is of a callback comes from the line. */
static bool is_passed_on(const char *setting)
{
	static const char *const own[] = {"LISTEN_", "NOTIFY_SOCKET=", "WATCHDOG_",
		"INVOCATION_ID=", "JOURNAL_STREAM=", "SYSTEMD_EXEC_PID=",
		"MEMORY_PRESSURE_", "CALLBACK_"};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (strncmp(setting, own[i], strlen(own[i])) == 0)
			return false;
	return true;
}

static int add(struct words *envp, const char *name, struct bytes value)
{
	struct text t = TEXT_EMPTY;

	/* A NUL cannot be passed on. */
	if (!value.data || memchr(value.data, '\0', value.size))
		return 0;
	text_addf(&t, "CALLBACK_%s=", name);
	text_add(&t, value);
	int r = t.failed ? -ENOMEM : words_add(envp, text_bytes(&t));
	text_fini(&t);
	return r;
}

static int add_text(struct words *envp, const char *name, const json_t *value)
{
	return json_is_string(value) ? add(envp, name,
					       (struct bytes){json_string_value(value),
						       json_string_length(value)})
				     : 0;
}

static int add_exports(struct words *envp, const json_t *line)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	json_t *exports = json_object_get(line, "export"), *value;
	const char *name;

	json_object_foreach(exports, name, value)
	{
		int r = name[strspn(name, letters)] ? 0 : add_text(envp, name, value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int build_environment(struct words *envp, const json_t *line)
{
	static const struct {
		const char *variable, *member;
	} names[] = {{"SOURCE", "source"}, {"ID", "id"}, {"STATUS", "status"},
		{"OUTCOME", "outcome"}, {"RECEIVED", "received"}, {"HOOK", "hook"},
		{"RUN", "run"}};
	char attempt[32];
	int r = add_exports(envp, line);

	for (char **e = environ; r == 0 && *e; e++)
		if (is_passed_on(*e))
			r = words_add(envp, bytes_of(*e));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++)
		r = add_text(
			envp, names[i].variable, json_object_get(line, names[i].member));
	snprintf(attempt, sizeof(attempt), "%lld",
		(long long)json_integer_value(json_object_get(line, "attempt")));
	if (r == 0)
		r = add(envp, "ATTEMPT", bytes_of(attempt));
	if (r == 0 && json_is_true(json_object_get(line, "test")))
		r = add(envp, "TEST", bytes_of("1"));
	if (r < 0)
		return r;
	/* The list ends in NULL as execve(2) wants it. */
	char **list = reallocarray(envp->list, envp->size + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	list[envp->size] = NULL;
	envp->list = list;
	return 0;
}

/* ---- The payload ---- */

static int write_all(int fd, struct bytes b)
{
	while (b.size) {
		ssize_t n = write(fd, b.data, b.size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		b.data += n;
		b.size -= (size_t)n;
	}
	return 0;
}

/* A file, as a hook of Mode=exec gets one: it may seek, and nobody has to feed it. */
static int open_payload(const json_t *line)
{
	const json_t *text = json_object_get(line, "payload");
	const json_t *base64 = json_object_get(line, "payload_base64");
	CLEANUP(freep) unsigned char *decoded = NULL;
	struct bytes payload = {json_string_value(text), json_string_length(text)};

	if (!text) {
		size_t room = json_string_length(base64);
		decoded = malloc(room + 1);
		if (!decoded)
			return -ENOMEM;
		ptrdiff_t n = codec_base64_decode(
			(struct bytes){json_string_value(base64), room}, decoded, room);
		if (n < 0)
			return (int)n;
		payload = (struct bytes){(const char *)decoded, (size_t)n};
	}
	int fd = memfd_create("callback", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, payload);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* ---- The process ---- */

static _Noreturn void become(char *const *argv, char *const *envp, int in, int out)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &by_default, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setsid() >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 &&
		close_range(3, ~0u, 0) == 0)
		execvpe(argv[0], argv, envp);
	dprintf(2, "callbackctl: %s: %s\n", argv[0], strerrordesc_np(errno));
	_exit(EXIT_NOT_EXECUTED);
}

pid_t serve_start(char *const *argv, const json_t *line, int stdout_fd)
{
	struct words envp = {0};
	int in = -1, r = build_environment(&envp, line);
	pid_t pid = -1;

	if (r == 0)
		r = in = open_payload(line);
	if (in >= 0) {
		pid = fork();
		if (pid == 0)
			become(argv, envp.list, in, stdout_fd);
		r = pid < 0 ? -errno : 0;
		close(in);
	}
	words_fini(&envp);
	return r < 0 ? r : pid;
}
