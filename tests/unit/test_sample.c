/* A sample verifies as its source verifies, says what it should, and does not when tampered
 * with: sample.c and sign.c against verify.c and payload.c. */
#include "api/sample.h"

#include "api/sample_shape.h"
#include "rules/payload.h"
#include "rules/preset.h"
#include "rules/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1788256800000000

static unsigned char key[] = "0123456789abcdef";
static char word_success[] = "DONE", path[] = "/cb", empty[] = "", content[] = "{body}";
static char name[] = "src", token_header[] = "X-Webhook-Secret";

struct fixture {
	struct source s;
	struct secret secret;
	char *success[1];
	struct message_header headers[16];
	struct message m;
	struct bytes token;
	struct sample sample;
};

static void set_field(struct field_list *l, const char *text)
{
	const char *reason;

	l->fields = calloc(1, sizeof(*l->fields));
	l->size = 1;
	assert_non_null(l->fields);
	assert_int_equal(field_parse(l->fields, text, &reason), 0);
}

static void set_up(struct fixture *f, unsigned verify, const char *id, const char *status)
{
	const char *reason;

	memset(f, 0, sizeof(*f));
	f->secret = (struct secret){.data = key,
		.size = 16,
		.text = key,
		.text_size = 16,
		.whsec = key,
		.whsec_size = 16,
		.file = empty};
	f->success[0] = word_success;
	f->s = (struct source){.name = name,
		.path = path,
		.verify = verify,
		.secrets = &f->secret,
		.n_secrets = 1,
		.success = {f->success, 1},
		.token_header = token_header,
		.signature = {.algorithm = HASH_SHA256,
			.encoding = ENCODING_HEX,
			.prefix = empty,
			.key_prefix = empty,
			.content = content,
			.tolerance_usec = 300000000}};
	assert_int_equal(
		field_parse(&f->s.signature.place, "header:X-Signature", &reason), 0);
	set_field(&f->s.id, id);
	if (status)
		set_field(&f->s.status, status);
}

static void tear_down(struct fixture *f)
{
	sample_fini(&f->sample);
	field_fini(&f->s.signature.place);
	field_list_fini(&f->s.id);
	field_list_fini(&f->s.status);
	condition_list_fini(&f->s.where);
}

/* The sample as the listener would see it. */
static void receive(struct fixture *f)
{
	struct bytes rest = text_bytes(&f->sample.headers), query;
	size_t n = 0;

	while (rest.size) {
		struct bytes line = bytes_split(rest, '\n', &rest), value;
		struct bytes field = bytes_split(line, ':', &value);

		if (!field.size)
			continue;
		value.size--; /* CR */
		f->headers[n++] = (struct message_header){field, bytes_trim(value)};
	}
	f->m = (struct message){.method = bytes_of("POST"),
		.target = text_bytes(&f->sample.target),
		.headers = f->headers,
		.n_headers = n,
		.body = text_bytes(&f->sample.body),
		.peer = bytes_of("127.0.0.1"),
		.received_usec = NOW};
	f->m.path = bytes_split(f->m.target, '?', &query);
	f->m.query = query;
	f->token = BYTES_NONE;
	if (f->m.path.size > strlen(path))
		f->token = (struct bytes){f->m.path.data + strlen(path) + 1,
			f->m.path.size - strlen(path) - 1};
}

static int make(struct fixture *f, json_t *request)
{
	const char *problem = NULL;
	int r = sample_make(
		&f->s, request, "https://cb.example", NOW, &f->sample, &problem);

	json_decref(request);
	assert_true((r > 0) == (problem != NULL));
	if (r == 0)
		receive(f);
	return r;
}

static enum verify_verdict verdict(const struct fixture *f)
{
	struct verify_result v;

	assert_int_equal(
		verify_message(&f->s, &f->m, f->token, "https://cb.example", &v), 0);
	return v.verdict;
}

