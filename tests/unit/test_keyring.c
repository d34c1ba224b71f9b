/*
 * When keys are fetched, kept and given up: the clock set by hand, with an outgoing HTTP that
 * answers what the test says.
 */
#include "base/clock.h"
#include "flow/keyring.h"
#include "io/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEY_A "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
#define KEY_B "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
#define URL   "https://k.example/jwks?secret=1"

/* ---- the world ---- */

struct asked {
	char url[VERIFY_URL_SIZE];
	bool public_only, given_up;
	void (*on_done)(void *arg, const struct fetch_answer *answer);
	void *arg;
};

static struct asked asked[512];
static unsigned n_asked, n_logged[LOG_KIND_MAX];
static char told_line[512];

int fetch_start(struct fetch_pool *p, const struct fetch_request *r,
	void (*on_done)(void *arg, const struct fetch_answer *answer), void *arg,
	struct fetch **ret)
{
	(void)p;
	struct asked *a = &asked[n_asked++];
	*a = (struct asked){
		.public_only = r->public_only, .on_done = on_done, .arg = arg};
	snprintf(a->url, sizeof(a->url), "%s", r->url);
	assert_string_equal(r->method, "GET");
	assert_true(r->max_bytes > 0 && r->max_bytes <= 64 << 10);
	assert_true(r->timeout_usec > 0 && r->timeout_usec <= 30 * USEC_PER_SEC);
	*ret = (struct fetch *)a;
	return 0;
}

void fetch_cancel(struct fetch *f)
{
	((struct asked *)f)->given_up = true;
}

void log_event(
	enum log_kind kind, const struct log_fields *fields, const char *format, ...)
{
	va_list ap;

	(void)fields;
	va_start(ap, format);
	vsnprintf(told_line, sizeof(told_line), format, ap);
	va_end(ap);
	n_logged[kind]++;
}

const char *log_escapes(const char *s)
{
	return s;
}

const char *log_escape(struct bytes b)
{
	static char text[256];

	snprintf(text, sizeof(text), "%.*s", BYTES_FMT(b));
	return text;
}

static struct source source, *sources[] = {&source};
static struct config config;
static struct flow flow;
static struct keyring *ring;
static uint64_t now;

static void forward(uint64_t usec)
{
	now += usec;
	clock_freeze(1700000000ll * 1000000 + (int64_t)now, now);
}

static int set_up(void **state)
{
	(void)state;
	source = (struct source){.name = (char *)"s",
		.verify = VERIFY_ED25519 | VERIFY_SNS,
		.keys_url = (char *)URL};
	config = (struct config){.sources = sources, .n_sources = 1};
	flow = (struct flow){.config = &config, .base = event_base_new()};
	n_asked = 0;
	memset(n_logged, 0, sizeof(n_logged));
	now = 5000000;
	forward(0);
	return keyring_new(&ring, &flow);
}

static int tear_down(void **state)
{
	(void)state;
	keyring_free(ring);
	event_base_free(flow.base);
	clock_thaw();
	return 0;
}

/* ---- who waits ---- */

static unsigned n_told, n_came;

static void on_keys(void *arg, enum keyring_verdict verdict)
{
	(void)arg;
	n_told++;
	n_came += verdict == KEYRING_CAME;
}

static int await(enum verify_keys_kind kind, const char *url, bool stale)
{
	struct verify_result v = {
		.verdict = VERIFY_NEEDS_KEYS, .keys_kind = kind, .stale = stale};
	struct keyring_wait *w;

	snprintf(v.url, sizeof(v.url), "%s", url);
	n_told = n_came = 0;
	return keyring_await(
		ring, &source, &v, now + KEYRING_WAIT_USEC, on_keys, NULL, &w);
}

static void answer(const struct fetch_answer *a)
{
	struct asked *last = &asked[n_asked - 1];

	assert_non_null(last->on_done);
	void (*on_done)(void *arg, const struct fetch_answer *answer) = last->on_done;
	last->on_done = NULL;
	on_done(last->arg, a);
}

static void give(const char *keys, int64_t max_age_usec)
{
	answer(&(struct fetch_answer){
		.status = 200, .body = bytes_of(keys), .max_age_usec = max_age_usec});
}

static void refuse(int error, const char *text)
{
	answer(&(struct fetch_answer){.error = error, .error_text = text});
}

static bool at_hand(void)
{
	return keyring_find(ring, &source, VERIFY_KEYS_SET, URL) != NULL;
}

static void fetch_first(int64_t max_age_usec)
{
	assert_int_equal(await(VERIFY_KEYS_SET, URL, false), KEYRING_CAME);
	give(KEY_A, max_age_usec);
	assert_true(at_hand());
}

/* ---- the promises ---- */

