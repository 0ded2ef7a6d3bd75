/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LOST_H
#define CASSATA_STORE_LOST_H

#include "sql/sql.h"
#include "store/store_types.h"

/*
 * PROCESSING rows of owners that do not live, in the shards of a mask, within
 * the transaction of a lease call; now_ms is the database's clock.
 */

/* Whether there are any, without the locks of lost_put_back. */
enum store_status lost_find(struct sql *sql,
    const struct lease_request *request, uint64_t shards, int64_t now_ms,
    bool *there, struct err *err);

/* Judges them, and gives them back; n_interrupted and given_up of the reply are
 * how many there were, and what was given up. */
enum store_status lost_put_back(struct sql *sql,
    const struct lease_request *request, uint64_t shards, int64_t now_ms,
    struct lease_reply *reply, struct err *err);

#endif
