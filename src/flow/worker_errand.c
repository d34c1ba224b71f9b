/* A run at a worker: its line, and how it leaves; see worker_private.h. */
#include "flow/worker_private.h"

#include <errno.h>

void worker_errand_free(struct errand *e)
{
	if (e->worker && e->line)
		TAILQ_REMOVE(&e->worker->queue, e, link);
	else if (e->worker)
		TAILQ_REMOVE(&e->worker->flying, e, link);
	if (e->worker) {
		map_remove(&e->worker->by_run, &e->by_run);
		heap_remove(&e->worker->deadlines, &e->deadline);
	}
	free(e->line);
	free(e->err);
	attempt_fini(&e->attempt);
	free(e);
}

void worker_settle(struct errand *e, const struct attempt_end *end)
{
	struct worker *w = e->worker;

	if (e->line)
		TAILQ_REMOVE(&w->queue, e, link);
	else
		TAILQ_REMOVE(&w->flying, e, link);
	map_remove(&w->by_run, &e->by_run);
	heap_remove(&w->deadlines, &e->deadline);
	e->worker = NULL;
	attempt_settle(&e->attempt, end);
}

void worker_settle_plain(
	struct errand *e, enum attempt_result result, int signal, int64_t due_usec)
{
	worker_settle(e, &(struct attempt_end){.result = result,
				 .due_usec = due_usec,
				 .exit_status = -1,
				 .signal = signal});
}

struct exports {
	struct workline_export *list;
	size_t n;
};

static int keep_export(void *arg, const char *variable, struct bytes value)
{
	struct exports *x = arg;
	char *copy = bytes_dup(value);

	if (!copy)
		return -ENOMEM;
	x->list[x->n++] = (struct workline_export){variable, {copy, value.size}};
	return 0;
}

static int write_line(
	struct errand *e, const struct hook *hook, const struct store_run *record)
{
	struct exports x = {calloc(hook->n_exports + 1, sizeof(*x.list)), 0};
	struct text line = TEXT_EMPTY;

	int r = x.list ? launch_exports(hook, record, keep_export, &x) : -ENOMEM;
	if (r == 0) {
		workline_write(&line, &(struct workline_run){.run = record->id,
					      .hook = hook->name,
					      .source = record->source,
					      .id = record->job,
					      .status = record->status,
					      .outcome = outcome_name(record->outcome),
					      .received_usec = record->received_usec,
					      .attempt = record->attempt,
					      .test = record->test,
					      .payload = record->payload,
					      .exports = x.list,
					      .n_exports = x.n,
					      .has_exports = hook->n_exports > 0});
		e->line_size = line.size;
		e->line = text_take(&line);
		r = e->line ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < x.n; i++)
		free((char *)x.list[i].value.data);
	free(x.list);
	text_fini(&line);
	return r;
}

int worker_errand_new(struct errand **ret, struct flow *flow,
	const struct attempt_kind *kind, const struct hook *hook,
	const struct store_run *record, attempt_on_over *on_over, void *arg)
{
	struct errand *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	if (attempt_init(&e->attempt, kind, flow, hook, record, on_over, arg) < 0 ||
		write_line(e, hook, record) < 0) {
		worker_errand_free(e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}
