/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_STORE_SQLITE_H
#define CASSATA_STORE_STORE_SQLITE_H

#include "store/sqlite_query.h"

/*
 * Private to the SQLite backend: the operations of struct store_ops that have
 * files of their own, and what they share. The wall clock is the database's
 * clock: all users of a file are on one host. The numbers of enum row_status
 * stand in the statements as literals, since that is how a partial index is
 * found.
 */

/* Columns of an event, and what reads them into it; bytes are borrowed. */
#define SQLITE_IDS     "app, event_id, expiry_ms"
#define SQLITE_REQUEST "method, url, headers, body_is_text, body"
void sqlite_read_ids(struct sqlite_query *q, struct event *ev);
void sqlite_read_request(struct sqlite_query *q, struct event *ev);

/* sqlite_lease.c */
enum store_status sqlite_lease(struct store_backend *backend,
    struct store_lease_turn *turn, const int64_t *known, size_t n_known,
    struct err *err);

/* sqlite_turn.c */
enum store_status sqlite_turn(
    struct store_backend *backend, struct store_turn *turn, struct err *err);
enum store_status sqlite_purge(struct store_backend *backend, uint64_t shards,
    int64_t before_ms, size_t limit, size_t *n, struct err *err);

#endif
