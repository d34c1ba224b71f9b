/*
 * How many callbacks a second the store takes, each with one run, at a given number in
 * flight, while it grows. Usage: bench_store DIRECTORY [ROWS]. The directory must not
 * hold a store. A figure is one run on one machine: compare, do not quote.
 */
#include "base/clock.h"
#include "base/random.h"
#include "io/store.h"

#include <inttypes.h>
#include <stdio.h>

#define IN_FLIGHT_MAX 1024

struct slot {
	struct store_put put;
	struct store_wish wish;
	char id[40];
};

static struct slot slots[IN_FLIGHT_MAX];
static struct event_base *base;
static struct store *store;
static uint64_t left, in_flight, worst_usec, began_usec;
static const char payload[] =
	"{\"id\":\"00000000-0000-0000-0000-000000000000\",\"status\":\"COMPLETED\","
	"\"file_type\":\"video\",\"size_bytes\":123456789,\"owner\":\"org-example\","
	"\"public_url\":\"https://cdn.example.org/2026/09/01/a-file-of-that-name.mp4\"}";

static void on_put(struct store_op *op);

static void submit(struct slot *slot)
{
	snprintf(slot->id, sizeof(slot->id), "%016" PRIx64 "-%016" PRIx64,
		random_below(UINT64_MAX), random_below(UINT64_MAX));
	slot->wish = (struct store_wish){.hook = "publish"};
	slot->put = (struct store_put){
		.op = {.kind = STORE_PUT, .on_done = on_put, .arg = slot},
		.source = "eachlabs",
		.id = slot->id,
		.status = "COMPLETED",
		.outcome = OUTCOME_SUCCESS,
		.received_usec = clock_wall_usec(),
		.payload = {payload, sizeof(payload) - 1},
		.wishes = &slot->wish,
		.n_wishes = 1,
	};
	left--;
	in_flight++;
	if (store_submit(store, &slot->put.op)) {
		fprintf(stderr, "the queue is full\n");
		exit(1);
	}
}

static void on_put(struct store_op *op)
{
	if (op->result) {
		fprintf(stderr, "put: %d\n", op->result);
		exit(1);
	}
	uint64_t took = (uint64_t)(clock_wall_usec() -
				   container_of(op, struct store_put, op)->received_usec);
	if (took > worst_usec)
		worst_usec = took;
	in_flight--;
	if (left)
		submit(op->arg);
	else if (!in_flight)
		event_base_loopbreak(base);
}

static void round_of(uint64_t rows, size_t window)
{
	uint64_t commits = store_counts(store).commits;

	left = rows;
	worst_usec = 0;
	began_usec = clock_mono_usec();
	for (size_t i = 0; i < window && left; i++)
		submit(&slots[i]);
	event_base_dispatch(base);
	double seconds = (double)(clock_mono_usec() - began_usec) / 1e6;
	struct store_counts c = store_counts(store);
	printf("%4zu in flight: %8.0f puts/s  %6.1f a commit  worst %4" PRIu64
	       " ms  (%" PRIu64 " jobs, %" PRIu64 " MB)\n",
		window, (double)rows / seconds,
		(double)rows / (double)(c.commits - commits), worst_usec / 1000, c.jobs,
		c.bytes / 1000000);
}

int main(int argc, char **argv)
{
	uint64_t rows = argc > 2 ? strtoull(argv[2], NULL, 10) : 200000;
	char *error;

	if (argc < 2) {
		fprintf(stderr, "usage: %s DIRECTORY [ROWS]\n", argv[0]);
		return 64;
	}
	base = event_base_new();
	struct store_options options = {
		.directory = argv[1], .retention_usec = 30ull * 86400 * USEC_PER_SEC};
	if (!base || store_open(&store, base, &options, &error)) {
		fprintf(stderr, "%s\n", base ? error : "no loop");
		return 1;
	}
	if (store_counts(store).jobs) {
		fprintf(stderr, "there is a store in %s\n", argv[1]);
		return 1;
	}
	round_of(rows / 100, 1);
	round_of(rows / 2, 64);
	round_of(rows / 2, 64);
	round_of(rows / 4, 128);
	round_of(rows / 4, 512);
	store_close(store);
	event_base_free(base);
	return 0;
}
