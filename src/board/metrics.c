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

int
metrics_render(const struct scoreboard *sb, struct buf *out)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		/* The rows of one metric stand together. */
		if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
			(void)buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n",
			    rows[i].name, rows[i].help, rows[i].name,
			    rows[i].type);
		(void)buf_printf(out, "%s%s %" PRId64 "\n", rows[i].name,
		    rows[i].labels, metrics_sum(sb, (enum metric)i));
	}
	return out->failed ? -1 : 0;
}
