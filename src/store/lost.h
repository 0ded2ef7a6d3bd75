/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LOST_H
#define CASSATA_STORE_LOST_H

#include "sql/sql.h"
#include "store/store_types.h"

/*
 * PROCESSING rows whose owner does not live, within the transaction of a lease
 * call.
 */

/* Whether some are in these shards, without the locks of the other two. */
enum store_status lost_find(
    struct sql *sql, uint64_t shards, bool *there, struct err *err);

/* What a transaction still takes: given back is not more, and what one call has
 * used the next one has not. */
struct lost_room {
	size_t rows, bytes;
};

/* At its begin, of so many rows: STORE_LOST_MAX or less. */
struct lost_room lost_room_of(const struct sql *sql, size_t rows);

/* Judges those of these shards, and gives them back; in the reply n_interrupted
 * and given_up rise by how many there were, and what was given up, and rest is
 * set when there may be more. */
enum store_status lost_put_back(struct sql *sql,
    const struct lease_request *request, uint64_t shards,
    struct lost_room *room, struct lease_reply *reply, struct err *err);

/* The same with the rows of one owner, registered or not; *rest: of these. */
enum store_status lost_put_back_of(struct sql *sql,
    const struct lease_request *request, uint64_t owner, struct lost_room *room,
    bool *rest, struct lease_reply *reply, struct err *err);

#endif
