/*
 * A place for each URL, in a map and in the order of its last use. Those of KeysURL= are as many
 * as the configuration names; those of certificates, which the world names, are bounded, and the
 * ones that hold nothing give way first: who invents URLs throws nobody's certificate out.
 */
#include "flow/keyring_private.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define FETCH_TIMEOUT_USEC (10 * USEC_PER_SEC)

int keyring_new(struct keyring **ret, struct flow *flow)
{
	struct keyring *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	if (map_init(&k->by_key) < 0) {
		free(k);
		return -ENOMEM;
	}
	k->flow = flow;
	TAILQ_INIT(&k->used);
	*ret = k;
	return 0;
}

void keyring_forget(struct keyring_wait *w)
{
	struct place *p = w->place;

	TAILQ_REMOVE(&p->waiting, w, entry);
	p->n_waiting--;
	p->ring->n_waiting--;
	event_free(w->deadline);
	free(w);
}

static void place_free(struct place *p)
{
	struct keyring *k = p->ring;
	struct keyring_wait *w;

	while ((w = TAILQ_FIRST(&p->waiting)))
		keyring_forget(w);
	if (p->fetch)
		fetch_cancel(p->fetch);
	place_drop_keys(p);
	map_remove(&k->by_key, &p->by_key);
	TAILQ_REMOVE(&k->used, p, used);
	k->n_certificates -= p->kind == VERIFY_KEYS_CERTIFICATE;
	free(p->key);
	free(p->ca_file);
	free(p->source);
	free(p->trouble);
	free(p);
}

void keyring_free(struct keyring *k)
{
	struct place *p;

	if (!k)
		return;
	while ((p = TAILQ_FIRST(&k->used))) {
		p->fetch = NULL; /* the pool has ended it */
		place_free(p);
	}
	map_fini(&k->by_key);
	free(k);
}

/* ---- The places ---- */

static char *key_of(const struct source *s, enum verify_keys_kind kind, const char *url)
{
	return text_format("%d %s\n%s", (int)kind, s->ca_file ? s->ca_file : "", url);
}

/* NULL: there is none, or memory is short. */
static struct place *find_place(const struct keyring *k, const struct source *s,
	enum verify_keys_kind kind, const char *url)
{
	CLEANUP(freep) char *key = key_of(s, kind, url);
	struct map_entry *e = key ? map_find(&k->by_key, bytes_of(key)) : NULL;

	return e ? container_of(e, struct place, by_key) : NULL;
}

static bool may_go(const struct place *p)
{
	return !p->fetch && !p->telling && TAILQ_EMPTY(&p->waiting);
}

/* What holds nothing goes first, then what was not used longest. */
static void make_room(struct keyring *k)
{
	struct place *p, *next, *oldest = NULL;

	if (k->n_certificates < KEYRING_CERTS_MAX)
		return;
	for (p = TAILQ_FIRST(&k->used); p; p = next) {
		next = TAILQ_NEXT(p, used);
		if (p->kind != VERIFY_KEYS_CERTIFICATE || !may_go(p))
			continue;
		if (!p->keys) {
			place_free(p);
			return;
		}
		oldest = oldest ? oldest : p;
	}
	if (oldest)
		place_free(oldest);
}

static struct place *place_new(struct keyring *k, const struct source *s,
	enum verify_keys_kind kind, const char *url)
{
	struct place *p = calloc(1, sizeof(*p));

	if (p) {
		p->key = key_of(s, kind, url);
		p->source = bytes_dup(bytes_of(s->name));
		p->ca_file = bytes_dup(bytes_of(s->ca_file));
	}
	if (!p || !p->key || !p->source || (s->ca_file && !p->ca_file)) {
		if (p) {
			free(p->key);
			free(p->source);
			free(p->ca_file);
		}
		free(p);
		return NULL;
	}
	if (kind == VERIFY_KEYS_CERTIFICATE)
		make_room(k);
	p->ring = k;
	p->kind = kind;
	p->url = strchr(p->key, '\n') + 1;
	TAILQ_INIT(&p->waiting);
	map_put(&k->by_key, &p->by_key, bytes_of(p->key));
	TAILQ_INSERT_TAIL(&k->used, p, used);
	k->n_certificates += kind == VERIFY_KEYS_CERTIFICATE;
	return p;
}

