/*
 * Batches and lists of operations; for store_writer.c, which takes them, and
 * store_batch.c, which carries them out.
 */
#ifndef IO_STORE_BATCH_H
#define IO_STORE_BATCH_H

#include "io/store_private.h"

void store_list_add(struct store_list *list, struct store_op *op);
struct store_op *store_list_take(struct store_list *list); /* NULL when empty */
/* `tail` behind `list`; `tail` is empty then. */
void store_list_join(struct store_list *list, struct store_list *tail);

/* Carries the batch out and commits. True when that worked; else it was divided, or all
 * is over. `probe`: writes something in any case. The batch is empty then. */
bool store_run_batch(struct store *s, struct store_list *batch, bool probe);
/* Without a commit: answers questions, keeps what must not get lost, refuses the rest
 * with `error`. What is kept goes before all that is, if `retried`, else behind. */
void store_divide(struct store *s, struct store_list *batch, int error, bool retried);
/* To the loop, with the changes of its commit, which are taken over. What is not done yet
 * (a positive result) is put aside for the next batch. */
void store_deliver(struct store *s, struct store_list *batch,
	struct store_change *changes, size_t n);
/* As if it had never been tried, with this result. */
void store_fail_op(struct store_op *op, int error);

/* ---- of store_writer.c ---- */
void store_fail(struct store *s, struct store_list *batch);
void store_stall(struct store *s, int error);
void store_check_space(struct store *s, bool now);

#endif
