/* The index of ids, merged late; see store_ids.h. */
#include "io/store_ids.h"

#include "base/siphash.h"
#include "io/store_private.h"

#include <endian.h>
#include <errno.h>

#define HASH_BITS 48 /* SQLite stores them in six bytes, and not in nine */
/* So many are worth being merged: in a store of ten million jobs there are then as many for
 * each page of the index. They take 7 MB at most about, and a start reads as many rows. */
#define MERGE_FROM (128u * 1024)
#define QUIET_FROM 4096u /* while nothing else is to be done */
#define STEP_IDS   500u
/* By the upper bits of the hash, so that few are left to sort at a time. */
#define BUCKET_BITS 12
#define N_BUCKETS   (1u << BUCKET_BITS)

static uint64_t hash_of(const uint64_t key[2], struct bytes id)
{
	return siphash(key, id) >> (64 - HASH_BITS);
}

static size_t bucket_of(uint64_t hash)
{
	return hash >> (HASH_BITS - BUCKET_BITS);
}

static bool read_key(const void *blob, size_t size, uint64_t ret[2])
{
	if (!blob || size != 2 * sizeof(uint64_t))
		return false;
	memcpy(ret, blob, size);
	ret[0] = le64toh(ret[0]);
	ret[1] = le64toh(ret[1]);
	return true;
}

static void id_hash(sqlite3_context *c, int n, sqlite3_value **values)
{
	uint64_t key[2];
	const void *blob = sqlite3_value_blob(values[0]);
	size_t size = (size_t)sqlite3_value_bytes(values[0]);
	const char *id = (const char *)sqlite3_value_text(values[1]);

	(void)n;
	if (!id || !read_key(blob, size, key)) {
		sqlite3_result_null(c);
		return;
	}
	struct bytes b = {id, (size_t)sqlite3_value_bytes(values[1])};
	sqlite3_result_int64(c, (sqlite3_int64)hash_of(key, b));
}

int store_ids_function(sqlite3 *db)
{
	return sqlite3_create_function_v2(db, "id_hash", 2,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL, id_hash,
		NULL, NULL, NULL);
}

/* ---- The list ---- */

static void enter(struct store_ids *ids, size_t place)
{
	size_t slot = ids->list[place].hash & (ids->n_slots - 1);

	while (ids->slots[slot])
		slot = (slot + 1) & (ids->n_slots - 1);
	ids->slots[slot] = (uint32_t)place + 1;
}

/* The last of the list: no other stands behind it because of it. */
static void take_back(struct store_ids *ids)
{
	size_t place = --ids->n, slot = ids->list[place].hash & (ids->n_slots - 1);

	while (ids->slots[slot] != place + 1)
		slot = (slot + 1) & (ids->n_slots - 1);
	ids->slots[slot] = 0;
}

static void enter_all(struct store_ids *ids)
{
	if (ids->n_slots)
		memset(ids->slots, 0, ids->n_slots * sizeof(*ids->slots));
	for (size_t i = 0; i < ids->n; i++)
		enter(ids, i);
}

