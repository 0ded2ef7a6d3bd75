/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SETTLE_H
#define CASSATA_STORE_SETTLE_H

#include "sql/sql.h"
#include "store/store_types.h"

/* Within a transaction: writes the results of the request where the row is
 * still the owner's; *n_stale is how many were not. */
enum store_status settle_results(struct sql *sql,
    const struct claim_request *request, size_t *n_stale, struct err *err);

#endif
