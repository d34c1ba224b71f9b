/*
 * Who waits for what: long polls for one job, watchers of everything. Fed by the store's
 * changes after each commit; nobody polls. Subscribes to the store only while somebody
 * waits.
 */
#ifndef FLOW_FEED_H
#define FLOW_FEED_H

#include "flow/flow.h"

struct feed;
struct feed_wait;

int feed_new(struct feed **ret, struct flow *flow) MUST_CHECK;
void feed_free(struct feed *f); /* every wait is freed before */
/* For store_options.on_changes (arg is the feed). */
void feed_on_changes(void *feed, const struct store_change *changes, size_t n);

/*
 * on_change comes after each commit that changed a job with this id (of this source, or
 * of any when source is NULL), or one of its runs. id NULL: every change. Borrowed
 * record. 0 or -ENOMEM. From within on_change any wait may be
 * freed and new ones made (they hear of the next change, not of this one).
 */
int feed_wait_new(struct feed *f, const char *source, const char *id,
	void (*on_change)(void *arg, const struct store_change *change), void *arg,
	struct feed_wait **ret) MUST_CHECK;
void feed_wait_free(struct feed_wait *w);
unsigned feed_waiting(const struct feed *f);

#endif
