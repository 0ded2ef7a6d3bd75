/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_NEWEST_H
#define CASSATA_STORE_NEWEST_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_newest. */
enum store_status find_newest(struct sql *sql,
    const struct newest_request *request, struct store_news *news,
    struct newest_reply *reply, struct err *err);

#endif
