/* From text to struct, and every problem on the way: what a person writes, what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "rules/config.h"
#include "rules/keys.h"

#include <errno.h>
#include <sys/socket.h>
#include <syslog.h>

/* ---- a world without files ---- */

static const struct {
	const char *name, *content, *warning;
} secrets[] = {
	{"s", "secret\n", NULL},
	{"crlf", "secret\r\n", NULL},
	{"two", "secret\n\n", NULL},
	{"pair", "user:password", NULL},
	{"hex", "00ff10\n", NULL},
	{"base64", "whsec_c2VjcmV0\n", NULL},
	{"prefix", "whsec_\n", NULL},
	{"empty", "\n", NULL},
	{"open", "secret", "others can read it"},
	{"line", "key\nX-Evil: 1\n", NULL},
};

static int on_read_secret(void *arg, const char *name, char **ret, size_t *ret_size,
	char **ret_path, char **ret_reason, char **ret_warning)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		if (strcmp(secrets[i].name, name) != 0)
			continue;
		*ret = strdup(secrets[i].content);
		*ret_size = strlen(secrets[i].content);
		*ret_path = text_format("/dir/%s", name);
		if (secrets[i].warning)
			*ret_warning = strdup(secrets[i].warning);
		return 0;
	}
	*ret_reason = strdup("no such file");
	return name[0] == '/' ? 1 : 2;
}

static int on_find_file(void *arg, const char *name, char **ret_path, char **ret_reason)
{
	(void)arg;
	if (strcmp(name, "gone") == 0) {
		*ret_reason = strdup("no such file");
		return 1;
	}
	*ret_path = text_format("/dir/%s", name);
	return 0;
}

static struct config_world world = {
	.read_secret = on_read_secret,
	.find_file = on_find_file,
};

static struct config *build_all(
	const struct config_text *texts, size_t n, struct text *said, int wanted)
{
	struct config_report report = {0};
	struct config *c = NULL;
	int r = config_build(texts, n, &world, &report, &c);
	for (size_t i = 0; i < report.size; i++)
		text_addf(said, "%s\n", report.problems[i].text);
	config_report_fini(&report);
	if (r != wanted)
		fail_msg(
			"%d instead of %d:\n%s", r, wanted, said->data ? said->data : "");
	assert_int_equal(r == 0, c != NULL);
	return c;
}

/* A configuration without a word to say about it. */
static struct config *build(const char *text)
{
	struct text said = TEXT_EMPTY;
	const struct config_text one = {"f", bytes_of(text)};
	struct config *c = build_all(&one, 1, &said, 0);
	assert_string_equal(said.data ? said.data : "", "");
	text_fini(&said);
	return c;
}

static void assert_words(const struct words *w, const char *joined)
{
	struct text t = TEXT_EMPTY;
	text_adds(&t, "");
	for (size_t i = 0; i < w->size; i++)
		text_addf(&t, "%s%s", i ? "|" : "", w->list[i]);
	assert_string_equal(t.data, joined);
	text_fini(&t);
}

#define OPEN "[Source a]\nVerify=none\n"

/* ---- defaults ---- */

static void test_daemon_defaults(void **state)
{
	(void)state;
	struct config *c = build("");
	assert_words(&c->listen, "127.0.0.1:8080");
	assert_int_equal(c->listen_tls.size, 0);
	assert_null(c->public_url);
	assert_string_equal(c->state_directory, "/var/lib/callbackd");
	assert_string_equal(c->control_socket, "/run/callbackd/control.sock");
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->retention_usec, 30 * 86400 * USEC_PER_SEC);
	assert_int_equal(c->min_free_bytes, 64 << 20);
	assert_int_equal(c->max_concurrent, 32);
	assert_int_equal(c->stop_timeout_usec, 30 * USEC_PER_SEC);
	assert_false(c->proxy_protocol);
	assert_int_equal(c->limits.handshake_timeout_usec, 10 * USEC_PER_SEC);
	assert_int_equal(c->limits.header_timeout_usec, 10 * USEC_PER_SEC);
	assert_int_equal(c->limits.body_timeout_usec, 120 * USEC_PER_SEC);
	assert_int_equal(c->limits.body_min_rate, 500);
	assert_int_equal(c->limits.keep_alive_timeout_usec, 15 * USEC_PER_SEC);
	assert_int_equal(c->limits.max_connections, 16384);
	assert_int_equal(c->limits.max_connections_per_address, 4096);
	assert_int_equal(c->limits.max_header_bytes, 16384);
	assert_int_equal(c->limits.max_headers, 100);
	assert_int_equal(c->limits.max_target_bytes, 8192);
	assert_int_equal(c->limits.max_body_bytes, 1 << 20);
	assert_int_equal(c->limits.max_body_bytes_in_flight, 64 << 20);
	assert_int_equal(c->limits.max_requests_per_connection, 1000);
	assert_int_equal(c->n_sources + c->n_hooks, 0);
	config_unref(c);
}

