/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_ADD_H
#define CASSATA_STORE_ADD_H

#include "sql/sql.h"
#include "store/store_types.h"

enum {
	/* Beside the bytes of an event: of its row in a statement, and on a
	 * disk, with its entries in the indexes. */
	ADD_ROW_BYTES = 512,
	ADD_DISK_BYTES = 1024,
	/* An event is at most this part of what a transaction may write: a claim
	 * of it writes the row as it was and as it is. */
	ADD_TRANSACTION_PART = 4,
};

/*
 * See store_add_events. Want of room is no failure: what is not there already
 * is ADD_NO_ROOM, and err tells why.
 */
enum store_status add_new_events(
    struct sql *sql, struct store_add **adds, size_t n, struct err *err);

/* The same in the transaction that is under way, whether or not there is room
 * for more. */
enum store_status add_within(
    struct sql *sql, struct store_add **adds, size_t n, struct err *err);

/* See store_add_all. */
enum store_status add_all_events(struct sql *sql, struct store_add **adds,
    size_t n, bool *added, struct err *err);

#endif
