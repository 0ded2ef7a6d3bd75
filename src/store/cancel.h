/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_CANCEL_H
#define CASSATA_STORE_CANCEL_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_cancel_event. */
enum store_status cancel_event(struct sql *sql, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err);

/* The same within a transaction that is under way, and is repeated as a whole.
 */
enum store_status cancel_row(struct sql *sql, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err);

#endif
