/* Reading of payloads: what counts as an id and a status, and bodies that mean harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "fail_malloc.h"
#include "rules/payload.h"

#include <stdio.h>

#define MIB (1024u * 1024)

static char *success[] = {(char *)"completed", (char *)"Succeeded", (char *)"3"};
static char *error[] = {(char *)"error", (char *)"5", (char *)"8"};
static char *canceled[] = {(char *)"canceled"};
static char *pending[] = {(char *)"pending", (char *)"false"};

static struct source make_source(const char *id, const char *status, const char *delivery)
{
	struct source s = {
		.success = {success, ARRAY_SIZE(success)},
		.error = {error, ARRAY_SIZE(error)},
		.canceled = {canceled, ARRAY_SIZE(canceled)},
		.pending = {pending, ARRAY_SIZE(pending)},
	};
	const char *const lists[] = {id, status, delivery};
	struct field_list *into[] = {&s.id, &s.status, &s.delivery};
	const char *reason;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct bytes rest = bytes_of(lists[i]);
		while (rest.data) {
			char *one = bytes_dup(bytes_split(rest, ' ', &rest));
			assert_non_null(one);
			assert_int_equal(field_list_add(into[i], one, &reason), 0);
			free(one);
		}
	}
	return s;
}

static void source_fini(struct source *s)
{
	field_list_fini(&s->id);
	field_list_fini(&s->status);
	field_list_fini(&s->delivery);
}

static const struct message_header headers[] = {
	{{"X-Delivery", 10}, {"d-1", 3}},
	{{"X-Twice", 7}, {"a", 1}},
	{{"X-Twice", 7}, {"a", 1}},
	{{"X-Latin", 7}, {"\xe4", 1}},
};

static struct payload read_bytes(const struct source *s, struct bytes body)
{
	struct message m = {.body = body,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.query = bytes_of("id=q%201&id2=a&id2=b")};
	struct payload p;

	assert_int_equal(payload_read(s, &m, &p), 0);
	return p;
}

static void expect(const struct source *s, const char *body, const char *id,
	const char *status, enum outcome outcome, bool unknown)
{
	struct payload p = read_bytes(s, bytes_of(body));

	if (p.problem)
		fail_msg("<%s>: %s", body, p.problem);
	assert_string_equal(p.id, id);
	if (status)
		assert_string_equal(p.status, status);
	else
		assert_null(p.status);
	assert_int_equal(p.outcome, outcome);
	assert_int_equal(p.unknown_word, unknown);
	payload_fini(&p);
}

static void expect_unreadable(const struct source *s, struct bytes body, const char *part)
{
	struct payload p = read_bytes(s, body);

	assert_int_equal(p.outcome, OUTCOME_UNREADABLE);
	assert_non_null(p.problem);
	if (!strstr(p.problem, part))
		fail_msg("<%.60s>: <%s>, not <%s>", body.data ? body.data : "", p.problem,
			part);
	assert_non_null(p.id);
	assert_int_equal(strlen(p.id), 7 + 64);
	assert_memory_equal(p.id, "sha256:", 7);
	assert_null(p.status);
	assert_false(p.unknown_word);
	payload_fini(&p);
}

static void test_words(void **state)
{
	struct source s = make_source("/id", "/status", NULL);

	(void)state;
	expect(&s, "{\"id\":\"a\",\"status\":\"completed\"}", "a", "completed",
		OUTCOME_SUCCESS, false);
	expect(&s, "{\"id\":\"a\",\"status\":\"COMPLETED\"}", "a", "COMPLETED",
		OUTCOME_SUCCESS, false);
	expect(&s, "{\"id\":\"a\",\"status\":\"succeeded\"}", "a", "succeeded",
		OUTCOME_SUCCESS, false);
	expect(&s, "{\"id\":\"a\",\"status\":\"Error\"}", "a", "Error", OUTCOME_ERROR,
		false);
	expect(&s, "{\"id\":\"a\",\"status\":\"CANCELED\"}", "a", "CANCELED",
		OUTCOME_CANCELED, false);
	expect(&s, "{\"id\":\"a\",\"status\":\"pending\"}", "a", "pending",
		OUTCOME_PENDING, false);
	expect(&s, "{\"id\":\"a\",\"status\":\"complete\"}", "a", "complete",
		OUTCOME_PENDING, true);
	expect(&s, "{\"id\":7,\"status\":3}", "7", "3", OUTCOME_SUCCESS, false);
	expect(&s, "{\"id\":-7,\"status\":8}", "-7", "8", OUTCOME_ERROR, false);
	expect(&s, "{\"id\":0,\"status\":4}", "0", "4", OUTCOME_PENDING, true);
	expect(&s, "{\"id\":0,\"status\":false}", "0", "false", OUTCOME_PENDING, false);
	/* ASCII case only: the Kelvin sign is no k, a Turkish i no i. */
	expect(&s, "{\"id\":0,\"status\":\"PEND\xc4\xb0NG\"}", "0", "PEND\xc4\xb0NG",
		OUTCOME_PENDING, true);
	/* A byte order mark is no part of the text. */
	expect(&s, "\xef\xbb\xbf{\"id\":1,\"status\":3}", "1", "3", OUTCOME_SUCCESS,
		false);
	source_fini(&s);
}

