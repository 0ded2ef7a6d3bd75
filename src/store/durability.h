/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_DURABILITY_H
#define CASSATA_STORE_DURABILITY_H

#include "sql/sql.h"

/*
 * What of a server's settings lets it lose what it has committed when it or its
 * machine goes down, or refuses our writes: an empty text when nothing does.
 * SQLite's are ours, set with each connection.
 */
enum store_status durability_read(
    struct sql *sql, char *text, size_t size, struct err *err);

#endif
