/* A process's arguments, environment and input; see launch.h. */
#include "flow/launch.h"

#include "base/clock.h"
#include "base/text.h"
#include "rules/command.h"
#include "rules/words.h"

#include <errno.h>
#include <pwd.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* NAME=VALUE, in place of an earlier one of that name: what comes later wins. */
static int environment_set(struct words *envp, const char *name, struct bytes value)
{
	struct text line = TEXT_EMPTY;
	int r;

	/* A NUL cannot be passed on; what is behind it would be lost in silence. */
	if (value.size && memchr(value.data, '\0', value.size))
		return 0;
	text_addf(&line, "%s=", name);
	size_t prefix = line.size;
	text_add(&line, value);
	if (line.failed) {
		text_fini(&line);
		return -ENOMEM;
	}
	for (size_t i = 0; i < envp->size; i++) {
		if (strncmp(envp->list[i], line.data, prefix) == 0) {
			free(envp->list[i]);
			envp->list[i] = text_take(&line);
			return envp->list[i] ? 0 : -ENOMEM;
		}
	}
	r = words_add(envp, text_bytes(&line));
	text_fini(&line);
	return r;
}

static int environment_sets(struct words *envp, const char *name, const char *value)
{
	return value ? environment_set(envp, name, bytes_of(value)) : 0;
}

/* Who we are: from passwd where we stand in it. */
static int add_person(struct words *envp, const char *state_directory)
{
	const struct passwd *person = getpwuid(geteuid());
	const char *path = getenv("PATH"), *lang = getenv("LANG");
	int r;

	if ((r = environment_sets(envp, "PATH", path && *path ? path : DEFAULT_PATH)) < 0)
		return r;
	if ((r = environment_sets(envp, "LANG", lang && *lang ? lang : "C.UTF-8")) < 0)
		return r;
	if ((r = environment_sets(
		     envp, "HOME", person ? person->pw_dir : state_directory)) < 0)
		return r;
	char uid[16];
	snprintf(uid, sizeof(uid), "%u", (unsigned)geteuid());
	return environment_sets(envp, "USER", person ? person->pw_name : uid);
}

static int add_built_in(
	struct words *envp, const struct hook *hook, const struct store_run *run)
{
	char attempt[16], received[CLOCK_TEXT_SIZE];

	snprintf(attempt, sizeof(attempt), "%u", run->attempt);
	const char *const values[HOOK_VARIABLE_MAX] = {
		[HOOK_VARIABLE_SOURCE] = run->source,
		[HOOK_VARIABLE_ID] = run->job,
		[HOOK_VARIABLE_STATUS] = run->status,
		[HOOK_VARIABLE_OUTCOME] = outcome_name(run->outcome),
		[HOOK_VARIABLE_RECEIVED] = clock_format(run->received_usec, received),
		[HOOK_VARIABLE_HOOK] = hook->name,
		[HOOK_VARIABLE_RUN] = run->id,
		[HOOK_VARIABLE_ATTEMPT] = attempt,
		[HOOK_VARIABLE_TEST] = run->test ? "1" : NULL,
	};

	for (enum hook_variable v = 0; v < HOOK_VARIABLE_MAX; v++) {
		int r = environment_sets(envp, hook_variable_name(v), values[v]);
		if (r < 0)
			return r;
	}
	return 0;
}

typedef int add_value(void *arg, const char *variable, struct bytes value);

static int find_export(const struct hook_export *export, struct document *payload,
	const json_t *kept, add_value *add, void *arg)
{
	CLEANUP(freep) char *value = NULL;
	size_t size = 0;

	if (export->field.kind != FIELD_POINTER) {
		const json_t *text = json_object_get(kept, export->field.text);
		if (!text)
			return 0;
		return add(arg, export->variable,
			(struct bytes){
				json_string_value(text), json_string_length(text)});
	}
	int r = field_read(&export->field, payload, &value, &size);
	if (r < 0)
		return r;
	return r ? 0 : add(arg, export->variable, (struct bytes){value, size});
}

int launch_exports(const struct hook *hook, const struct store_run *run,
	int (*add)(void *arg, const char *variable, struct bytes value), void *arg)
{
	const struct message m = {.body = run->payload};
	struct document payload;
	int r = 0;

	if (!hook->n_exports)
		return 0;
	document_init(&payload, &m);
	json_t *kept = run->fields ? json_loads(run->fields, JSON_ALLOW_NUL, NULL) : NULL;
	for (size_t i = 0; r == 0 && i < hook->n_exports; i++)
		r = find_export(&hook->exports[i], &payload, kept, add, arg);
	document_fini(&payload);
	json_decref(kept);
	return r;
}

static int add_to_environment(void *arg, const char *variable, struct bytes value)
{
	return environment_set(arg, variable, value);
}

