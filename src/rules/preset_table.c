/*
 * The presets, as data. A new sender is a table here, an entry in the list below it, and a
 * sample of what it sends in tests/unit/test_preset.c. What a vendor says of its webhooks
 * stands at the entry's URL.
 */
#include "rules/preset.h"

/*
 * each::labs' storage service documents that it calls back, and nothing of how: no
 * payload, no signature. So ids and words are those of all of the vendor's interfaces,
 * and a callback proves itself by the token of its own upload, or by the secret the
 * vendor's prediction webhooks send in X-Webhook-Secret.
 */
static const struct preset_value eachlabs[] = {
	{"Verify", "token header hmac"},
	{"IdField", "/id /file_id /upload_id /data/id /exec_id /execution_id"},
	{"StatusField", "/status /data/status"},
	{"SuccessValues", "COMPLETED success succeeded"},
	{"ErrorValues", "ERROR failed"},
	{"CanceledValues", "canceled cancelled"},
	{"PendingValues", "PENDING UPLOADING PROCESSING running"},
	{"DeliveryField", "header:webhook-id"},
	{"TokenHeader", "X-Webhook-Secret"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignedContent", "{body}"},
	{"StatusURL", "https://storage-service.core.eachlabs.run/api/v1/uploads/{id}"},
	{"UploadURL", "https://storage-service.core.eachlabs.run/api/v1/uploads"},
	{"APIKeyHeader", "X-API-Key"},
};

/* The vendor's prediction webhooks: the secret itself in a header; exec_id, older: id. */
static const struct preset_value eachlabs_prediction[] = {
	{"Verify", "header"},
	{"IdField", "/exec_id /id"},
	{"StatusField", "/status"},
	{"SuccessValues", "succeeded success"},
	{"ErrorValues", "failed error"},
	{"CanceledValues", "canceled cancelled"},
	{"TokenHeader", "X-Webhook-Secret"},
};

static const struct preset_value eachlabs_workflow[] = {
	{"Verify", "header"},
	{"IdField", "/execution_id"},
	{"StatusField", "/status"},
	{"SuccessValues", "completed"},
	{"ErrorValues", "failed error"},
	{"CanceledValues", "canceled cancelled"},
	{"TokenHeader", "X-Webhook-Secret"},
};

static const struct preset_value replicate[] = {
	{"Verify", "standard-webhooks"},
	{"IdField", "/id"},
	{"StatusField", "/status"},
	{"SuccessValues", "succeeded"},
	{"ErrorValues", "failed"},
	{"CanceledValues", "canceled"},
	{"PendingValues", "starting processing"},
	{"DeliveryField", "header:webhook-id"},
	{"Tolerance", "5min"},
};

/* The type is response.completed, batch.expired, fine_tuning.job.succeeded and so on. */
static const struct preset_value openai[] = {
	{"Verify", "standard-webhooks"},
	{"IdField", "/data/id"},
	{"StatusField", "last:/type"},
	{"SuccessValues", "completed succeeded"},
	{"ErrorValues", "failed expired incomplete"},
	{"CanceledValues", "cancelled canceled"},
	{"PendingValues", "in_progress queued"},
	{"DeliveryField", "header:webhook-id"},
	{"Tolerance", "5min"},
};

/* The caller chooses the header: webhook_auth_header_name. */
static const struct preset_value assemblyai[] = {
	{"Verify", "header"},
	{"IdField", "/transcript_id"},
	{"StatusField", "/status"},
	{"SuccessValues", "completed"},
	{"ErrorValues", "error"},
	{"PendingValues", "queued processing"},
	{"TokenHeader", "X-Webhook-Secret"},
};

/* Signs nothing; the URL is all that is ours. Wants exactly 200. */
static const struct preset_value runpod[] = {
	{"Verify", "token"},
	{"IdField", "/id"},
	{"StatusField", "/status"},
	{"SuccessValues", "COMPLETED"},
	{"ErrorValues", "FAILED TIMED_OUT"},
	{"CanceledValues", "CANCELLED"},
	{"PendingValues", "IN_QUEUE IN_PROGRESS"},
};

/* /id is the event's, the same in each repeat; repeats come even after a 2xx. */
static const struct preset_value mux[] = {
	{"Verify", "hmac"},
	{"IdField", "/data/id"},
	{"StatusField", "/type"},
	{"SuccessValues", "video.asset.ready"},
	{"ErrorValues", "video.asset.errored"},
	{"PendingValues", "video.asset.created video.asset.updated"},
	{"DeliveryField", "/id"},
	{"SignatureHeader", "Mux-Signature"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignatureStyle", "pairs"},
	{"SignatureField", "v1"},
	{"TimestampField", "t"},
	{"SignedContent", "{timestamp}.{body}"},
	{"Tolerance", "5min"},
};

static const struct preset_value cloudflare_stream[] = {
	{"Verify", "hmac"},
	{"IdField", "/uid"},
	{"StatusField", "/status/state"},
	{"SuccessValues", "ready"},
	{"ErrorValues", "error"},
	{"PendingValues", "pendingupload downloading queued inprogress live-inprogress"},
	{"SignatureHeader", "Webhook-Signature"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignatureStyle", "pairs"},
	{"SignatureField", "sig1"},
	{"TimestampField", "time"},
	{"SignedContent", "{timestamp}.{body}"},
	{"Tolerance", "5min"},
};

static const struct preset_value coconut[] = {
	{"Verify", "token"},
	{"IdField", "/job_id"},
	{"StatusField", "/event"},
	{"SuccessValues", "job.completed"},
	{"ErrorValues", "job.failed"},
	{"PendingValues",
		"input.transferred output.completed output.failed output.skipped"},
};

static const struct preset_value cloudconvert[] = {
	{"Verify", "hmac"},
	{"IdField", "/job/id"},
	{"StatusField", "/event"},
	{"SuccessValues", "job.finished"},
	{"ErrorValues", "job.failed"},
	{"PendingValues", "job.created"},
	{"SignatureHeader", "CloudConvert-Signature"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignedContent", "{body}"},
};

/*
 * A form with two fields: transloadit holds the Assembly's status as JSON, signature that of
 * its bytes. A failed one has error, with any of many codes, in place of ok.
 */
static const struct preset_value transloadit[] = {
	{"Verify", "hmac"},
	{"IdField", "form:transloadit/assembly_id"},
	{"StatusField", "form:transloadit/error form:transloadit/ok"},
	{"SuccessValues", "ASSEMBLY_COMPLETED"},
	{"ErrorValues", "*"},
	{"CanceledValues", "ASSEMBLY_CANCELED REQUEST_ABORTED"},
	{"PendingValues", "ASSEMBLY_UPLOADING ASSEMBLY_EXECUTING ASSEMBLY_REPLAYING"},
	{"SignatureHeader", "form:signature"},
	{"SignatureAlgorithm", "sha384"},
	{"SignatureEncoding", "hex"},
	{"SignaturePrefix", "sha384:"},
	{"SignedContent", "{form:transloadit}"},
};

/* notification_config.auth_headers may set Authorization alone. Wants exactly 200. */
static const struct preset_value revai[] = {
	{"Verify", "header"},
	{"IdField", "/job/id"},
	{"StatusField", "/job/status"},
	{"SuccessValues", "transcribed completed"},
	{"ErrorValues", "failed"},
	{"PendingValues", "in_progress"},
	{"TokenHeader", "Authorization"},
};

/* Of calls /data/status says done or failed; the other types say it by their names. */
static const struct preset_value elevenlabs[] = {
	{"Verify", "hmac"},
	{"IdField", "/data/conversation_id /data/request_id"},
	{"StatusField", "/data/status /type"},
	{"SuccessValues", "done post_call_transcription post_call_audio "
			  "speech_to_text_transcription"},
	{"ErrorValues", "failed call_initiation_failure"},
	{"PendingValues", "initiated in-progress processing"},
	{"SignatureHeader", "ElevenLabs-Signature"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignatureStyle", "pairs"},
	{"SignatureField", "v0"},
	{"TimestampField", "t"},
	{"SignedContent", "{timestamp}.{body}"},
	{"Tolerance", "30min"},
};

/*
 * A token in the path, or the signature with the library's read-only key. After 3, the end
 * of encoding, captions (9) and titles (10) may follow.
 */
static const struct preset_value bunny_stream[] = {
	{"Verify", "token hmac"},
	{"IdField", "/VideoGuid"},
	{"StatusField", "/Status"},
	{"SuccessValues", "3"},
	{"ErrorValues", "5 8"},
	{"PendingValues", "0 1 2 4 6 7 9 10"},
	{"SignatureHeader", "X-BunnyStream-Signature"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignedContent", "{body}"},
};

static const struct preset_value github[] = {
	{"Verify", "hmac"},
	{"IdField", "header:X-GitHub-Delivery"},
	{"StatusField", ""},
	{"DeliveryField", "header:X-GitHub-Delivery"},
	{"SignatureHeader", "X-Hub-Signature-256"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignaturePrefix", "sha256="},
	{"SignedContent", "{body}"},
};

/* Older versions send no Idempotency-Key, which stays the same over repeats. */
static const struct preset_value gitlab[] = {
	{"Verify", "header"},
	{"IdField", "header:Idempotency-Key header:X-Gitlab-Event-UUID "
		    "header:X-Gitlab-Webhook-UUID"},
	{"StatusField", ""},
	{"DeliveryField", "header:Idempotency-Key"},
	{"TokenHeader", "X-Gitlab-Token"},
};

/* The key is the whole text whsec_..., not what base64 might make of it. */
static const struct preset_value stripe[] = {
	{"Verify", "hmac"},
	{"IdField", "/id"},
	{"StatusField", ""},
	{"DeliveryField", "/id"},
	{"SignatureHeader", "Stripe-Signature"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignatureStyle", "pairs"},
	{"SignatureField", "v1"},
	{"TimestampField", "t"},
	{"SignedContent", "{timestamp}.{body}"},
	{"Tolerance", "5min"},
};

static const struct preset_value shopify[] = {
	{"Verify", "hmac"},
	{"IdField", "header:X-Shopify-Webhook-Id"},
	{"StatusField", ""},
	{"DeliveryField", "header:X-Shopify-Webhook-Id"},
	{"SignatureHeader", "X-Shopify-Hmac-Sha256"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "base64"},
	{"SignedContent", "{body}"},
};

/* Events, interactions (JSON in a form's field), slash commands (a form). */
static const struct preset_value slack[] = {
	{"Verify", "hmac"},
	{"IdField", "/event_id form:payload/trigger_id form:trigger_id"},
	{"StatusField", ""},
	/* The question whether the URL is ours: answered, and no job. */
	{"Where", "/type!=url_verification"},
	{"SignatureHeader", "X-Slack-Signature"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignaturePrefix", "v0="},
	{"SignedContent", "v0:{timestamp}:{body}"},
	{"TimestampHeader", "X-Slack-Request-Timestamp"},
	{"Tolerance", "5min"},
};

static const struct preset_value twilio[] = {
	{"Verify", "twilio"},
	{"IdField", "form:MessageSid form:SmsSid form:CallSid"},
	{"StatusField", "form:MessageStatus form:SmsStatus form:CallStatus"},
	{"SuccessValues", "delivered read received completed"},
	{"ErrorValues", "failed undelivered busy no-answer"},
	{"CanceledValues", "canceled"},
	{"PendingValues", "accepted scheduled queued sending sent receiving initiated "
			  "ringing in-progress"},
	{"DeliveryField", "header:I-Twilio-Idempotency-Token"},
};

static const struct preset_value standard_webhooks[] = {
	{"Verify", "standard-webhooks"},
	{"IdField", "header:webhook-id"},
	{"StatusField", ""},
	{"DeliveryField", "header:webhook-id"},
	{"Tolerance", "5min"},
};

static const struct preset_value svix[] = {
	{"Verify", "standard-webhooks"},
	{"IdField", "header:svix-id header:webhook-id"},
	{"StatusField", ""},
	{"DeliveryField", "header:svix-id header:webhook-id"},
	{"Tolerance", "5min"},
};

/* Its HTTP hooks; wants a JSON body, which {} is. */
static const struct preset_value tusd[] = {
	{"Verify", "token"},
	{"IdField", "/Event/Upload/ID"},
	{"StatusField", "/Type"},
	{"SuccessValues", "post-finish"},
	{"ErrorValues", "post-terminate"},
	{"PendingValues", "pre-create post-create post-receive pre-finish pre-terminate"},
};

/* The keys change; fal says to keep them for a day at most. */
static const struct preset_value fal[] = {
	{"Verify", "ed25519"},
	{"IdField", "/request_id"},
	{"StatusField", "/status"},
	{"SuccessValues", "OK"},
	{"ErrorValues", "ERROR"},
	{"DeliveryField", "header:X-Fal-Webhook-Request-Id"},
	{"SignatureHeader", "X-Fal-Webhook-Signature"},
	{"SignedContent",
		"{id}{newline}{header:X-Fal-Webhook-User-Id}{newline}{timestamp}{newline}"
		"{body_sha256}"},
	{"TimestampHeader", "X-Fal-Webhook-Timestamp"},
	{"Tolerance", "5min"},
	{"KeysURL", "https://rest.fal.ai/.well-known/jwks.json"},
};

/* Interactions have /id, of webhook events only some kinds name anything. */
static const struct preset_value discord[] = {
	{"Verify", "ed25519"},
	{"IdField", "/id /event/data/id"},
	{"StatusField", ""},
	{"SignatureHeader", "X-Signature-Ed25519"},
	{"SignedContent", "{timestamp}{body}"},
	{"TimestampHeader", "X-Signature-Timestamp"},
	{"Tolerance", "5min"},
};

/* A delivery that is repeated bears the time of the first one. */
static const struct preset_value aws_sns[] = {
	{"Verify", "sns"},
	{"IdField", "/MessageId"},
	{"StatusField", ""},
	{"DeliveryField", "/MessageId"},
	{"Where", "/Type=Notification"},
	{"Tolerance", "1h"},
};

/* An event of EventBridge as the text of /Message. */
static const struct preset_value aws_mediaconvert[] = {
	{"Verify", "sns"},
	{"IdField", "/Message/detail/jobId"},
	{"StatusField", "/Message/detail/status"},
	{"SuccessValues", "COMPLETE"},
	{"ErrorValues", "ERROR"},
	{"CanceledValues", "CANCELED"},
	{"PendingValues", "SUBMITTED PROGRESSING STATUS_UPDATE INPUT_INFORMATION "
			  "QUEUE_HOP NEW_WARNING"},
	{"DeliveryField", "/MessageId"},
	{"Where", "/Type=Notification"},
	{"Tolerance", "1h"},
};

/* A push subscription with authentication, its payload wrapped. */
static const struct preset_value pubsub[] = {
	{"Verify", "jwt"},
	{"IdField", "/message/messageId"},
	{"StatusField", ""},
	{"DeliveryField", "/message/messageId"},
	{"KeysURL", "https://www.googleapis.com/oauth2/v3/certs"},
	{"Issuer", "https://accounts.google.com accounts.google.com"},
};

static const struct preset_value http_signature[] = {
	{"Verify", "http-signature"},
	{"Tolerance", "5min"},
};

#define PRESET(name, values, sentence, documentation)                                 \
	{                                                                             \
		name, sentence, documentation, "{}", values, ARRAY_SIZE(values), NULL \
	}

/* clang-format off */
static const struct preset presets[] = {
	PRESET("eachlabs", eachlabs,
		"each::labs: storage service, predictions and workflows",
		"https://docs.eachlabs.ai"),
	PRESET("eachlabs-prediction", eachlabs_prediction,
		"each::labs: predictions",
		"https://docs.eachlabs.ai/api-reference/webhooks"),
	PRESET("eachlabs-workflow", eachlabs_workflow,
		"each::labs: workflow executions",
		"https://docs.eachlabs.ai/workflows/webhooks"),
	PRESET("replicate", replicate,
		"Replicate: predictions and trainings",
		"https://replicate.com/docs/topics/webhooks"),
	PRESET("openai", openai,
		"OpenAI: background responses, batches, fine-tuning, evaluations",
		"https://platform.openai.com/docs/guides/webhooks"),
	PRESET("assemblyai", assemblyai,
		"AssemblyAI: transcripts",
		"https://www.assemblyai.com/docs/deployment/webhooks"),
	PRESET("runpod", runpod,
		"RunPod: serverless jobs",
		"https://docs.runpod.io/serverless/endpoints/send-requests"),
	PRESET("mux", mux,
		"Mux Video: assets",
		"https://www.mux.com/docs/core/verify-webhook-signatures"),
	PRESET("cloudflare-stream", cloudflare_stream,
		"Cloudflare Stream: videos",
		"https://developers.cloudflare.com/stream/manage-video-library/using-webhooks/"),
	PRESET("coconut", coconut,
		"Coconut: video encoding jobs",
		"https://docs.coconut.co/jobs/notification"),
	PRESET("cloudconvert", cloudconvert,
		"CloudConvert: conversion jobs",
		"https://cloudconvert.com/api/v2/webhooks"),
	PRESET("transloadit", transloadit,
		"Transloadit: Assemblies",
		"https://transloadit.com/docs/topics/assembly-notifications/"),
	PRESET("revai", revai,
		"Rev.ai: transcription and caption jobs",
		"https://docs.rev.ai/api/asynchronous/webhooks/"),
	PRESET("elevenlabs", elevenlabs,
		"ElevenLabs: calls of agents, transcriptions",
		"https://elevenlabs.io/docs/overview/administration/webhooks"),
	PRESET("bunny-stream", bunny_stream,
		"Bunny Stream: videos",
		"https://docs.bunny.net/docs/stream-webhook"),
	PRESET("github", github,
		"GitHub: repository and organization webhooks",
		"https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"),
	PRESET("gitlab", gitlab,
		"GitLab: project and group webhooks",
		"https://docs.gitlab.com/user/project/integrations/webhooks/"),
	PRESET("stripe", stripe,
		"Stripe: events",
		"https://docs.stripe.com/webhooks/signature"),
	PRESET("shopify", shopify,
		"Shopify: webhooks of an app",
		"https://shopify.dev/docs/apps/build/webhooks/subscribe/https"),
	{"slack", "Slack: events, interactions, slash commands",
		"https://api.slack.com/authentication/verifying-requests-from-slack",
		"{}", slack, ARRAY_SIZE(slack), "challenge"},
	PRESET("twilio", twilio,
		"Twilio: status callbacks of messages and calls",
		"https://www.twilio.com/docs/usage/webhooks/webhooks-security"),
	PRESET("standard-webhooks", standard_webhooks,
		"any sender of Standard Webhooks",
		"https://www.standardwebhooks.com"),
	PRESET("svix", svix,
		"any sender that Svix delivers for",
		"https://docs.svix.com/receiving/verifying-payloads/how-manual"),
	PRESET("tusd", tusd,
		"tusd: its HTTP hooks",
		"https://tus.github.io/tusd/advanced-topics/hooks/"),
	PRESET("fal", fal,
		"fal.ai: requests of the queue",
		"https://docs.fal.ai/model-apis/model-endpoints/webhooks"),
	{"discord", "Discord: interactions and events of an app",
		"https://discord.com/developers/docs/interactions/overview",
		"{\"type\":1}", discord, ARRAY_SIZE(discord), NULL},
	PRESET("aws-sns", aws_sns,
		"Amazon SNS: notifications of a topic",
		"https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html"),
	PRESET("aws-mediaconvert", aws_mediaconvert,
		"AWS Elemental MediaConvert, by way of EventBridge and SNS: jobs",
		"https://docs.aws.amazon.com/mediaconvert/latest/ug/eventbridge_events.html"),
	PRESET("pubsub", pubsub,
		"Google Cloud Pub/Sub: a push subscription with authentication",
		"https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions"),
	PRESET("http-signature", http_signature,
		"any sender of HTTP Message Signatures, RFC 9421",
		"https://www.rfc-editor.org/rfc/rfc9421"),
	{"generic", "any sender: nothing but the defaults", NULL, "{}", NULL, 0, NULL},
};
/* clang-format on */

const struct preset *preset_at(size_t i)
{
	return i < ARRAY_SIZE(presets) ? &presets[i] : NULL;
}
