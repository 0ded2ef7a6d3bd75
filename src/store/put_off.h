/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_PUT_OFF_H
#define CASSATA_STORE_PUT_OFF_H

#include "sql/sql.h"
#include "store/store_types.h"

/*
 * Rows that a claim cannot read. They wait and are due: at their place in the
 * index they would be seen, before all others of their shards, by each claim.
 */

/*
 * Puts them off, who are locked and of shards of the claim: not before their
 * expiry, by a minute or two, and by as long as they are late already, up to an
 * hour; so however many they are, few are seen at a time, and ever fewer.
 * Of one whose due_ms is the damage that is the mend.
 */
enum store_status put_off_damaged(struct sql *sql,
    const struct claim_request *request, const int64_t *ids, size_t n,
    struct claim_reply *reply, struct err *err);

#endif
