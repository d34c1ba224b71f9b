/*
 * Which job has that id? The one thing in the store that is found by what others chose, in no
 * order: an index that takes every id at once changes one page for each, anywhere on the disk.
 * So the index (the table job_hash) takes them late and in order, and meanwhile they are in
 * memory:
 *
 *	job row ──► list, in memory ──many: sorted, a few beside each batch──► job_hash
 *	                                                       all of them in: merged_to
 *
 * - Jobs from `merged_to` on are in the list, all of them; a start reads them from their rows.
 *   Below it they are in job_hash. The mark moves with the transaction of the last few.
 * - Until then what job_hash has of them is not looked at; a crash merges them again.
 * - A number belongs to one job for ever. What is found is compared with its row, so what
 *   remains here of a job that is gone, and two ids of one hash, do no harm.
 * - What a transaction adds, and how far it merges, is undone if it is rolled back.
 */
#ifndef IO_STORE_IDS_H
#define IO_STORE_IDS_H

#include "base/macros.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct store_ids {
	uint64_t key[2]; /* of the hash, as long as the database lives */
	struct store_id {
		uint64_t hash, number;
	} * list; /* in the order of their numbers */
	size_t n, room;
	uint32_t *slots; /* by hash: 0 is free, else a place in the list, and one */
	size_t n_slots;  /* a power of two */
	uint64_t merged_to;
	uint32_t *order; /* places in the list: those that are merged, by their hash */
	struct store_merge {
		size_t n;    /* of the list, from its beginning; 0: none is under way */
		size_t done; /* of `order` */
		size_t owed; /* what the next batches have to take along */
	} merge;
	size_t n_before; /* both as the open transaction began */
	struct store_merge merge_before;
};

/* Makes id_hash(KEY, ID) known to SQL on this connection. 0 or an SQLite code. */
int store_ids_function(sqlite3 *db) MUST_CHECK;

/* All return 0 or negative errno, as the writer's functions do (store_private.h). */
int store_ids_load(struct store *s) MUST_CHECK;
void store_ids_free(struct store_ids *ids);
/* The job's row was added; numbers ascend. */
int store_ids_add(struct store *s, const char *id, uint64_t number) MUST_CHECK;
/* The job's row is about to be deleted. */
int store_ids_drop(struct store *s, uint64_t number) MUST_CHECK;

/* The numbers of all jobs that may have the id. Each is to be compared with its row. */
struct store_ids_walk {
	uint64_t hash;
	size_t slot;
	bool listed; /* the list is behind us */
	sqlite3_stmt *row;
};
struct store_ids_walk store_ids_find(const struct store *s, const char *id);
int store_ids_next(struct store *s, struct store_ids_walk *w, uint64_t *ret) MUST_CHECK;
void store_ids_endp(struct store_ids_walk *w); /* for CLEANUP() */

/* Of the transaction that is open: it was committed, or rolled back. */
void store_ids_committed(struct store_ids *ids);
void store_ids_rolled_back(struct store_ids *ids);

/* Merges in the open transaction of a batch that brought `n_new` jobs. */
int store_ids_merge_beside(struct store *s, size_t n_new) MUST_CHECK;
/* Is there so much that it is worth steps of their own, while it is quiet? */
bool store_ids_want_merge(const struct store_ids *ids);
bool store_ids_merging(const struct store_ids *ids);
/* One such step, in the open transaction. */
int store_ids_merge_step(struct store *s) MUST_CHECK;

#endif