static void assert_says(const struct fixture *f, const char *id, const char *status)
{
	struct payload p;

	assert_int_equal(payload_read(&f->s, &f->m, &p), 0);
	assert_string_equal(p.id, id);
	if (status)
		assert_string_equal(p.status, status);
	payload_fini(&p);
}

static void verifies_and_tampered_does_not(void **state)
{
	static const unsigned schemes[] = {VERIFY_HMAC, VERIFY_HEADER, VERIFY_TOKEN,
		VERIFY_BASIC, VERIFY_STANDARD_WEBHOOKS, VERIFY_TWILIO};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		set_up(&f, schemes[i], "/data/id", "/status");
		assert_int_equal(make(&f, json_pack("{s:s}", "id", "x")), 0);
		if (verdict(&f) != VERIFY_OK)
			fail_msg("scheme %#x does not verify", schemes[i]);
		assert_says(&f, "test-x", "DONE");
		tear_down(&f);

		set_up(&f, schemes[i], "/data/id", "/status");
		assert_int_equal(make(&f, json_pack("{s:b}", "tamper", 1)), 0);
		assert_true(f.sample.tampered);
		assert_int_not_equal(verdict(&f), VERIFY_OK);
		tear_down(&f);
	}
}

static void puts_each_field_where_it_is_read(void **state)
{
	static const char *const places[][2] = {{"/a~1b/c~0", "/s"},
		{"header:X-Id", "/s"}, {"query:id", "header:X-State"},
		{"form:Id", "form:State"}, {"header:X-Id", NULL},
		{"form:a b/x/id", "form:a b/x/state"}, {"/id", "last:/type"}};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		set_up(&f, VERIFY_HMAC, places[i][0], places[i][1]);
		assert_int_equal(make(&f, json_pack("{s:s}", "id", "test-1")), 0);
		assert_int_equal(verdict(&f), VERIFY_OK);
		assert_says(&f, "test-1", places[i][1] ? "DONE" : NULL);
		tear_down(&f);
	}
}

static void meets_the_conditions(void **state)
{
	const char *reason;
	struct fixture f;

	(void)state;
	set_up(&f, VERIFY_HMAC, "/id", "/status");
	assert_int_equal(
		condition_list_add(&f.s.where, "header:X-Event=push", &reason), 0);
	assert_int_equal(condition_list_add(&f.s.where, "/ref=main", &reason), 0);
	assert_int_equal(condition_list_add(&f.s.where, "/x!=y", &reason), 0);
	assert_int_equal(make(&f, json_object()), 0);
	struct document d;
	document_init_json(&d, &f.m, NULL);
	/* Without the body's JSON it does not hold. */
	assert_int_equal(condition_list_holds(&f.s.where, &d), 0);
	document_fini(&d);
	document_init(&d, &f.m);
	assert_int_equal(condition_list_holds(&f.s.where, &d), 1);
	document_fini(&d);
	tear_down(&f);
}

static void takes_a_body_as_it_is(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, VERIFY_HMAC, "/id", "/status");
	assert_int_equal(make(&f, json_pack("{s:s}", "body_base64", "/wA=")), 0);
	assert_int_equal(f.m.body.size, 2);
	assert_memory_equal(f.m.body.data, "\xff\0", 2);
	assert_null(f.sample.id);
	assert_int_equal(verdict(&f), VERIFY_OK);
	tear_down(&f);
}

/* A signature in a field of the form it signs another field of. */
static void signs_a_field_of_a_form(void **state)
{
	static char field_content[] = "{form:job data}";
	const char *reason;
	struct fixture f;

	(void)state;
	for (int round = 0; round < 3; round++) {
		set_up(&f, VERIFY_HMAC, "form:job data/id", "form:job data/state");
		field_fini(&f.s.signature.place);
		assert_int_equal(
			field_parse(&f.s.signature.place, "form:the sig", &reason), 0);
		f.s.signature.content = field_content;
		json_t *request = json_pack("{s:s}", "id", "test-1");
		if (round == 1)
			json_object_set_new(request, "tamper", json_true());
		if (round == 2)
			json_object_set_new(request, "body",
				json_string("{\"id\":\"test-1\",\"state\":\"DONE\"}"));
		assert_int_equal(make(&f, request), 0);
		assert_int_equal(verdict(&f), round == 1 ? VERIFY_REFUSED : VERIFY_OK);
		if (round != 1)
			assert_says(&f, "test-1", "DONE");
		tear_down(&f);
	}
}