static void test_source_defaults(void **state)
{
	(void)state;
	struct config *c = build("[Source a.B-1_]\nVerify=none\n");
	struct source *s = config_source(c, bytes_of("a.B-1_"));
	assert_non_null(s);
	assert_null(config_source(c, bytes_of("a.b-1_")));
	assert_string_equal(s->path, "/callback/a.B-1_");
	assert_int_equal(s->verify, VERIFY_NONE);
	assert_int_equal(s->id.size, 1);
	assert_string_equal(s->id.fields[0].text, "/id");
	assert_int_equal(s->status.size, 1);
	assert_string_equal(s->status.fields[0].text, "/status");
	assert_words(&s->success, "completed|succeeded|success");
	assert_words(&s->error, "error|failed");
	assert_words(&s->canceled, "canceled|cancelled");
	assert_words(&s->pending, "pending|queued|starting|processing|running");
	assert_int_equal(s->delivery.size + s->where.size + s->allow.size, 0);
	assert_string_equal(s->token_header, "X-Webhook-Secret");
	assert_int_equal(s->signature.place.kind, FIELD_HEADER);
	assert_string_equal(s->signature.place.name, "X-Signature");
	assert_int_equal(s->signature.algorithm, HASH_SHA256);
	assert_int_equal(s->signature.encoding, ENCODING_HEX);
	assert_int_equal(s->signature.style, STYLE_PLAIN);
	assert_int_equal(s->signature.key_encoding, ENCODING_RAW);
	assert_string_equal(s->signature.prefix, "");
	assert_string_equal(s->signature.key_prefix, "");
	assert_string_equal(s->signature.content, "{body}");
	assert_null(s->signature.timestamp_header);
	assert_null(s->signature.signature_field);
	assert_int_equal(s->signature.tolerance_usec, 300 * USEC_PER_SEC);
	assert_false(s->confirm || s->reopen);
	assert_null(s->status_url);
	assert_null(s->upload_url);
	assert_null(s->api_key);
	assert_string_equal(s->api_key_header, "X-API-Key");
	assert_int_equal(s->expect_within_usec, 600 * USEC_PER_SEC);
	assert_int_equal(s->give_up_usec, 86400 * USEC_PER_SEC);
	assert_string_equal(s->answer, "{}");
	config_unref(c);
}

static void test_hook_defaults(void **state)
{
	(void)state;
	struct config *c = build("[Hook h]\nExec=/bin/true\n");
	struct hook *h = config_hook(c, bytes_of("h"));
	assert_non_null(h);
	assert_int_equal(h->sources.size, 0);
	assert_int_equal(h->on_outcomes, 1u << OUTCOME_SUCCESS);
	assert_false(h->on_dead);
	assert_int_equal(h->on_statuses.size + h->where.size + h->n_exports, 0);
	assert_words(&h->exec, "/bin/true");
	assert_string_equal(h->working_directory, "/var/lib/callbackd");
	assert_int_equal(h->timeout_usec, 300 * USEC_PER_SEC);
	assert_int_equal(h->kill_after_usec, 10 * USEC_PER_SEC);
	assert_int_equal(h->max_concurrent, 4);
	assert_int_equal(h->retries, 8);
	assert_int_equal(h->retry_delay_usec, 5 * USEC_PER_SEC);
	assert_int_equal(h->retry_delay_max_usec, 3600 * USEC_PER_SEC);
	assert_int_equal(h->mode, HOOK_EXEC);
	for (int i = 0; i < 256; i++) {
		assert_int_equal(hook_status_in(h->success_status, i), i == 0);
		assert_false(hook_status_in(h->permanent_status, i));
	}
	config_unref(c);
}

static void test_directories_from_systemd(void **state)
{
	(void)state;
	world.state_directory = "/var/lib/x:/var/lib/y";
	world.runtime_directory = "/run/x:/run/y";
	struct config *c = build("[Hook h]\nExec=/bin/true\n");
	assert_string_equal(c->state_directory, "/var/lib/x");
	assert_string_equal(c->control_socket, "/run/x/control.sock");
	assert_string_equal(c->hooks[0]->working_directory, "/var/lib/x");
	config_unref(c);
	c = build("[Daemon]\nStateDirectory=/s\nControlSocket=/c\n");
	assert_string_equal(c->state_directory, "/s");
	assert_string_equal(c->control_socket, "/c");
	config_unref(c);
	world.state_directory = world.runtime_directory = NULL;
}

/* ---- values ---- */

static void test_daemon_values(void **state)
{
	(void)state;
	struct config *c = build(
		"[Daemon]\nListen=\nListen=0.0.0.0:80\nListen=/run/a b.sock\n"
		"ListenTLS=[::]:8443\nTLSCertificateFile=crt\nTLSKeyFile=s\n"
		"PublicURL=https://Example.org:8443/\nLogLevel=debug\nRetention=1d\n"
		"MinFreeBytes=0\nMaxConcurrent=1\nStopTimeout=0\n"
		"TrustedProxy=10.0.0.0/8 unix\nTrustedProxy=::1\nProxyProtocol=yes\n"
		"MaxConnections=3\nHeaderTimeout=1h 30min\nMaxBodyBytes=64K\n");
	assert_words(&c->listen, "0.0.0.0:80|/run/a b.sock");
	assert_words(&c->listen_tls, "[::]:8443");
	assert_string_equal(c->tls_certificate_file, "/dir/crt");
	assert_string_equal(c->tls_key_file, "/dir/s");
	assert_string_equal(c->public_url, "https://Example.org:8443");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->trusted_proxy.size, 3);
	assert_int_equal(c->trusted_proxy.ranges[1].family, AF_UNIX);
	assert_true(c->proxy_protocol);
	assert_int_equal(c->limits.max_connections_per_address, 1);
	assert_int_equal(c->limits.header_timeout_usec, 5400 * USEC_PER_SEC);
	assert_int_equal(c->limits.max_body_bytes, 65536);
	config_unref(c);
}