static void test_ids(void **state)
{
	struct source s = make_source("/id /alt /data/0/id", "/s", NULL);
	char body[600], id[257];

	(void)state;
	expect(&s, "{\"alt\":\"b\",\"s\":3}", "b", "3", OUTCOME_SUCCESS, false);
	expect(&s, "{\"id\":null,\"alt\":{},\"data\":[{\"id\":\"c\"}],\"s\":3}", "c", "3",
		OUTCOME_SUCCESS, false);
	expect(&s, "{\"id\":\"\xc3\xa4/b c\",\"s\":3}", "\xc3\xa4/b c", "3",
		OUTCOME_SUCCESS, false);
	expect(&s, "{\"id\":9223372036854775807,\"s\":3}", "9223372036854775807", "3",
		OUTCOME_SUCCESS, false);
	expect(&s, "{\"id\":-9223372036854775808,\"s\":3}", "-9223372036854775808", "3",
		OUTCOME_SUCCESS, false);
	/* Larger than any integer here, and still decimal text. */
	expect(&s, "{\"id\":9223372036854775808,\"s\":3}", "9223372036854775808", "3",
		OUTCOME_SUCCESS, false);
	expect(&s, "{\"id\":-123456789012345678901234567890,\"s\":3}",
		"-123456789012345678901234567890", "3", OUTCOME_SUCCESS, false);

	expect_unreadable(&s, bytes_of("{\"s\":3}"), "no job id");
	expect_unreadable(&s, bytes_of("{\"id\":1.5,\"alt\":\"b\",\"s\":3}"), "neither");
	expect_unreadable(&s, bytes_of("{\"id\":1.0,\"s\":3}"), "neither");
	expect_unreadable(&s, bytes_of("{\"id\":true,\"s\":3}"), "neither");
	expect_unreadable(
		&s, bytes_of("{\"id\":\"\",\"alt\":\"b\",\"s\":3}"), "255 bytes");
	expect_unreadable(&s, bytes_of("{\"id\":\"a\\nb\",\"s\":3}"), "control");
	expect_unreadable(&s, bytes_of("{\"id\":\"a\\u0000b\",\"s\":3}"), "control");
	expect_unreadable(&s, bytes_of("{\"id\":\"a\\u007fb\",\"s\":3}"), "control");
	expect_unreadable(&s, bytes_of("{\"id\":\"a\\u0085b\",\"s\":3}"), "control");
	memset(id, 'x', 256);
	id[255] = '\0';
	snprintf(body, sizeof(body), "{\"id\":\"%s\",\"s\":3}", id);
	expect(&s, body, id, "3", OUTCOME_SUCCESS, false);
	snprintf(body, sizeof(body), "{\"id\":\"%sx\",\"s\":3}", id);
	expect_unreadable(&s, bytes_of(body), "255 bytes");
	source_fini(&s);
}

static void test_status(void **state)
{
	struct source s = make_source("/id", "/status /data/status", NULL);
	struct source without = make_source("/id", NULL, NULL);

	(void)state;
	expect(&s, "{\"id\":1,\"data\":{\"status\":\"error\"}}", "1", "error",
		OUTCOME_ERROR, false);
	expect_unreadable(&s, bytes_of("{\"id\":1}"), "no status");
	expect_unreadable(&s, bytes_of("{\"id\":1,\"status\":null}"), "no status");
	expect_unreadable(&s, bytes_of("{\"id\":1,\"status\":[]}"), "no status");
	expect_unreadable(&s, bytes_of("{\"id\":1,\"status\":\"a\\u0000b\"}"), "control");
	expect_unreadable(&s, bytes_of("{\"status\":\"error\"}"), "no job id");
	expect(&without, "{\"id\":1,\"status\":\"error\"}", "1", NULL, OUTCOME_SUCCESS,
		false);
	source_fini(&s);
	source_fini(&without);
}