/* For one more, with half of the slots free. */
static int make_room(struct store_ids *ids)
{
	if (ids->n < ids->room)
		return 0;
	size_t room = ids->room ? ids->room * 2 : 64;
	if (room > UINT32_MAX / 2)
		return -ENOMEM;
	struct store_id *list = reallocarray(ids->list, room, sizeof(*list));
	if (!list)
		return -ENOMEM;
	ids->list = list;
	uint32_t *slots = reallocarray(ids->slots, room * 2, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	ids->slots = slots;
	ids->n_slots = room * 2;
	ids->room = room;
	enter_all(ids);
	return 0;
}

static int list_add(struct store_ids *ids, uint64_t hash, uint64_t number)
{
	int r = make_room(ids);

	if (r)
		return r;
	ids->list[ids->n] = (struct store_id){hash, number};
	enter(ids, ids->n++);
	return 0;
}

void store_ids_free(struct store_ids *ids)
{
	free(ids->list);
	free(ids->slots);
	free(ids->order);
	ids->list = NULL;
	ids->slots = ids->order = NULL;
	ids->n = ids->room = ids->n_slots = 0;
}

int store_ids_load(struct store *s)
{
	struct store_ids *ids = &s->ids;
	{
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, SQL_META_GET, &row, ARG_TEXT("id_key"));
		if (r < 0)
			return r;
		struct bytes key = r ? store_sql_peek(row, 0) : BYTES_NONE;
		if (!read_key(key.data, key.size, ids->key))
			return store_broken(s, "it has no key for the index of ids");
	}
	{
		CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
		int r = STORE_ROW(s, SQL_META_GET, &row, ARG_TEXT("merged_to"));
		if (r < 0)
			return r;
		ids->merged_to = r ? store_sql_number(row, 0) : 0;
	}
	CLEANUP(store_sql_resetp) sqlite3_stmt *row = NULL;
	int r = STORE_ROW(s, SQL_IDS_FROM, &row, ARG_INT(ids->merged_to));
	for (; r == 1; r = store_sql_next(s, row)) {
		r = list_add(ids, hash_of(ids->key, store_sql_peek(row, 1)),
			store_sql_number(row, 0));
		if (r < 0)
			return r;
	}
	ids->n_before = ids->n;
	return r;
}

int store_ids_add(struct store *s, const char *id, uint64_t number)
{
	return list_add(&s->ids, hash_of(s->ids.key, bytes_of(id)), number);
}

int store_ids_drop(struct store *s, uint64_t number)
{
	/* What is in the list is left there: its row will be missed when it is merged. */
	return STORE_RUN(s, SQL_ID_DROP, ARG_INT(number));
}

/* ---- Finding ---- */

struct store_ids_walk store_ids_find(const struct store *s, const char *id)
{
	uint64_t hash = hash_of(s->ids.key, bytes_of(id));

	return (struct store_ids_walk){
		.hash = hash, .slot = s->ids.n_slots ? hash & (s->ids.n_slots - 1) : 0};
}

static bool next_listed(
	const struct store_ids *ids, struct store_ids_walk *w, uint64_t *ret)
{
	while (ids->n_slots && ids->slots[w->slot]) {
		const struct store_id *id = &ids->list[ids->slots[w->slot] - 1];
		w->slot = (w->slot + 1) & (ids->n_slots - 1);
		*ret = id->number;
		if (id->hash == w->hash)
			return true;
	}
	return false;
}

int store_ids_next(struct store *s, struct store_ids_walk *w, uint64_t *ret)
{
	int r;

	if (!w->listed && next_listed(&s->ids, w, ret))
		return 1;
	if (w->listed)
		r = w->row ? store_sql_next(s, w->row) : 0;
	else
		r = STORE_ROW(s, SQL_IDS_OF, &w->row, ARG_INT(w->hash),
			ARG_INT(s->ids.merged_to));
	w->listed = true;
	if (r == 1)
		*ret = store_sql_number(w->row, 0);
	return r;
}

void store_ids_endp(struct store_ids_walk *w)
{
	store_sql_resetp(&w->row);
}

/* ---- Merging ---- */

/* The places of those that are merged, bucket by bucket. */
static int begin_merge(struct store_ids *ids)
{
	uint32_t *ends = calloc(N_BUCKETS, sizeof(*ends));
	uint32_t *order = calloc(ids->n, sizeof(*order));

	if (!ends || !order) {
		free(ends);
		free(order);
		return -ENOMEM;
	}
	for (size_t i = 0; i < ids->n; i++)
		ends[bucket_of(ids->list[i].hash)]++;
	for (size_t i = 1; i < N_BUCKETS; i++)
		ends[i] += ends[i - 1];
	for (size_t i = ids->n; i-- > 0;)
		order[--ends[bucket_of(ids->list[i].hash)]] = (uint32_t)i;
	free(ends);
	free(ids->order); /* of a beginning that was rolled back */
	ids->order = order;
	ids->merge = (struct store_merge){.n = ids->n};
	return 0;
}

