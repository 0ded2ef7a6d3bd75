/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_MOVE_MARK_H
#define CASSATA_STORE_MOVE_MARK_H

#include "base/buf.h"
#include "sql/sql.h"

/*
 * A datastore that others are being moved to has a table "moving" with the name
 * of the one that they come from, until all of it has come: no daemon serves
 * what is half there.
 */

/* Where they come from: appended; empty also for a mark that was not
 * finished. */
enum store_status move_mark_read(
    struct sql *sql, bool *there, struct buf *source, struct err *err);

/* Marks it; the table is made where there is none. */
enum store_status move_mark_set(
    struct sql *sql, struct slice source, struct err *err);

/* Leaves those of others; the table goes with the last. */
enum store_status move_mark_take_back(
    struct sql *sql, struct slice source, struct err *err);

/* All of it. */
enum store_status move_mark_remove(struct sql *sql, struct err *err);

/* STORE_BROKEN, with the way out, for one that has a mark. */
enum store_status move_mark_refuse(struct sql *sql, struct err *err);

#endif
