/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_UPCOMING_H
#define CASSATA_STORE_UPCOMING_H

#include "sql/sql.h"
#include "store/store_types.h"

/* What comes next of all events: see store_upcoming. */
enum store_status find_upcoming(
    struct sql *sql, struct store_upcoming *upcoming, struct err *err);

#endif