static void test_source_values(void **state)
{
	(void)state;
	struct config *c = build(
		"[Daemon]\nPublicURL=http://h\n[Source a]\nPath=/x/%20\n"
		"Verify=header hmac\nVerify=token\nSecretFile=s\nSecretFile=crlf\n"
		"IdField=/a header:X-Id\nIdField=query:id\nStatusField=\n"
		"SuccessValues=\"all done\" 3\nAllowFrom=192.0.2.1\n"
		"Where=header:X-E=push /ref!=x\nTokenHeader=X-T\n"
		"SignatureHeader=Stripe-Signature\nSignatureAlgorithm=sha512\n"
		"SignatureEncoding=base64\nSignatureStyle=pairs\nSignatureField=v1\n"
		"TimestampField=t\nSignedContent={timestamp}.{url}.{body}\n"
		"Tolerance=90\nReopen=yes\nStatusURL=https://h/{id}/x\n"
		"GiveUpAfter=infinity\nAPIKeyFile=s\nCAFile=ca\n");
	struct source *s = c->sources[0];
	assert_string_equal(s->path, "/x/%20");
	assert_int_equal(s->verify, VERIFY_HEADER | VERIFY_HMAC | VERIFY_TOKEN);
	assert_int_equal(s->n_secrets, 2);
	assert_int_equal(s->id.size, 3);
	assert_int_equal(s->id.fields[2].kind, FIELD_QUERY);
	assert_int_equal(s->status.size, 0);
	assert_words(&s->success, "all done|3");
	assert_int_equal(s->where.size, 2);
	assert_true(s->where.conditions[1].negated);
	assert_string_equal(s->signature.place.name, "Stripe-Signature");
	assert_int_equal(s->signature.algorithm, HASH_SHA512);
	assert_int_equal(s->signature.encoding, ENCODING_BASE64);
	assert_int_equal(s->signature.style, STYLE_PAIRS);
	assert_int_equal(s->give_up_usec, KEY_TIME_MAX);
	assert_memory_equal(s->api_key->text, "secret", 7);
	assert_string_equal(s->ca_file, "/dir/ca");
	assert_true(s->reopen);
	config_unref(c);
}

static void test_hook_values(void **state)
{
	(void)state;
	struct config *c = build(
		OPEN "[Source b]\nVerify=none\n[Hook h]\nSource=a b\n"
		     "On=any COMPLETED\nOn=dead \"in doubt\"\n"
		     "Exec=/bin/echo --id=${CALLBACK_ID} -s${CALLBACK_SIZE}\n"
		     "Export=SIZE:/size T:header:X-T\n"
		     "Environment=LANG=C \"A=one two\" A=three PATH=/x\n"
		     "WorkingDirectory=/srv\nKillAfter=0\nRetries=0\n"
		     "SuccessExitStatus=3 4\nPermanentExitStatus=255\n"
		     "Serialize=no\nMode=exec\nBatchMax=\n");
	struct hook *h = c->hooks[0];
	assert_words(&h->sources, "a|b");
	assert_int_equal(h->on_outcomes, 1u << OUTCOME_SUCCESS | 1u << OUTCOME_ERROR |
						 1u << OUTCOME_CANCELED |
						 1u << OUTCOME_PENDING);
	assert_true(h->on_dead);
	assert_words(&h->on_statuses, "COMPLETED|in doubt");
	assert_int_equal(h->n_exports, 2);
	assert_string_equal(h->exports[1].variable, "CALLBACK_T");
	assert_string_equal(h->exports[1].field.name, "X-T");
	assert_words(&h->environment, "LANG=C|A=three|PATH=/x");
	assert_true(hook_status_in(h->success_status, 0));
	assert_true(hook_status_in(h->success_status, 4));
	assert_true(hook_status_in(h->permanent_status, 255));
	assert_false(hook_status_in(h->success_status, 255));
	config_unref(c);
}

static void test_secrets(void **state)
{
	static const struct {
		const char *lines, *text, *data;
		size_t size;
	} cases[] = {
		{"SecretFile=s\n", "secret", "secret", 6},
		{"SecretFile=crlf\n", "secret", "secret", 6},
		{"SecretFile=two\n", "secret\n", "secret\n", 7},
		{"SecretFile=hex\nKeyEncoding=hex\n", "00ff10", "\x00\xff\x10", 3},
		{"SecretFile=base64\nKeyPrefix=whsec_\nKeyEncoding=base64\n",
			"whsec_c2VjcmV0", "secret", 6},
		{"SecretFile=s\nKeyPrefix=whsec_\n", "secret", "secret", 6},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(freep)
		char *text = text_format("[Source a]\nVerify=hmac\n%s", cases[i].lines);
		struct config *c = build(text);
		const struct secret *s = &c->sources[0]->secrets[0];
		assert_int_equal(s->text_size, strlen(cases[i].text));
		assert_memory_equal(s->text, cases[i].text, s->text_size);
		assert_int_equal(s->size, cases[i].size);
		assert_memory_equal(s->data, cases[i].data, s->size);
		config_unref(c);
	}
}