static void test_one_fetch_for_all_and_a_bound_on_them(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KEYRING_WAITING_MAX; i++)
		assert_int_equal(await(VERIFY_KEYS_SET, URL, false), KEYRING_CAME);
	assert_int_equal(await(VERIFY_KEYS_SET, URL, false), KEYRING_ABSENT);
	assert_int_equal(n_asked, 1);
	assert_false(asked[0].public_only); /* the operator's own word */
	n_told = n_came = 0;
	give(KEY_A, -1);
	assert_int_equal(n_told, KEYRING_WAITING_MAX);
	assert_int_equal(n_came, KEYRING_WAITING_MAX);
	assert_int_equal(n_logged[LOG_KEYS_FETCHED], 1);
	assert_non_null(strstr(told_line, "https://k.example/jwks: 1 key of use"));
}

static void test_how_long_they_are_fresh(void **state)
{
	static const struct {
		int64_t max_age;
		uint64_t fresh;
	} cases[] = {{-1, KEYRING_FRESH_USEC}, {0, KEYRING_FRESH_MIN},
		{7200ll * 1000000, 7200 * USEC_PER_SEC},
		{30ll * 86400 * 1000000, KEYRING_FRESH_MAX}};

	(void)state;
	fetch_first(cases[0].max_age);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned before = n_asked;
		forward(cases[i].fresh - 1);
		assert_true(at_hand());
		assert_int_equal(n_asked, before);
		forward(1);
		assert_non_null(keyring_peek(ring, &source, VERIFY_KEYS_SET, URL));
		assert_int_equal(n_asked, before); /* who only looks asks nobody */
		assert_true(at_hand());
		assert_true(at_hand());
		assert_int_equal(n_asked, before + 1);
		give(KEY_A, i + 1 < ARRAY_SIZE(cases) ? cases[i + 1].max_age : -1);
	}
	assert_int_equal(n_logged[LOG_KEYS_FETCHED], 1); /* nothing has changed */
}

static void test_they_are_kept_for_a_day_over_an_outage(void **state)
{
	(void)state;
	fetch_first(-1);
	forward(KEYRING_FRESH_USEC);
	assert_true(at_hand());
	refuse(-ETIMEDOUT, "timed out after 10001 milliseconds");
	for (uint64_t t = 0; t < KEYRING_KEPT_USEC - 3600 * USEC_PER_SEC;
		t += 3600 * USEC_PER_SEC) {
		forward(3600 * USEC_PER_SEC);
		assert_true(at_hand());
		refuse(-ETIMEDOUT, t % 2 ? "after 1 ms" : "after 2 ms");
	}
	forward(3600 * USEC_PER_SEC - 1);
	assert_true(at_hand());
	refuse(-ETIMEDOUT, "x");
	forward(1);
	assert_null(keyring_peek(ring, &source, VERIFY_KEYS_SET, URL));
	assert_false(at_hand());
	assert_int_equal(n_logged[LOG_KEYS_FAILED], 1);
	forward(KEYRING_PAUSE_MAX);
	assert_int_equal(await(VERIFY_KEYS_SET, URL, false), KEYRING_CAME);
	refuse(-ECONNREFUSED, "refused"); /* another reason is told */
	assert_int_equal(n_logged[LOG_KEYS_FAILED], 2);
}

static void test_pauses_grow(void **state)
{
	static const unsigned seconds[] = {1, 2, 4, 8, 16, 30, 30};

	(void)state;
	assert_int_equal(await(VERIFY_KEYS_SET, URL, false), KEYRING_CAME);
	for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		refuse(-ECONNREFUSED, "refused");
		assert_int_equal(n_told, 1);
		assert_int_equal(n_came, 0);
		forward(seconds[i] * USEC_PER_SEC - 1);
		assert_int_equal(await(VERIFY_KEYS_SET, URL, false), KEYRING_ABSENT);
		forward(1);
		assert_int_equal(await(VERIFY_KEYS_SET, URL, false), KEYRING_CAME);
	}
	keyring_refresh(ring);
	refuse(-ECONNREFUSED, "refused");
	keyring_refresh(ring); /* a reload ends the pause */
	assert_int_equal(await(VERIFY_KEYS_SET, URL, false), KEYRING_CAME);
	assert_int_equal(n_logged[LOG_KEYS_FAILED], 1);
}

static void test_an_unknown_key_renews_once_a_minute(void **state)
{
	(void)state;
	fetch_first(-1);
	assert_int_equal(await(VERIFY_KEYS_SET, URL, true), KEYRING_CAME);
	assert_int_equal(await(VERIFY_KEYS_SET, URL, true), KEYRING_CAME); /* the same */
	assert_int_equal(n_asked, 2);
	give(KEY_B, -1);
	assert_int_equal(n_logged[LOG_KEYS_FETCHED], 2);
	assert_non_null(strstr(told_line, "have changed"));
	assert_int_equal(await(VERIFY_KEYS_SET, URL, true), KEYRING_NEWEST);
	forward(KEYRING_RENEW_USEC - 1);
	assert_int_equal(await(VERIFY_KEYS_SET, URL, true), KEYRING_NEWEST);
	forward(1);
	assert_int_equal(await(VERIFY_KEYS_SET, URL, true), KEYRING_CAME);
	assert_int_equal(n_asked, 3);
	/* nobody knows now whether there is a newer key: no verdict against the sender */
	refuse(-ECONNREFUSED, "refused");
	assert_int_equal(await(VERIFY_KEYS_SET, URL, true), KEYRING_ABSENT);
	assert_true(at_hand());
}