static int by_hash(const void *a, const void *b, void *list)
{
	const struct store_id *x = (struct store_id *)list + *(const uint32_t *)a;
	const struct store_id *y = (struct store_id *)list + *(const uint32_t *)b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* What is left of the bucket that is next. */
static int merge_bucket(struct store *s, size_t *ret_n)
{
	struct store_ids *ids = &s->ids;
	struct store_merge *m = &ids->merge;
	uint32_t *order = ids->order + m->done;
	size_t n = 0, rest = m->n - m->done;
	int r = 0;

	while (n < rest && bucket_of(ids->list[order[n]].hash) ==
				   bucket_of(ids->list[order[0]].hash))
		n++;
	qsort_r(order, n, sizeof(*order), by_hash, ids->list);
	for (size_t i = 0; !r && i < n; i++)
		r = STORE_RUN(s, SQL_ID_MERGE, ARG_INT(ids->list[order[i]].hash),
			ARG_INT(ids->list[order[i]].number));
	m->done += n;
	*ret_n = n;
	return r;
}

/* About `n_ids`, whole buckets of them; with the last one the mark moves. */
static int merge_some(struct store *s, size_t n_ids)
{
	struct store_ids *ids = &s->ids;
	struct store_merge *m = &ids->merge;
	int r = 0;

	for (size_t n; !r && n_ids && m->done < m->n; n_ids -= n < n_ids ? n : n_ids)
		r = merge_bucket(s, &n);
	if (!r && m->done == m->n)
		r = STORE_RUN(s, SQL_META_SET, ARG_TEXT("merged_to"),
			ARG_INT(ids->list[m->n - 1].number + 1));
	return r;
}

int store_ids_merge_beside(struct store *s, size_t n_new)
{
	struct store_ids *ids = &s->ids;

	if (!n_new) /* of questions alone: they need no commit */
		return 0;
	if (!ids->merge.n && ids->n >= MERGE_FROM && begin_merge(ids))
		return 0; /* what comes in does not depend on it */
	if (!ids->merge.n)
		return 0;
	/* Twice as fast as new ones come, so that it ends. */
	size_t owed = ids->merge.owed + 2 * n_new, before = ids->merge.done;
	int r = merge_some(s, owed);
	size_t did = ids->merge.done - before;
	ids->merge.owed = did < owed ? owed - did : 0;
	return r;
}

bool store_ids_merging(const struct store_ids *ids)
{
	return ids->merge.n;
}

bool store_ids_want_merge(const struct store_ids *ids)
{
	return ids->n >= QUIET_FROM;
}

int store_ids_merge_step(struct store *s)
{
	if (!s->ids.n)
		return 0;
	int r = s->ids.merge.n ? 0 : begin_merge(&s->ids);
	return r ? r : merge_some(s, STEP_IDS);
}

/* ---- The end of a transaction ---- */

static void forget_merged(struct store_ids *ids)
{
	size_t gone = ids->merge.n;

	ids->merged_to = ids->list[gone - 1].number + 1;
	ids->merge = (struct store_merge){0};
	ids->n -= gone;
	if (ids->n == 0) {
		store_ids_free(ids);
		return;
	}
	memmove(ids->list, ids->list + gone, ids->n * sizeof(*ids->list));
	enter_all(ids);
}

void store_ids_committed(struct store_ids *ids)
{
	if (ids->merge.n && ids->merge.done == ids->merge.n)
		forget_merged(ids);
	ids->merge_before = ids->merge;
	ids->n_before = ids->n;
}

void store_ids_rolled_back(struct store_ids *ids)
{
	while (ids->n > ids->n_before)
		take_back(ids);
	ids->merge = ids->merge_before;
}