/* ---- lists, files, presets ---- */

static void test_clear(void **state)
{
	(void)state;
	struct config *c = build(
		"[Daemon]\nListen=\nMaxConcurrent=7\nMaxConcurrent=\n[Source a]\n"
		"Verify=none\nErrorValues=x\nErrorValues=\nErrorValues=y\n"
		"ErrorValues=z\nPendingValues=\nIdField=\nTokenHeader=\n"
		"[Hook h]\nExec=/bin/false\nExec=/bin/true\nOn=error\nOn=\n");
	assert_int_equal(c->listen.size, 0);
	assert_int_equal(c->max_concurrent, 32);
	assert_words(&c->sources[0]->error, "y|z");
	assert_int_equal(c->sources[0]->pending.size, 0);
	assert_int_equal(c->sources[0]->id.size, 1);
	assert_string_equal(c->sources[0]->token_header, "X-Webhook-Secret");
	assert_words(&c->hooks[0]->exec, "/bin/true");
	assert_int_equal(c->hooks[0]->on_outcomes, 1u << OUTCOME_SUCCESS);
	config_unref(c);
}

static void test_files_merge(void **state)
{
	const struct config_text texts[] = {
		{"f", bytes_of("[Daemon]\nMaxConcurrent=5\n[Source a]\nVerify=none\n"
			       "ErrorValues=x\nPath=/one\n[Hook h]\nExec=/bin/true\n")},
		{"f.d/1.conf", bytes_of("[Source a]\nErrorValues=y\nPath=/two\n")},
		{"f.d/2.conf", bytes_of("[Daemon]\nMaxConcurrent=6\n[Hook h]\nRetries=1\n"
					"[Source b]\nVerify=none\n")},
	};
	struct text said = TEXT_EMPTY;
	(void)state;
	struct config *c = build_all(texts, 3, &said, 0);
	assert_int_equal(said.size, 0);
	assert_int_equal(c->n_sources, 2);
	assert_int_equal(c->n_hooks, 1);
	assert_int_equal(c->max_concurrent, 6);
	assert_words(&c->sources[0]->error, "x|y");
	assert_string_equal(c->sources[0]->path, "/two");
	assert_int_equal(c->hooks[0]->retries, 1);
	config_unref(c);
}

static void test_preset_eachlabs(void **state)
{
	(void)state;
	struct config *c = build(
		"[Daemon]\nPublicURL=https://h\n[Source e]\nErrorValues=bad\n"
		"StatusURL=\nPreset=eachlabs\n");
	struct source *s = c->sources[0];
	assert_string_equal(s->preset, "eachlabs");
	assert_string_equal(s->path, "/callback/e");
	assert_int_equal(s->verify, VERIFY_TOKEN);
	assert_int_equal(s->id.size, 6);
	assert_string_equal(s->id.fields[5].text, "/execution_id");
	assert_int_equal(s->status.size, 2);
	assert_words(&s->success, "COMPLETED|success|succeeded");
	assert_words(&s->error, "bad");
	assert_words(&s->pending, "PENDING|UPLOADING|PROCESSING|running");
	assert_null(s->status_url);
	assert_string_equal(s->upload_url,
		"https://storage-service.core.eachlabs.run/api/v1/uploads");
	config_unref(c);
	c = build("[Source e]\nPreset=eachlabs\nSecretFile=s\n");
	assert_int_equal(c->sources[0]->verify, VERIFY_TOKEN | VERIFY_HEADER);
	config_unref(c);
	c = build("[Source e]\nSignatureHeader=X-S\nPreset=eachlabs\nSecretFile=s\n");
	assert_int_equal(
		c->sources[0]->verify, VERIFY_TOKEN | VERIFY_HEADER | VERIFY_HMAC);
	config_unref(c);
	c = build("[Source e]\nPreset=eachlabs\nVerify=hmac\nSecretFile=s\n");
	assert_int_equal(c->sources[0]->verify, VERIFY_HMAC);
	config_unref(c);
	c = build("[Source g]\nPreset=generic\nVerify=none\n");
	assert_words(&c->sources[0]->error, "error|failed");
	config_unref(c);
}

