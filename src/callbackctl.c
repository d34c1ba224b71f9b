/*
 * callbackctl: the person's and the script's tool. A command is a constant record; all of
 * them speak to the daemon over its control socket and keep nothing.
 */
#include "ctl/commands.h"
#include "ctl/ctl.h"

#include <curl/curl.h>
#include <getopt.h>
#include <locale.h>
#include <sys/resource.h>
#include <unistd.h>

#define SOCKET_DEFAULT "/run/callbackd/control.sock"

static const struct ctl_command commands[] = {
	{"status", "", "how the daemon is", 0, 0, cmd_status, NULL},
	{"list", "", "jobs, the last updated first", 0, 0, cmd_list, cmd_list_options},
	{"show", "ID|RUN", "a job and its runs, or one run, with the output", 1, 1,
		cmd_show, NULL},
	{"wait", "ID...", "until jobs are over", 1, -1, cmd_wait, cmd_wait_options},
	{"watch", "", "what happens, as it happens", 0, 0, cmd_watch, cmd_watch_options},
	{"upload", "FILE...", "upload and wait for the callback", 1, -1, cmd_upload,
		cmd_upload_options},
	{"expect", "ID", "a callback has to come", 1, 1, cmd_expect, cmd_expect_options},
	{"forget", "ID", "drop a job and its runs", 1, 1, cmd_forget, NULL},
	{"runs", "", "runs of hooks, the newest first", 0, 0, cmd_runs, cmd_runs_options},
	{"replay", "[RUN...]", "run again what is done or dead", 0, -1, cmd_replay,
		cmd_replay_options},
	{"discard", "[RUN...]", "take dead runs off the list", 0, -1, cmd_discard,
		cmd_discard_options},
	{"pause", "HOOK", "hold a hook's runs back", 1, 1, cmd_pause, NULL},
	{"resume", "HOOK", "let them go", 1, 1, cmd_resume, NULL},
	{"test", "SOURCE", "send a signed sample through the listener", 1, 1, cmd_test,
		cmd_test_options},
	{"verify", "SOURCE", "why does a request verify or not", 1, 1, cmd_verify,
		cmd_verify_options},
	{"presets", "[NAME]", "known senders, and what to write for one", 0, 1,
		cmd_presets, NULL},
	{"reload", "", "read the configuration anew", 0, 0, cmd_reload, NULL},
	{"serve", "COMMAND...", "run a command for what Mode=socket sends", 1, -1,
		cmd_serve, cmd_serve_options},
	{"doctor", "", "look for trouble, from within the service", 0, 0, cmd_doctor,
		NULL},
	{"backup", "FILE", "copy the store", 1, 1, cmd_backup, NULL},
	{"restore", "FILE", "put a copy back, without the daemon", 1, 1, cmd_restore,
		cmd_restore_options},
};

/* It speaks to no daemon, and its operands are a command with options of its own. */
static bool runs_command(const struct ctl_command *c)
{
	return c->run == cmd_serve;
}

static const struct ctl_command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_help(void)
{
	printf("callbackctl [-s SOCKET] [--json] COMMAND ...\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-8s %-10s  %s\n", commands[i].name, commands[i].operands,
			commands[i].help);
	printf("\n  -s, --socket SOCKET  the control socket ($CALLBACKD_SOCKET, else "
	       "%s)\n"
	       "      --json           one JSON object a line\n"
	       "      --help           also after a command; --version\n\n"
	       "An ID is SOURCE/ID, or a job id of any source. See callbackctl(1).\n",
		SOCKET_DEFAULT);
}

static void print_command_help(const struct ctl_command *c)
{
	printf("callbackctl %s%s%s%s\n\n  %s\n", c->name,
		c->options ? " [OPTION...]" : "", *c->operands ? " " : "", c->operands,
		c->help);
	for (const struct ctl_option *o = c->options; o && o->name; o++) {
		int n = printf("  --%s%s%s", o->name, o->argument ? " " : "",
			o->argument ? o->argument : "");

		printf("%*s%s\n", n < 26 ? 26 - n : 1, "", o->help);
	}
}

enum { OPTION_JSON = 256, OPTION_HELP, OPTION_VERSION, OPTION_OF_COMMAND };
static const struct option common[] = {
	{"socket", required_argument, NULL, 's'},
	{"json", no_argument, NULL, OPTION_JSON},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
};

