/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_MOVE_LIVING_H
#define CASSATA_STORE_MOVE_LIVING_H

#include "sql/sql.h"

/* Before a wait: so many workers, so long at most. */
typedef void move_wait_cb(
    void *arg, const char *where, int64_t n_workers, int64_t max_ms);

/*
 * STORE_BROKEN, with the way out, when workers are registered there and one of
 * them gives a sign of life, or another one comes, within the longest of their
 * leases. Those that were killed stay registered, and give none.
 */
enum store_status move_refuse_living(
    struct sql *sql, move_wait_cb *on_wait, void *arg, struct err *err);

#endif
