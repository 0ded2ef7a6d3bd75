/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LOOK_H
#define CASSATA_STORE_LOOK_H

#include "sql/sql.h"
#include "store/due_pick.h"
#include "store/store_types.h"

/*
 * How the rows that are due next are found, in the index alone: the one thing
 * that the databases do in their own way. MySQL reads what is due in all
 * shards, or where that is more than is asked for the first rows of each;
 * SQLite has one index in the order of due times, and passes over the rows of
 * others.
 */
struct look {
	struct due_row *rows; /* owned */
	size_t n;
};

/*
 * Within a transaction, of the shards in reply->owned or, alone, of what is in
 * quarantine: the rows to claim.
 */
enum store_status look_within(struct sql *sql,
    const struct claim_request *request, struct claim_reply *reply,
    struct look *look, struct err *err);

/* Before it, without a lock; tells the shards that are ours, too. MySQL. */
enum store_status look_before(struct sql *sql,
    const struct claim_request *request, struct claim_reply *reply,
    struct look *look, struct err *err);

/* Drops the rows of other shards. */
void look_keep(struct look *look, uint64_t shards);

/* Up to max ids of rows that ended before before_ms, in the shards. */
enum store_status look_ended(struct sql *sql, uint64_t shards,
    int64_t before_ms, int64_t *ids, size_t max, size_t *n, struct err *err);

/* The rows, not *look. */
void look_free(struct look *look);

#endif
