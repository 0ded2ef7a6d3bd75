/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_INSERT_H
#define CASSATA_STORE_INSERT_H

#include "sql/sql.h"
#include "store/store_types.h"

/*
 * One statement that makes waiting rows of the events, which has room for them.
 * Where the key or the row id of one is taken, what is there stays. *affected:
 * how many are new.
 */
enum store_status insert_events(struct sql *sql, struct store_add *const *adds,
    size_t n, uint64_t *affected, struct err *err);

#endif