static void test_wants(void **state)
{
	(void)state;
	struct config *c = build(OPEN "[Hook h]\nSource=a\nExec=/bin/true\n"
				      "On=success Weird\n[Hook any]\nExec=/bin/true\n"
				      "On=any\n[Hook late]\nExec=/bin/true\n"
				      "On=lost unreadable\n");
	const struct hook *h = c->hooks[0], *any = c->hooks[1], *late = c->hooks[2];
	assert_true(hook_wants(h, "a", OUTCOME_SUCCESS, "COMPLETED"));
	assert_true(hook_wants(h, "a", OUTCOME_SUCCESS, NULL));
	assert_false(hook_wants(h, "A", OUTCOME_SUCCESS, "COMPLETED"));
	assert_false(hook_wants(h, "a", OUTCOME_ERROR, "ERROR"));
	assert_true(hook_wants(h, "a", OUTCOME_PENDING, "wEIRD"));
	assert_false(hook_wants(h, "a", OUTCOME_PENDING, "success"));
	assert_false(hook_wants(h, "a", OUTCOME_UNREADABLE, "weird"));
	assert_false(hook_wants(h, "a", OUTCOME_LOST, "weird"));
	for (enum outcome o = OUTCOME_NONE; o < OUTCOME_MAX; o++) {
		assert_int_equal(hook_wants(any, "zz", o, "x"),
			o == OUTCOME_SUCCESS || o == OUTCOME_ERROR ||
				o == OUTCOME_CANCELED || o == OUTCOME_PENDING);
		assert_int_equal(hook_wants(late, "zz", o, NULL),
			o == OUTCOME_LOST || o == OUTCOME_UNREADABLE);
	}
	config_unref(c);
}

/* ---- problems ---- */

static void assert_says(const char *text, bool checking, int wanted, const char *lines)
{
	struct text said = TEXT_EMPTY;
	const struct config_text one = {"f", bytes_of(text)};
	text_adds(&said, "");
	world.checking = checking;
	struct config *c = build_all(&one, 1, &said, wanted);
	world.checking = false;
	assert_string_equal(said.data, lines);
	text_fini(&said);
	config_unref(c);
}

static void test_all_problems_in_order(void **state)
{
	(void)state;
	assert_says(
		"[Daemon]\nListne=a\nRetention=1h\n[Source video]\nPath=x\nVerify=none\n"
		"[Hook h]\nExec=/bin/true\nSource=vidoe\nTimeout=soon\n",
		false, 1,
		"f:2: unknown key Listne= in [Daemon]; did you mean Listen=?\n"
		"f:3: Retention=1h: at least 1d is wanted\n"
		"f:5: Path=x: a path begins with /\n"
		"f:9: Source=vidoe: there is no such source; did you mean video?\n"
		"f:10: Timeout=soon: a time span such as 90, 5min or 1h 30min is "
		"wanted\n");
	const struct config_text texts[] = {
		{"f", bytes_of("[Hook h]\nExec=/bin/true\nRetries=x\n")},
		{"g", bytes_of("[Hook h]\nTimeout=0\n[Daemon]\nPublicURL=h\n")},
	};
	struct text said = TEXT_EMPTY;
	assert_null(build_all(texts, 2, &said, 1));
	assert_string_equal(said.data,
		"f:3: Retries=x: a number from 0 to 1000 is wanted\n"
		"g:2: Timeout=0: at least 1ms is wanted\n"
		"g:4: PublicURL=h: an http:// or https:// URL is wanted\n");
	text_fini(&said);
}

struct complaint {
	const char *text, *says; /* a part of the one line that is said */
};

static void assert_one_complaint(
	const struct complaint *p, const char *before, int wanted)
{
	struct text said = TEXT_EMPTY;
	CLEANUP(freep) char *whole = text_format("%s%s", before, p->text);
	const struct config_text one = {"f", bytes_of(whole)};
	struct config *c = build_all(&one, 1, &said, wanted);
	const char *end = said.data ? strchr(said.data, '\n') : NULL;
	if (!end || end[1] || !strstr(said.data, p->says))
		fail_msg("%s\nwas to say: %s\nand said:\n%s", whole, p->says,
			said.data ? said.data : "nothing");
	text_fini(&said);
	config_unref(c);
}

