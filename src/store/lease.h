/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LEASE_H
#define CASSATA_STORE_LEASE_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_lease. */
enum store_status lease_shards(struct sql *sql,
    const struct lease_request *request, struct lease_reply *reply,
    struct err *err);

#endif
