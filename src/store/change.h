/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_CHANGE_H
#define CASSATA_STORE_CHANGE_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_change_event. */
enum store_status change_event(
    struct sql *sql, struct store_change *change, struct err *err);

/* The same within a transaction that is under way, and is repeated as a whole.
 */
enum store_status change_row(
    struct sql *sql, struct store_change *change, struct err *err);

#endif