static void touch(struct place *p)
{
	TAILQ_REMOVE(&p->ring->used, p, used);
	TAILQ_INSERT_TAIL(&p->ring->used, p, used);
}

/* Does the configuration still lead there? */
static bool is_wanted(const struct place *p)
{
	const struct config *config = p->ring->flow->config;

	for (size_t i = 0; i < config->n_sources; i++) {
		const struct source *s = config->sources[i];
		bool same = p->ca_file ? s->ca_file && strcmp(s->ca_file, p->ca_file) == 0
				       : !s->ca_file;
		if (same && (p->kind == VERIFY_KEYS_CERTIFICATE
					    ? (s->verify & VERIFY_SNS) != 0
					    : s->keys_url &&
						      strcmp(s->keys_url, p->url) == 0))
			return true;
	}
	return false;
}

void keyring_refresh(struct keyring *k)
{
	struct place *p, *next;
	uint64_t now = clock_mono_usec();

	for (p = TAILQ_FIRST(&k->used); p; p = next) {
		next = TAILQ_NEXT(p, used);
		if (may_go(p) && !is_wanted(p)) {
			place_free(p);
			continue;
		}
		p->pause_usec = p->again_usec = 0;
		p->renewals = (struct bucket){0};
		p->old_usec = p->old_usec < now ? p->old_usec : now;
	}
}

/* ---- What came ---- */

/* Those of this round; who waits anew from within on_keys is of the next one. */
static void tell(struct place *p, enum keyring_verdict verdict)
{
	struct keyring_wait *w;
	uint64_t round = p->asked;

	p->telling = true;
	while ((w = TAILQ_FIRST(&p->waiting)) && w->round == round) {
		struct keyring_wait told = *w;

		keyring_forget(w);
		told.on_keys(told.arg, verdict);
	}
	p->telling = false;
}

static void on_answer(void *arg, const struct fetch_answer *a)
{
	struct place *p = arg;

	p->fetch = NULL;
	tell(p, place_take(p, a) ? KEYRING_CAME : KEYRING_ABSENT);
	if (may_go(p) && !is_wanted(p))
		place_free(p);
}

/* ---- The question ---- */

static int start(struct place *p)
{
	const struct fetch_request request = {.method = "GET",
		.url = p->url,
		.ca_file = p->ca_file,
		.public_only = p->kind == VERIFY_KEYS_CERTIFICATE,
		.timeout_usec = FETCH_TIMEOUT_USEC,
		.max_bytes = KEYRING_ANSWER_BYTES};
	int r = fetch_start(p->ring->flow->fetch, &request, on_answer, p, &p->fetch);

	if (r < 0)
		return r;
	p->asked++;
	p->tried_usec = clock_wall_usec();
	return 0;
}

const struct keyset *keyring_peek(void *keyring, const struct source *s,
	enum verify_keys_kind kind, const char *url)
{
	const struct place *p = find_place(keyring, s, kind, url);

	return p && p->keys && clock_mono_usec() < p->gone_usec ? p->keys : NULL;
}

const struct keyset *keyring_find(void *keyring, const struct source *s,
	enum verify_keys_kind kind, const char *url)
{
	struct place *p = find_place(keyring, s, kind, url);
	uint64_t now = clock_mono_usec();

	if (!p)
		return NULL;
	touch(p);
	if (!p->keys || now >= p->gone_usec) {
		place_drop_keys(p);
		return NULL;
	}
	if (now >= p->old_usec && now >= p->again_usec && !p->fetch)
		(void)!start(p); /* what is at hand is good for a while */
	return p->keys;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct keyring_wait *w = arg, told = *w;

	(void)fd;
	(void)what;
	keyring_forget(w);
	told.on_keys(told.arg, KEYRING_ABSENT);
}

