/* SPDX-License-Identifier: ISC */
#include "board/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "board/scoreboard.h"

static const struct {
	const char *type, *name, *labels, *help;
} rows[] = {
#define METRIC_ROW(id, type, metric, labels, help) {type, metric, labels, help},
    METRICS(METRIC_ROW)
#undef METRIC_ROW
};

enum {
#define METRIC_ONE(id, type, metric, labels, help) +1
	N_OF_SERVICE = 0 METRICS_OF_SERVICE(METRIC_ONE),
	N_OF_WORKER = 0 METRICS_OF_WORKER(METRIC_ONE),
#undef METRIC_ONE
};

bool
metric_is_gauge(enum metric metric)
{
	return strcmp(rows[metric].type, "gauge") == 0;
}

/* A child may have written anything. */
static int64_t
saturated_sum(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

int64_t
metrics_sum(const struct scoreboard *sb, enum metric metric)
{
	int64_t sum = 0;

	for (int i = 0; (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS;
	     i++)
		sum = saturated_sum(
		    sum, atomic_load_explicit(
			     &scoreboard_slot(sb, i)->metric[metric],
			     memory_order_relaxed));
	return sum;
}

bool
metric_is_seconds(enum metric metric)
{
	return strstr(rows[metric].name, "_seconds") != NULL;
}

bool
metric_is_there(const struct scoreboard *sb, enum metric metric)
{
	const struct scoreboard_master *master = &sb->shared->master;

	if (metric < (enum metric)N_OF_SERVICE)
		return atomic_load(&master->has_services);
	if (metric < (enum metric)(N_OF_SERVICE + N_OF_WORKER))
		return atomic_load(&master->has_workers);
	return true;
}

/* Below 0 is only what a child that was taken over tells. */
static void
render_value(enum metric metric, int64_t value, struct buf *out)
{
	if (metric_is_seconds(metric) && value >= 0)
		(void)buf_printf(out, "%" PRId64 ".%03" PRId64, value / 1000,
		    value % 1000);
	else
		(void)buf_printf(out, "%" PRId64, value);
}

int
metrics_render(const struct scoreboard *sb, struct buf *out)
{
	const char *name = "";

	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		enum metric metric = (enum metric)i;

		if (!metric_is_there(sb, metric))
			continue;
		/* The rows of one metric stand together. */
		if (strcmp(rows[i].name, name) != 0)
			(void)buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n",
			    rows[i].name, rows[i].help, rows[i].name,
			    rows[i].type);
		name = rows[i].name;
		(void)buf_printf(out, "%s%s ", name, rows[i].labels);
		render_value(metric, metrics_sum(sb, metric), out);
		buf_append_char(out, '\n');
	}
	return out->failed ? -1 : 0;
}
