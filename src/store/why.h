/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_WHY_H
#define CASSATA_STORE_WHY_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_why. */
enum store_status find_why(struct sql *sql, const struct event_key *key,
    struct store_why *why, struct err *err);

#endif