static int add_configured(struct words *envp, const struct hook *hook)
{
	for (size_t i = 0; i < hook->environment.size; i++) {
		struct bytes value;
		struct bytes name = bytes_split(
			bytes_of(hook->environment.list[i]), '=', &value);
		CLEANUP(freep) char *copy = bytes_dup(name);
		if (!copy)
			return -ENOMEM;
		int r = environment_set(envp, copy, value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The list ends in NULL as execve(2) wants it. */
static int terminate(struct words *w)
{
	char **list = reallocarray(w->list, w->size + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	list[w->size] = NULL;
	w->list = list;
	return 0;
}

static int build_environment(struct launch *l, const struct hook *hook,
	const struct store_run *run, const char *state_directory)
{
	int r;

	if ((r = add_person(&l->envp, state_directory)) < 0 ||
		(r = add_configured(&l->envp, hook)) < 0 ||
		(r = launch_exports(hook, run, add_to_environment, &l->envp)) < 0 ||
		(r = add_built_in(&l->envp, hook, run)) < 0)
		return r;
	return terminate(&l->envp);
}

static int build_arguments(struct launch *l, const struct hook *hook)
{
	for (size_t i = 0; i < hook->exec.size; i++) {
		CLEANUP(freep)
		char *word = command_expand(hook->exec.list[i], l->envp.list);
		if (!word)
			return -ENOMEM;
		int r = words_add(&l->argv, bytes_of(word));
		if (r < 0)
			return r;
	}
	return terminate(&l->argv);
}

/* A file, not a pipe: nothing has to be fed while the hook reads, and it may seek. */
static int open_payload(struct bytes payload)
{
	int fd = memfd_create("callback", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (payload.size) {
		ssize_t n = write(fd, payload.data, payload.size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int r = n < 0 ? -errno : -EIO;
			close(fd);
			return r;
		}
		payload.data += n;
		payload.size -= (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

int launch_prepare(struct launch *ret, const struct hook *hook,
	const struct store_run *run, const char *state_directory)
{
	int r;

	*ret = (struct launch){.stdin_fd = -1};
	if ((r = build_environment(ret, hook, run, state_directory)) < 0 ||
		(r = build_arguments(ret, hook)) < 0)
		return r;
	ret->directory = hook->working_directory ? hook->working_directory
						 : state_directory;
	r = open_payload(run->payload);
	if (r < 0)
		return r;
	ret->stdin_fd = r;
	return 0;
}

int launch_prepare_worker(struct launch *ret, const struct hook *hook, const char *worker,
	const char *state_directory)
{
	struct words *envp = &ret->envp;
	int r;

	*ret = (struct launch){.stdin_fd = -1};
	if ((r = add_person(envp, state_directory)) < 0 ||
		(r = add_configured(envp, hook)) < 0 ||
		(r = environment_sets(
			 envp, hook_variable_name(HOOK_VARIABLE_HOOK), hook->name)) < 0 ||
		(r = environment_sets(
			 envp, hook_variable_name(HOOK_VARIABLE_RUN), worker)) < 0 ||
		(r = terminate(envp)) < 0 || (r = build_arguments(ret, hook)) < 0)
		return r;
	ret->directory = hook->working_directory ? hook->working_directory
						 : state_directory;
	return 0;
}

void launch_fini(struct launch *l)
{
	words_fini(&l->argv);
	words_fini(&l->envp);
	if (l->stdin_fd >= 0)
		close(l->stdin_fd);
	l->stdin_fd = -1;
}

static int keep_field(json_t *kept, const struct field *f, struct document *d)
{
	CLEANUP(freep) char *value = NULL;
	size_t size = 0;

	if (f->kind == FIELD_POINTER || json_object_get(kept, f->text))
		return 0;
	int r = field_read(f, d, &value, &size);
	if (r != 0)
		return r < 0 ? r : 0;
	/* Bytes that are no UTF-8 have no place in an environment of text; they are left out. */
	json_t *text = json_stringn(value, size);
	return text ? (json_object_set_new(kept, f->text, text) < 0 ? -ENOMEM : 0) : 0;
}

int launch_keep_fields(
	const struct hook *const *hooks, size_t n_hooks, struct document *d, char **ret)
{
	json_t *kept = NULL;
	int r = 0;

	*ret = NULL;
	for (size_t i = 0; r == 0 && i < n_hooks; i++) {
		for (size_t j = 0; r == 0 && j < hooks[i]->n_exports; j++) {
			const struct field *f = &hooks[i]->exports[j].field;
			if (f->kind == FIELD_POINTER)
				continue;
			if (!kept && !(kept = json_object()))
				return -ENOMEM;
			r = keep_field(kept, f, d);
		}
	}
	if (r == 0 && kept && json_object_size(kept)) {
		*ret = json_dumps(kept, JSON_COMPACT);
		if (!*ret)
			r = -ENOMEM;
	}
	json_decref(kept);
	return r;
}
