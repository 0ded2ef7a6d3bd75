/* SPDX-License-Identifier: ISC */
#include "board/metric.h"

#include <string.h>

#include "base/check.h"

const struct metric_row metric_rows[METRIC_COUNT] = {
#define METRIC_ROW(id, type, metric, labels, help) {type, metric, labels, help},
    METRICS(METRIC_ROW)
#undef METRIC_ROW
};

enum {
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a sum of them */
#define METRIC_ONE(id, type, metric, labels, help) +1
	N_OF_SERVICE = 0 METRICS_OF_SERVICE(METRIC_ONE),
	N_OF_WORKER = 0 METRICS_OF_WORKER(METRIC_ONE),
#undef METRIC_ONE
};

enum metric_group
metric_group(enum metric metric)
{
	if (metric < (enum metric)N_OF_SERVICE)
		return METRIC_OF_SERVICE;
	return metric < (enum metric)(N_OF_SERVICE + N_OF_WORKER)
		   ? METRIC_OF_WORKER
		   : METRIC_OF_BOTH;
}

bool
metric_is_gauge(enum metric metric)
{
	check(metric < METRIC_COUNT);
	return strcmp(metric_rows[metric].type, "gauge") == 0;
}

bool
metric_is_seconds(enum metric metric)
{
	return strstr(metric_rows[metric].name, "_seconds") != NULL;
}