static void test_outside_the_body(void **state)
{
	struct source s = make_source("header:X-Delivery", NULL, "header:x-delivery");
	struct payload p = read_bytes(&s, bytes_of("not JSON"));

	(void)state;
	assert_null(p.problem);
	assert_null(p.document.json);
	assert_string_equal(p.id, "d-1");
	assert_string_equal(p.delivery, "d-1");
	payload_fini(&p);
	source_fini(&s);

	s = make_source("query:id", NULL, "header:x-twice");
	p = read_bytes(&s, BYTES_NONE);
	assert_string_equal(p.id, "q 1");
	assert_null(p.delivery);
	payload_fini(&p);
	source_fini(&s);

	s = make_source("header:X-Twice /id", NULL, "header:x-latin");
	expect_unreadable(&s, bytes_of("{\"id\":1}"), "twice");
	source_fini(&s);
	s = make_source("query:id2", NULL, NULL);
	expect_unreadable(&s, bytes_of("{}"), "twice");
	source_fini(&s);
	s = make_source("header:X-Latin", NULL, NULL);
	expect_unreadable(&s, bytes_of("{}"), "UTF-8");
	source_fini(&s);
	s = make_source("header:X-Delivery", "/status", NULL);
	expect_unreadable(&s, bytes_of("nope"), "no JSON");
	source_fini(&s);
}

