/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SQLITE_SCHEMA_H
#define CASSATA_STORE_SQLITE_SCHEMA_H

#include "store/sqlite_conn.h"

/* Runs the migrations that are missing; refuses a newer or a foreign file. */
enum store_status sqlite_schema_check(struct sqlite_conn *c, struct err *err);

#endif
