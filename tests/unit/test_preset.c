/*
 * What each preset's sender sends, after its documentation, goes in; job id, status and
 * outcome come out. A preset without a sample here fails.
 */
#include "config_world.h"

#include "rules/answer.h"
#include "rules/payload.h"
#include "rules/preset.h"

#define FORM  "application/x-www-form-urlencoded"
#define PARTS "multipart/form-data; boundary=----x"
#define S     OUTCOME_SUCCESS
#define E     OUTCOME_ERROR
#define C     OUTCOME_CANCELED
#define P     OUTCOME_PENDING
#define U     OUTCOME_UNREADABLE

struct sample {
	const char *preset, *body;
	const char *id; /* NULL: unreadable */
	const char *status;
	enum outcome outcome;
	const char *type;      /* Content-Type; NULL: application/json */
	const char *header[2]; /* one more */
	const char *delivery;  /* NULL: none */
	bool unknown;          /* the word is in no list */
	const char *answer;    /* NULL: {} */
	bool left_alone;       /* by the preset's own Where= */
};

#define SAMPLE(preset_, body_, id_, status_, outcome_, ...)                     \
	{                                                                       \
		.preset = preset_, .body = body_, .id = id_, .status = status_, \
		.outcome = outcome_, __VA_ARGS__                                \
	}

