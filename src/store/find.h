/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_FIND_H
#define CASSATA_STORE_FIND_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_find_event. */
enum store_status find_event(struct sql *sql, const struct event_key *key,
    enum store_find what, struct store_record **record, struct err *err);

#endif
