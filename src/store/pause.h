/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_PAUSE_H
#define CASSATA_STORE_PAUSE_H

#include "sql/sql.h"
#include "store/store_types.h"

/* The table of pauses. */

/* See store_change_pause. */
enum store_status pause_change(
    struct sql *sql, struct store_pause_change *change, struct err *err);

/*
 * Those that last longer than now_ms; notes only when they are asked for. *over
 * when there are others. Rows that are damaged, or beyond STORE_PAUSES_MAX, are
 * left out.
 */
enum store_status pause_read(struct sql *sql, int64_t now_ms, bool notes,
    struct store_pauses *pauses, bool *over, struct err *err);

/* Deletes those that do not. */
enum store_status pause_delete_over(
    struct sql *sql, int64_t now_ms, struct err *err);

#endif