/* clang-format off */
static const struct sample samples[] = {
	SAMPLE("eachlabs", "{\"id\":\"0191-a\",\"status\":\"COMPLETED\",\"file_type\":\"video\","
		"\"size_bytes\":7,\"error\":null}", "0191-a", "COMPLETED", S),
	SAMPLE("eachlabs", "{\"file_id\":\"f\",\"data\":{\"status\":\"error\"}}", "f", "error", E),
	SAMPLE("eachlabs", "{\"upload_id\":\"u\",\"status\":\"PROCESSING\"}", "u", "PROCESSING", P),
	SAMPLE("eachlabs", "{\"exec_id\":\"x\",\"status\":\"cancelled\"}", "x", "cancelled", C),
	SAMPLE("eachlabs-prediction", "{\"exec_id\":\"e-1\",\"status\":\"succeeded\",\"output\":"
		"\"https://cdn/x.png\",\"webhook_url\":\"https://h\"}", "e-1", "succeeded", S),
	SAMPLE("eachlabs-prediction", "{\"id\":\"old\",\"status\":\"success\"}", "old", "success", S),
	SAMPLE("eachlabs-prediction", "{\"exec_id\":\"e-2\",\"status\":\"failed\",\"error\":\"x\"}",
		"e-2", "failed", E),
	SAMPLE("eachlabs-workflow", "{\"execution_id\":\"w-1\",\"status\":\"completed\","
		"\"flow_id\":\"f\",\"step_results\":[]}", "w-1", "completed", S),
	SAMPLE("eachlabs-workflow", "{\"execution_id\":\"w-2\",\"status\":\"failed\"}", "w-2",
		"failed", E),
	SAMPLE("replicate", "{\"id\":\"ufawqhfynnddngldkgtslldrkq\",\"version\":\"v\",\"status\":"
		"\"succeeded\",\"output\":[\"https://r/x.png\"]}",
		"ufawqhfynnddngldkgtslldrkq", "succeeded", S, .header = {"webhook-id", "msg_1"},
		.delivery = "msg_1"),
	SAMPLE("replicate", "{\"id\":\"r\",\"status\":\"processing\"}", "r", "processing", P),
	SAMPLE("replicate", "{\"id\":\"r\",\"status\":\"failed\"}", "r", "failed", E),
	SAMPLE("replicate", "{\"id\":\"r\",\"status\":\"canceled\"}", "r", "canceled", C),
	SAMPLE("replicate", "{\"id\":\"r\",\"status\":\"odd\"}", "r", "odd", P, .unknown = true),
	SAMPLE("openai", "{\"id\":\"evt_685\",\"object\":\"event\",\"created_at\":1750861210,"
		"\"type\":\"response.completed\",\"data\":{\"id\":\"resp_123\"}}", "resp_123",
		"completed", S, .header = {"webhook-id", "wh_1"}, .delivery = "wh_1"),
	SAMPLE("openai", "{\"type\":\"fine_tuning.job.succeeded\",\"data\":{\"id\":\"ftjob-1\"}}",
		"ftjob-1", "succeeded", S),
	SAMPLE("openai", "{\"type\":\"batch.expired\",\"data\":{\"id\":\"batch_1\"}}", "batch_1",
		"expired", E),
	SAMPLE("openai", "{\"type\":\"response.incomplete\",\"data\":{\"id\":\"r\"}}", "r",
		"incomplete", E),
	SAMPLE("openai", "{\"type\":\"response.cancelled\",\"data\":{\"id\":\"r\"}}", "r",
		"cancelled", C),
	SAMPLE("openai", "{\"type\":\"eval.run.failed\",\"data\":{\"id\":\"r\"}}", "r", "failed", E),
	SAMPLE("assemblyai", "{\"transcript_id\":\"5552493-16d8\",\"status\":\"completed\"}",
		"5552493-16d8", "completed", S),
	SAMPLE("assemblyai", "{\"transcript_id\":\"t\",\"status\":\"error\"}", "t", "error", E),
	SAMPLE("runpod", "{\"id\":\"abc-u1\",\"status\":\"COMPLETED\",\"delayTime\":31,"
		"\"executionTime\":1437,\"output\":{}}", "abc-u1", "COMPLETED", S),
	SAMPLE("runpod", "{\"id\":\"a\",\"status\":\"TIMED_OUT\"}", "a", "TIMED_OUT", E),
	SAMPLE("runpod", "{\"id\":\"a\",\"status\":\"FAILED\",\"error\":\"x\"}", "a", "FAILED", E),
	SAMPLE("runpod", "{\"id\":\"a\",\"status\":\"CANCELLED\"}", "a", "CANCELLED", C),
	SAMPLE("mux", "{\"type\":\"video.asset.ready\",\"object\":{\"type\":\"asset\",\"id\":\"A\"},"
		"\"id\":\"evt-1\",\"data\":{\"status\":\"ready\",\"id\":\"A\"},"
		"\"attempts\":[]}", "A", "video.asset.ready", S, .delivery = "evt-1"),
	SAMPLE("mux", "{\"type\":\"video.asset.errored\",\"id\":\"e\",\"data\":{\"id\":\"A\"}}", "A",
		"video.asset.errored", E, .delivery = "e"),
	SAMPLE("mux", "{\"type\":\"video.asset.created\",\"id\":\"e\",\"data\":{\"id\":\"A\"}}", "A",
		"video.asset.created", P, .delivery = "e"),
	SAMPLE("cloudflare-stream", "{\"uid\":\"6b9e68b0\",\"readyToStream\":true,\"status\":"
		"{\"state\":\"ready\",\"pctComplete\":\"100\"},\"meta\":{}}", "6b9e68b0",
		"ready", S),
	SAMPLE("cloudflare-stream", "{\"uid\":\"u\",\"readyToStream\":false,\"status\":{\"state\":"
		"\"error\",\"errorReasonCode\":\"ERR_NON_VIDEO\"}}", "u", "error", E),
	SAMPLE("coconut", "{\"job_id\":\"OolQXaiU86NFki\",\"event\":\"job.completed\",\"metadata\":"
		"{},\"data\":{\"outputs\":[]}}", "OolQXaiU86NFki", "job.completed", S),
	SAMPLE("coconut", "{\"job_id\":\"O\",\"event\":\"job.failed\"}", "O", "job.failed", E),
	SAMPLE("coconut", "{\"job_id\":\"O\",\"event\":\"output.completed\"}", "O",
		"output.completed", P),
	SAMPLE("cloudconvert", "{\"event\":\"job.finished\",\"job\":{\"id\":\"c677ccf7\",\"status\":"
		"\"finished\",\"tasks\":[]}}", "c677ccf7", "job.finished", S),
	SAMPLE("cloudconvert", "{\"event\":\"job.failed\",\"job\":{\"id\":\"c\"}}", "c",
		"job.failed", E),
	SAMPLE("transloadit", "------x\r\nContent-Disposition: form-data; name=\"transloadit\"\r\n"
		"\r\n{\"ok\":\"ASSEMBLY_COMPLETED\",\"assembly_id\":\"a6f6\",\"results\":{}}\r\n"
		"------x\r\nContent-Disposition: form-data; name=\"signature\"\r\n\r\nsha384:0"
		"\r\n------x--\r\n", "a6f6", "ASSEMBLY_COMPLETED", S, .type = PARTS),
	SAMPLE("transloadit", "transloadit=%7B%22ok%22%3A%22ASSEMBLY_COMPLETED%22%2C%22assembly_id"
		"%22%3A%22a7%22%7D&signature=sha384%3A0", "a7", "ASSEMBLY_COMPLETED", S, .type = FORM),
	SAMPLE("transloadit", "transloadit={\"error\":\"INVALID_FILE_META_DATA\",\"assembly_id\":"
		"\"a8\"}", "a8", "INVALID_FILE_META_DATA", E, .type = FORM),
	SAMPLE("transloadit", "transloadit={\"ok\":\"ASSEMBLY_CANCELED\",\"assembly_id\":\"a9\"}",
		"a9", "ASSEMBLY_CANCELED", C, .type = FORM),
	SAMPLE("revai", "{\"job\":{\"id\":\"Umx5c6F7pH7r\",\"created_on\":\"2018-05-05T23:23:22Z\","
		"\"status\":\"transcribed\"}}", "Umx5c6F7pH7r", "transcribed", S),
	SAMPLE("revai", "{\"job\":{\"id\":\"c\",\"status\":\"completed\",\"type\":\"caption\"}}", "c",
		"completed", S),
	SAMPLE("revai", "{\"job\":{\"id\":\"c\",\"status\":\"failed\",\"failure\":\"download\"}}", "c",
		"failed", E),
	SAMPLE("elevenlabs", "{\"type\":\"post_call_transcription\",\"event_timestamp\":1739537297,"
		"\"data\":{\"agent_id\":\"x\",\"conversation_id\":\"conv_1\",\"status\":\"done\","
		"\"transcript\":[]}}", "conv_1", "done", S),
	SAMPLE("elevenlabs", "{\"type\":\"post_call_transcription\",\"data\":{\"conversation_id\":"
		"\"conv_2\",\"status\":\"failed\"}}", "conv_2", "failed", E),
	SAMPLE("elevenlabs", "{\"type\":\"call_initiation_failure\",\"data\":{\"conversation_id\":"
		"\"conv_3\",\"failure_reason\":\"busy\"}}", "conv_3", "call_initiation_failure", E),
	SAMPLE("elevenlabs", "{\"type\":\"speech_to_text_transcription\",\"data\":{\"request_id\":"
		"\"req_1\",\"transcription\":{}}}", "req_1", "speech_to_text_transcription", S),
	SAMPLE("bunny-stream", "{\"VideoLibraryId\":133,\"VideoGuid\":\"657bb740-a71b\",\"Status\":3}",
		"657bb740-a71b", "3", S),
	SAMPLE("bunny-stream", "{\"VideoGuid\":\"v\",\"Status\":5}", "v", "5", E),
	SAMPLE("bunny-stream", "{\"VideoGuid\":\"v\",\"Status\":8}", "v", "8", E),
	SAMPLE("bunny-stream", "{\"VideoGuid\":\"v\",\"Status\":0}", "v", "0", P),
	SAMPLE("github", "{\"ref\":\"refs/heads/main\",\"repository\":{\"id\":1}}", "72d3162e-cc78",
		NULL, S, .header = {"X-GitHub-Delivery", "72d3162e-cc78"},
		.delivery = "72d3162e-cc78"),
	SAMPLE("github", "payload=%7B%22zen%22%3A%22x%22%7D", "d", NULL, S, .type = FORM,
		.header = {"X-GitHub-Delivery", "d"}, .delivery = "d"),
	SAMPLE("gitlab", "{\"object_kind\":\"push\"}", "idem-1", NULL, S,
		.header = {"Idempotency-Key", "idem-1"}, .delivery = "idem-1"),
	SAMPLE("gitlab", "{\"object_kind\":\"push\"}", "13792a34", NULL, S,
		.header = {"X-Gitlab-Event-UUID", "13792a34"}),
	SAMPLE("stripe", "{\"id\":\"evt_1MqqbKLt4dXK03v5qaIbiNCC\",\"object\":\"event\",\"type\":"
		"\"invoice.paid\",\"data\":{\"object\":{\"id\":\"in_1\",\"status\":\"paid\"}}}",
		"evt_1MqqbKLt4dXK03v5qaIbiNCC", NULL, S,
		.delivery = "evt_1MqqbKLt4dXK03v5qaIbiNCC"),
	SAMPLE("shopify", "{\"id\":820982911946154508}", "b54557e4", NULL, S,
		.header = {"X-Shopify-Webhook-Id", "b54557e4"}, .delivery = "b54557e4"),
	SAMPLE("slack", "{\"token\":\"t\",\"type\":\"event_callback\",\"event\":{\"type\":"
		"\"message\"},\"event_id\":\"Ev0LAN670R\",\"event_time\":1234567890}",
		"Ev0LAN670R", NULL, S),
	SAMPLE("slack", "{\"token\":\"t\",\"challenge\":\"3eZbrw\\\"1aB\",\"type\":"
		"\"url_verification\"}", NULL, NULL, U,
		.answer = "{\"challenge\":\"3eZbrw\\\"1aB\"}", .left_alone = true),
	SAMPLE("slack", "{\"type\":\"url_verification\",\"challenge\":{}}", NULL, NULL, U,
		.left_alone = true),
	SAMPLE("slack", "command=%2Fdeploy&trigger_id=1337.738.abc&text=", "1337.738.abc", NULL, S,
		.type = FORM),
	SAMPLE("slack", "payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%22"
		"12466734323.1395872398%22%7D", "12466734323.1395872398", NULL, S, .type = FORM),
	SAMPLE("twilio", "MessageSid=SM1&SmsSid=SM1&MessageStatus=delivered&SmsStatus=delivered"
		"&To=%2B1&AccountSid=AC1", "SM1", "delivered", S, .type = FORM,
		.header = {"I-Twilio-Idempotency-Token", "i-1"}, .delivery = "i-1"),
	SAMPLE("twilio", "MessageSid=SM2&MessageStatus=undelivered&ErrorCode=30003", "SM2",
		"undelivered", E, .type = FORM),
	SAMPLE("twilio", "MessageSid=SM3&MessageStatus=sent", "SM3", "sent", P, .type = FORM),
	SAMPLE("twilio", "CallSid=CA1&CallStatus=completed&CallDuration=3", "CA1", "completed", S,
		.type = FORM),
	SAMPLE("twilio", "CallSid=CA2&CallStatus=no-answer", "CA2", "no-answer", E, .type = FORM),
	SAMPLE("twilio", "CallSid=CA3&CallStatus=canceled", "CA3", "canceled", C, .type = FORM),
	SAMPLE("standard-webhooks", "{\"type\":\"invoice.paid\",\"timestamp\":\"2022-11-03\","
		"\"data\":{}}", "msg_2", NULL, S, .header = {"Webhook-Id", "msg_2"},
		.delivery = "msg_2"),
	SAMPLE("svix", "{\"type\":\"user.created\"}", "msg_3", NULL, S,
		.header = {"svix-id", "msg_3"}, .delivery = "msg_3"),
	SAMPLE("svix", "{\"type\":\"user.created\"}", "msg_4", NULL, S,
		.header = {"webhook-id", "msg_4"}, .delivery = "msg_4"),
	SAMPLE("tusd", "{\"Type\":\"post-finish\",\"Event\":{\"Upload\":{\"ID\":\"24e533e02e\","
		"\"Size\":46205,\"Offset\":46205},\"HTTPRequest\":{\"Method\":\"PATCH\"}}}",
		"24e533e02e", "post-finish", S),
	SAMPLE("tusd", "{\"Type\":\"post-terminate\",\"Event\":{\"Upload\":{\"ID\":\"u\"}}}", "u",
		"post-terminate", E),
	SAMPLE("tusd", "{\"Type\":\"post-create\",\"Event\":{\"Upload\":{\"ID\":\"u\"}}}", "u",
		"post-create", P),
	SAMPLE("fal", "{\"request_id\":\"123e4567\",\"gateway_request_id\":\"123e4567\","
		"\"status\":\"OK\",\"payload\":{\"images\":[]}}", "123e4567", "OK", S,
		.header = {"X-Fal-Webhook-Request-Id", "123e4567"}, .delivery = "123e4567"),
	SAMPLE("fal", "{\"request_id\":\"f\",\"status\":\"ERROR\",\"error\":\"x\"}", "f",
		"ERROR", E),
	SAMPLE("discord", "{\"id\":\"787053080478613555\",\"application_id\":\"1\",\"type\":2}",
		"787053080478613555", NULL, S, .answer = "{\"type\":1}"),
	SAMPLE("discord", "{\"version\":1,\"application_id\":\"1\",\"type\":1,\"event\":{"
		"\"type\":\"ENTITLEMENT_CREATE\",\"data\":{\"id\":\"e\"}}}", "e", NULL, S,
		.answer = "{\"type\":1}"),
	SAMPLE("aws-sns", "{\"Type\":\"Notification\",\"MessageId\":\"22b80b92\",\"TopicArn\":"
		"\"arn:aws:sns:eu-west-1:1:t\",\"Message\":\"Hello\"}", "22b80b92", NULL, S,
		.delivery = "22b80b92"),
	SAMPLE("aws-sns", "{\"Type\":\"SubscriptionConfirmation\",\"MessageId\":\"m\"}", "m",
		NULL, S, .delivery = "m", .left_alone = true),
	SAMPLE("aws-mediaconvert", "{\"Type\":\"Notification\",\"MessageId\":\"m\",\"Message\":"
		"\"{\\\"source\\\":\\\"aws.mediaconvert\\\",\\\"detail\\\":{\\\"jobId\\\":"
		"\\\"1515-a\\\",\\\"status\\\":\\\"COMPLETE\\\"}}\"}", "1515-a", "COMPLETE", S,
		.delivery = "m"),
	SAMPLE("aws-mediaconvert", "{\"Type\":\"Notification\",\"MessageId\":\"m\",\"Message\":"
		"\"{\\\"detail\\\":{\\\"jobId\\\":\\\"j\\\",\\\"status\\\":\\\"ERROR\\\","
		"\\\"errorCode\\\":1040}}\"}", "j", "ERROR", E, .delivery = "m"),
	SAMPLE("aws-mediaconvert", "{\"Type\":\"Notification\",\"MessageId\":\"m\",\"Message\":"
		"\"{\\\"detail\\\":{\\\"jobId\\\":\\\"j\\\",\\\"status\\\":\\\"PROGRESSING"
		"\\\"}}\"}", "j", "PROGRESSING", P, .delivery = "m"),
	SAMPLE("aws-mediaconvert", "{\"Type\":\"Notification\",\"MessageId\":\"m\",\"Message\":"
		"\"{\\\"detail\\\":{\\\"jobId\\\":\\\"j\\\",\\\"status\\\":\\\"CANCELED"
		"\\\"}}\"}", "j", "CANCELED", C, .delivery = "m"),
	SAMPLE("pubsub", "{\"message\":{\"attributes\":{\"k\":\"v\"},\"data\":\"SGVsbG8=\","
		"\"messageId\":\"2070443601311540\",\"message_id\":\"2070443601311540\"},"
		"\"subscription\":\"projects/p/subscriptions/s\"}", "2070443601311540", NULL, S,
		.delivery = "2070443601311540"),
	SAMPLE("http-signature", "{\"id\":\"h\",\"status\":\"completed\"}", "h", "completed", S),
	SAMPLE("generic", "{\"id\":\"g\",\"status\":\"success\"}", "g", "success", S),
	SAMPLE("generic", "{\"id\":5,\"status\":\"Failed\"}", "5", "Failed", E),
};
/* clang-format on */

