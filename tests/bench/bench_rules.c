/*
 * What one callback of 2 KiB costs before it reaches the store: to verify, for each scheme, and
 * to read. Usage: bench_rules [ROUNDS]. Each figure is processor time, the best of several
 * rounds, for what else runs on the machine only ever adds; the goal is 15 µs each.
 */
#include "base/clock.h"
#include "base/codec.h"
#include "base/text.h"
#include "rules/config.h"
#include "rules/payload.h"
#include "rules/sign.h"
#include "rules/verify.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define BODY_BYTES 2048
#define CALLS      200
#define GOAL_USEC  15.0
#define ORIGIN     "https://callbacks.example.org"

enum shape { SHAPE_JSON, SHAPE_EMBEDDED, SHAPE_FORM, SHAPE_MULTIPART };

static const struct {
	const char *name, *config;
	enum shape shape;
} cases[] = {
	{"hmac (github)", "Preset=github", SHAPE_JSON},
	{"hmac, pairs (mux)", "Preset=mux", SHAPE_JSON},
	{"standard-webhooks (replicate)", "Preset=replicate", SHAPE_JSON},
	{"header (assemblyai)", "Preset=assemblyai", SHAPE_JSON},
	{"token (runpod)", "Preset=runpod", SHAPE_JSON},
	{"twilio, form", "Preset=twilio", SHAPE_FORM},
	{"transloadit, form", "Preset=transloadit", SHAPE_FORM},
	{"transloadit, multipart", "Preset=transloadit", SHAPE_MULTIPART},
	{"hmac, embedded JSON",
		"Verify=hmac\nIdField=/Message/detail/jobId\n"
		"StatusField=/Message/detail/status",
		SHAPE_EMBEDDED},
};