static const struct complaint errors[] = {
	/* lines and sections */
	{"Listen=a\n", "f:1: Listen= stands before the first [Section]"},
	{"x\n", "f:1: neither [Section] nor Key=value"},
	{"[Sourc a]\nVerify=x\n", "f:1: unknown section [Sourc]; did you mean [Source"},
	{"[Elsewhere]\n", "there are [Daemon], [Source NAME] and [Hook NAME]"},
	{"[Source]\nA=b\n", "[Source] needs a name"},
	{"[Hook a b]\n", "\"a b\" is no name"},
	{"[Hook 0123456789012345678901234567890123456789012345678901234567890123x]\n",
		"is no name"},
	{"[Daemon x]\n", "[Daemon] has no name"},
	{"[Daemon]\nRetries=1\n", "f:2: Retries= belongs into [Hook NAME], not into"},
	{"[Daemon]\nlisten=\n", "did you mean Listen=?"},
	{"[Daemon]\nQwertz=\n", "unknown key Qwertz= in [Daemon]\n"},
	{"[Daemon]\nSecretFil\033=\n", "unknown key SecretFil\\x1B="},
	/* values */
	{"[Daemon]\nListen=8080\n", "ADDR:PORT"},
	{"[Daemon]\nListen=localhost:80\n", "ADDR:PORT"},
	{"[Daemon]\nListen=::1:80\n", "ADDR:PORT"},
	{"[Daemon]\nListen=[::1]:65536\n", "ADDR:PORT"},
	{"[Daemon]\nListen=127.0.0.1:80 127.0.0.1:81\n", "ADDR:PORT"},
	{"[Daemon]\nListenTLS=[::1]:80\nTLSKeyFile=s\nTLSCertificateFile=gone\n",
		"TLSCertificateFile=gone: no such file"},
	{"[Daemon]\nListenTLS=[::1]:80\nTLSCertificateFile=c\nTLSKeyFile=/gone\n",
		"TLSKeyFile=/gone: no such file"},
	{"[Daemon]\nTLSCertificateFile=c\n", "needs TLSKeyFile="},
	{"[Daemon]\nTLSKeyFile=s\n", "needs TLSCertificateFile="},
	{"[Daemon]\nPublicURL=https://h/path\n", "the origin alone"},
	{"[Daemon]\nPublicURL=ftp://h\n", "http:// or https://"},
	{"[Daemon]\nPublicURL=https://u:p@h\n", "user"},
	{"[Daemon]\nPublicURL=https://:80\n", "host"},
	{"[Daemon]\nPublicURL=https://h:0\n", "host or port"},
	{"[Daemon]\nStateDirectory=lib\n", "absolute path"},
	{"[Daemon]\nLogLevel=loud\n", "err warning notice info debug"},
	{"[Daemon]\nLogLevel=emerg\n", "err warning notice info debug"},
	{"[Daemon]\nMaxConcurrent=0\n", "a number from 1 to"},
	{"[Daemon]\nMaxConcurrent=18446744073709551617\n", "a number from 1 to"},
	{"[Daemon]\nMaxConcurrent=-1\n", "a number from 1 to"},
	{"[Daemon]\nProxyProtocol=2\n", "yes or no"},
	{"[Daemon]\nTrustedProxy=10.0.0.1/8\n", "host bits"},
	{"[Daemon]\nMinFreeBytes=64Q\n", "a size such as"},
	{"[Daemon]\nStopTimeout=infinity\n", "an end to it"},
	{"[Daemon]\nStopTimeout=200y\n", "at most"},
	{"[Daemon]\nMaxBodyBytes=65M\n", "MaxBodyBytesInFlight=64M is less than"},
	{"[Daemon]\nStatusListen=127.0.0.1:1\n", "not supported yet"},
	/* sources */
	{"[Source a]\n", "f:1: [Source a] has no Verify=: write Verify=token"},
	{"[Source a]\nVerify=none\nVerify=\n", "f:3: [Source a] has no Verify="},
	{"[Source a]\nPreset=eachlab\n",
		"unknown preset \"eachlab\"; did you mean eachlabs? known are: eachlabs"},
	{"[Source a]\nVerify=tokn\n", "one of these is wanted: token header"},
	{"[Source a]\nVerify=sns\n", "\"sns\": not supported yet"},
	{"[Source a]\nVerify=standard-webhooks\n", "not supported yet"},
	{"[Source a]\nVerify=none token\n", "Verify=none stands alone"},
	{"[Source a]\nVerify=token\n", "Verify=token needs SecretFile=, or UploadURL="},
	{"[Source a]\nVerify=header\n", "Verify=header needs SecretFile="},
	{"[Source a]\nVerify=basic\n", "Verify=basic needs SecretFile="},
	{"[Source a]\nVerify=hmac\n", "Verify=hmac needs SecretFile="},
	{"[Source a]\nVerify=basic\nSecretFile=s\n", "user:password"},
	{"[Source a]\nVerify=hmac\nSecretFile=/gone\n", "f:3: SecretFile=/gone: no such"},
	{"[Source a]\nVerify=hmac\nSecretFile=gone\n", "SecretFile=gone: no such file"},
	{"[Source a]\nVerify=hmac\nSecretFile=empty\n", "empty: the file is empty"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSecretFile=s\nKeyEncoding=hex\n"
	 "SecretFile=\nSecretFile=s\n",
		"f:7: SecretFile=s: the secret is not hex"},
	{"[Source a]\nVerify=hmac\nSecretFile=prefix\nKeyPrefix=whsec_\n", "no key"},
	{OPEN "APIKeyFile=line\n", "one line of printable ASCII"},
	{OPEN "Path=/a?b\n", "no query"},
	{OPEN "Path=/a b\n", "no blanks"},
	{OPEN "Path=/healthz\n", "the daemon's own"},
	{OPEN "[Source b]\nVerify=none\nPath=/callback/a\n",
		"f:5: Path=/callback/a is that of [Source a] already"},
	{OPEN "IdField=id\n", "\"id\": a field is a JSON pointer"},
	{OPEN "IdField=form:x\n", "form: fields are not supported yet"},
	{OPEN "Where=form:x=y\n", "not supported yet"},
	{OPEN "DeliveryField=form:x\n", "not supported yet"},
	{OPEN "SuccessValues=\"a\n", "a quote that is not closed"},
	{OPEN "SuccessValues=ok\nErrorValues=bad OK\n",
		"\"OK\" is one of SuccessValues="},
	{OPEN "SignatureHeader=form:x\n", "not supported yet"},
	{OPEN "SignatureHeader=/x\n", "a signature stands in a header"},
	{OPEN "SignatureHeader=a b\n", "header"},
	{OPEN "TokenHeader=a:b\n", "the name of a header"},
	{OPEN "SignatureEncoding=raw\n", "one of these is wanted: hex base64"},
	{OPEN "SignatureAlgorithm=md5\n", "sha1 sha256 sha384 sha512"},
	{OPEN "SignedContent={bod}{body}\n", "{id} {timestamp} {body}"},
	{OPEN "SignedContent={body}{form}\n", "not supported yet"},
	{OPEN "SignedContent={id}\n", "without {body}"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignedContent={timestamp}.{body}\n",
		"f:4: SignedContent= with {timestamp} needs TimestampHeader="},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignedContent={id}.{body}\n",
		"needs DeliveryField=header:NAME"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignedContent={url}{body}\n",
		"needs PublicURL="},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignatureStyle=pairs\n",
		"needs SignatureField="},
	{OPEN "StatusURL=https://h/x\n", "must hold {id}"},
	{OPEN "StatusURL=https://h/ {id}\n", "no blanks"},
	{OPEN "UploadURL=file:///x\n", "http:// or https://"},
	{OPEN "CAFile=gone\n", "CAFile=gone: no such file"},
	{OPEN "Confirm=yes\n", "Confirm=yes is not supported yet"},
	{OPEN "Confirm=maybe\n", "yes or no"},
	{OPEN "KeysURL=https://h\n", "not supported yet"},
	{OPEN "Tolerance=0\n", "at least 1s"},
	/* hooks */
	{"[Hook h]\n", "f:1: [Hook h] has no Exec="},
	{"[Hook h]\nExec=\"/bin/true\n", "f:2: Exec="},
	{"[Hook h]\nExec=/bin/true\nMode=batch\n", "Mode=batch is not supported yet"},
	{"[Hook h]\nExec=/bin/true\nMode=fast\n", "one of these is wanted"},
	{"[Hook h]\nExec=/bin/true\nSerialize=yes\n", "not supported yet"},
	{"[Hook h]\nExec=/bin/true\nMinInterval=1s\n", "not supported yet"},
	{"[Hook h]\nExec=/bin/true\nExport=ID:/x\n", "CALLBACK_ID is built in"},
	{"[Hook h]\nExec=/bin/true\nExport=X:/x X:/y\n", "CALLBACK_X stands twice"},
	{"[Hook h]\nExec=/bin/true\nExport=X\n", "\"X\": NAME:FIELD is wanted"},
	{"[Hook h]\nExec=/bin/true\nExport=9:/x\n", "NAME:FIELD is wanted"},
	{"[Hook h]\nExec=/bin/true\nExport=X:x\n", "a field is"},
	{"[Hook h]\nExec=/bin/true\nExport=X:form:x\n", "not supported yet"},
	{"[Hook h]\nExec=/bin/true\nEnvironment=A-B=hidden\n", "NAME=VALUE is wanted"},
	{"[Hook h]\nExec=/bin/true\nEnvironment=CALLBACK_RUN=x\n", "is built in"},
	{"[Hook h]\nExec=/bin/true\nExport=X:/x\nEnvironment=CALLBACK_X=x\n", "already"},
	{"[Hook h]\nExec=/bin/true\nSuccessExitStatus=256\n", "from 0 to 255"},
	{"[Hook h]\nExec=/bin/true\nPermanentExitStatus=0\n", "0 is a success"},
	{"[Hook h]\nExec=/bin/true\nSuccessExitStatus=3\nPermanentExitStatus=3\n",
		"3 is a success"},
	{"[Hook h]\nExec=/bin/true\nWorkingDirectory=srv\n", "absolute path"},
};

