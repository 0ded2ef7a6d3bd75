/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_STORE_MYSQL_H
#define CASSATA_STORE_STORE_MYSQL_H

#include "store/mysql_conn.h"

/*
 * Private to the MySQL backend: the operations of struct store_ops that have
 * files of their own.
 */

/* mysql_schema.c */
enum store_status mysql_check(
    struct store_backend *backend, bool create, struct err *err);

/* mysql_lease.c */
enum store_status mysql_lease(struct store_backend *backend,
    struct store_lease_turn *turn, const int64_t *known, size_t n_known,
    struct err *err);

/* mysql_turn.c */
enum store_status mysql_turn(
    struct store_backend *backend, struct store_turn *turn, struct err *err);
enum store_status mysql_purge(struct store_backend *backend, uint64_t shards,
    int64_t before_ms, size_t limit, size_t *n, struct err *err);

#endif
