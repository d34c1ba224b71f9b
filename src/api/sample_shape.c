/* The shapes, as data: one for each preset but generic (a test looks). */
#include "api/sample_shape.h"

#include <string.h>

/* clang-format off */
static const struct shape shapes[] = {
	{"eachlabs", SHAPE_JSON, "",
		"{\"id\":\"\",\"status\":\"COMPLETED\",\"file_type\":\"video\","
		"\"size_bytes\":1048576,\"error\":null}"},
	{"eachlabs-prediction", SHAPE_JSON, "",
		"{\"exec_id\":\"\",\"status\":\"succeeded\","
		"\"output\":\"https://files.example/out.png\","
		"\"metrics\":{\"predict_time\":1.5}}"},
	{"eachlabs-workflow", SHAPE_JSON, "",
		"{\"execution_id\":\"\",\"workflow_id\":\"sample\",\"status\":\"completed\","
		"\"output\":\"https://files.example/out.mp4\"}"},
	{"replicate", SHAPE_JSON, "",
		"{\"id\":\"\",\"model\":\"sample/model\",\"input\":{\"prompt\":\"a sample\"},"
		"\"output\":[\"https://files.example/out.png\"],\"error\":null,"
		"\"status\":\"succeeded\",\"created_at\":\"2026-01-01T00:00:00Z\","
		"\"completed_at\":\"2026-01-01T00:00:02Z\"}"},
	{"openai", SHAPE_JSON, "User-Agent: OpenAI/1.0\r\n",
		"{\"id\":\"evt_sample\",\"object\":\"event\",\"created_at\":1767225600,"
		"\"type\":\"response.completed\",\"data\":{\"id\":\"\"}}"},
	{"assemblyai", SHAPE_JSON, "",
		"{\"transcript_id\":\"\",\"status\":\"completed\"}"},
	{"runpod", SHAPE_JSON, "",
		"{\"id\":\"\",\"status\":\"COMPLETED\",\"delayTime\":120,"
		"\"executionTime\":900,\"output\":{\"text\":\"a sample\"}}"},
	{"mux", SHAPE_JSON, "",
		"{\"type\":\"video.asset.ready\",\"id\":\"sample\","
		"\"object\":{\"type\":\"asset\",\"id\":\"sample\"},"
		"\"environment\":{\"name\":\"Development\",\"id\":\"sample\"},"
		"\"data\":{\"id\":\"\",\"status\":\"ready\",\"duration\":12.5},"
		"\"attempts\":[]}"},
	{"cloudflare-stream", SHAPE_JSON, "",
		"{\"uid\":\"\",\"readyToStream\":true,"
		"\"status\":{\"state\":\"ready\",\"pctComplete\":\"100\"},"
		"\"meta\":{\"name\":\"sample.mp4\"},\"duration\":12.5}"},
	{"coconut", SHAPE_JSON, "",
		"{\"job_id\":\"\",\"event\":\"job.completed\","
		"\"data\":{\"status\":\"job.completed\",\"progress\":\"100%\"}}"},
	{"cloudconvert", SHAPE_JSON, "User-Agent: CloudConvert\r\n",
		"{\"event\":\"job.finished\",\"job\":{\"id\":\"\",\"tag\":null,"
		"\"status\":\"finished\",\"tasks\":[]}}"},
	{"transloadit", SHAPE_MULTIPART, "",
		"{\"transloadit\":{\"ok\":\"ASSEMBLY_COMPLETED\",\"assembly_id\":\"\","
		"\"bytes_received\":1024,\"uploads\":[],\"results\":{}}}"},
	{"revai", SHAPE_JSON, "",
		"{\"job\":{\"id\":\"\",\"status\":\"transcribed\","
		"\"created_on\":\"2026-01-01T00:00:00Z\",\"duration_seconds\":12.5,"
		"\"type\":\"async\"}}"},
	{"elevenlabs", SHAPE_JSON, "",
		"{\"type\":\"post_call_transcription\",\"event_timestamp\":1767225600,"
		"\"data\":{\"agent_id\":\"sample\",\"conversation_id\":\"sample\","
		"\"status\":\"done\",\"transcript\":[]}}"},
	{"bunny-stream", SHAPE_JSON, "",
		"{\"VideoLibraryId\":1,\"VideoGuid\":\"\",\"Status\":3}"},
	{"github", SHAPE_JSON,
		"User-Agent: GitHub-Hookshot/sample\r\nX-GitHub-Event: push\r\n"
		"X-GitHub-Hook-ID: 1\r\nX-GitHub-Hook-Installation-Target-Type: repository\r\n",
		"{\"ref\":\"refs/heads/main\","
		"\"before\":\"0000000000000000000000000000000000000000\","
		"\"after\":\"0000000000000000000000000000000000000001\",\"commits\":[],"
		"\"repository\":{\"id\":1,\"full_name\":\"sample/sample\"},"
		"\"sender\":{\"id\":1,\"login\":\"sample\"}}"},
	{"gitlab", SHAPE_JSON,
		"User-Agent: GitLab/sample\r\nX-Gitlab-Event: Push Hook\r\n"
		"X-Gitlab-Instance: https://gitlab.example\r\n",
		"{\"object_kind\":\"push\",\"event_name\":\"push\","
		"\"ref\":\"refs/heads/main\",\"project_id\":1,"
		"\"checkout_sha\":\"0000000000000000000000000000000000000001\","
		"\"commits\":[],\"total_commits_count\":0}"},
	{"stripe", SHAPE_JSON, "User-Agent: Stripe/1.0\r\n",
		"{\"id\":\"\",\"object\":\"event\",\"created\":1767225600,"
		"\"livemode\":false,\"pending_webhooks\":1,"
		"\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":"
		"{\"id\":\"pi_sample\",\"object\":\"payment_intent\",\"amount\":1000,"
		"\"currency\":\"eur\",\"status\":\"succeeded\"}}}"},
	{"shopify", SHAPE_JSON,
		"X-Shopify-Topic: orders/create\r\nX-Shopify-Shop-Domain: sample.example\r\n"
		"X-Shopify-API-Version: 2026-01\r\n",
		"{\"id\":1001,\"name\":\"#1001\",\"currency\":\"EUR\","
		"\"total_price\":\"10.00\",\"line_items\":[]}"},
	{"slack", SHAPE_JSON, "User-Agent: Slackbot 1.0\r\n",
		"{\"token\":\"sample\",\"team_id\":\"T0000000\",\"api_app_id\":\"A0000000\","
		"\"type\":\"event_callback\",\"event_id\":\"Ev0000000\","
		"\"event_time\":1767225600,\"event\":{\"type\":\"app_mention\","
		"\"user\":\"U0000000\",\"channel\":\"C0000000\",\"text\":\"a sample\"}}"},
	{"twilio", SHAPE_URLENCODED, "User-Agent: TwilioProxy/1.1\r\n",
		"{\"AccountSid\":\"AC00000000000000000000000000000000\","
		"\"ApiVersion\":\"2010-04-01\",\"From\":\"+15005550006\","
		"\"To\":\"+15005550009\"}"},
	{"standard-webhooks", SHAPE_JSON, "",
		"{\"type\":\"sample.completed\",\"timestamp\":\"2026-01-01T00:00:00Z\","
		"\"data\":{\"id\":\"sample\"}}"},
	{"svix", SHAPE_JSON, "User-Agent: Svix-Webhooks/1.0\r\n",
		"{\"type\":\"sample.completed\",\"timestamp\":\"2026-01-01T00:00:00Z\","
		"\"data\":{\"id\":\"sample\"}}"},
	{"tusd", SHAPE_JSON, "Hook-Name: post-finish\r\n",
		"{\"Type\":\"post-finish\",\"Event\":{\"Upload\":{\"ID\":\"\",\"Size\":1024,"
		"\"Offset\":1024,\"MetaData\":{\"filename\":\"sample.bin\"},"
		"\"IsPartial\":false,\"IsFinal\":false},\"HTTPRequest\":{"
		"\"Method\":\"PATCH\",\"URI\":\"/files/sample\",\"Header\":{}}}}"},
	{"fal", SHAPE_JSON, "",
		"{\"request_id\":\"\",\"gateway_request_id\":\"sample\",\"status\":\"OK\","
		"\"payload\":{\"images\":[{\"url\":\"https://files.example/out.png\"}]}}"},
	{"discord", SHAPE_JSON, "User-Agent: Discord-Interactions/1.0\r\n",
		"{\"id\":\"\",\"application_id\":\"1\",\"type\":2,\"version\":1,"
		"\"data\":{\"id\":\"1\",\"name\":\"sample\",\"type\":1}}"},
	{"aws-sns", SHAPE_JSON, "x-amz-sns-message-type: Notification\r\n",
		"{\"Type\":\"Notification\",\"MessageId\":\"\","
		"\"TopicArn\":\"arn:aws:sns:eu-west-1:123456789012:sample\","
		"\"Message\":\"a sample\",\"Timestamp\":\"2026-01-01T00:00:00.000Z\"}"},
	{"aws-mediaconvert", SHAPE_JSON, "x-amz-sns-message-type: Notification\r\n",
		"{\"Type\":\"Notification\",\"MessageId\":\"sample\","
		"\"TopicArn\":\"arn:aws:sns:eu-west-1:123456789012:sample\","
		"\"Message\":{\"source\":\"aws.mediaconvert\",\"detail\":{\"jobId\":\"\","
		"\"status\":\"COMPLETE\"}},\"Timestamp\":\"2026-01-01T00:00:00.000Z\"}"},
	{"pubsub", SHAPE_JSON, "User-Agent: APIs-Google\r\n",
		"{\"message\":{\"data\":\"e30=\",\"messageId\":\"\","
		"\"publishTime\":\"2026-01-01T00:00:00Z\"},"
		"\"subscription\":\"projects/sample/subscriptions/sample\"}"},
	{"http-signature", SHAPE_JSON, "",
		"{\"id\":\"\",\"status\":\"completed\"}"},
};
/* clang-format on */

const struct shape *shape_find(const char *preset)
{
	for (size_t i = 0; preset && i < ARRAY_SIZE(shapes); i++)
		if (!strcmp(shapes[i].preset, preset))
			return &shapes[i];
	return NULL;
}
