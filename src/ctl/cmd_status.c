/* callbackctl status: the daemon on one screen, what is wrong with it first. */
#include "base/span.h"
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/table.h"

#include <errno.h>

#define NAMES_MAX 12 /* of a list: it is one screen */
#define RATE_SIZE 32

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

		if (i == NAMES_MAX) {
			text_addf(&names, " and %zu more", json_array_size(list) - i);
			break;
		}
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

static const char *rate_text(const json_t *rates, const char *key, char buffer[RATE_SIZE])
{
	double rate = json_number_value(json_object_get(rates, key));

	snprintf(buffer, RATE_SIZE, "%.*f", rate < 10 ? 2 : 0, rate);
	return buffer;
}

static void add_oldest(struct table *t, const json_t *oldest)
{
	char age[CTL_AGE_SIZE];

	table_add(t, "oldest waiting");
	if (json_is_object(oldest))
		table_addf(t, "of hook %s, due for %s", ctl_text(oldest, "hook"),
			ctl_age(oldest, "due", age));
	else
		table_add(t, "none is due");
}

static void add_numbers(struct table *t, const json_t *status)
{
	const json_t *store = json_object_get(status, "store");
	const json_t *runs = json_object_get(status, "runs");
	const json_t *n = json_object_get(status, "callbacks");
	const json_t *rates = json_object_get(status, "rates");
	char a[RATE_SIZE], b[RATE_SIZE], c[RATE_SIZE];
	CLEANUP(freep)
	char *size = size_text((double)number(store, "size_bytes"));

	table_add(t, "rate");
	if (json_is_object(rates))
		table_addf(t, "%s callbacks/s over 1 min, %s over 5 min, %s over 15 min",
			rate_text(rates, "1min", a), rate_text(rates, "5min", b),
			rate_text(rates, "15min", c));
	else
		table_add(t, NULL);
	table_add(t, "callbacks");
	table_addf(t, "%lld accepted, %lld repeated, %lld unreadable",
		number(n, "accepted"), number(n, "repeated"), number(n, "unreadable"));
	table_add(t, "refused");
	table_addf(t, "%lld unverified, %lld otherwise, %lld unavailable",
		number(n, "unverified"), number(n, "refused"), number(n, "unavailable"));
	table_add(t, "jobs");
	table_addf(t, "%lld, of them %lld pending, %lld to be asked for",
		number(store, "jobs"), number(store, "jobs_pending"),
		number(store, "jobs_asked_for"));
	table_add(t, "runs");
	table_addf(t, "%lld waiting, %lld running, %lld dead (slots: %lld of %lld used)",
		number(runs, "waiting"), number(runs, "running"), number(runs, "dead"),
		number(runs, "slots_used"), number(runs, "slots"));
	add_oldest(t, json_object_get(status, "oldest_waiting"));
	table_add(t, "store");
	table_addf(t, "%s, %s",
		json_is_true(json_object_get(store, "healthy")) ? "healthy"
								: "CANNOT COMMIT",
		size ? size : "-");
	table_add(t, "queue");
	table_addf(t, "%lld operations wait for the store, %lld connections",
		number(store, "queue"), number(status, "connections"));
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

/* What is wrong is to be seen first; nothing is said where nothing is. */
static int print_problems(const struct ctl *ctl, const json_t *problems)
{
	const json_t *o;
	struct table t;
	size_t i;

	table_init(&t, 2, NULL, ctl->color);
	json_array_foreach(problems, i, o)
	{
		table_add_word(&t, ctl_text(o, "level"));
		table_add_clean(&t, ctl_text(o, "problem"));
	}
	int r = table_print(&t, stdout);
	table_fini(&t);
	if (r == 0 && json_array_size(problems) > 0)
		putchar('\n');
	return r == -ENOMEM ? r : 0;
}

static void add_configuration(struct table *t, const json_t *status)
{
	const json_t *c = json_object_get(status, "configuration");
	const json_t *files = json_object_get(c, "fixed_files"), *file;
	struct text names = TEXT_EMPTY;
	char time[CTL_TIME_SIZE];
	size_t i;

	table_add(t, "configuration");
	if (json_is_object(c))
		table_addf(t, "%s, read %s", ctl_text(status, "config_path"),
			ctl_time(c, "loaded", time));
	else
		table_add(t, ctl_text(status, "config_path"));
	json_array_foreach(files, i, file)
		text_addf(&names, "%s%s", i ? " " : "", json_string_value(file));
	if (i > 0) {
		table_add(t, "fixed until a restart");
		table_add(t, names.failed ? NULL : names.data);
	}
	text_fini(&names);
}

static void add_certificate(struct table *t, const json_t *status)
{
	char time[CTL_TIME_SIZE];

	if (!json_is_string(json_object_get(status, "certificate_expires")))
		return;
	table_add(t, "certificate until");
	table_add(t, ctl_time(status, "certificate_expires", time));
}

static int print_status(const struct ctl *ctl, const json_t *status)
{
	const json_t *error = json_object_get(status, "last_error");
	CLEANUP(freep)
	char *uptime = span_format_usec(
		(uint64_t)number(status, "uptime_seconds") * USEC_PER_SEC);
	char time[CTL_TIME_SIZE];
	struct table t;
	int r = print_problems(ctl, json_object_get(status, "problems"));

	if (r < 0)
		return ctl_no_memory();
	table_init(&t, 2, NULL, ctl->color);
	table_add(&t, "callbackd");
	table_addf(&t, "%s, pid %lld, up %s%s", ctl_text(status, "version"),
		number(status, "pid"), uptime ? uptime : "-",
		json_is_true(json_object_get(status, "stopping")) ? ", stopping" : "");
	add_configuration(&t, status);
	add_names(&t, "listeners", json_object_get(status, "listeners"));
	add_names(&t, "sources", json_object_get(status, "sources"));
	add_names(&t, "hooks", json_object_get(status, "hooks"));
	add_numbers(&t, status);
	add_certificate(&t, status);
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
