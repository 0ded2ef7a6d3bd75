/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_ACK_H
#define CASSATA_STORE_ACK_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_ack_event. */
enum store_status ack_event(
    struct sql *sql, struct store_ack *ack, struct err *err);

#endif
