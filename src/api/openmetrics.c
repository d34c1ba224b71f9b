/* Families and samples as text; see openmetrics.h. */
#include "api/openmetrics.h"

#include <stdarg.h>
#include <string.h>

static const char *unit_of(const char *name)
{
	static const char *const units[] = {"seconds", "bytes"};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		const char *end = strrchr(name, '_');
		if (end && strcmp(end + 1, units[i]) == 0)
			return units[i];
	}
	return NULL;
}

void metrics_family(
	struct metrics *m, enum metrics_kind kind, const char *name, const char *help)
{
	static const char *const kinds[] = {"gauge", "counter", "histogram", "info"};
	const char *unit = unit_of(name);

	m->family = name;
	m->kind = kind;
	text_addf(&m->text, "# TYPE callbackd_%s %s\n", name, kinds[kind]);
	if (unit)
		text_addf(&m->text, "# UNIT callbackd_%s %s\n", name, unit);
	text_addf(&m->text, "# HELP callbackd_%s %s\n", name, help);
}

static void add_name(struct metrics *m)
{
	static const char *const suffixes[] = {"", "_total", "", "_info"};

	text_adds(&m->text, "callbackd_");
	text_adds(&m->text, m->family);
	text_adds(&m->text, suffixes[m->kind]);
}

void metrics_sample(struct metrics *m, uint64_t value, ...)
{
	const char *label, *comma = "{";
	va_list ap;

	add_name(m);
	va_start(ap, value);
	while ((label = va_arg(ap, const char *))) {
		text_addf(
			&m->text, "%s%s=\"%s\"", comma, label, va_arg(ap, const char *));
		comma = ",";
	}
	va_end(ap);
	text_addf(&m->text, "%s %llu\n", comma[0] == ',' ? "}" : "",
		(unsigned long long)value);
}

/* "{name="value"" without its end; nothing without a label. */
static void open_labels(struct metrics *m, const char *label, const char *value)
{
	if (label)
		text_addf(&m->text, "{%s=\"%s\"", label, value);
}

static void add_seconds(struct metrics *m, uint64_t usec)
{
	text_addf(&m->text, " %llu.%06llu\n", (unsigned long long)(usec / USEC_PER_SEC),
		(unsigned long long)(usec % USEC_PER_SEC));
}

void metrics_seconds(
	struct metrics *m, int64_t usec, const char *label, const char *value)
{
	add_name(m);
	open_labels(m, label, value);
	text_adds(&m->text, label ? "}" : "");
	add_seconds(m, usec < 0 ? 0 : (uint64_t)usec);
}

void metrics_histogram(struct metrics *m, const struct histogram *h,
	const struct histogram_scale *scale, const char *label, const char *value)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= scale->n; i++) {
		n += h->counts[i];
		text_addf(&m->text, "callbackd_%s_bucket", m->family);
		open_labels(m, label, value);
		text_adds(&m->text, label ? ",le=\"" : "{le=\"");
		/* A float, as OpenMetrics has it: 0.0025, 1.0, +Inf. */
		if (i == scale->n)
			text_adds(&m->text, "+Inf");
		else if (scale->upper_usec[i] % USEC_PER_SEC)
			text_addf(&m->text, "%g",
				(double)scale->upper_usec[i] / (double)USEC_PER_SEC);
		else
			text_addf(&m->text, "%llu.0",
				(unsigned long long)(scale->upper_usec[i] /
						     USEC_PER_SEC));
		text_addf(&m->text, "\"} %llu\n", (unsigned long long)n);
	}
	text_addf(&m->text, "callbackd_%s_sum", m->family);
	open_labels(m, label, value);
	text_adds(&m->text, label ? "}" : "");
	add_seconds(m, h->sum_usec);
	text_addf(&m->text, "callbackd_%s_count", m->family);
	open_labels(m, label, value);
	text_addf(&m->text, "%s %llu\n", label ? "}" : "", (unsigned long long)n);
}

void metrics_gauge(struct metrics *m, const char *name, uint64_t value, const char *help)
{
	metrics_family(m, METRICS_GAUGE, name, help);
	metrics_sample(m, value, NULL);
}

void metrics_counter(
	struct metrics *m, const char *name, uint64_t value, const char *help)
{
	metrics_family(m, METRICS_COUNTER, name, help);
	metrics_sample(m, value, NULL);
}

void metrics_end(struct metrics *m)
{
	text_adds(&m->text, "# EOF\n");
}
