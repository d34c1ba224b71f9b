/*
 * The text form of OpenMetrics 1.0, a family at a time: TYPE, UNIT where the name ends in one, HELP,
 * then the samples. Names get the prefix "callbackd_" here. Label values are names of the
 * configuration ([A-Za-z0-9_.-]) or words of our own: nothing has to be escaped.
 *
 *   metrics_family() ─► metrics_sample()… ─► metrics_family() … ─► metrics_end()
 */
#ifndef API_OPENMETRICS_H
#define API_OPENMETRICS_H

#include "base/histogram.h"
#include "base/text.h"

enum metrics_kind { METRICS_GAUGE, METRICS_COUNTER, METRICS_HISTOGRAM, METRICS_INFO };

struct metrics {
	struct text text;
	const char *family;
	enum metrics_kind kind;
};

/* `name` without "_total"; it ends in "_seconds" or "_bytes" where it has that unit. */
void metrics_family(
	struct metrics *m, enum metrics_kind kind, const char *name, const char *help);
/* Of the family begun last. Labels as NAME, VALUE, …, NULL. */
void metrics_sample(struct metrics *m, uint64_t value, ...) __attribute__((sentinel));
/* A gauge of seconds. `label` NULL: no label. */
void metrics_seconds(
	struct metrics *m, int64_t usec, const char *label, const char *value);
/* One label or none (NULL). */
void metrics_histogram(struct metrics *m, const struct histogram *h,
	const struct histogram_scale *scale, const char *label, const char *value);
/* A family of one sample without labels. */
void metrics_gauge(struct metrics *m, const char *name, uint64_t value, const char *help);
void metrics_counter(
	struct metrics *m, const char *name, uint64_t value, const char *help);
void metrics_end(struct metrics *m);

#endif
