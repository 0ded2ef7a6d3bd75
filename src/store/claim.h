/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_CLAIM_H
#define CASSATA_STORE_CLAIM_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_settle_and_claim; after a failure there are no claims. */
enum store_status settle_and_claim(struct sql *sql,
    const struct claim_request *request, struct claim_reply *reply,
    struct err *err);

#endif
