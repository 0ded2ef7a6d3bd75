/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_REGISTRATIONS_H
#define CASSATA_STORE_REGISTRATIONS_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_registrations; the tables are of this version. */
enum store_status read_registrations(struct sql *sql,
    struct store_registration *list, size_t max, size_t *n, unsigned *n_free,
    int64_t *now_ms, struct err *err);

#endif
