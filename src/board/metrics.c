/* SPDX-License-Identifier: ISC */
#include "board/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/check.h"

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
metrics_has(const struct scoreboard *sb, enum metric metric)
{
	const struct scoreboard_master *master = &sb->shared->master;

	switch (metric_group(metric)) {
	case METRIC_OF_SERVICE:
		return atomic_load(&master->has_services);
	case METRIC_OF_WORKER:
		return atomic_load(&master->has_workers);
	case METRIC_OF_BOTH:
		return true;
	}
	check_never("a group of metrics");
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
		const struct metric_row *row = &metric_rows[i];
		enum metric metric = (enum metric)i;

		if (!metrics_has(sb, metric))
			continue;
		/* The rows of one metric stand together. */
		if (strcmp(row->name, name) != 0)
			(void)buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n",
			    row->name, row->help, row->name, row->type);
		name = row->name;
		(void)buf_printf(out, "%s%s ", name, row->labels);
		render_value(metric, metrics_sum(sb, metric), out);
		buf_append_char(out, '\n');
	}
	return out->failed ? -1 : 0;
}
