/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_MYSQL_OPEN_H
#define CASSATA_SQL_MYSQL_OPEN_H

#include "sql/mysql_conn.h"

/*
 * Private to the MySQL driver: connects to one server of the URL, NULL for a
 * Unix socket, and sets the session up. A connection that was there is closed.
 */
enum store_status mysql_open_host(
    struct mysql_conn *c, const struct sql_host *host, struct err *err);

#endif