static const struct complaint warnings[] = {
	{"[Source a]\nVerify=hmac\nSecretFile=open\n",
		"f:3: warning: SecretFile=open: others can read it"},
	{OPEN "SecretFile=s\n", "SecretFile= is of no use beside Verify=none"},
	{OPEN "UploadURL=https://h/u\n", "UploadURL= without PublicURL="},
	{"[Source a]\nPreset=eachlabs\n", "without SecretFile= only tokens of uploads"},
	{"[Daemon]\nPublicURL=https://h\n[Source a]\nVerify=header\nSecretFile=s\n"
	 "UploadURL=https://h/u\n",
		"UploadURL= without Verify=token"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nTimestampHeader=X-T\n",
		"does not cover {timestamp}"},
	{"[Hook h]\nExec=/bin/true --size=${CALLBACK_SIZE}\n",
		"f:2: warning: Exec=: ${CALLBACK_SIZE} is neither built in nor in "
		"Export="},
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		assert_one_complaint(&errors[i], "", 1);
}

static void test_warnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(warnings); i++)
		assert_one_complaint(&warnings[i], "", 0);
}

static void test_checking_without_credentials(void **state)
{
	static const char text[] = "[Source a]\nVerify=hmac\nSecretFile=gone\n";
	(void)state;
	assert_says(text, false, 1, "f:3: SecretFile=gone: no such file\n");
	assert_says(text, true, 0, "f:3: warning: SecretFile=gone: no such file\n");
	assert_says("[Source a]\nVerify=hmac\nSecretFile=/gone\n", true, 1,
		"f:3: SecretFile=/gone: no such file\n");
}

/* What is in the environment of a hook may be a secret: it is not repeated. */
static void test_environment_is_not_repeated(void **state)
{
	(void)state;
	assert_says("[Hook h]\nExec=/bin/true\nEnvironment=A-B=hidden\n", false, 1,
		"f:3: Environment=: NAME=VALUE is wanted, NAME made of letters, digits "
		"and _\n");
}