static int on_any_secret(void *arg, const char *name, char **ret, size_t *ret_size,
	char **ret_path, char **ret_reason, char **ret_warning)
{
	(void)arg, (void)ret_reason, (void)ret_warning;
	*ret = strdup(strcmp(name, "key") == 0 ? "26b40b8f93fff3d897112f7ebc582b232dbd725"
						 "17d082fe83cfb30ddce43d1bb"
					       : "whsec_c2VjcmV0");
	*ret_size = strlen(*ret);
	*ret_path = strdup("/dir/secret");
	return 0;
}

/* As a person writes it: the preset's name and a secret, and nothing else. */
static struct config *configure(const char *preset)
{
	struct text said = TEXT_EMPTY;
	static const char *const own[][2] = {{"generic", "SecretFile=s\nVerify=hmac"},
		{"fal", ""}, {"discord", "SecretFile=key"},
		{"aws-sns", "AllowTopic=arn:aws:sns:eu-west-1:1:t"},
		{"aws-mediaconvert", "AllowTopic=arn:aws:sns:eu-west-1:1:t"},
		{"pubsub", "Audience=https://h.example/callback/a"}};
	const char *lines = "SecretFile=s";
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (strcmp(preset, own[i][0]) == 0)
			lines = own[i][1];
	CLEANUP(freep)
	char *text = text_format("[Daemon]\nPublicURL=https://h.example\n[Source a]\n"
				 "Preset=%s\n%s\n",
		preset, lines);
	const struct config_text one = {"f", bytes_of(text)};