/* May it be asked for now, for the sake of `v`? KEYRING_CAME: yes. */
static enum keyring_verdict may_ask(
	struct keyring *k, struct place *p, const struct verify_result *v)
{
	uint64_t now = clock_mono_usec();
	bool certificate = v->keys_kind == VERIFY_KEYS_CERTIFICATE;

	if (k->n_waiting >= KEYRING_WAITING_MAX)
		return KEYRING_ABSENT;
	if (p && p->fetch)
		return KEYRING_CAME;
	if (p && p->trouble && now < p->again_usec)
		return KEYRING_ABSENT;
	if (p && p->keys && !p->trouble &&
		bucket_level(&p->renewals, KEYRING_RENEW_USEC, 1, now) == 0)
		return KEYRING_NEWEST;
	if (certificate && bucket_level(&k->certificates, KEYRING_CERTS_USEC,
				   KEYRING_CERTS_BURST, now) == 0)
		return KEYRING_ABSENT;
	if (certificate)
		bucket_take(&k->certificates, KEYRING_CERTS_USEC, 1, now);
	if (p && p->keys)
		bucket_take(&p->renewals, KEYRING_RENEW_USEC, 1, now);
	return KEYRING_CAME;
}

static struct keyring_wait *wait_new(struct place *p, uint64_t deadline_usec)
{
	struct keyring_wait *w = calloc(1, sizeof(*w));
	uint64_t now = clock_mono_usec();
	uint64_t left = deadline_usec > now ? deadline_usec - now : 0;
	const struct timeval tv = {
		(time_t)(left / USEC_PER_SEC), (suseconds_t)(left % USEC_PER_SEC)};

	if (!w)
		return NULL;
	w->deadline = evtimer_new(p->ring->flow->base, on_deadline, w);
	if (!w->deadline || evtimer_add(w->deadline, &tv) < 0) {
		if (w->deadline)
			event_free(w->deadline);
		free(w);
		return NULL;
	}
	w->place = p;
	w->round = p->asked;
	TAILQ_INSERT_TAIL(&p->waiting, w, entry);
	p->n_waiting++;
	p->ring->n_waiting++;
	return w;
}

int keyring_await(struct keyring *k, const struct source *s,
	const struct verify_result *v, uint64_t deadline_usec,
	void (*on_keys)(void *arg, enum keyring_verdict verdict), void *arg,
	struct keyring_wait **ret)
{
	struct place *p = find_place(k, s, v->keys_kind, v->url);
	enum keyring_verdict verdict = may_ask(k, p, v);

	if (verdict != KEYRING_CAME)
		return (int)verdict;
	if (!p && !(p = place_new(k, s, v->keys_kind, v->url)))
		return -ENOMEM;
	int r = p->fetch ? 0 : start(p);
	if (r < 0)
		return r;
	struct keyring_wait *w = wait_new(p, deadline_usec);
	if (!w)
		return -ENOMEM;
	w->on_keys = on_keys;
	w->arg = arg;
	*ret = w;
	return KEYRING_CAME;
}

/* ---- What is told of it ---- */

static struct keyring_state state_of(const struct place *p)
{
	bool there = p->keys && clock_mono_usec() < p->gone_usec;

	return (struct keyring_state){.url = p->url,
		.kind = p->kind,
		.n_keys = there ? p->keys->size : 0,
		.fetched_usec = there ? p->fetched_usec : 0,
		.tried_usec = p->tried_usec,
		.asked = p->asked,
		.waiting = p->n_waiting,
		.trouble = p->trouble};
}

void keyring_look(const struct keyring *k, const struct source *s,
	enum verify_keys_kind kind, const char *url, struct keyring_state *ret)
{
	const struct place *p = find_place(k, s, kind, url);

	*ret = p ? state_of(p) : (struct keyring_state){.url = url, .kind = kind};
}

void keyring_each(const struct keyring *k,
	void (*tell_one)(void *arg, const struct keyring_state *ret), void *arg)
{
	const struct place *p;

	TAILQ_FOREACH (p, &k->used, used) {
		const struct keyring_state state = state_of(p);
		tell_one(arg, &state);
	}
}
