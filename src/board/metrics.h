/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BOARD_METRICS_H
#define CASSATA_BOARD_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "board/metric.h"
#include "board/scoreboard.h"

/* Whether this daemon has, or had, a child of the role that counts it. */
bool metrics_has(const struct scoreboard *sb, enum metric metric);

/* Over all children, the dead ones' counters included. */
int64_t metrics_sum(const struct scoreboard *sb, enum metric metric);

/* Prometheus text exposition format 0.0.4 of those that are there. 0 or -1 (out
 * failed). */
int metrics_render(const struct scoreboard *sb, struct buf *out);

#endif