/* Who is told may ask again at once, and is not told again in the same round. */
static struct verify_result again;
static unsigned n_again;

static void on_keys_ask_again(void *arg, enum keyring_verdict verdict)
{
	struct keyring_wait *w;

	(void)arg;
	assert_int_equal(verdict, KEYRING_CAME);
	assert_int_equal(keyring_await(ring, &source, &again, now + 1, on_keys, NULL, &w),
		KEYRING_CAME);
	n_again++;
}

static void test_who_asks_again_while_told_waits_for_the_next(void **state)
{
	struct keyring_wait *w;

	(void)state;
	again = (struct verify_result){.keys_kind = VERIFY_KEYS_SET, .url = URL};
	n_again = n_told = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(keyring_await(ring, &source, &again, now + 1,
					 on_keys_ask_again, NULL, &w),
			KEYRING_CAME);
	again.stale = true;
	give(KEY_A, -1);
	assert_int_equal(n_again, 3);
	assert_int_equal(n_told, 0);
	assert_int_equal(n_asked, 2);
	give(KEY_B, -1);
	assert_int_equal(n_told, 3);
}

static void test_a_deadline_and_who_goes_away(void **state)
{
	struct verify_result v = {.keys_kind = VERIFY_KEYS_SET, .url = URL};
	struct keyring_wait *w;

	(void)state;
	assert_int_equal(keyring_await(ring, &source, &v, now, on_keys, NULL, &w), 0);
	n_told = n_came = 0;
	event_base_loop(flow.base, EVLOOP_ONCE);
	assert_int_equal(n_told, 1);
	assert_int_equal(n_came, 0);
	assert_int_equal(keyring_await(ring, &source, &v, now, on_keys, NULL, &w), 0);
	keyring_forget(w);
	give(KEY_A, -1); /* the fetch was worth it all the same */
	assert_int_equal(n_told, 1);
	assert_true(at_hand());
}

static void test_what_nobody_leads_to_is_forgotten(void **state)
{
	(void)state;
	fetch_first(-1);
	keyring_refresh(ring);
	assert_true(at_hand());
	assert_int_equal(n_asked, 2); /* a reload makes them old */
	source.keys_url = (char *)"https://other.example/";
	keyring_refresh(ring);
	give(KEY_A, -1); /* under way until now */
	assert_null(keyring_peek(ring, &source, VERIFY_KEYS_SET, URL));
}

static void test_other_authorities_are_another_place(void **state)
{
	(void)state;
	fetch_first(-1);
	source.ca_file = (char *)"/ca.pem";
	assert_false(at_hand());
}

static unsigned n_places;

static void count(void *arg, const struct keyring_state *s)
{
	(void)arg;
	(void)s;
	n_places++;
}

static void test_certificates_are_bounded(void **state)
{
	char url[64];

	(void)state;
	for (unsigned i = 0; i < KEYRING_CERTS_BURST; i++) {
		snprintf(url, sizeof(url), "https://sns.a.amazonaws.com/%u.pem", i);
		assert_int_equal(
			await(VERIFY_KEYS_CERTIFICATE, url, false), KEYRING_CAME);
		assert_true(asked[i].public_only);
		refuse(-EHOSTUNREACH, "no");
	}
	assert_int_equal(
		await(VERIFY_KEYS_CERTIFICATE, "https://x/", false), KEYRING_ABSENT);
	for (unsigned i = 0; i < 100; i++) {
		forward(KEYRING_CERTS_USEC);
		snprintf(url, sizeof(url), "https://sns.b.amazonaws.com/%u.pem", i);
		assert_int_equal(
			await(VERIFY_KEYS_CERTIFICATE, url, false), KEYRING_CAME);
		refuse(-EHOSTUNREACH, "no");
		assert_int_equal(await(VERIFY_KEYS_CERTIFICATE, "https://x/", false),
			KEYRING_ABSENT);
	}
	n_places = 0;
	keyring_each(ring, count, NULL);
	assert_int_equal(n_places, KEYRING_CERTS_MAX);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_one_fetch_for_all_and_a_bound_on_them),
		T(test_how_long_they_are_fresh),
		T(test_they_are_kept_for_a_day_over_an_outage),
		T(test_pauses_grow),
		T(test_an_unknown_key_renews_once_a_minute),
		T(test_who_asks_again_while_told_waits_for_the_next),
		T(test_a_deadline_and_who_goes_away),
		T(test_what_nobody_leads_to_is_forgotten),
		T(test_other_authorities_are_another_place),
		T(test_certificates_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
