/* The guides, as data: one for each preset (a test looks). */
#include "ctl/guide.h"

#include <string.h>

/* Senders that sign nothing and let nothing be added but the URL. */
#define TOKEN_URL "{url}/SECRET, where SECRET is what the secret's file holds"
#define OWN_TOKEN                                                                       \
	"A long random word of your own, such as `openssl rand -hex 32` prints. It is " \
	"the last part of the URL: whoever knows the URL can call."

/* clang-format off */
static const struct guide guides[] = {
	{"eachlabs",
		"Nothing: callbackctl upload gives the service a callback URL with a token "
		"of its own for each upload (PublicURL= and APIKeyFile= are needed). For "
		"uploads that others initiate, callback_url is " TOKEN_URL ".",
		OWN_TOKEN " Not needed where callbackctl upload initiates every upload."},
	{"eachlabs-prediction",
		"webhook_url of the request that creates the prediction is {url}.",
		"The webhook_secret of the same request, which comes back in "
		"X-Webhook-Secret."},
	{"eachlabs-workflow",
		"webhook_url of the request that triggers the workflow is {url}.",
		"The webhook_secret of the same request, which comes back in "
		"X-Webhook-Secret."},
	{"replicate",
		"webhook of the request that creates the prediction is {url}; "
		"webhook_events_filter is [\"completed\"], or more.",
		"The signing key, whsec_..., as GET "
		"https://api.replicate.com/v1/webhooks/default/secret answers it in key."},
	{"openai",
		"Settings, Project, Webhooks, Create: the URL is {url}.",
		"The signing secret, whsec_..., which is shown once, when the webhook is "
		"created."},
	{"assemblyai",
		"webhook_url of the transcript request is {url}; webhook_auth_header_name is "
		"what TokenHeader= says, webhook_auth_header_value the secret.",
		"A long random word of your own, such as `openssl rand -hex 32` prints."},
	{"runpod",
		"webhook of the /run request is " TOKEN_URL ".",
		OWN_TOKEN},
	{"mux",
		"Dashboard, Settings, Webhooks, Create new webhook: the URL to notify is {url}.",
		"The signing secret that is shown beside the webhook."},
	{"cloudflare-stream",
		"PUT https://api.cloudflare.com/client/v4/accounts/ACCOUNT/stream/webhook "
		"with {\"notificationUrl\":\"{url}\"}.",
		"The secret in the answer to that request."},
	{"coconut",
		"notification of the job is {\"type\":\"http\",\"url\":...} with "
		TOKEN_URL ".",
		OWN_TOKEN},
	{"cloudconvert",
		"Dashboard, API, Webhooks, Create: {url}, with the events job.finished and "
		"job.failed.",
		"The signing secret that is shown beside the webhook."},
	{"transloadit",
		"notify_url of the Assembly instructions (or of the Template) is {url}.",
		"The Auth Secret that belongs to the Auth Key the Assembly is created with."},
	{"revai",
		"notification_config of the job is {\"url\":\"{url}\",\"auth_headers\":"
		"{\"Authorization\":\"Bearer ...\"}}.",
		"The whole value of that header, the word Bearer included; the rest is a "
		"long random word of your own, such as `openssl rand -hex 32` prints."},
	{"elevenlabs",
		"Settings, Webhooks, Create webhook: the callback URL is {url}.",
		"The shared secret, wsec_..., which is shown once, when the webhook is "
		"created."},
	{"bunny-stream",
		"Stream, the video library, API, Webhook URL: " TOKEN_URL ".",
		OWN_TOKEN " Or the library's read-only API key, where it signs its webhooks: "
		"the URL then stays without it."},
	{"github",
		"Repository (or organization), Settings, Webhooks, Add webhook: the payload "
		"URL is {url}, the content type application/json.",
		"A long random word of your own, such as `openssl rand -hex 32` prints; enter "
		"the same under Secret."},
	{"gitlab",
		"Project (or group), Settings, Webhooks, Add new webhook: the URL is {url}.",
		"A long random word of your own, such as `openssl rand -hex 32` prints; enter "
		"the same under Secret token."},
	{"stripe",
		"Workbench, Webhooks, Add destination, Webhook endpoint: the endpoint URL is "
		"{url}.",
		"The signing secret of the endpoint, whsec_..., all of it."},
	{"shopify",
		"The callback URL of the webhook subscription (webhookSubscriptionCreate, or "
		"shopify.app.toml, or Settings, Notifications, Webhooks) is {url}.",
		"The app's client secret; for webhooks made under Settings, the key that page "
		"says they are signed with."},
	{"slack",
		"api.slack.com, the app, Event Subscriptions: the Request URL is {url}. The "
		"daemon has to run then: Slack asks at once.",
		"Basic Information, App Credentials, Signing Secret."},
	{"twilio",
		"Wherever a status callback is set (StatusCallback of the request, or the "
		"number's page in the Console): {url}, exactly as PublicURL= and Path= make "
		"it, because the URL is signed.",
		"The account's Auth Token."},
	{"standard-webhooks",
		"The endpoint's URL is {url}.",
		"The signing secret of the endpoint, whsec_..., all of it."},
	{"svix",
		"Application portal, Endpoints, Add Endpoint: the endpoint URL is {url}.",
		"The signing secret of the endpoint, whsec_..., all of it."},
	{"tusd",
		"Start tusd with -hooks-http and " TOKEN_URL "; and with "
		"-hooks-enabled-events post-finish,post-terminate.",
		OWN_TOKEN},
	{"fal",
		"fal_webhook of the request to queue.fal.run (webhook_url in fal's clients) "
		"is {url}.",
		NULL},
	{"discord",
		"Developer Portal, the app, General Information, Interactions Endpoint URL; "
		"or Webhooks, Endpoint: {url}. The daemon has to run then: Discord asks at "
		"once.",
		"The app's public key, 64 hex digits, from General Information. It is no "
		"secret."},
	{"aws-sns",
		"Amazon SNS, the topic, Create subscription: protocol HTTPS, endpoint {url}, "
		"raw message delivery off. The daemon has to run then: SNS asks at once.",
		NULL},
	{"aws-mediaconvert",
		"Amazon EventBridge, a rule for source aws.mediaconvert and detail type "
		"MediaConvert Job State Change, whose target is an SNS topic; then the topic, "
		"Create subscription: protocol HTTPS, endpoint {url}, raw message delivery "
		"off. The daemon has to run then: SNS asks at once.",
		NULL},
	{"pubsub",
		"Pub/Sub, the subscription: delivery type Push, endpoint {url}, "
		"authentication enabled with a service account, payload unwrapping off.",
		NULL},
	{"http-signature",
		"The endpoint's URL is {url}.",
		"The shared secret; or the sender's public key, as PEM or JWKS, and then it "
		"is no secret."},
	{"generic",
		"Wherever the sender takes a callback URL (or webhook, or notification URL): "
		"{url}.",
		"What the sender signs with, or a long random word of your own, such as "
		"`openssl rand -hex 32` prints, where the sender takes one."},
};

#define TOPIC                                     \
	"# The topic's ARN; no other is taken.\n" \
	"AllowTopic=arn:aws:sns:eu-west-1:123456789012:TOPIC\n"

static const struct {
	const char *preset, *lines;
} own_lines[] = {
	{"aws-sns", TOPIC},
	{"aws-mediaconvert", TOPIC},
	{"pubsub",
		"# The subscription's audience, by default the endpoint.\n"
		"Audience={url}\n"
		"# Its service account; without it any token for this audience is taken.\n"
		"#Subject=NAME@PROJECT.iam.gserviceaccount.com\n"},
};
/* clang-format on */

const struct guide *guide_find(const char *preset)
{
	for (size_t i = 0; i < ARRAY_SIZE(guides); i++)
		if (!strcmp(guides[i].preset, preset))
			return &guides[i];
	return NULL;
}

const char *guide_lines(const char *preset)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_lines); i++)
		if (!strcmp(own_lines[i].preset, preset))
			return own_lines[i].lines;
	return NULL;
}