	world.read_secret = on_any_secret;
	struct config *c = build_all(&one, 1, &said, 0);
	if (said.size)
		fail_msg("%s: %s", preset, said.data);
	text_fini(&said);
	return c;
}

static void check_text(
	const struct sample *s, const char *what, const char *got, const char *want)
{
	if (!got != !want || (got && strcmp(got, want) != 0))
		fail_msg("%s: %s of %s is <%s>, not <%s>", s->preset, what, s->body,
			got ? got : "none", want ? want : "none");
}

static void check_sample(const struct sample *s)
{
	struct config *c = configure(s->preset);
	const struct source *source = c->sources[0];
	const struct message_header headers[] = {
		{bytes_of("Content-Type"),
			bytes_of(s->type ? s->type : "application/json")},
		{bytes_of(s->header[0]), bytes_of(s->header[1])},
	};
	const struct message m = {.headers = headers,
		.n_headers = s->header[0] ? 2 : 1,
		.body = bytes_of(s->body)};
	struct text answer = TEXT_EMPTY;
	struct payload p;

	assert_int_equal(payload_read(source, &m, &p), 0);
	if (p.outcome != s->outcome)
		fail_msg("%s: %s is %s (%s)", s->preset, s->body, outcome_name(p.outcome),
			p.problem ? p.problem : "");
	if (s->id)
		check_text(s, "id", p.id, s->id);
	check_text(s, "status", p.status, s->status);
	check_text(s, "delivery", p.delivery, s->delivery);
	assert_int_equal(p.unknown_word, s->unknown);
	assert_int_equal(
		condition_list_holds(&source->where, &p.document), !s->left_alone);
	assert_int_equal(answer_make(source, &p.document, &answer), 0);
	check_text(s, "answer", answer.data, s->answer ? s->answer : "{}");
	text_fini(&answer);
	payload_fini(&p);
	config_unref(c);
}