/* 0 go on, 1 done (help), CTL_USAGE. */
static int take_common(struct ctl *ctl, const struct ctl_command *c, int option)
{
	switch (option) {
	case 's': ctl->socket = optarg; return 0;
	case OPTION_JSON: ctl->json = true; return 0;
	case OPTION_HELP:
		if (c)
			print_command_help(c);
		else
			print_help();
		return 1;
	case OPTION_VERSION: puts("callbackctl " VERSION); return 1;
	default: return CTL_USAGE;
	}
}

/* getopt(3) complains in its own words, in the name of argv[0]. */
static int parse_command(struct ctl *ctl, const struct ctl_command *c, int argc,
	char **argv, struct ctl_args *ret)
{
	struct option options[ARRAY_SIZE(common) + CTL_OPTIONS_MAX + 1] = {0};
	size_t n = ARRAY_SIZE(common);
	int option, r;

	memcpy(options, common, sizeof(common));
	for (const struct ctl_option *o = c->options; o && o->name; o++) {
		int value = OPTION_OF_COMMAND + (int)(o - c->options);

		options[n++] = (struct option){o->name,
			o->argument ? required_argument : no_argument, NULL, value};
	}
	optind = 0; /* GNU: begin anew */
	while ((option = getopt_long(argc, argv, runs_command(c) ? "+s:" : "s:", options,
			NULL)) != -1) {
		if (option >= OPTION_OF_COMMAND) {
			ret->option[option - OPTION_OF_COMMAND] = optarg ? optarg : "";
			continue;
		}
		r = take_common(ctl, c, option);
		if (r != 0)
			return r;
	}
	ret->operands = argv + optind;
	ret->n_operands = argc - optind;
	if (ret->n_operands < c->min || (c->max >= 0 && ret->n_operands > c->max)) {
		ctl_complain("%s takes %s%s; see callbackctl %s --help", c->name,
			*c->operands ? c->operands : "nothing",
			ret->n_operands < c->min ? "" : " alone", c->name);
		return CTL_USAGE;
	}
	return 0;
}

/* 0 and the command; 1 done; CTL_USAGE. */
static int parse_argv(struct ctl *ctl, int argc, char **argv,
	const struct ctl_command **ret, struct ctl_args *args)
{
	struct option options[ARRAY_SIZE(common) + 1] = {0};
	int option, r;

	memcpy(options, common, sizeof(common));
	while ((option = getopt_long(argc, argv, "+s:", options, NULL)) != -1) {
		r = take_common(ctl, NULL, option);
		if (r != 0)
			return r;
	}
	if (optind == argc) {
		ctl_complain("a command is missing; see callbackctl --help");
		return CTL_USAGE;
	}
	*ret = find_command(argv[optind]);
	if (!*ret) {
		ctl_complain("no such command: %s; see callbackctl --help",
			ctl_escape(argv[optind]));
		return CTL_USAGE;
	}
	argv[optind] = argv[0]; /* for the words of getopt(3) */
	return parse_command(ctl, *ret, argc - optind, argv + optind, args);
}

/* Each id that is waited for is a connection. */
static void raise_descriptor_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

static int run(struct ctl *ctl, const struct ctl_command *c, const struct ctl_args *args)
{
	const char *no_color = getenv("NO_COLOR");
	int r;

	if (runs_command(c))
		return c->run(ctl, args);
	ctl->color = isatty(STDOUT_FILENO) && !(no_color && *no_color);
	raise_descriptor_limit();
	if (curl_global_init(CURL_GLOBAL_DEFAULT) ||
		client_new(&ctl->client, ctl->socket) < 0) {
		return ctl_no_memory();
	}
	r = c->run(ctl, args);
	json_decref(ctl->sources);
	client_free(ctl->client);
	curl_global_cleanup();
	return r;
}

int main(int argc, char **argv)
{
	const char *socket = getenv("CALLBACKD_SOCKET");
	struct ctl ctl = {.socket = socket && *socket ? socket : SOCKET_DEFAULT};
	const struct ctl_command *command = NULL;
	struct ctl_args args = {0};
	int r;

	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	r = parse_argv(&ctl, argc, argv, &command, &args);
	if (r == 1)
		r = CTL_DONE;
	else if (r == 0)
		r = run(&ctl, command, &args);
	if (r == CTL_DONE)
		ctl_flush();
	return r;
}
