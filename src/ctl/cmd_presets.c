/*
 * callbackctl presets: the senders that are known, and each as configuration text to start
 * from. Nobody is asked: the table is the daemon's own.
 */
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/guide.h"
#include "ctl/table.h"

#include "rules/keys.h"
#include "rules/preset.h"
#include <errno.h>

#define COLUMNS 78

/* ---- The list ---- */

static json_t *values_of(const struct preset *p)
{
	json_t *values = json_object();

	for (size_t i = 0; i < p->n_values; i++)
		json_object_set_new(
			values, p->values[i].key, json_string(p->values[i].value));
	return values;
}

static json_t *json_of(const struct preset *p, bool in_full)
{
	json_t *o = json_pack("{s:s, s:s, s:s?, s:s?}", "name", p->name, "sentence",
		p->sentence, "verify", preset_value(p, "Verify"), "documentation",
		p->documentation);

	if (o && in_full)
		json_object_set_new(o, "values", values_of(p));
	return o;
}

static int list(const struct ctl *ctl)
{
	static const char *const titles[] = {
		"NAME", "VERIFICATION", "DOCUMENTATION", NULL};
	struct table t;

	table_init(&t, 3, titles, ctl->color);
	for (size_t i = 0; preset_at(i); i++) {
		const struct preset *p = preset_at(i);
		const char *verify = preset_value(p, "Verify");

		if (ctl->json) {
			json_t *o = json_of(p, false);
			ctl_print_json(ctl, o);
			json_decref(o);
		}
		table_add(&t, p->name);
		table_add(&t, verify ? verify : "-");
		table_add(&t, p->documentation ? p->documentation : "-");
	}
	int r = ctl->json ? 0 : table_print(&t, stdout);
	table_fini(&t);
	return r == -ENOMEM ? ctl_no_memory() : CTL_DONE;
}

/* ---- One, as text to start from ---- */

/* "# " and as many words a line as fit. */
static void print_comment(const char *sentence)
{
	size_t column = 0;

	while (*sentence) {
		size_t n = strcspn(sentence, " ");

		if (column && column + 1 + n > COLUMNS) {
			putchar('\n');
			column = 0;
		}
		column += (size_t)printf("%s%.*s", column ? " " : "# ", (int)n, sentence);
		sentence += n + (sentence[n] == ' ');
	}
	putchar('\n');
}

/* With the place of the source for {url}. */
static void add_guide(struct text *t, const char *sentence, const char *name)
{
	for (const char *at; (at = strstr(sentence, "{url}")); sentence = at + 5) {
		text_add(t, (struct bytes){sentence, (size_t)(at - sentence)});
		text_addf(t, "https://HOST/callback/%s", name);
	}
	text_adds(t, sentence);
}

static void print_guide(const char *sentence, const char *name)
{
	struct text t = TEXT_EMPTY;

	add_guide(&t, sentence, name);
	if (t.data)
		print_comment(t.data);
	text_fini(&t);
}

/* The file of the secret, and what else is the person's to say. */
static void print_own(const struct preset *p, const struct guide *g)
{
	struct text t = TEXT_EMPTY;

	if (g && g->secret) {
		puts("# What belongs into this file, which the daemon alone may read:");
		print_guide(g->secret, p->name);
	}
	if (!g || g->secret)
		printf("SecretFile=%s.secret\n", p->name);
	if (guide_lines(p->name))
		add_guide(&t, guide_lines(p->name), p->name);
	if (t.data)
		fputs(t.data, stdout);
	text_fini(&t);
}

static bool has(const struct preset *p, const char *key, const char *part)
{
	const char *value = preset_value(p, key);

	return value && strstr(value, part);
}

