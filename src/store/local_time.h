/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LOCAL_TIME_H
#define CASSATA_STORE_LOCAL_TIME_H

#include "sql/sql.h"
#include "store/store_types.h"

/* A row that is to be looked at again, and when it is due. */
struct local_move {
	int64_t row_id;
	int64_t due_ms, expiry_ms;
	bool labelled;
};

/*
 * Whether a claimed row that is due at a local time is not due up to the
 * horizon as the time zone database has it now: then *move says when it is. A
 * zone that is not there any more leaves it the time that it had.
 */
bool local_time_moved(const struct store_claim *claim,
    const struct claim_request *request, struct local_move *move);

/* Writes them, of rows that wait and are locked. */
enum store_status local_time_write(
    struct sql *sql, const struct local_move *moves, size_t n, struct err *err);

#endif
