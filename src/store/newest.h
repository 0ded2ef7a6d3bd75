/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_NEWEST_H
#define CASSATA_STORE_NEWEST_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_newest. */
enum store_status find_newest(struct sql *sql, int64_t from_ms, int64_t to_ms,
    struct store_news *news, size_t max, struct newest_reply *reply,
    struct err *err);

#endif
