/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_MYSQL_OPEN_H
#define CASSATA_SQL_MYSQL_OPEN_H

#include "sql/mysql_conn.h"

/*
 * Private to the MySQL driver: connects to one server of the URL, sets the
 * session up, and sees whether it can be used: that it reads a table and, as
 * one of several, is not read_only. A connection that was there is closed. The
 * rotation learns how it went.
 */
enum store_status mysql_open_one(
    struct mysql_conn *c, unsigned i, struct err *err);

#endif
