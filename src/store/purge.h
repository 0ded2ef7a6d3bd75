/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_PURGE_H
#define CASSATA_STORE_PURGE_H

#include "sql/sql.h"

/* See store_purge. */
enum store_status purge_ended(struct sql *sql, uint64_t shards,
    int64_t before_ms, size_t limit, size_t *n, struct err *err);

#endif
