/* Tries keys until one holds; see verify_public.h. */
#include "rules/verify_public.h"

#include <stdio.h>

struct tries {
	const struct scheme_input *in;
	const struct attempt *attempt;
	unsigned kinds;
	size_t keys, verifications;
};

/* The one algorithm for that kind of key; there is one, keyset_next() saw to it. */
static enum pubkey_algorithm algorithm_for(const struct attempt *a, enum keyset_kind kind)
{
	for (size_t i = 1; i < a->n_algorithms; i++)
		if (pubkey_kind(a->algorithms[i]) == kind)
			return a->algorithms[i];
	return a->algorithms[0];
}

/* 0, 1, -ENOMEM. */
static int try_key(struct tries *t, const struct keyset_key *key)
{
	const struct attempt *a = t->attempt;
	int r = 1;

	if ((a->webhook && !key->webhook) || (a->not_plain && key->plain))
		return 1;
	t->keys++;
	for (size_t i = 0; r == 1 && i < a->n_signatures; i++) {
		if (t->verifications == ATTEMPTS_MAX)
			break;
		t->verifications++;
		r = pubkey_verify(key, algorithm_for(a, key->kind), a->data,
			a->signatures[i], t->in->message->received_usec);
	}
	return r;
}

/* *ret_named: one of them bears the very id that the message names. 0, 1, -ENOMEM. */
static int try_set(struct tries *t, const struct keyset *set, bool *ret_named)
{
	const struct keyset_key *key;
	size_t at = 0;
	int r = 1;

	*ret_named = false;
	while (r == 1 && (key = keyset_next(set, t->kinds, t->attempt->id, &at))) {
		*ret_named |= key->id && t->attempt->id.data;
		r = try_key(t, key);
	}
	return r;
}

static int refuse(const struct tries *t, char reason[static SCHEME_REASON_SIZE])
{
	if (t->keys == 0)
		return scheme_refuse(reason, "no key is there %s",
			t->attempt->id.data
				? "of the id and kind that the signature "
				  "names"
				: "of a kind that could have made the signature");
	return scheme_refuse(reason, "the signature matches none of %zu public key%s",
		t->keys, t->keys == 1 ? "" : "s");
}

/* Those of KeysURL=. */
static int try_fetched(struct tries *t, char reason[static SCHEME_REASON_SIZE])
{
	const struct scheme_input *in = t->in;
	const char *url = in->source->keys_url;
	const struct keyset *set = in->keys ? in->keys->find(in->keys->arg, in->source,
						      VERIFY_KEYS_SET, url)
					    : NULL;
	bool named;

	if (!set) {
		scheme_refuse(reason, "the keys of KeysURL= are not at hand");
		return scheme_need(in, VERIFY_KEYS_SET, false, url);
	}
	int r = try_set(t, set, &named);
	if (r != 1)
		return r;
	refuse(t, reason);
	/* The key that it names was there and did not fit: a newer set is no help. */
	return named ? 1 : scheme_need(in, VERIFY_KEYS_SET, true, url);
}

int scheme_try_public(const struct scheme_input *in, const struct attempt *a,
	char reason[static SCHEME_REASON_SIZE])
{
	const struct source *s = in->source;
	struct tries t = {.in = in, .attempt = a};
	bool named;
	int r = 1;

	for (size_t i = 0; i < a->n_algorithms; i++)
		t.kinds |= pubkey_kind(a->algorithms[i]);
	for (size_t i = 0; r == 1 && i < s->n_secrets; i++)
		if (s->secrets[i].keys)
			r = try_set(&t, s->secrets[i].keys, &named);
	if (r == 1)
		r = s->keys_url && !a->webhook ? try_fetched(&t, reason)
					       : refuse(&t, reason);
	if (r >= 0)
		trace_say(in->trace, TRACE_NOTE, "%zu public key%s tried", t.keys,
			t.keys == 1 ? "" : "s");
	return r;
}