static void test_broken(void **state)
{
	static const struct {
		const char *body, *problem;
	} cases[] = {
		{"", "empty"},
		{"\xef\xbb\xbf", "empty"},
		{"   ", "cut short"},
		{"{\"id\":1", "cut short"},
		{"{\"id\":1}x", "no JSON"},
		{"{\"id\":1}{}", "no JSON"},
		{"{'id':1}", "no JSON"},
		{"{\"id\":1,}", "no JSON"},
		{"id=1&status=3", "no JSON"},
		{"{\"id\":01,\"status\":3}", "no JSON"},
		{"{\"id\":1,\"id\":2,\"status\":3}", "twice"},
		{"{\"id\":1,\"status\":3,\"x\":{\"a\":1,\"\\u0061\":2}}", "twice"},
		{"{\"id\":1,\"status\":3,\"x\":\"\xff\"}", "UTF-8"},
		{"{\"id\":1,\"status\":3,\"x\":\"\xc0\xaf\"}", "UTF-8"},
		{"{\"id\":1,\"status\":3,\"x\":\"\xed\xa0\x80\"}", "UTF-8"},
		{"{\"id\":1,\"status\":3,\"\\u0000\":1}", "NUL"},
		{"[1,2]", "no job id"},
		{"\"id\"", "no job id"},
		{"null", "no job id"},
		/* A number must not become a key by being quoted. */
		{"{\"id\":1,\"status\":3,99999999999999999999:1}", "no JSON"},
		{"{\"id\":1,\"status\":3,99999999999999999999 :1}", "no JSON"},
		{"{\"id\":1,\"status\":3,\"x\":99999999999999999999.}", "no JSON"},
		{"{\"id\":1,\"status\":3,\"x\":099999999999999999999}", "no JSON"},
		{"{\"id\":1,\"status\":3,\"x\":-}", "no JSON"},
		{"[99999999999999999999", "cut short"},
	};
	struct source s = make_source("/id", "/status", NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_unreadable(&s, bytes_of(cases[i].body), cases[i].problem);
	expect_unreadable(&s, (struct bytes){"{\"id\":1,\"status\":3}\0", 20}, "no JSON");
	source_fini(&s);
}

/* The id of what cannot be read is the hash of its bytes. */
static void test_hash(void **state)
{
	struct source s = make_source("/id", "/status", NULL);
	struct payload p = read_bytes(&s, bytes_of("abc"));

	(void)state;
	/* FIPS 180-2, B.1 */
	assert_string_equal(p.id,
		"sha256:"
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	payload_fini(&p);
	p = read_bytes(&s, BYTES_NONE);
	assert_string_equal(p.id,
		"sha256:"
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	payload_fini(&p);
	source_fini(&s);
}

/* What is odd elsewhere in a payload does not cost the whole. */
static void test_tolerant(void **state)
{
	static const char *const odd[] = {"\"a\\u0000b\"", "18446744073709551616",
		"-99999999999999999999999999", "1e999", "-1E+999", "[1e400,[2e400]]",
		"{\"y\":1e400}", "1e-999", "\"99999999999999999999\"",
		"\"\\\"99999999999999999999\"", "\"\\\\\"",
		"9223372036854775808 ,\"z\":1e999"};
	struct source s = make_source("/id", "/status", NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		char body[256];
		snprintf(body, sizeof(body), "{\"x\":%s,\"id\":\"a\",\"status\":3}",
			odd[i]);
		expect(&s, body, "a", "3", OUTCOME_SUCCESS, false);
	}
	source_fini(&s);
}

/* Numbers: exact, or as they are written; never rounded, never a key. */
static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		json_type type;
		const char *shown; /* the string it became */
	} cases[] = {
		{"0", JSON_INTEGER, NULL},
		{"-0", JSON_INTEGER, NULL},
		{"9223372036854775807", JSON_INTEGER, NULL},
		{"-9223372036854775808", JSON_INTEGER, NULL},
		{"9223372036854775808", JSON_STRING, "9223372036854775808"},
		{"-9223372036854775809", JSON_STRING, "-9223372036854775809"},
		{"99999999999999999999", JSON_STRING, "99999999999999999999"},
		{"1e308", JSON_REAL, NULL},
		{"1.0", JSON_REAL, NULL},
		{"0e1", JSON_REAL, NULL},
		{"1E-400", JSON_REAL, NULL},
		{"1e309", JSON_STRING, "1e309"},
		{"-1.5E+400", JSON_STRING, "-1.5E+400"},
	};
	static const char *const none[] = {"", "-", "+1", "01", "-01", "1.", ".1", "1.e1",
		"1e", "1e+", "0x1", "1.2.3", "--1", "1 2", "NaN", "Infinity", "1,"};
	const char *problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *json = payload_parse(bytes_of(cases[i].text), &problem);
		if (!json || json_typeof(json) != cases[i].type)
			fail_msg("<%s>", cases[i].text);
		if (cases[i].shown)
			assert_string_equal(json_string_value(json), cases[i].shown);
		json_t *same = json_loads(cases[i].text, JSON_DECODE_ANY, NULL);
		assert_int_equal(same != NULL, cases[i].shown == NULL);
		if (same)
			assert_true(json_equal(json, same));
		json_decref(same);
		json_decref(json);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		if (payload_parse(bytes_of(none[i]), &problem))
			fail_msg("<%s> is taken", none[i]);
}

static void test_strings(void **state)
{
	static const char *const same[] = {"\"\"", "\"a\\\\b\\/\\\"\\b\\f\\n\\r\\t\"",
		"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\uFFFF\"", "\"\\u0000x\"",
		"\"\xc3\xa9 \\n \xf0\x9f\x98\x80\"", "{\"k\\u0041\":{\"\\n\":\"\\t\"}}",
		"{\"\\n012345678901234567890123456789012345678901234567890123456789012345"
		"6789\":"
		"\"\\n\"}",
		" [ true , false , null , { } , [ ] ] "};
	static const char *const none[] = {"\"", "\"\\", "\"\\x\"", "\"\\u12\"",
		"\"\\u12g4\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83dx\"",
		"\"\\ud83d\\u0041\"", "\"\\ud83d\\ud83d\"", "\"\n\"", "\"\x1f\"",
		"\"\x80\"", "\"\\n\xc3\"", "\"\xed\xa0\x80\"", "'a'", "[1,]", "[,1]",
		"{\"a\":1,}", "{\"a\"}", "{a:1}", "{1:1}", "[1 2]", "{\"a\":1 \"b\":2}",
		"tru", "True", "nulll", "[", "{", "]", "{\"a\":1]", "{\"\\u0000\":1}",
		"{\"a\":1,\"\\u0061\":2}", "\xef\xbb\xbf", "\v1", "/**/1"};
	const char *problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		json_t *json = payload_parse(bytes_of(same[i]), &problem);
		json_t *want = json_loads(
			same[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		assert_non_null(want);
		if (!json || !json_equal(json, want))
			fail_msg("<%s>: %s", same[i], json ? "another" : problem);
		json_decref(want);
		json_decref(json);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		if (payload_parse(bytes_of(none[i]), &problem))
			fail_msg("<%s> is taken", none[i]);
}

static struct bytes repeat(const char *piece, size_t times, const char *tail, char **ret)
{
	size_t n = strlen(piece), m = strlen(tail);
	char *p = malloc(n * times + m + 1);

	assert_non_null(p);
	for (size_t i = 0; i < times; i++)
		memcpy(p + i * n, piece, n);
	memcpy(p + n * times, tail, m + 1);
	*ret = p;
	return (struct bytes){p, n * times + m};
}

static void test_depth(void **state)
{
	static const struct {
		const char *piece;
		size_t times;
		const char *problem; /* NULL: taken */
	} cases[] = {
		{"[", 64, "cut short"},
		{"[", 65, "deeply"},
		{"[", MIB, "deeply"},
		{"{\"a\":", 64, "cut short"},
		{"{\"a\":", 65, "deeply"},
		{"{\"a\":[", MIB / 8, "deeply"},
		{"[]", MIB / 2, "no JSON"},
		{"]", 1000, "no JSON"},
	};
	struct source s = make_source("/id", "/status", NULL);
	const char *problem;
	char *p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes body = repeat(cases[i].piece, cases[i].times, "", &p);
		expect_unreadable(&s, body, cases[i].problem);
		free(p);
	}
	/* Brackets in strings do not count; 64 levels are taken. */
	struct bytes body = repeat("[", 70, "\",\"id\":1,\"status\":3}", &p);
	struct text t = TEXT_EMPTY;
	text_adds(&t, "{\"x\":\"\\\"");
	text_add(&t, body);
	expect(&s, t.data, "1", "3", OUTCOME_SUCCESS, false);
	text_clear(&t);
	for (int i = 0; i < 128; i++)
		text_addc(&t, i < 64 ? '[' : ']');
	json_t *json = payload_parse(text_bytes(&t), &problem);
	assert_non_null(json);
	json_decref(json);
	text_fini(&t);
	free(p);
	source_fini(&s);
}

/* Bodies that are small and would be large are refused, honest lists of small things not. */
static void test_memory_budget(void **state)
{
	static const struct {
		const char *piece;
		bool taken;
	} cases[] = {
		{"{},", false},
		{"0,", true},
		{"\"\",", true},
		{"[1,2],", true},
		{"{\"x\":1,\"y\":2},", true},
		{"{\"text\":\"word\",\"start\":250},", true},
		{"0123456789abcdef", true},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *problem = "";
		char *p;
		struct bytes body = repeat(
			cases[i].piece, (MIB - 16) / strlen(cases[i].piece), "0]", &p);
		struct text t = TEXT_EMPTY;
		text_adds(&t, "[0,");
		if (cases[i].piece[1] == '1') /* one long string */
			text_addc(&t, '"');
		text_add(&t, body);
		if (cases[i].piece[1] == '1') {
			t.data[t.size - 2] = '"';
			t.data[t.size - 1] = ']';
		}
		json_t *json = NULL;
		/* Refused, not "try again later": it would come again for ever. */
		int r = document_parse(text_bytes(&t), &json, &problem);
		assert_int_equal(r, cases[i].taken ? 0 : 1);
		if (cases[i].taken != (json != NULL))
			fail_msg("<%s>: %s", cases[i].piece, problem);
		if (!json)
			assert_non_null(strstr(problem, "memory"));
		json_decref(json);
		text_fini(&t);
		free(p);
	}
}

/* The budget binds nobody else, and not this thread afterwards. */
static void test_budget_is_disarmed(void **state)
{
	const char *problem;
	json_t *all = json_array();

	(void)state;
	assert_null(payload_parse(bytes_of("{"), &problem));
	for (int i = 0; i < 20000; i++)
		assert_int_equal(json_array_append_new(all, json_object()), 0);
	json_decref(all);
}

/* A megabyte of digits must not be looked at again and again. */
static void test_long_numbers(void **state)
{
	struct source s = make_source("/id", "/status", NULL);
	char *p;
	struct bytes body = repeat("9", MIB - 1, "", &p);

	(void)state;
	expect_unreadable(&s, body, "no job id");
	p[MIB - 2] = '.';
	expect_unreadable(&s, body, "cut short");
	memset(p, '9', MIB - 1);
	for (size_t i = 30; i < MIB - 1; i += 30)
		p[i] = '.';
	expect_unreadable(&s, body, "no JSON");
	free(p);
	source_fini(&s);
}

/* What the source itself says, of a job that was asked for. */
static void test_answers(void **state)
{
	static const struct {
		const char *body, *problem, *status;
		enum outcome outcome;
	} cases[] = {
		{"{\"id\":\"a b\",\"status\":\"Completed\",\"d\":\"x\"}", NULL,
			"Completed", OUTCOME_SUCCESS},
		{"{\"status\":\"ERROR\"}", NULL, "ERROR", OUTCOME_ERROR},
		{"{\"id\":null,\"other\":\"a b\",\"status\":\"pending\"}", NULL,
			"pending", OUTCOME_PENDING},
		{"{\"id\":[],\"status\":\"new word\"}", NULL, "new word",
			OUTCOME_PENDING},
		{"{\"id\":\"a\",\"status\":\"completed\"}", "it is of another job", NULL,
			OUTCOME_NONE},
		{"{\"id\":\"A B\",\"status\":\"completed\"}", "it is of another job",
			NULL, OUTCOME_NONE},
		{"{\"other\":7,\"status\":\"completed\"}", "it is of another job", NULL,
			OUTCOME_NONE},
		{"{\"id\":\"a b\\u0000\",\"status\":\"completed\"}",
			"it is of another job", NULL, OUTCOME_NONE},
		{"{\"id\":\"a b\"}", "there is no status", NULL, OUTCOME_NONE},
		{"[]", "there is no status", NULL, OUTCOME_NONE},
	};
	struct source s = make_source("/id /other", "/status", "/d");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct message m = {.body = bytes_of(cases[i].body)};
		struct payload p;
		int r = payload_read_answer(&s, &m, "a b", &p);

		assert_int_equal(r, cases[i].problem != NULL);
		assert_int_equal(p.outcome, cases[i].outcome);
		if (r) {
			assert_string_equal(p.problem, cases[i].problem);
		} else {
			assert_null(p.problem);
			assert_string_equal(p.id, "a b");
			assert_string_equal(p.status, cases[i].status);
			assert_null(p.delivery);
			assert_int_equal(p.unknown_word, i == 3);
		}
		payload_fini(&p);
	}
	struct message no_json = {.body = bytes_of("{")};
	struct payload p;
	assert_int_equal(payload_read_answer(&s, &no_json, "a b", &p), 1);
	assert_non_null(p.problem);
	payload_fini(&p);
	source_fini(&s);
}

static void test_short_of_memory(void **state)
{
	static const char *const bodies[] = {
		"{\"id\":\"a\",\"status\":\"completed\",\"x\":[1,2.5,{\"y\":null}],"
		"\"big\":99999999999999999999}",
		"{\"id\":[]}",
	};
	struct payload p;

	(void)state;
	if (!fail_malloc_works())
		skip();
	struct source s = make_source("/id", "/status", "header:X-Delivery");
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct message m = {.body = bytes_of(bodies[i]),
			.headers = headers,
			.n_headers = ARRAY_SIZE(headers)};
		enum outcome right = i == 0 ? OUTCOME_SUCCESS : OUTCOME_UNREADABLE;
		for (long n = 1;; n++) {
			fail_malloc_at(n);
			int r = payload_read(&s, &m, &p);
			bool fired = fail_malloc_end();
			/* Never does short memory make a good body unreadable. */
			if (r == 0)
				assert_int_equal(p.outcome, right);
			else
				assert_true(r == -ENOMEM || r == -EIO);
			payload_fini(&p);
			if (!fired) {
				assert_int_equal(r, 0);
				assert_true(n > 10);
				break;
			}
		}
	}
	source_fini(&s);
}

static int set_up(void **state)
{
	(void)state;
	payload_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_outside_the_body),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_tolerant),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_memory_budget),
		cmocka_unit_test(test_budget_is_disarmed),
		cmocka_unit_test(test_long_numbers),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_short_of_memory),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
