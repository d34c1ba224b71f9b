/*
 * What an answer makes of a place: keys that are judged, and how long they are good; or a pause.
 * The journal is told of what changes, once.
 */
#include "flow/keyring_private.h"

#include "base/clock.h"
#include "base/text.h"
#include "io/log.h"
#include "io/trust.h"
#include "rules/certificate.h"

#include <errno.h>
#include <openssl/x509.h>
#include <string.h>

#define PAUSE_FIRST_USEC USEC_PER_SEC

void place_drop_keys(struct place *p)
{
	keyset_unref(CONSUME(p->keys));
	free(CONSUME(p->text));
	p->text_size = 0;
	p->fetched_usec = 0;
}

/* A query or a user may be a secret. */
static const char *shown_url(const struct place *p)
{
	const char *behind = strstr(p->url, "://") + 3;
	size_t n = strcspn(behind, "/?#");
	const char *at = memrchr(behind, '@', n);
	struct bytes shown = {p->url, strcspn(p->url, "?#")};

	if (at)
		shown = (struct bytes){at + 1, strcspn(at + 1, "?#")};
	return log_escape(shown);
}

/* libcurl's words hold milliseconds: what is the same is known by its number. */
static void fail(struct place *p, int ailment, const char *trouble)
{
	bool same = p->trouble && p->ailment == ailment &&
		    (ailment != 200 || strcmp(p->trouble, trouble) == 0);
	const char *what = p->kind == VERIFY_KEYS_SET ? "The keys" : "The certificate";

	p->pause_usec = p->pause_usec ? p->pause_usec * 2 : PAUSE_FIRST_USEC;
	if (p->pause_usec > KEYRING_PAUSE_MAX)
		p->pause_usec = KEYRING_PAUSE_MAX;
	p->again_usec = clock_mono_usec() + p->pause_usec;
	if (same)
		return;
	free(p->trouble);
	p->trouble = text_format("%s", trouble);
	p->ailment = ailment;
	log_event(LOG_KEYS_FAILED, &(struct log_fields){.source = p->source},
		"%s at %s cannot be had, %s: %s", what, shown_url(p),
		p->keys ? "those at hand are used on" : "callbacks are answered 503",
		log_escapes(trouble));
}

/* 0 and *ret; 1 with *ret_problem; negative errno. */
static int read_keys(const struct place *p, struct bytes body, struct keyset **ret,
	const char **ret_problem)
{
	X509_STORE *roots = NULL;

	if (p->kind == VERIFY_KEYS_SET)
		return keyset_of_text(body, ret, ret_problem);
	int r = trust_load(p->ca_file, &roots);
	if (r == -ENOENT) {
		*ret_problem = "no authorities are there to judge it by";
		return 1;
	}
	if (r == 0)
		r = certificate_keyset(body, roots, clock_wall_usec(), ret, ret_problem);
	X509_STORE_free(roots);
	return r;
}

static uint64_t freshness(const struct place *p, const struct fetch_answer *a)
{
	uint64_t usec = KEYRING_FRESH_USEC;

	if (p->kind == VERIFY_KEYS_CERTIFICATE) /* its name changes with it */
		return KEYRING_FRESH_MAX;
	if (a->max_age_usec >= 0)
		usec = (uint64_t)a->max_age_usec;
	return usec < KEYRING_FRESH_MIN   ? KEYRING_FRESH_MIN
	       : usec > KEYRING_FRESH_MAX ? KEYRING_FRESH_MAX
					  : usec;
}

static void log_fetched(const struct place *p, const char *how)
{
	log_event(LOG_KEYS_FETCHED, &(struct log_fields){.source = p->source},
		"Fetched the %s at %s%s: %zu key%s of use, %zu passed over",
		p->kind == VERIFY_KEYS_SET ? "keys" : "certificate", shown_url(p), how,
		p->keys->size, p->keys->size == 1 ? "" : "s", p->keys->n_left_out);
}

static void take(struct place *p, struct keyset *keys, const struct fetch_answer *a)
{
	char *text = bytes_dup(a->body);
	bool first = !p->keys, was_failing = p->trouble != NULL;
	bool differs = !text || !p->text ||
		       !bytes_equal(a->body, (struct bytes){p->text, p->text_size});

	place_drop_keys(p);
	p->keys = keys;
	p->text = text;
	p->text_size = text ? a->body.size : 0;
	p->fetched_usec = clock_wall_usec();
	p->old_usec = clock_mono_usec() + freshness(p, a);
	p->gone_usec = p->old_usec + KEYRING_KEPT_USEC;
	p->pause_usec = p->again_usec = 0;
	free(CONSUME(p->trouble));
	if (first || was_failing || differs)
		log_fetched(p, first ? "" : differs ? ", which have changed" : " again");
}

bool place_take(struct place *p, const struct fetch_answer *a)
{
	struct keyset *keys = NULL;
	const char *problem = NULL;
	int r = 0;

	if (!a->error && a->status == 200)
		r = read_keys(p, a->body, &keys, &problem);
	if (keys) {
		take(p, keys, a);
		return true;
	}
	if (a->error) {
		fail(p, a->error, a->error_text);
	} else if (a->status != 200) {
		CLEANUP(freep)
		char *words = text_format("answered with status %ld%s", a->status,
			a->status >= 300 && a->status <= 399
				? ", and no redirect is followed"
				: "");
		fail(p, (int)a->status, words ? words : "out of memory");
	} else {
		fail(p, 200, problem ? problem : strerrordesc_np(-r));
	}
	return false;
}
