/* callbackctl show: one job's whole story, or one run's. */
#include "base/codec.h"
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/name.h"
#include "ctl/table.h"

#include <errno.h>

static void add_line(struct table *t, const char *name, const char *value)
{
	table_add(t, name);
	table_add_word(t, value);
}

static void add_time(struct table *t, const char *name, const json_t *o, const char *key)
{
	char time[CTL_TIME_SIZE];

	if (!json_is_string(json_object_get(o, key)))
		return;
	table_add(t, name);
	table_add(t, ctl_time(o, key, time));
}

/* Any number of lines, each escaped; nothing of it can move the cursor. */
static void print_block(const char *title, const char *text, size_t size)
{
	struct bytes rest = {text, size};
	struct text t = TEXT_EMPTY;

	if (size == 0)
		return;
	printf("  %s:\n", title);
	if (size && text[size - 1] == '\n')
		rest.size--;
	while (rest.data) {
		struct bytes line = bytes_split(rest, '\n', &rest);

		text_clear(&t);
		text_add_escaped(&t, line, line.size);
		printf("    %s\n", t.failed || !t.data ? "" : t.data);
	}
	text_fini(&t);
}

static void print_member(const json_t *o, const char *key, const char *title)
{
	const json_t *s = json_object_get(o, key);

	if (json_is_string(s))
		print_block(title, json_string_value(s), json_string_length(s));
}

static void print_table(struct table *t)
{
	if (table_print(t, stdout) == -ENOMEM)
		exit(ctl_no_memory());
	table_fini(t);
}

static void print_run(const struct ctl *ctl, const json_t *run, bool with_job)
{
	const json_t *status = json_object_get(run, "exit_status");
	const json_t *signal = json_object_get(run, "signal");
	struct table t;

	table_init(&t, 2, NULL, ctl->color);
	add_line(&t, "run", ctl_text(run, "run"));
	if (with_job) {
		table_add(&t, "  job");
		table_addf(&t, "%s/%s", ctl_text(run, "source"), ctl_text(run, "id"));
		add_line(&t, "  outcome", ctl_text(run, "outcome"));
		table_add(&t, "  status");
		table_add(&t, ctl_text(run, "status"));
	}
	add_line(&t, "  hook", ctl_text(run, "hook"));
	add_line(&t, "  state", ctl_text(run, "state"));
	table_add(&t, "  attempt");
	table_addf(&t, "%lld",
		(long long)json_integer_value(json_object_get(run, "attempt")));
	if (ctl_is(run, "state", "waiting"))
		add_time(&t, "  due", run, "due");
	add_time(&t, "  started", run, "started");
	add_time(&t, "  finished", run, "finished");
	if (json_is_integer(status)) {
		table_add(&t, "  exit status");
		table_addf(&t, "%lld", (long long)json_integer_value(status));
	}
	if (json_is_integer(signal)) {
		table_add(&t, "  signal");
		table_addf(&t, "%lld", (long long)json_integer_value(signal));
	}
	if (json_is_string(json_object_get(run, "reason")))
		add_line(&t, "  reason", ctl_text(run, "reason"));
	if (json_is_string(json_object_get(run, "replay_of")))
		add_line(&t, "  replay of", ctl_text(run, "replay_of"));
	if (json_is_string(json_object_get(run, "replayed_by")))
		add_line(&t, "  replayed as", ctl_text(run, "replayed_by"));
	if (json_is_string(json_object_get(run, "dead_of")))
		add_line(&t, "  tells of", ctl_text(run, "dead_of"));
	print_table(&t);
	if (json_is_true(json_object_get(run, "truncated")))
		puts("  (the beginning of the output is cut off)");
	print_member(run, "stdout", "stdout");
	print_member(run, "stderr", "stderr");
}

static void print_hooks(const struct ctl *ctl, const json_t *job)
{
	const json_t *hooks = json_object_get(job, "hooks"), *hook;
	struct table t;
	size_t i;

	if (json_array_size(hooks) == 0)
		return;
	puts("\nhooks");
	table_init(&t, 2, NULL, ctl->color);
	json_array_foreach(hooks, i, hook)
	{
		bool ran = json_is_true(json_object_get(hook, "ran"));

		table_addf(&t, "  %s", ctl_text(hook, "hook"));
		if (ran)
			table_add(&t, "ran");
		else
			table_addf(&t, "did not run: %s", ctl_text(hook, "why"));
	}
	print_table(&t);
}

