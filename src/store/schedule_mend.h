/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SCHEDULE_MEND_H
#define CASSATA_STORE_SCHEDULE_MEND_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_mend_schedules. */
enum store_status mend_schedules(
    struct sql *sql, struct schedule_mend *mend, struct err *err);

#endif
