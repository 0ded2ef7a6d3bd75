/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_CALLBACK_H
#define CASSATA_STORE_CALLBACK_H

#include "event/event_callback.h"
#include "sql/sql.h"
#include "store/store_types.h"

/*
 * Within a transaction: adds n events that tell of others, SQL_ROWS_MAX at most,
 * of which event and shard are set. Where there is one with their ids, which may
 * tell of an earlier event, it stays, and they get others.
 */
enum store_status callback_insert(
    struct sql *sql, struct store_add *adds, size_t n, struct err *err);

/*
 * Within a transaction: adds the event that tells of that end, if the options
 * of the event ask for one, into its shard. What they ask for in damaged words
 * is passed over.
 */
enum store_status callback_add(struct sql *sql, struct slice options,
    const struct event_end *end, unsigned shard, struct err *err);

/* The same of the row, which was given up for that reason. */
enum store_status callback_of_given_up(struct sql *sql, int64_t row_id,
    int64_t now_ms, struct slice error, struct err *err);

#endif
