/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SCHEDULE_TIMES_H
#define CASSATA_STORE_SCHEDULE_TIMES_H

#include "event/recur.h"
#include "store/store_types.h"

/* A schedule as it is read from its text; not to be copied. */
struct schedule_times {
	struct recur recur;
	struct recurring at;
};

/* Its text, read: 0, or -1 with the reason. */
int schedule_recur(const struct store_schedule *schedule, struct recur *recur,
    struct err *err);

/* 0, or -1 with the reason: it is damaged, or its zone is not there. Valid
 * until zones, which may be NULL, are used. */
int schedule_open(const struct store_schedule *schedule, struct zones *zones,
    struct schedule_times *times, struct err *err);

#endif