static int on_read_secret(void *arg, const char *name, char **ret, size_t *ret_size,
	char **ret_path, char **ret_reason, char **ret_warning)
{
	(void)arg, (void)name, (void)ret_reason, (void)ret_warning;
	*ret = strdup("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	*ret_path = strdup("/secret");
	*ret_size = *ret ? strlen(*ret) : 0;
	return *ret && *ret_path ? 0 : -ENOMEM;
}

static struct config *configure(const char *lines)
{
	const struct config_world world = {.read_secret = on_read_secret};
	struct config_report report = {0};
	struct config *c = NULL;
	CLEANUP(freep)
	char *text = text_format("[Daemon]\nPublicURL=" ORIGIN "\n[Source a]\n%s\n"
				 "SecretFile=s\n",
		lines);
	const struct config_text one = {"bench", bytes_of(text)};

	if (config_build(&one, 1, &world, &report, &c) != 0) {
		fprintf(stderr, "%s\n", report.size ? report.problems[0].text : "memory");
		exit(1);
	}
	config_report_fini(&report);
	return c;
}

/* What senders send: some facts, and much that nobody here asks for. */
static void add_json(struct text *t, const char *status, size_t size)
{
	static const char id[] = "0191d3a2-7b6e-7c3a-9f53-0b5f4f1f6f10";

	text_addf(t,
		"{\"id\":\"%s\",\"transcript_id\":\"%s\",\"assembly_id\":\"%s\","
		"\"type\":\"%s\",\"status\":\"%s\",\"ok\":\"%s\",\"data\":{\"id\":\"%s\","
		"\"seconds\":12.5},"
		"\"output\":[",
		id, id, id, status, status, status, id);
	for (size_t i = 0; t->size + 80 < size; i++)
		text_addf(t,
			"%s{\"url\":\"https://cdn.example.org/out/%04zu.png\",\"n\":%zu}",
			i ? "," : "", i, i * 37);
	text_adds(t, "]}");
}

static void make_body(enum shape shape, const char *status, struct text *body)
{
	struct text json = TEXT_EMPTY;

	if (shape == SHAPE_JSON) {
		add_json(body, status, BODY_BYTES);
	} else if (shape == SHAPE_EMBEDDED) {
		text_adds(body,
			"{\"Type\":\"Notification\",\"Message\":\"{\\\"detail\\\":"
			"{\\\"jobId\\\":\\\"1\\\",\\\"status\\\":\\\"completed\\\","
			"\\\"pad\\\":\\\"");
		while (body->size + 10 < BODY_BYTES)
			text_addc(body, 'x');
		text_adds(body, "\\\"}}\"}");
	} else {
		add_json(&json, status,
			shape == SHAPE_MULTIPART ? BODY_BYTES - 400 : 1300);
		CLEANUP(freep) char *encoded = codec_percent_encode(text_bytes(&json));
		text_addf(body,
			"CallSid=CA1234567890&CallStatus=completed&transloadit=%s",
			encoded ? encoded : "");
	}
	text_fini(&json);
}

struct sent {
	struct text body, headers, target, more;
	struct message_header list[8];
	struct message m;
	struct bytes token;
};

/* Signed as a form, sent in parts: the signature covers the field and not the form. */
static void to_multipart(struct sent *s)
{
	struct text t = TEXT_EMPTY;
	struct bytes body = text_bytes(&s->body), field;

	while (body.data) {
		struct bytes value,
			name = bytes_split(bytes_split(body, '&', &body), '=', &value);
		CLEANUP(freep) char *plain = malloc(value.size + 1);
		ptrdiff_t n = codec_percent_decode(value, true, plain, value.size);
		field = (struct bytes){plain, n > 0 ? (size_t)n : 0};
		text_adds(&t, "--b0undary\r\nContent-Disposition: form-data; name=\"");
		text_add(&t, name);
		text_adds(&t, "\"\r\n\r\n");
		text_add(&t, field);
		text_adds(&t, "\r\n");
	}
	text_adds(&t, "--b0undary--\r\n");
	text_fini(&s->body);
	s->body = t;
}

static void make_sent(const struct source *source, enum shape shape, struct sent *s)
{
	static const char *const types[] = {"application/json", "application/json",
		"application/x-www-form-urlencoded",
		"multipart/form-data; boundary=b0undary"};
	bool form = shape >= SHAPE_FORM;

	make_body(shape, source->success.size ? source->success.list[0] : "", &s->body);
	const struct sign_input in = {.body = text_bytes(&s->body),
		.id = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
		.now_usec = clock_wall_usec(),
		.public_url = ORIGIN,
		.form = form,
		.more_body = &s->more};
	text_adds(&s->target, source->path);
	if (sign_message(source, &in, &s->headers, &s->target) != 0) {
		fprintf(stderr, "cannot be signed\n");
		exit(1);
	}
	text_add(&s->body, text_bytes(&s->more));
	if (shape == SHAPE_MULTIPART)
		to_multipart(s);
	s->m = (struct message){.headers = s->list,
		.body = text_bytes(&s->body),
		.target = text_bytes(&s->target),
		.received_usec = in.now_usec};
	s->m.path = bytes_split(s->m.target, '?', &s->m.query);
	if (s->m.path.size > strlen(source->path))
		s->token = bytes_of(s->m.path.data + strlen(source->path) + 1);
	struct bytes rest = text_bytes(&s->headers);
	while (rest.size) {
		struct bytes value, line = bytes_split(rest, '\r', &rest);
		struct bytes name = bytes_split(line, ':', &value);
		s->list[s->m.n_headers++] = (struct message_header){
			name, bytes_trim(value)};
		rest = (struct bytes){rest.data + 1, rest.size - 1};
	}
	s->list[s->m.n_headers++] = (struct message_header){
		bytes_of("Content-Type"), bytes_of(types[shape])};
}

static void verify_once(const struct source *source, const struct sent *s)
{
	struct verify_result result;

	if (verify_message(source, &s->m, s->token, ORIGIN, &result) != 0 ||
		result.verdict != VERIFY_OK) {
		fprintf(stderr, "refused: %s\n", result.reason);
		exit(1);
	}
}

static void read_once(const struct source *source, const struct sent *s)
{
	struct payload p;

	if (payload_read(source, &s->m, &p) != 0 ||
		(p.outcome != OUTCOME_SUCCESS &&
			source->id.fields[0].kind != FIELD_HEADER)) {
		fprintf(stderr, "unreadable: %s\n", p.problem);
		exit(1);
	}
	payload_fini(&p);
}

static double spent_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double best_usec(void (*call)(const struct source *, const struct sent *),
	const struct source *source, const struct sent *s, unsigned rounds)
{
	double best = 1e9;

	for (unsigned round = 0; round < rounds; round++) {
		double began = spent_usec();
		for (unsigned i = 0; i < CALLS; i++)
			call(source, s);
		double each = (spent_usec() - began) / CALLS;
		best = each < best ? each : best;
	}
	return best;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 100;
	bool slow = false;

	payload_init();
	printf("%-32s %6s %10s %8s\n", "", "bytes", "verify µs", "read µs");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct config *c = configure(cases[i].config);
		struct sent s = {0};
		make_sent(c->sources[0], cases[i].shape, &s);
		double verify = best_usec(verify_once, c->sources[0], &s, rounds);
		double read = best_usec(read_once, c->sources[0], &s, rounds);
		bool over = verify > GOAL_USEC || read > GOAL_USEC;
		slow |= over;
		printf("%-32s %6zu %10.2f %8.2f%s\n", cases[i].name, s.body.size, verify,
			read, over ? "  over the goal" : "");
		text_fini(&s.body);
		text_fini(&s.headers);
		text_fini(&s.target);
		text_fini(&s.more);
		config_unref(c);
	}
	return slow;
}
