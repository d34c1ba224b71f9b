/* callbackctl reload, test: the daemon itself. */
#include "base/codec.h"
#include "ctl/commands.h"
#include "ctl/file.h"

#include <errno.h>

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
