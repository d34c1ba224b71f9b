/*
 * Asks the schemes of a source, one after another, until one holds. Nothing is parsed that
 * is not verified, and nobody outside learns more than yes or no.
 *
 *   token ─┬─ a secret ──────────────► ok
 *          └─ else: the others ──────► ok | needs keys | has it an upload's form? ask the
 *                                      store | refused
 */
#include "rules/verify.h"

#include "rules/verify_scheme.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#define UPLOAD_TOKEN_SIZE 43 /* 32 bytes as base64url without padding */

static int scheme_none(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE])
{
	(void)in, (void)reason;
	return 0;
}

/* The cheap ones first. */
static const struct {
	enum verify_scheme scheme;
	const char *name;
	int (*check)(
		const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]);
} schemes[] = {
	{VERIFY_NONE, "none", scheme_none},
	{VERIFY_TOKEN, "token", scheme_token},
	{VERIFY_HEADER, "header", scheme_header},
	{VERIFY_BASIC, "basic", scheme_basic},
	{VERIFY_HMAC, "hmac", scheme_hmac},
	{VERIFY_STANDARD_WEBHOOKS, "standard-webhooks", scheme_standard},
	{VERIFY_TWILIO, "twilio", scheme_twilio},
	{VERIFY_ED25519, "ed25519", scheme_ed25519},
	{VERIFY_SNS, "sns", scheme_sns},
	{VERIFY_JWT, "jwt", scheme_jwt},
	{VERIFY_HTTP_SIGNATURE, "http-signature", scheme_http_signature},
};

const char *verify_scheme_name(enum verify_scheme scheme)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (schemes[i].scheme == scheme)
			return schemes[i].name;
	return "";
}

unsigned verify_scheme_of(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strcmp(schemes[i].name, word) == 0)
			return schemes[i].scheme;
	return 0;
}

int verify_hash(struct bytes data, unsigned char out[static VERIFY_TOKEN_HASH_SIZE])
{
	if (EVP_Q_digest(NULL, "SHA256", NULL, data.size ? data.data : "", data.size, out,
		    NULL) == 1)
		return 0;
	ERR_clear_error();
	return -EIO;
}

/* An upload's own token is known by its form; whether it is one the store knows by its hash. */
static bool may_be_uploads(const struct source *s, struct bytes token)
{
	if (!(s->verify & VERIFY_TOKEN) || !s->upload_url ||
		token.size != UPLOAD_TOKEN_SIZE)
		return false;
	for (size_t i = 0; i < token.size; i++) {
		char c = token.data[i];
		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			    (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

/* Appends what one scheme said, led by its name where there are several. */
static void add_reason(
	struct verify_result *ret, bool several, const char *name, const char *reason)
{
	size_t used = strlen(ret->reason);

	snprintf(ret->reason + used, sizeof(ret->reason) - used, "%s%s%s%s",
		used ? "; " : "", several ? name : "", several ? ": " : "", reason);
}

static void take_output(struct verify_result *ret, const struct scheme_output *out)
{
	ret->keys_kind = out->keys_kind;
	ret->stale = out->stale;
	ret->matter = out->matter;
	memcpy(ret->url, out->url, sizeof(ret->url));
}

/* Leaves OK, NEEDS_KEYS for the first that does, or REFUSED in *ret. 0 or negative errno. */
static int ask_schemes(const struct scheme_input *in, struct verify_result *ret)
{
	unsigned wanted = in->source->verify;
	bool several = (wanted & (wanted - 1)) != 0;
	char reason[SCHEME_REASON_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (!(wanted & schemes[i].scheme))
			continue;
		trace_scheme(in->trace, schemes[i].name);
		in->out->url[0] = '\0';
		in->out->matter = VERIFY_CALLBACK;
		int r = schemes[i].check(in, reason);
		if (r < 0)
			return r;
		if (r == 0) {
			ret->verdict = VERIFY_OK;
			ret->scheme = schemes[i].scheme;
			ret->reason[0] = '\0';
			take_output(ret, in->out);
			trace_say(in->trace, TRACE_GOOD, "it verifies");
			return 0;
		}
		if (r == SCHEME_NEEDS_KEYS && ret->verdict != VERIFY_NEEDS_KEYS) {
			ret->verdict = VERIFY_NEEDS_KEYS;
			take_output(ret, in->out);
		}
		trace_say(in->trace, TRACE_BAD, "%s", reason);
		add_reason(ret, several, schemes[i].name, reason);
	}
	if (!ret->reason[0])
		add_reason(ret, false, "", "Verify= is not set");
	return 0;
}

static int ask(const struct scheme_input *given, struct verify_result *ret)
{
	struct scheme_output out = {.url = ""};
	struct scheme_input in = *given;

	in.out = &out;
	*ret = (struct verify_result){.verdict = VERIFY_REFUSED};
	int r = ask_schemes(&in, ret);
	/*
	 * Who needs keys bears a signature. Were the store asked first, it would not know the
	 * token, and the signature would be lost.
	 */
	if (r < 0 || ret->verdict != VERIFY_REFUSED)
		return r;
	if (!may_be_uploads(in.source, in.token))
		return 0;
	r = verify_hash(in.token, ret->token_hash);
	if (r < 0)
		return r;
	ret->verdict = VERIFY_ASK_STORE;
	ret->scheme = VERIFY_TOKEN;
	return 0;
}

int verify_head(const struct source *s, const struct message *m, struct bytes token,
	struct verify_result *ret)
{
	const struct scheme_input in = {
		.source = s, .message = m, .token = token, .head_only = true};

	/* What fails for want of memory is not refused here: verify_message will say so. */
	if (ask(&in, ret) < 0)
		return 0;
	return ret->verdict == VERIFY_REFUSED ? 1 : 0;
}

int verify_ask(const struct verify_input *given, struct verify_result *ret)
{
	const struct scheme_input in = {.source = given->source,
		.message = given->message,
		.token = given->token,
		.origin = bytes_of(given->public_url),
		.keys = given->keys,
		.trace = given->trace};

	return ask(&in, ret);
}

int verify_message(const struct source *s, const struct message *m, struct bytes token,
	const char *public_url, struct verify_result *ret)
{
	return verify_message_traced(s, m, token, public_url, NULL, ret);
}

int verify_message_traced(const struct source *s, const struct message *m,
	struct bytes token, const char *public_url, struct trace *trace,
	struct verify_result *ret)
{
	return verify_ask(&(struct verify_input){.source = s,
				  .message = m,
				  .token = token,
				  .public_url = public_url,
				  .trace = trace},
		ret);
}
