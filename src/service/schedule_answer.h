/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_SCHEDULE_ANSWER_H
#define CASSATA_SERVICE_SCHEDULE_ANSWER_H

#include "base/json_write.h"
#include "base/zones.h"
#include "store/store_types.h"

/* So many times to come are in an answer. */
enum { SCHEDULE_TIMES = 5 };

/* The members of a schedule in an answer, its event's body only if whole. */
void schedule_answer_write(struct json_writer *w,
    const struct store_schedule *schedule, struct zones *zones, bool whole);

#endif