static void test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		check_sample(&samples[i]);
}

static void test_every_preset_has_a_sample(void **state)
{
	static const char *const wanted[] = {"eachlabs", "eachlabs-prediction",
		"eachlabs-workflow", "replicate", "openai", "assemblyai", "runpod", "mux",
		"cloudflare-stream", "coconut", "cloudconvert", "transloadit", "revai",
		"elevenlabs", "bunny-stream", "github", "gitlab", "stripe", "shopify",
		"slack", "twilio", "standard-webhooks", "svix", "tusd", "fal", "discord",
		"aws-sns", "aws-mediaconvert", "pubsub", "http-signature", "generic"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_non_null(preset_find(bytes_of(wanted[i])));
	for (size_t i = 0; preset_at(i); i++) {
		size_t n = 0;
		for (size_t j = 0; j < ARRAY_SIZE(samples); j++)
			n += strcmp(samples[j].preset, preset_at(i)->name) == 0;
		if (n == 0)
			fail_msg("%s has no sample", preset_at(i)->name);
	}
}

/* Each key of a preset is one of the table, its value is not the default, and none stands
 * twice. */
static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; preset_at(i); i++) {
		const struct preset *p = preset_at(i);
		if (preset_find(bytes_of(p->name)) != p)
			fail_msg("%s stands there twice", p->name);
		for (size_t j = 0; j < p->n_values; j++) {
			const char *key = p->values[j].key;
			if (!key_find(SECTION_SOURCE, bytes_of(key)))
				fail_msg("%s: no key %s=", p->name, key);
			if (preset_value(p, key) != p->values[j].value)
				fail_msg("%s: %s= stands there twice", p->name, key);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_every_preset_has_a_sample),
		cmocka_unit_test(test_table),
	};

	payload_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