static void every_preset_has_its_shape(void **state)
{
	(void)state;
	for (size_t i = 0; preset_at(i); i++) {
		const struct shape *shape = shape_find(preset_at(i)->name);
		if (!strcmp(preset_at(i)->name, "generic"))
			continue;
		if (!shape)
			fail_msg("%s has none", preset_at(i)->name);
		json_t *json = json_loads(shape->body, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(json))
			fail_msg("that of %s is no object", shape->preset);
		json_decref(json);
		size_t n = strlen(shape->headers);
		assert_true(n == 0 || !strcmp(shape->headers + n - 2, "\r\n"));
	}
	assert_null(shape_find(NULL));
	assert_null(shape_find("generic"));
}

/* What is around id and status is the sender's; what Where= wants takes its place. */
static void shapes_are_the_senders(void **state)
{
	static char github[] = "github", openai[] = "openai", bunny[] = "bunny-stream";
	static char three[] = "3";
	const char *reason;
	struct fixture f;

	(void)state;
	set_up(&f, VERIFY_HMAC, "header:X-GitHub-Delivery", NULL);
	f.s.preset = github;
	assert_int_equal(
		condition_list_add(&f.s.where, "header:X-GitHub-Event=release", &reason),
		0);
	assert_int_equal(make(&f, json_pack("{s:s}", "id", "x")), 0);
	struct bytes event;
	assert_int_equal(message_header(&f.m, "X-GitHub-Event", &event), MESSAGE_ONCE);
	assert_true(bytes_equal(event, bytes_of("release")));
	assert_non_null(memmem(f.m.body.data, f.m.body.size, "\"repository\"", 12));
	assert_says(&f, "test-x", NULL);
	tear_down(&f);

	set_up(&f, VERIFY_STANDARD_WEBHOOKS, "/data/id", "last:/type");
	f.s.preset = openai;
	assert_int_equal(make(&f, json_object()), 0);
	assert_non_null(memmem(f.m.body.data, f.m.body.size, "\"response.DONE\"", 15));
	tear_down(&f);

	set_up(&f, VERIFY_HMAC, "/VideoGuid", "/Status");
	f.s.preset = bunny;
	f.success[0] = three;
	assert_int_equal(make(&f, json_object()), 0);
	assert_non_null(memmem(f.m.body.data, f.m.body.size, "\"Status\":3}", 11));
	tear_down(&f);
}

static void says_what_cannot_be_made(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, VERIFY_HMAC, "/id", "/id/status");
	assert_int_equal(make(&f, json_object()), 1);
	tear_down(&f);
	set_up(&f, VERIFY_HMAC, "/id", "/status");
	assert_int_equal(make(&f, json_pack("{s:s}", "id", "a\nb")), 1);
	tear_down(&f);
	set_up(&f, VERIFY_HMAC, "/id", "/status");
	assert_int_equal(make(&f, json_pack("{s:s}", "body_base64", "?")), 1);
	tear_down(&f);
	set_up(&f, VERIFY_JWT, "/id", "/status");
	assert_int_equal(make(&f, json_object()), 1);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verifies_and_tampered_does_not),
		cmocka_unit_test(puts_each_field_where_it_is_read),
		cmocka_unit_test(meets_the_conditions),
		cmocka_unit_test(takes_a_body_as_it_is),
		cmocka_unit_test(signs_a_field_of_a_form),
		cmocka_unit_test(every_preset_has_its_shape),
		cmocka_unit_test(shapes_are_the_senders),
		cmocka_unit_test(says_what_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
