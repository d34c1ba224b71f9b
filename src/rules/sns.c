/* Reads what SNS sends; see sns.h. */
#include "rules/sns.h"

#include "base/clock.h"
#include "rules/verify.h"

#define SCHEME     "https://"
#define HOST_START "sns."
#define REGION_MAX 32

/* ---- URLs ---- */

static bool ends(struct bytes b, const char *end, struct bytes *ret_front)
{
	size_t n = strlen(end);

	if (b.size < n || memcmp(b.data + b.size - n, end, n) != 0)
		return false;
	*ret_front = (struct bytes){b.data, b.size - n};
	return true;
}

static bool is_small(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* us-east-1, us-gov-west-1: small letters, digits and single hyphens between them. */
static bool is_region(struct bytes b)
{
	bool hyphen = true;

	if (b.size == 0 || b.size > REGION_MAX)
		return false;
	for (size_t i = 0; i < b.size; i++) {
		if (b.data[i] == '-' ? hyphen : !is_small(b.data[i]))
			return false;
		hyphen = b.data[i] == '-';
	}
	return !hyphen;
}

bool sns_is_host(struct bytes host)
{
	struct bytes start = bytes_of(HOST_START), front;

	if (!ends(host, ".amazonaws.com", &front) &&
		!ends(host, ".amazonaws.com.cn", &front))
		return false;
	return bytes_starts(front, start) &&
	       is_region(
		       (struct bytes){front.data + start.size, front.size - start.size});
}

/* The path and what is behind it, of a URL of SNS; BYTES_NONE: it is none. */
static struct bytes path_of(struct bytes url)
{
	struct bytes rest, host;

	if (!url.data || url.size >= VERIFY_URL_SIZE ||
		!bytes_starts(url, bytes_of(SCHEME)))
		return BYTES_NONE;
	rest = (struct bytes){url.data + strlen(SCHEME), url.size - strlen(SCHEME)};
	const char *slash = memchr(rest.data, '/', rest.size);
	if (!slash)
		return BYTES_NONE;
	host = (struct bytes){rest.data, (size_t)(slash - rest.data)};
	(void)ends(host, ":443", &host);
	if (!sns_is_host(host))
		return BYTES_NONE;
	return (struct bytes){
		slash, rest.size - host.size - (size_t)(slash - rest.data - host.size)};
}

bool sns_is_certificate_url(struct bytes url)
{
	struct bytes path = path_of(url), front;

	if (!path.data || !ends(path, ".pem", &front) || front.size < 2)
		return false;
	/* Nothing that a client might read in two ways: no %, no dots in a row, no // */
	for (size_t i = 1; i < path.size; i++) {
		char c = path.data[i], before = path.data[i - 1];
		bool letter = is_small(c) || (c >= 'A' && c <= 'Z') || c == '-' ||
			      c == '_';
		if (!letter &&
			!((c == '.' || c == '/') && before != '.' && before != '/'))
			return false;
	}
	return true;
}

bool sns_is_subscribe_url(struct bytes url)
{
	struct bytes path = path_of(url), query, action;

	if (!path.data || !bytes_starts(path, bytes_of("/?")))
		return false;
	for (size_t i = 0; i < path.size; i++)
		if (path.data[i] <= ' ' || path.data[i] >= 0x7f ||
			strchr("#\\\"<>^`{|}", path.data[i]))
			return false;
	query = (struct bytes){path.data + 2, path.size - 2};
	return message_parameter(query, bytes_of("Action"), &action) == MESSAGE_ONCE &&
	       bytes_equal(action, bytes_of("ConfirmSubscription"));
}

/* ---- The document ---- */

/* Each type's members in the order in which they are signed. */
static const struct {
	const char *name;
	const char *members[8];
} types[] = {
	[SNS_NOTIFICATION] = {"Notification",
		{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}},
	[SNS_SUBSCRIPTION] = {"SubscriptionConfirmation",
		{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn",
			"Type"}},
	[SNS_UNSUBSCRIPTION] = {"UnsubscribeConfirmation",
		{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn",
			"Type"}},
};

static struct bytes member(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);

	if (!json_is_string(value))
		return BYTES_NONE;
	return (struct bytes){json_string_value(value), json_string_length(value)};
}

