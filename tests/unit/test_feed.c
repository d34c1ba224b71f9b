/* Who is told of which change, and that delivery survives whatever the told ones do. */
#include "flow/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int watching; /* what the store was told last */
static unsigned switched;

void store_watch(struct store *s, bool on)
{
	(void)s;
	watching = on;
	switched++;
}

struct ear {
	struct feed *feed;
	struct feed_wait *wait;
	struct feed_wait **victim; /* freed when a change is heard */
	struct ear *child;         /* begins to wait when a change is heard */
	unsigned heard;
	uint64_t last;
};

static void on_change(void *arg, const struct store_change *change)
{
	struct ear *e = arg;

	e->heard++;
	e->last = change->seq;
	if (e->victim) {
		feed_wait_free(*e->victim);
		*e->victim = NULL;
		e->victim = NULL;
	}
	if (e->child && !e->child->wait)
		assert_int_equal(feed_wait_new(e->feed, "s", "a", on_change, e->child,
					 &e->child->wait),
			0);
}

static void hear(struct feed *f, struct ear *e, const char *source, const char *id)
{
	e->feed = f;
	assert_int_equal(feed_wait_new(f, source, id, on_change, e, &e->wait), 0);
}

static void happen(struct feed *f, uint64_t seq, char *source, char *id)
{
	const struct store_change c = {.seq = seq, .job = {.source = source, .id = id}};

	feed_on_changes(f, &c, 1);
}

static struct feed *new_feed(void)
{
	static struct flow flow;
	struct feed *f;

	flow.store = (struct store *)(void *)&watching; /* there is one */
	watching = 0;
	switched = 0;
	assert_int_equal(feed_new(&f, &flow), 0);
	return f;
}

static void tells_by_id_and_source(void **state)
{
	struct feed *f = new_feed();
	struct ear exact = {0}, any_source = {0}, other_id = {0}, all = {0}, second = {0};

	(void)state;
	hear(f, &exact, "s", "a");
	hear(f, &second, "s", "a");
	hear(f, &any_source, NULL, "a");
	hear(f, &other_id, "s", "b");
	hear(f, &all, NULL, NULL);
	assert_int_equal(feed_waiting(f), 5);
	happen(f, 1, "s", "a");
	happen(f, 2, "t", "a");
	happen(f, 3, "s", "b");
	happen(f, 4, "s", "c");
	assert_int_equal(exact.heard, 1);
	assert_int_equal(second.heard, 1);
	assert_int_equal(any_source.heard, 2);
	assert_int_equal(any_source.last, 2);
	assert_int_equal(other_id.heard, 1);
	assert_int_equal(other_id.last, 3);
	assert_int_equal(all.heard, 4);
	feed_wait_free(exact.wait);
	happen(f, 5, "s", "a");
	assert_int_equal(exact.heard, 1);
	assert_int_equal(second.heard, 2);
	feed_wait_free(second.wait);
	feed_wait_free(any_source.wait);
	feed_wait_free(other_id.wait);
	feed_wait_free(all.wait);
	feed_free(f);
}

static void subscribes_only_while_somebody_waits(void **state)
{
	struct feed *f = new_feed();
	struct ear a = {0}, b = {0};

	(void)state;
	assert_int_equal(switched, 0);
	hear(f, &a, "s", "a");
	assert_int_equal(watching, 1);
	hear(f, &b, NULL, NULL);
	assert_int_equal(switched, 1);
	feed_wait_free(a.wait);
	assert_int_equal(watching, 1);
	feed_wait_free(b.wait);
	assert_int_equal(watching, 0);
	assert_int_equal(switched, 2);
	feed_free(f);
}

/* Each frees itself, a neighbour of the same key, or a watcher, from within. */
static void waits_end_while_told(void **state)
{
	struct feed *f = new_feed();
	struct ear a = {0}, b = {0}, all = {0};

	(void)state;
	hear(f, &a, "s", "a");
	hear(f, &b, "s", "a");
	hear(f, &all, NULL, NULL);
	a.victim = &b.wait;
	b.victim = &a.wait; /* whoever is first ends the other, which is not told then */
	happen(f, 1, "s", "a");
	assert_int_equal(a.heard + b.heard, 1);
	assert_int_equal(feed_waiting(f), 2);
	a.victim = b.victim = NULL;
	all.victim = &all.wait;
	happen(f, 2, "s", "a");
	assert_int_equal(all.heard, 2);
	happen(f, 3, "s", "a");
	assert_int_equal(all.heard, 2);
	assert_int_equal(feed_waiting(f), 1);
	feed_wait_free(a.wait);
	feed_wait_free(b.wait);
	assert_int_equal(watching, 0);
	feed_free(f);
}

static void waits_begin_while_told(void **state)
{
	struct feed *f = new_feed();
	struct ear a = {0}, child = {0}, killer = {0};

	(void)state;
	hear(f, &a, "s", "a");
	a.child = &child;
	happen(f, 1, "s", "a");
	assert_non_null(child.wait);
	assert_int_equal(child.heard, 0);
	happen(f, 2, "s", "a");
	assert_int_equal(child.heard, 1);
	/* Born and dead within one delivery. */
	feed_wait_free(child.wait);
	child.wait = NULL;
	hear(f, &killer, NULL, NULL);
	killer.victim = &child.wait;
	happen(f, 3, "s", "a");
	assert_null(child.wait);
	assert_int_equal(feed_waiting(f), 2);
	feed_wait_free(a.wait);
	feed_wait_free(killer.wait);
	feed_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_by_id_and_source),
		cmocka_unit_test(subscribes_only_while_somebody_waits),
		cmocka_unit_test(waits_end_while_told),
		cmocka_unit_test(waits_begin_while_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