/* While it is, how long it has been. */
static void add_expected(struct table *t, const json_t *job)
{
	char time[CTL_TIME_SIZE], age[CTL_AGE_SIZE];

	if (!ctl_is(job, "outcome", "pending")) {
		add_time(t, "  expected", job, "expected");
	} else if (json_is_string(json_object_get(job, "expected"))) {
		table_add(t, "  expected");
		table_addf(t, "%s (for %s)", ctl_time(job, "expected", time),
			ctl_age(job, "expected", age));
	}
}

static void print_job(const struct ctl *ctl, const json_t *job)
{
	const json_t *size = json_object_get(job, "size_bytes"), *run;
	struct table t;
	size_t i;

	table_init(&t, 2, NULL, ctl->color);
	table_add(&t, "job");
	table_addf(&t, "%s/%s", ctl_text(job, "source"), ctl_text(job, "id"));
	add_line(&t, "  outcome", ctl_text(job, "outcome"));
	table_add(&t, "  status");
	table_add(&t, ctl_text(job, "status"));
	add_expected(&t, job);
	add_time(&t, "  received", job, "received");
	add_time(&t, "  confirmed", job, "confirmed");
	add_time(&t, "  updated", job, "updated");
	table_add(&t, "  deliveries");
	table_addf(&t, "%lld",
		(long long)json_integer_value(json_object_get(job, "deliveries")));
	if (json_is_string(json_object_get(job, "public_url")))
		add_line(&t, "  public url", ctl_text(job, "public_url"));
	if (json_is_integer(size)) {
		table_add(&t, "  size");
		table_addf(&t, "%lld bytes", (long long)json_integer_value(size));
	}
	print_table(&t);
	print_member(job, "payload", "payload");
	print_member(job, "payload_base64", "payload (base64)");
	print_hooks(ctl, job);
	json_array_foreach(json_object_get(job, "runs"), i, run)
	{
		printf("\n");
		print_run(ctl, run, false);
	}
}

/* NAME-NUMBER, as all run ids are; a job of that id is still SOURCE/ID. */
static bool is_run_id(const char *text)
{
	static const char digits[] = "0123456789";
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	size_t name = strspn(text, letters);
	size_t number = text[name] == '-' ? strspn(text + name + 1, digits) : 0;

	return name == 8 && number && text[name + 1] != '0' && !text[name + 1 + number];
}

/* 0 shown, -1 no such run, or told and the exit status. */
static int show_run(struct ctl *ctl, const char *id)
{
	CLEANUP(freep) char *path = text_format("/v1/runs/%s", id);
	struct client_answer a = {0};
	int r = 0;

	if (!path)
		return ctl_no_memory();
	client_ask(ctl->client, "GET", path, NULL, &a);
	if (a.failure == CLIENT_OK && a.status == 404)
		r = -1;
	else if (a.failure != CLIENT_OK || a.status != 200 || !a.json)
		r = ctl_fail(&a, id);
	else if (ctl->json)
		ctl_print_json(ctl, a.json);
	else
		print_run(ctl, a.json, true);
	client_answer_fini(&a);
	return r;
}

int cmd_show(struct ctl *ctl, const struct ctl_args *args)
{
	const char *text = args->operands[0];
	CLEANUP(freep) char *path = NULL;
	struct client_answer a = {0};
	struct name name;
	int r = is_run_id(text) ? show_run(ctl, text) : -1;

	if (r != -1)
		return r;
	r = name_read(ctl, text, &name);
	if (r == 0)
		r = name_find_source(ctl, &name);
	if (r == 0) {
		path = name_path(&name);
		r = ctl_ask(ctl, "GET", path, NULL, text, &a);
	}
	if (r == 0 && ctl->json)
		ctl_print_json(ctl, a.json);
	else if (r == 0)
		print_job(ctl, a.json);
	client_answer_fini(&a);
	name_fini(&name);
	return r;
}
