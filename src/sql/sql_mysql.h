/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_SQL_MYSQL_H
#define CASSATA_SQL_SQL_MYSQL_H

/* The driver for MySQL and MariaDB: sql_mysql of sql/sql.h, and its struct for
 * tests. */
#include "sql/mysql_conn.h"

#endif