static void print_head(const struct preset *p)
{
	print_comment(p->sentence);
	if (p->documentation)
		print_comment(p->documentation);
	puts("#");
	/* What only the sender can sign cannot be tried like this. */
	bool testable = !has(p, "Verify", "ed25519") && !has(p, "Verify", "sns") &&
			!has(p, "Verify", "jwt");
	printf("# For callbackd.conf(5), or a file of its own in callbackd.conf.d. "
	       "Then:\n"
	       "#   callbackd -n && callbackctl reload%s%s\n\n",
		testable ? " && callbackctl test " : "", testable ? p->name : "");
	if (has(p, "Verify", "twilio") || has(p, "Verify", "http-signature") ||
		has(p, "SignedContent", "{url}") || preset_value(p, "UploadURL"))
		puts("[Daemon]\n"
		     "# Where senders reach this daemon. Leave it out if it is set "
		     "already.\n"
		     "PublicURL=https://callbacks.example.org\n");
}

static void print_source(const struct preset *p)
{
	const struct guide *g = guide_find(p->name);

	printf("[Source %s]\nPreset=%s\n\n", p->name, p->name);
	if (g) {
		puts("# What to enter at the sender:");
		print_guide(g->url, p->name);
	}
	printf("#Path=/callback/%s\n", p->name);
	if (!g || g->secret || guide_lines(p->name))
		putchar('\n');
	print_own(p, g);
	if (preset_value(p, "UploadURL"))
		printf("\n# For callbackctl upload: the key of the API.\n"
		       "#APIKeyFile=%s.key\n"
		       "# The owner of what is uploaded, org-...\n"
		       "#UploadOwner=\n",
			p->name);
}

/* Every key, where the preset leaves most of them to the person. */
static void print_keys(const struct preset *p)
{
	static const char *const told[] = {"Preset", "Path", "SecretFile", NULL};
	size_t n;
	const struct key *keys = keys_of(SECTION_SOURCE, &n);

	for (size_t i = 0; i < n; i++) {
		const struct key *k = &keys[i];
		const char *value = preset_value(p, k->name);
		bool known = k->not_yet;

		for (size_t j = 0; told[j]; j++)
			known |= !strcmp(told[j], k->name);
		if (known)
			continue;
		putchar('\n');
		print_comment(k->sentence);
		if (!strcmp(k->name, "Verify"))
			printf("Verify=%s\n", value ? value : "hmac");
		else
			printf("#%s=%s\n", k->name,
				value         ? value
				: k->standard ? k->standard
					      : "");
	}
}

static void print_values(const struct preset *p)
{
	puts("\n# What the preset fills in; to change one, take its # away.");
	for (size_t i = 0; i < p->n_values; i++)
		printf("#%s=%s\n", p->values[i].key, p->values[i].value);
}

static void print_hook(const struct preset *p)
{
	printf("\n# What to do about it; without a hook callbacks are recorded.\n"
	       "#[Hook %s]\n"
	       "#Source=%s\n"
	       "#On=%s\n"
	       "#Exec=/usr/local/bin/COMMAND --id=${CALLBACK_ID}\n",
		p->name, p->name,
		preset_value(p, "StatusField") && !*preset_value(p, "StatusField")
			? "success"
			: "success error");
}

static int show(const struct ctl *ctl, const char *name)
{
	const struct preset *p = preset_find(bytes_of(name));
	const char *nearest = preset_nearest(bytes_of(name));

	if (!p) {
		ctl_complain("no such preset: %s%s%s%s", ctl_escape(name),
			nearest ? "; did you mean " : "", nearest ? nearest : "",
			nearest ? "?" : "");
		return CTL_UNKNOWN;
	}
	if (ctl->json) {
		json_t *o = json_of(p, true);
		ctl_print_json(ctl, o);
		json_decref(o);
		return CTL_DONE;
	}
	print_head(p);
	print_source(p);
	if (preset_value(p, "Verify"))
		print_values(p);
	else
		print_keys(p);
	print_hook(p);
	return CTL_DONE;
}

int cmd_presets(struct ctl *ctl, const struct ctl_args *args)
{
	return args->n_operands ? show(ctl, args->operands[0]) : list(ctl);
}
