/* callbackctl status, reload, test: the daemon itself. */
#include "base/codec.h"
#include "base/span.h"
#include "ctl/commands.h"
#include "ctl/file.h"
#include "ctl/table.h"

#include <errno.h>
#include <inttypes.h>

#define BODY_MAX_BYTES (700u * 1024) /* base64 of it fits the control socket's 1 MiB */

enum { TEST_STATUS, TEST_ID, TEST_BODY, TEST_TAMPER };
const struct ctl_option cmd_test_options[] = {
	{"status", "WORD", "the status to send (the first of SuccessValues=)"},
	{"id", "ID", "the job id to send, behind \"test-\" (a random one)"},
	{"body", "FILE", "send this instead; - is standard input"},
	{"tamper", NULL, "change it after signing: it has to be refused"},
	{0},
};

static long long number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static void add_names(struct table *t, const char *title, const json_t *list)
{
	struct text names = TEXT_EMPTY;
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		const char *address = json_string_value(json_object_get(o, "address"));

		text_addf(&names, "%s%s", i ? " " : "",
			address ? address : ctl_text(o, "name"));
		if (json_is_true(json_object_get(o, "paused")))
			text_adds(&names, " (paused)");
		else if (json_is_true(json_object_get(o, "slowed")))
			text_addf(&names, " (fails, slowed to %lld at a time)",
				number(o, "window"));
	}
	table_add(t, title);
	table_add(t, names.failed ? NULL : names.data);
	text_fini(&names);
}

/* For people: "193 KiB", "1.4 GiB". Owned by the caller; NULL when memory is short. */
static char *size_text(double bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	size_t u = 0;

	for (; bytes >= 1023.5 && u + 1 < ARRAY_SIZE(units); u++)
		bytes /= 1024;
	return text_format("%.*f %s", u > 0 && bytes < 9.95 ? 1 : 0, bytes, units[u]);
}

static void add_numbers(struct table *t, const json_t *status)
{
	const json_t *store = json_object_get(status, "store");
	const json_t *runs = json_object_get(status, "runs");
	const json_t *n = json_object_get(status, "callbacks");
	CLEANUP(freep)
	char *size = size_text((double)number(store, "size_bytes"));

	table_add(t, "callbacks");
	table_addf(t, "%lld accepted, %lld repeated, %lld unreadable",
		number(n, "accepted"), number(n, "repeated"), number(n, "unreadable"));
	table_add(t, "refused");
	table_addf(t, "%lld unverified, %lld otherwise, %lld unavailable",
		number(n, "unverified"), number(n, "refused"), number(n, "unavailable"));
	table_add(t, "jobs");
	table_addf(t, "%lld, of them %lld pending", number(store, "jobs"),
		number(store, "jobs_pending"));
	table_add(t, "runs");
	table_addf(t, "%lld waiting, %lld running, %lld dead (slots: %lld of %lld used)",
		number(runs, "waiting"), number(runs, "running"), number(runs, "dead"),
		number(runs, "slots_used"), number(runs, "slots"));
	table_add(t, "store");
	table_addf(t, "%s, %s",
		json_is_true(json_object_get(store, "healthy")) ? "healthy"
								: "CANNOT COMMIT",
		size ? size : "-");
}

/* Of public keys that were wanted: how many, since when, and what is wrong. */
static void add_keys(struct table *t, const json_t *list)
{
	char time[CTL_TIME_SIZE];
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		const char *source = json_string_value(json_object_get(o, "source"));
		const char *trouble = json_string_value(json_object_get(o, "trouble"));

		if (number(o, "asked") == 0)
			continue;
		table_add(t, source ? "keys" : "certificate");
		table_addf(t, "%s: %s%s%s%s", source ? source : ctl_text(o, "url"),
			number(o, "keys") ? "fetched " : "NOT AT HAND",
			number(o, "keys") ? ctl_time(o, "fetched", time) : "",
			trouble ? "; the last attempt failed: " : "",
			trouble ? trouble : "");
	}
}

