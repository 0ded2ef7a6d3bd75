/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_PARKED_H
#define CASSATA_STORE_PARKED_H

#include "sql/sql.h"
#include "store/store_types.h"

/*
 * Rows that a pause parks. One that waits and is due has STORE_PARKED_MS,
 * times the number of the pause, added to its due_ms: so it lies behind all
 * others in the index, where no claim looks, in a range of its pause, which is
 * found without a look at those of others. What is not due stays where it is.
 *
 * A worker parks and puts back in its own shards alone, one after the
 * other: what it parks by a list that is no longer true is there when it
 * puts back by the next one. Who takes shards over puts back, too.
 */
struct parked_row {
	int64_t row_id;
	unsigned number; /* of the pause */
	bool labelled;
};

/* Of rows that wait, are not parked, and are locked. The order is changed. */
enum store_status parked_write(
    struct sql *sql, struct parked_row *rows, size_t n, struct err *err);

/*
 * Puts back what is parked by none of those that last, in the shards of the
 * request, the first ones that are due.
 */
enum store_status parked_put_back(struct sql *sql,
    const struct pauses_request *request, struct pauses_reply *reply,
    struct err *err);

#endif
