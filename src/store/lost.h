/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LOST_H
#define CASSATA_STORE_LOST_H

#include "sql/sql.h"
#include "store/store_types.h"

/*
 * PROCESSING rows whose owner does not live, within the transaction of a lease
 * call; now_ms is the database's clock.
 */

/* Whether some are in these shards, without the locks of the other two. */
enum store_status lost_find(
    struct sql *sql, uint64_t shards, bool *there, struct err *err);

/* Judges those of these shards and gives them back; n_interrupted and given_up of
 * the reply rise by how many there were, and what was given up. */
enum store_status lost_put_back(struct sql *sql,
    const struct lease_request *request, uint64_t shards, int64_t now_ms,
    struct lease_reply *reply, struct err *err);

/* The same with all rows of one owner. */
enum store_status lost_put_back_of(struct sql *sql,
    const struct lease_request *request, uint64_t owner, int64_t now_ms,
    struct lease_reply *reply, struct err *err);

#endif
