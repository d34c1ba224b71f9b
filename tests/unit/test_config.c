/* From text to struct: defaults, values, files that merge, presets, and back to text. */
#include "config_world.h"

#include "fail_malloc.h"

#include <sys/socket.h>
#include <syslog.h>

/* A configuration without a word to say about it. */
static struct config *build(const char *text)
{
	struct text said = TEXT_EMPTY;
	const struct config_text one = {"f", bytes_of(text)};
	struct config *c = build_all(&one, 1, &said, 0);

	if (said.size)
		fail_msg("said:\n%s", said.data);
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
	assert_null(h->working_directory);
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
	assert_null(c->hooks[0]->working_directory);
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
		"Tolerance=90\nReopen=yes\nGiveUpAfter=infinity\nAPIKeyFile=s\n"
		"CAFile=ca\n[Source b]\nVerify=none\nConfirm=yes\n"
		"StatusURL=https://h/{id}/x\nExpectWithin=200ms\n");
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
	s = c->sources[1];
	assert_true(s->confirm);
	assert_string_equal(s->status_url, "https://h/{id}/x");
	assert_int_equal(s->expect_within_usec, 200000);
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
		     "Serialize=no\nMode=exec\nRateLimit=\n");
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

static void test_worker_values(void **state)
{
	(void)state;
	struct config *c = build(
		OPEN "[Hook s]\nMode=socket\nSocket=/run/s\n"
		     "[Hook t]\nMode=stream\nExec=/bin/w -- ${CALLBACK_HOOK} ${HOME}\n"
		     "[Hook b]\nMode=batch\nExec=/bin/w\nBatchMax=7\n"
		     "[Hook b2]\nMode=batch\nExec=/bin/w\nTimeout=1s\nRetries=0\n"
		     "[Hook b3]\nMode=batch\nExec=/bin/w\nEnvironment=A=b\n");
	const struct hook *s = config_hook(c, bytes_of("s")),
			  *t = config_hook(c, bytes_of("t")),
			  *b = config_hook(c, bytes_of("b")),
			  *b2 = config_hook(c, bytes_of("b2")),
			  *b3 = config_hook(c, bytes_of("b3"));
	assert_int_equal(s->mode, HOOK_SOCKET);
	assert_string_equal(s->socket, "/run/s");
	assert_int_equal(t->mode, HOOK_STREAM);
	assert_int_equal(t->batch_max, 100);
	assert_int_equal(b->mode, HOOK_BATCH);
	assert_int_equal(b->batch_max, 7);
	assert_true(hook_same_worker(b, b2));
	assert_false(hook_same_worker(b, b3));
	assert_false(hook_same_worker(b, t));
	assert_false(hook_same_worker(b, s));
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

/* Each allocation fails once: -ENOMEM, nothing leaks (a sanitized run sees the rest). */
static void test_out_of_memory(void **state)
{
	static const char text[] =
		"[Daemon]\nLstn=x\nTrustedProxy=::1\nPublicURL=https://h/\n"
		"[Source e]\nPreset=eachlabs\nSecretFile=open\nSignatureHeader=X-S\n"
		"Where=/a=b\nSuccessValues=\"a b\" c\nAPIKeyFile=s\n[Source f]\n"
		"Preset=eachlab\n[Hook h]\nSource=g\nExec=/bin/echo ${CALLBACK_X}\n"
		"Export=S:/s\nEnvironment=A=b A=c\nOn=any X\n";
	static const struct config_text one = {"f", {text, sizeof(text) - 1}};
	long n = 0;
	int r;
	(void)state;
	if (!fail_malloc_works())
		skip();
	do {
		struct config_report report = {0};
		struct config *c = NULL;
		fail_malloc_at(++n);
		r = config_build(&one, 1, &world, &report, &c);
		bool failed = fail_malloc_end();
		if (failed && r != -ENOMEM && report.size == report.n_errors)
			fail_msg("allocation %ld failed and nobody saw it: %d", n, r);
		assert_null(c);
		config_report_fini(&report);
		if (!failed)
			break;
	} while (n < 100000);
	assert_true(n > 300);
	assert_int_equal(r, 1);
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
		cmocka_unit_test(test_worker_values),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_files_merge),
		cmocka_unit_test(test_preset_eachlabs),
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_print_round_trip),
		cmocka_unit_test(test_print_fails),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