static bool is_absent(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);

	return !value || json_is_null(value);
}

/*
 * All that is signed is there and is text. Names and values are signed as lines: a line feed
 * in a value could move the border between two of them, so Message alone, which comes first,
 * may hold some.
 */
static const char *check_members(const json_t *json, enum sns_type type)
{
	for (size_t i = 0; types[type].members[i]; i++) {
		const char *name = types[type].members[i];
		struct bytes value = member(json, name);
		if (strcmp(name, "Subject") == 0 && is_absent(json, name))
			continue;
		if (!value.data)
			return "a member that is signed is missing, or no text";
		if (i > 0 && memchr(value.data, '\n', value.size))
			return "a member has a line break where none belongs";
	}
	return NULL;
}

static const char *read_type(const json_t *json, enum sns_type *ret)
{
	struct bytes type = member(json, "Type");

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (bytes_equal(type, bytes_of(types[i].name))) {
			*ret = (enum sns_type)i;
			return NULL;
		}
	return "its Type is none of SNS";
}

static const char *read_urls(struct sns *s)
{
	s->certificate_url = member(s->json, "SigningCertURL");
	if (!s->certificate_url.data)
		return "SigningCertURL is missing";
	if (!sns_is_certificate_url(s->certificate_url))
		return "SigningCertURL is not SNS' own: https://sns.REGION.amazonaws.com/"
		       "...pem";
	if (s->type != SNS_SUBSCRIPTION)
		return NULL;
	s->subscribe_url = member(s->json, "SubscribeURL");
	if (!sns_is_subscribe_url(s->subscribe_url))
		return "SubscribeURL is not SNS' own: https://sns.REGION.amazonaws.com/"
		       "?Action=ConfirmSubscription...";
	return NULL;
}

static const char *read_members(struct sns *s)
{
	const char *problem = read_type(s->json, &s->type);
	if (!problem)
		problem = check_members(s->json, s->type);
	if (problem)
		return problem;
	struct bytes version = member(s->json, "SignatureVersion");
	s->version = bytes_equal(version, bytes_of("1"))   ? 1
		     : bytes_equal(version, bytes_of("2")) ? 2
							   : 0;
	if (!s->version)
		return "SignatureVersion is not 1 or 2";
	s->topic = member(s->json, "TopicArn");
	s->signature = member(s->json, "Signature");
	if (!s->signature.data)
		return "Signature is missing";
	/* NUL cannot be in it: that is no digit, and ends the text. */
	struct bytes timestamp = member(s->json, "Timestamp");
	if (!timestamp.data || strlen(timestamp.data) != timestamp.size ||
		clock_parse(timestamp.data, &s->timestamp_usec) < 0)
		return "Timestamp is not a time";
	return read_urls(s);
}

int sns_read(struct bytes body, struct sns *ret, const char **ret_problem)
{
	*ret = (struct sns){.version = 0};
	int r = document_parse(body, &ret->json, ret_problem);
	if (r != 0)
		return r;
	const char *problem = json_is_object(ret->json) ? read_members(ret)
							: "it is no JSON object";
	if (!problem)
		return 0;
	*ret_problem = problem;
	return 1;
}

void sns_fini(struct sns *s)
{
	json_decref(s->json);
	s->json = NULL;
}

void sns_write(const struct sns *s, struct text *out)
{
	for (size_t i = 0; types[s->type].members[i]; i++) {
		const char *name = types[s->type].members[i];
		struct bytes value = member(s->json, name);
		if (!value.data)
			continue;
		text_addf(out, "%s\n", name);
		text_add(out, value);
		text_addc(out, '\n');
	}
}