/* ---- printing ---- */

static char *print(const struct config *c)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	assert_non_null(f);
	assert_int_equal(config_print(c, f), 0);
	fclose(f);
	return text;
}

/* Lines that are no comments. */
static char *without_comments(const char *text)
{
	struct text t = TEXT_EMPTY;
	struct bytes rest = bytes_of(text);
	while (rest.data) {
		struct bytes line = bytes_split(rest, '\n', &rest);
		if (line.size == 0 || line.data[0] != '#')
			text_addf(&t, "%.*s\n", BYTES_FMT(line));
	}
	return text_take(&t);
}

static void test_print_round_trip(void **state)
{
	(void)state;
	struct config *c = build(
		"[Daemon]\nListen=/a\nListen=[::1]:1\nMaxConnections=10\n"
		"PublicURL=https://h/\n[Source e]\nPreset=eachlabs\nSecretFile=s\n"
		"SecretFile=crlf\nStatusURL=\nCanceledValues=\nErrorValues=a \\\n b\n"
		"SignaturePrefix=x\\ \n[Hook h]\nSource=e\nExport=S:/s\n"
		"Exec=/bin/echo \"a ${CALLBACK_S}\"\nEnvironment=\"A=b c\" D=\\x41\n");
	CLEANUP(freep) char *first = print(c);
	config_unref(c);
	c = build(first);
	CLEANUP(freep) char *second = print(c);
	assert_words(&c->listen, "/a|[::1]:1");
	assert_int_equal(c->sources[0]->canceled.size, 0);
	assert_words(&c->sources[0]->error, "a|b");
	assert_string_equal(c->sources[0]->signature.prefix, "x\\");
	assert_words(&c->hooks[0]->environment, "A=b c|D=A");
	CLEANUP(freep) char *one = without_comments(first);
	CLEANUP(freep) char *two = without_comments(second);
	assert_string_equal(one, two);
	assert_non_null(strstr(first, "# f:2\nListen=/a\n# f:3\nListen=[::1]:1\n"));
	assert_non_null(strstr(first, "# default\nMaxConnectionsPerAddress=2\n"));
	assert_non_null(strstr(first, "# preset eachlabs\nVerify=token header\n"));
	assert_non_null(strstr(first, "# f:11\nCanceledValues=\n"));
	assert_non_null(strstr(first, "# f:8\nSecretFile=s\n"));
	assert_non_null(strstr(first, "# default\nPath=/callback/e\n"));
	assert_null(strstr(first, "secret\n"));
	config_unref(c);
}

static void test_print_fails(void **state)
{
	(void)state;
	struct config *c = build(OPEN);
	FILE *f = fopen("/dev/full", "w");
	assert_non_null(f);
	assert_int_equal(config_print(c, f), -EIO);
	fclose(f);
	config_unref(c);
}

/* ---- the table ---- */

static void test_table(void **state)
{
	size_t n;
	(void)state;
	const struct key *k = keys_all(&n);
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(key_find(k[i].section, bytes_of(k[i].name)), &k[i]);
		assert_true(
			k[i].sentence && k[i].sentence[strlen(k[i].sentence) - 1] == '.');
		assert_true(i == 0 || k[i].section >= k[i - 1].section);
		assert_string_equal(
			key_nearest(k[i].section, bytes_of(k[i].name)), k[i].name);
	}
}

static void test_nearest(void **state)
{
	static const struct {
		const char *written, *nearest;
	} cases[] = {{"SecretFiel", "SecretFile"}, {"secretfile", "SecretFile"},
		{"Secret", NULL}, {"Verfiy", "Verify"}, {"Tolerence", "Tolerance"},
		{"StatusUrl", "StatusURL"}, {"Foo", NULL}, {"", NULL},
		{"SecretFileSecretFileSecretFileSecretFileSecretFile", NULL}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = key_nearest(SECTION_SOURCE, bytes_of(cases[i].written));
		if (cases[i].nearest)
			assert_string_equal(got ? got : "none", cases[i].nearest);
		else
			assert_null(got);
	}
	assert_int_equal(key_distance(bytes_of("abcdefgh"), bytes_of("ABDCEFGH")), 1);
	assert_int_equal(key_distance(bytes_of("abcdefgh"), bytes_of("abxxefgh")), 2);
	assert_int_equal(key_distance(bytes_of("abcdefgh"), bytes_of("abcdefg")), 1);
	assert_true(key_distance(bytes_of("abcd"), bytes_of("wxyz")) == SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_daemon_defaults),
		cmocka_unit_test(test_source_defaults),
		cmocka_unit_test(test_hook_defaults),
		cmocka_unit_test(test_directories_from_systemd),
		cmocka_unit_test(test_daemon_values),
		cmocka_unit_test(test_source_values),
		cmocka_unit_test(test_hook_values),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_files_merge),
		cmocka_unit_test(test_preset_eachlabs),
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_all_problems_in_order),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_checking_without_credentials),
		cmocka_unit_test(test_environment_is_not_repeated),
		cmocka_unit_test(test_print_round_trip),
		cmocka_unit_test(test_print_fails),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
