/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SCHEDULE_CHANGE_H
#define CASSATA_STORE_SCHEDULE_CHANGE_H

#include "sql/sql.h"
#include "store/store_types.h"

/* What clients do with schedules; see store.h. */
enum store_status put_schedule(
    struct sql *sql, struct schedule_put *put, struct err *err);
enum store_status change_schedule(
    struct sql *sql, struct schedule_change *change, struct err *err);

/* *schedule is NULL when there is none. */
enum store_status find_schedule(struct sql *sql, struct slice app,
    struct slice name, struct store_schedule **schedule, struct err *err);
enum store_status list_schedules(
    struct sql *sql, const struct schedule_list *list, struct err *err);

#endif