static int print_status(const struct ctl *ctl, const json_t *status)
{
	const json_t *error = json_object_get(status, "last_error");
	CLEANUP(freep)
	char *uptime = span_format_usec(
		(uint64_t)number(status, "uptime_seconds") * USEC_PER_SEC);
	char time[CTL_TIME_SIZE];
	struct table t;
	int r;

	table_init(&t, 2, NULL, ctl->color);
	table_add(&t, "callbackd");
	table_addf(&t, "%s, pid %lld, up %s%s", ctl_text(status, "version"),
		number(status, "pid"), uptime ? uptime : "-",
		json_is_true(json_object_get(status, "stopping")) ? ", stopping" : "");
	table_add(&t, "configuration");
	table_add(&t, ctl_text(status, "config_path"));
	add_names(&t, "listeners", json_object_get(status, "listeners"));
	add_names(&t, "sources", json_object_get(status, "sources"));
	add_names(&t, "hooks", json_object_get(status, "hooks"));
	add_numbers(&t, status);
	add_keys(&t, json_object_get(status, "keys"));
	if (number(status, "log_dropped") > 0) {
		table_add(&t, "log records dropped");
		table_addf(&t, "%lld", number(status, "log_dropped"));
	}
	table_add(&t, "last error");
	if (json_is_object(error))
		table_addf(&t, "%s  %s", ctl_time(error, "time", time),
			ctl_text(error, "error"));
	else
		table_add(&t, "none");
	r = table_print(&t, stdout);
	table_fini(&t);
	return r == -ENOMEM ? ctl_no_memory() : CTL_DONE; /* main() looks at the output */
}

int cmd_status(struct ctl *ctl, const struct ctl_args *args)
{
	struct client_answer a;
	int r = ctl_ask(ctl, "GET", "/v1/status", NULL, NULL, &a);

	(void)args;
	if (r == 0 && ctl->json)
		ctl_print_json(ctl, a.json);
	else if (r == 0)
		r = print_status(ctl, a.json);
	client_answer_fini(&a);
	return r;
}

int cmd_reload(struct ctl *ctl, const struct ctl_args *args)
{
	struct client_answer a;
	const json_t *problem;
	size_t i;
	int r = ctl_ask(ctl, "POST", "/v1/reload", NULL, "reload", &a);

	(void)args;
	json_array_foreach(json_object_get(a.json, "problems"), i, problem)
		fprintf(stderr, "%s\n", ctl_clean(json_string_value(problem)));
	if (r == 0 && ctl->json)
		ctl_print_json(ctl, a.json);
	client_answer_fini(&a);
	return r;
}

/* NULL: told. */
static json_t *test_request(const struct ctl_args *args)
{
	const char *file = args->option[TEST_BODY];
	json_t *body = json_object();
	struct text text = TEXT_EMPTY;
	CLEANUP(freep) char *base64 = NULL;
	bool bad = !body;
	int r = file ? file_read(file, BODY_MAX_BYTES, &text) : 0;

	if (args->option[TEST_STATUS])
		bad |= json_object_set_new(
			body, "status", json_string(args->option[TEST_STATUS]));
	if (args->option[TEST_ID])
		bad |= json_object_set_new(
			body, "id", json_string(args->option[TEST_ID]));
	if (args->option[TEST_TAMPER])
		bad |= json_object_set_new(body, "tamper", json_true());
	if (file && r == 0) {
		base64 = codec_base64_encode(text.data ? text.data : "", text.size);
		bad |= json_object_set_new(
			body, "body_base64", base64 ? json_string(base64) : NULL);
	}
	text_fini(&text);
	if (r == 0 && !bad)
		return body;
	if (r < 0)
		ctl_complain("%s: %s", ctl_escape(file), strerror(-r));
	else
		ctl_complain("--status and --id are UTF-8");
	json_decref(body);
	return NULL;
}

int cmd_test(struct ctl *ctl, const struct ctl_args *args)
{
	CLEANUP(freep) char *source = codec_percent_encode(bytes_of(args->operands[0]));
	CLEANUP(freep)
	char *path = source ? text_format("/v1/sources/%s/test", source) : NULL;
	long wanted = args->option[TEST_TAMPER] ? 401 : 200;
	json_t *body = test_request(args);
	struct client_answer a = {0};
	int r;

	if (!body)
		return CTL_USAGE;
	r = ctl_ask(ctl, "POST", path, body, args->operands[0], &a);
	if (r == 0 && ctl->json)
		ctl_print_json(ctl, a.json);
	else if (r == 0)
		printf("%s/%s  %lld  %s\n", ctl_escape(args->operands[0]),
			ctl_escape(ctl_text(a.json, "id")), number(a.json, "status"),
			ctl_escape(ctl_text(a.json, "body")));
	if (r == 0 && number(a.json, "status") != wanted) {
		ctl_complain("%s: the listener answered %lld, not %ld%s",
			ctl_escape(args->operands[0]), number(a.json, "status"), wanted,
			wanted == 401 ? ": what was tampered with is taken" : "");
		r = CTL_JOB;
	}
	client_answer_fini(&a);
	json_decref(body);
	return r;
}
